// A real OpenID provider on loopback, over https, for the tests of sign-in.
//
//   node provider.mjs MODULES CERTIFICATE KEY
//
// Prints one line of JSON when it is ready, and ends when its standard input does. What a test changes while
// it runs goes to a port of its own: POST /person says who signs in next, POST /keys rotates.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, certificate, key] = process.argv.slice(2);
const found = createRequire(`${modules}/`).resolve('oidc-provider');
// Its warnings are about keys and memory that are made up here on purpose.
console.info = console.warn = () => {};
const { default: Provider } = await import(pathToFileURL(found).href);

const RESOURCE = 'api://hourgate';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

let person = { sub: 'alice' };
let keys = [freshKey()];
let provider;

function freshKey() {
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: crypto.randomUUID(), use: 'sig', alg: 'RS256' };
}

function configuration() {
  return {
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    clients: [
      {
        client_id: 'hourgate',
        // Encoded before it is sent (RFC 6749, 2.3.1), and these characters show whether it was.
        client_secret: 'a secret: with + and %',
        redirect_uris: ['https://hourgate.test/back'],
        grant_types: ['authorization_code', 'client_credentials'],
        response_types: ['code'],
      },
      {
        client_id: 'public',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['https://hourgate.test/back'],
        grant_types: ['authorization_code', DEVICE],
        response_types: ['code'],
      },
    ],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    pkce: { required: () => true },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'read', audience: RESOURCE, accessTokenFormat: 'jwt' }),
      },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...person, sub }) }),
    async loadExistingGrant(ctx) {
      const grant = new provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email groups');
      grant.addResourceScope(RESOURCE, 'read');
      await grant.save();
      return grant;
    },
  };
}

function make(issuer) {
  provider = new Provider(issuer, configuration());
}

/// Whoever comes to sign in is the person that the test named last.
async function signIn(request, response) {
  await provider.interactionFinished(request, response, { login: { accountId: person.sub } });
}

const server = https.createServer(
  { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) },
  (request, response) => {
    if (request.url.startsWith('/interaction/')) {
      signIn(request, response).catch((error) => response.writeHead(500).end(String(error)));
    } else {
      provider.callback()(request, response);
    }
  },
);

async function told(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const admin = http.createServer(async (request, response) => {
  const body = await told(request);
  if (request.url === '/person') {
    person = body;
  } else if (request.url === '/keys') {
    // The first key signs.
    keys = [freshKey(), ...(body.keep ? keys : [])];
    make(provider.issuer);
  }
  response.end('{}');
});

server.listen(0, '127.0.0.1', () => {
  make(`https://localhost:${server.address().port}`);
  admin.listen(0, '127.0.0.1', () => {
    const ready = { issuer: provider.issuer, admin: `http://127.0.0.1:${admin.address().port}` };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  });
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
