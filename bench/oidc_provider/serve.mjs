// npm's oidc-provider, doing what the gateway's token endpoint does: private_key_jwt by any of the client's keys, DPoP
// with a nonce of the server's, a JWT access token for one resource, signed with Ed25519 and bound to the proof's key.
// What was used is kept in the file `store`, or, without one, in its own adapter, which forgets all but the last 1,000.
//
//   node serve.mjs '{"issuer": "http://127.0.0.1:PORT", "port": PORT, "resource": "...", "client_id": "...", "keys": []}'

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'
import { storeIn } from './store.mjs'

const { issuer, port, resource, client_id, keys, store } = JSON.parse(process.argv[2])
const LIFETIME_S = 300

const provider = new Provider(issuer, {
  ...(store && { adapter: storeIn(store) }),
  clients: [
    {
      client_id,
      jwks: { keys },
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: 'private_key_jwt',
      id_token_signed_response_alg: 'EdDSA',
      dpop_bound_access_tokens: true,
    },
  ],
  jwks: { keys: [{ ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'EdDSA' }] },
  enabledJWA: { dPoPSigningAlgValues: ['ES256', 'PS256'] },
  ttl: { ClientCredentials: LIFETIME_S },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: '',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: LIFETIME_S,
        jwt: { sign: { alg: 'EdDSA' } },
      }),
    },
  },
})
provider.on('server_error', (_, error) => console.error(error))
createServer(provider.callback()).listen(port, '127.0.0.1')
