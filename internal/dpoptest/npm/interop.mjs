// Signs in with a proof that oauth4webapi makes, then uses, renews and revokes
// by that library alone. Arguments: origin, name, password.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'

const [origin, username, password] = process.argv.slice(2)
const options = { [oauth.allowInsecureRequests]: true } // http on localhost
const client = { client_id: 'cli' }
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))

// again does what a client must when it is told to use a nonce: once more.
async function again(attempt) {
  try {
    return await attempt()
  } catch (err) {
    if (!oauth.isDPoPNonceError(err)) throw err
    return attempt()
  }
}

async function signIn() {
  const url = new URL('/auth/login', origin)
  const headers = new Headers({ 'content-type': 'application/json' })
  await DPoP.addProof(url, headers, 'POST')
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ username, password, transport: 'bearer', client_id: 'cli' }) })
  DPoP.cacheNonce(answer, url)
  return answer
}

const issuer = new URL(origin)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }))
assert.deepEqual(as.dpop_signing_alg_values_supported, ['ES256', 'EdDSA'])

let answer = await signIn()
assert.equal(answer.status, 400)
assert.equal((await answer.json()).code, 'use_dpop_nonce')
answer = await signIn()
assert.equal(answer.status, 200)
let tokens = await answer.json()
assert.equal(tokens.token_type, 'DPoP')

const thumbprint = await DPoP.calculateThumbprint()
async function use(access) {
  const got = await again(() => oauth.protectedResourceRequest(access, 'GET', new URL('/things?q=1', origin), undefined, undefined, { ...options, DPoP }))
  assert.equal((await got.text()).trim(), thumbprint)
}
await use(tokens.access_token)
await use(tokens.access_token)

const renewed = await again(async () => oauth.processRefreshTokenResponse(as, client,
  await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, { ...options, DPoP })))
assert.equal(renewed.token_type, 'dpop')
await use(renewed.access_token)

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), renewed.refresh_token, options))
await assert.rejects(use(renewed.access_token), oauth.WWWAuthenticateChallengeError)
await assert.rejects(again(async () => oauth.processRefreshTokenResponse(as, client,
  await oauth.refreshTokenGrantRequest(as, client, oauth.None(), renewed.refresh_token, { ...options, DPoP }))), { error: 'invalid_grant' })
console.log('done')
