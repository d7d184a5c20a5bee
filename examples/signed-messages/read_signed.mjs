// Read with signed messages (RFC 9421) and check the signature of the answer, with npm's oauth4webapi and
// http-message-signatures, and nothing of the gateway:
//
//   npm ci --ignore-scripts
//   node read_signed.mjs DIR/alliance.json hotel
//
// The draft profile fapi-2_0-http-signatures of FAPI 2.0. One line of JSON is printed for each of the member's reads.

import { createHash, createPublicKey, createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { argv, exit } from 'node:process'
import signatures from 'http-message-signatures'
import * as oauth from 'oauth4webapi'

const { createSigner, createVerifier, httpbis } = signatures
const REQUEST = ['@method', '@target-uri', 'authorization', 'dpop']
const PARAMETERS = ['created', 'keyid', 'alg', 'tag']
const ANSWER = ['@status', 'content-digest', '@method', '@target-uri', 'signature', 'signature-input']

const [file, wanted] = argv.slice(2)
if (!file || !wanted) {
  console.error('usage: node read_signed.mjs DIR/alliance.json MEMBER')
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

const jwk = JSON.parse(await readFile(join(dirname(file), member.jwk_file), 'utf8'))
const signer = createSigner(createPrivateKey({ key: jwk, format: 'jwk' }), 'ecdsa-p256-sha256', thumbprint(jwk))
const issuer = new URL(alliance.issuer)
const loopback = issuer.hostname === '127.0.0.1'
const options = { [oauth.allowInsecureRequests]: loopback } // plain http is for loopback alone
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
)
const published = await (await fetch(`${alliance.api}/jwks`)).json()
const client = { client_id: member.client_id }
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const token = await obtainToken()

let answered = 0
for (const read of member.reads) answered += await readOnce(read)
exit(answered === member.reads.length && answered > 0 ? 0 : 1)

async function obtainToken() {
  const { kty, crv, x, y, d } = jwk
  const algorithm = { name: 'ECDSA', namedCurve: crv }
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y, d }, algorithm, false, ['sign'])
  const parameters = { authorization_details: JSON.stringify(member.authorization_details) }
  return withNonce(async () => {
    const answer = await oauth.clientCredentialsGrantRequest(server, client, oauth.PrivateKeyJwt({ key }), parameters, {
      ...options,
      DPoP,
    })
    return oauth.processClientCredentialsResponse(server, client, answer)
  })
}

async function readOnce({ url, purpose }) {
  const target = new URL(url)
  target.searchParams.set('purpose', purpose)
  let sent
  const signAndFetch = async (address, { body, ...init }) => {
    sent = await httpbis.signMessage(
      { key: signer, name: 'sig1', fields: REQUEST, params: PARAMETERS, paramValues: { tag: 'fapi-2-request' } },
      { method: init.method, url: address, headers: Object.fromEntries(new Headers(init.headers)) },
    )
    return fetch(address, { ...init, body, headers: sent.headers })
  }
  const answer = await withNonce(() =>
    oauth.protectedResourceRequest(token.access_token, 'GET', target, undefined, undefined, {
      ...options,
      DPoP,
      [oauth.customFetch]: signAndFetch,
    }),
  )
  const content = Buffer.from(await answer.arrayBuffer())
  await verify(answer, content, sent)
  console.log(JSON.stringify({ url, status: answer.status, ...JSON.parse(content) }))
  return answer.ok ? 1 : 0
}

// Throws unless the answer carries a signature by a published key over status, content and the signed request.
async function verify(answer, content, request) {
  const headers = Object.fromEntries(answer.headers)
  const holds = await httpbis.verifyMessage(
    { keyLookup: async ({ keyid }) => verifierOf(keyid), requiredFields: ANSWER, requiredParams: ['created', 'tag'] },
    { status: answer.status, headers },
    request,
  )
  const digest = `sha-256=:${createHash('sha256').update(content).digest('base64')}:`
  if (!holds || headers['content-digest'] !== digest) throw new Error('The answer is not signed as it must be.')
}

function verifierOf(keyid) {
  const key = published.keys.find((one) => one.kid === keyid)
  if (!key) return null
  const { kty, crv, x } = key
  return { verify: createVerifier(createPublicKey({ key: { kty, crv, x }, format: 'jwk' }), 'ed25519') }
}

// RFC 7638.
function thumbprint({ crv, kty, x, y }) {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
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
