// npm's openid-client: discover, get a token, read, introspect, revoke, and try to read again. Prints one line of JSON.
//
//   node with_openid_client.mjs alliance.json hotel

import * as openid from 'openid-client'
import { openMember } from './member.mjs'

const member = await openMember(...process.argv.slice(2))
const config = await openid.discovery(member.issuer, member.id, undefined, openid.PrivateKeyJwt(member.key), {
  algorithm: 'oauth2',
  execute: [openid.allowInsecureRequests],
})

let challenges = 0
config[openid.customFetch] = async (...request) => {
  const answer = await fetch(...request)
  if (answer.status >= 400 && answer.headers.has('dpop-nonce')) challenges += 1
  return answer
}

const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
const token = await openid.clientCredentialsGrant(
  config,
  { authorization_details: JSON.stringify(member.details) },
  { DPoP },
)
const read = () => openid.fetchProtectedResource(config, token.access_token, member.url, 'GET', undefined, undefined, { DPoP })
const answer = await read()
const challenged = challenges
const introspection = await openid.tokenIntrospection(config, token.access_token)
await openid.tokenRevocation(config, token.access_token)
const afterwards = await openid.tokenIntrospection(config, token.access_token)
let refused = 0
try {
  await read()
} catch (error) {
  refused = error.status
}
console.log(
  JSON.stringify({
    issuer: config.serverMetadata().issuer,
    type: token.token_type,
    details: token.authorization_details,
    challenged,
    status: answer.status,
    records: (await answer.json()).records.length,
    introspection,
    afterwards,
    refused,
  }),
)
