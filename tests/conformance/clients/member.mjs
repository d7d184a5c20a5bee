// What both scripts start from: `alliance.json` as the demo writes it, one of its members, and that member's key.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export async function openMember(file, name) {
  const alliance = JSON.parse(await readFile(file, 'utf8'))
  const member = alliance.members.find((one) => one.jwk_file === `${name}.jwk.json`)
  const { kty, crv, x, y, d } = JSON.parse(await readFile(join(dirname(file), member.jwk_file), 'utf8'))
  const algorithm = { name: 'ECDSA', namedCurve: crv }
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y, d }, algorithm, false, ['sign'])
  const read = member.reads[0]
  const url = new URL(read.url)
  url.searchParams.set('purpose', read.purpose)
  return { issuer: new URL(alliance.issuer), api: alliance.api, id: member.client_id, key, url, details: member.authorization_details }
}
