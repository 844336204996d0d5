// A real OpenID provider on loopback, in memory, with its own development pages to log in at.
// Arguments: the module's path, the port, the issuer it says it is, how clients may authenticate. Its keys are new each time.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [modulePath, port, issuer, methods] = process.argv.slice(2);
console.info = () => {}; // what it says of being for development
console.warn = () => {};
const { Provider } = await import(pathToFileURL(modulePath));

const KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519'],
};
const keys = Object.entries(KINDS).map(([alg, kind]) => ({
  ...generateKeyPairSync(...kind).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${randomUUID()}`,
}));
const client = (client_id, more) => ({
  client_id, application_type: 'native', redirect_uris: ['http://127.0.0.1/remit'], grant_types: ['authorization_code'],
  response_types: ['code'], token_endpoint_auth_method: 'none', ...more,
});

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [
    ...Object.keys(KINDS).map((alg) => client(`remit-${alg}`, { id_token_signed_response_alg: alg })),
    ...methods.split(',').filter((method) => method !== 'none').map((method) => (
      client(`remit-${method}`, { token_endpoint_auth_method: method, client_secret: 'correct-horse' })
    )),
  ],
  enabledJWA: { idTokenSigningAlgValues: Object.keys(KINDS) },
  clientAuthMethods: methods.split(','),
  cookies: { keys: [randomUUID()] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
