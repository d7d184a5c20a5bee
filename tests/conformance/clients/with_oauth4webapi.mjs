// npm's oauth4webapi: discover, get a token, read, introspect (signed too), revoke, and try to read again. It also
// verifies the token as a resource server would, and says which mutated ones it refuses. Prints one line of JSON.
//
//   node with_oauth4webapi.mjs alliance.json hotel

import * as oauth from 'oauth4webapi'
import { openMember } from './member.mjs'

const member = await openMember(...process.argv.slice(2))
const options = { [oauth.allowInsecureRequests]: true }
const server = await oauth.processDiscoveryResponse(
  member.issuer,
  await oauth.discoveryRequest(member.issuer, { ...options, algorithm: 'oauth2' }),
)
const client = { client_id: member.id, introspection_signed_response_alg: 'Ed25519' }
const authentication = oauth.PrivateKeyJwt(member.key)
const pair = await oauth.generateKeyPair('ES256')
const DPoP = oauth.DPoP(client, pair)

let challenges = 0
async function withNonce(call) {
  try {
    return await call()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    challenges += 1
    return call()
  }
}

const token = await withNonce(async () =>
  oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      { authorization_details: JSON.stringify(member.details) },
      { ...options, DPoP },
    ),
  ),
)
const text = token.access_token
const read = () =>
  withNonce(() => oauth.protectedResourceRequest(text, 'GET', member.url, undefined, undefined, { ...options, DPoP }))
const answer = await read()
const challenged = challenges

async function introspect(signed) {
  const said = await oauth.introspectionRequest(server, client, authentication, text, {
    ...options,
    requestJwtResponse: signed,
  })
  const told = await oauth.processIntrospectionResponse(server, client, said)
  if (signed) await oauth.validateApplicationLevelSignature(server, said, options)
  return told
}

const validation = await validate()
const introspection = await introspect(false)
const signed = await introspect(true)
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, text, options))
const afterwards = await introspect(true)
let refused = 0
try {
  await read()
} catch (error) {
  refused = error.status
}
console.log(
  JSON.stringify({
    issuer: server.issuer,
    type: token.token_type,
    details: token.authorization_details,
    challenged,
    status: answer.status,
    records: (await answer.json()).records.length,
    introspection,
    signed,
    afterwards,
    refused,
    validation,
  }),
)

// The token as it is, then changed in one place each; and requests that carry it wrongly.
async function validate() {
  const accepts = async (request) => {
    try {
      await oauth.validateJwtAccessToken(server, request, member.api, { ...options, requireDPoP: true })
      return true
    } catch {
      return false
    }
  }
  const verdicts = {}
  for (const [name, changed] of Object.entries({ unchanged: text, ...mutations(text) })) {
    verdicts[name] = await accepts(await prepared(changed))
  }
  const good = await prepared(text)
  const without = (header) => {
    const headers = new Headers(good.headers)
    headers.delete(header)
    return new Request(good, { headers })
  }
  const bearer = new Headers(good.headers)
  bearer.set('authorization', `Bearer ${text}`)
  verdicts['no proof'] = await accepts(without('dpop'))
  verdicts['no token'] = await accepts(without('authorization'))
  verdicts['as a bearer token'] = await accepts(new Request(good, { headers: bearer }))
  verdicts['at another address'] = await accepts(new Request(`${member.api}/datasets`, { headers: good.headers }))
  verdicts['proved by another key'] = await accepts(
    await prepared(text, oauth.DPoP(client, await oauth.generateKeyPair('ES256'))),
  )
  return verdicts
}

// A request as the library would send it, with a proof over this very token.
async function prepared(accessToken, handle = DPoP) {
  let request
  await oauth
    .protectedResourceRequest(accessToken, 'GET', member.url, undefined, undefined, {
      ...options,
      DPoP: handle,
      [oauth.customFetch]: (url, sent) => {
        request = new Request(url, { method: sent.method, headers: sent.headers })
        return new Response(null, { status: 200 })
      },
    })
    .catch(() => undefined)
  return request
}

function mutations(original) {
  const [header, payload, signature] = original.split('.')
  const changed = (part, change) => encode({ ...decode(part), ...change })
  const claims = (change) => `${header}.${changed(payload, change)}.${signature}`
  const head = (change) => `${changed(header, change)}.${payload}.${signature}`
  const { exp, cnf, authorization_details } = decode(payload)
  return {
    'a longer life': claims({ exp: exp + 3600 }),
    'another audience': claims({ aud: 'https://elsewhere.example/v1' }),
    'another issuer': claims({ iss: 'https://elsewhere.example' }),
    'another client': claims({ client_id: 'another' }),
    'another subject': claims({ sub: 'client:another' }),
    'another jti': claims({ jti: 'another' }),
    'another binding': claims({ cnf: { jkt: 'A'.repeat(43) } }),
    'no binding': claims({ cnf: undefined }),
    'more granted': claims({ authorization_details: [...authorization_details, { type: 'alliance_member', actions: ['draft'] }] }),
    'another version of the client': claims({ client_version: 99 }),
    'another typ': head({ typ: 'JWT' }),
    'another kid': head({ kid: 'another' }),
    'alg none': `${changed(header, { alg: 'none' })}.${payload}.`,
    'alg ES256': head({ alg: 'ES256' }),
    'another signature': `${header}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`,
    'no signature': `${header}.${payload}.`,
    'a part too few': `${header}.${payload}`,
  }
}

function decode(part) {
  return JSON.parse(Buffer.from(part, 'base64url'))
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
