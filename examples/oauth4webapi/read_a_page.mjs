// Read what a member may read, with npm's oauth4webapi and nothing of the gateway:
//
//   npm ci --ignore-scripts
//   node read_a_page.mjs DIR/alliance.json hotel
//
// Discovery (RFC 8414), client_credentials with private_key_jwt, DPoP (RFC 9449) with nonces, authorization_details
// (RFC 9396). One line of JSON is printed for each of the member's reads.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { argv, exit } from 'node:process'
import * as oauth from 'oauth4webapi'

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

const [file, wanted] = argv.slice(2)
if (!file || !wanted) {
  console.error('usage: node read_a_page.mjs DIR/alliance.json MEMBER')
  exit(2)
}
const alliance = JSON.parse(await readFile(file, 'utf8'))
const member = alliance.members.find((one) =>
  [one.id, one.name, one.jwk_file.replace('.jwk.json', '')].includes(wanted),
)
if (!member) {
  console.error(`There is no member ${wanted}.`)
  exit(2)
}

const issuer = new URL(alliance.issuer)
const loopback = issuer.hostname === '127.0.0.1'
const options = { [oauth.allowInsecureRequests]: loopback } // plain http is for loopback alone

const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
)
const client = { client_id: member.client_id }
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const token = await obtainToken()

let answered = 0
for (const read of member.reads) answered += await readOnce(read)
exit(answered === member.reads.length && answered > 0 ? 0 : 1)

async function obtainToken() {
  const authentication = oauth.PrivateKeyJwt(await clientKey())
  const parameters = { authorization_details: JSON.stringify(member.authorization_details) }
  return withNonce(async () => {
    const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, {
      ...options,
      DPoP,
    })
    return oauth.processClientCredentialsResponse(server, client, answer)
  })
}

async function clientKey() {
  const { kty, crv, x, y, d, alg = 'ES256', kid } = JSON.parse(
    await readFile(join(dirname(file), member.jwk_file), 'utf8'),
  )
  const algorithm = { name: 'ECDSA', namedCurve: CURVES[alg] }
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y, d }, algorithm, false, ['sign'])
  return { key, kid }
}

async function readOnce({ url, purpose }) {
  const target = new URL(url)
  target.searchParams.set('purpose', purpose)
  target.searchParams.set('limit', '2')
  const answer = await withNonce(() =>
    oauth.protectedResourceRequest(token.access_token, 'GET', target, undefined, undefined, { ...options, DPoP }),
  )
  console.log(JSON.stringify({ url, status: answer.status, ...(await answer.json()) }))
  return answer.ok ? 1 : 0
}

// The first proof for a server carries no nonce yet: it names one in its challenge, and the call is made again.
async function withNonce(call) {
  try {
    return await call()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return call()
  }
}
