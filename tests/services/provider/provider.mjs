// A company's OpenID provider: oidc-provider, whose people are authenticated as `POST /as` says last.
// argv: a JSON file with {port, client}.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const { port, client } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const issuer = `http://localhost:${port}`;
const jwk = (type, options, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  kid: randomUUID(), use: "sig", alg,
});
let person = {};

const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: [jwk("rsa", { modulusLength: 2048 }, "RS256"), jwk("ec", { namedCurve: "P-256" }, "ES256")] },
  enabledJWA: { clientAuthSigningAlgValues: ["EdDSA"], idTokenSigningAlgValues: ["RS256", "ES256"] },
  acrValues: ["phr", "pwd"],
  claims: { openid: ["sub", "acr", "amr", "sid"] },
  conformIdTokenClaims: false,
  cookies: { keys: [randomUUID()] },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: true },
  },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its own refuses loopback, where the gateway is
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, next) => {
  if (ctx.path === "/as") {
    const chunks = [];
    for await (const chunk of ctx.req) chunks.push(chunk);
    person = JSON.parse(Buffer.concat(chunks).toString());
    ctx.body = "ok";
    return;
  }
  if (ctx.path.startsWith("/interaction/")) {
    const login = { accountId: person.sub, acr: person.acr, amr: person.amr, ts: person.ts };
    await provider.interactionFinished(ctx.req, ctx.res, { login }, { mergeWithLastSubmission: false });
    ctx.respond = false;
    return;
  }
  await next();
});

provider.on("server_error", (ctx, error) => console.error(error));
provider.on("backchannel.error", (ctx, error) => console.error(error));
provider.on("grant.error", (ctx, error) => console.error(error));
provider.listen(port, "127.0.0.1", () => console.log(`listening on ${issuer}`));
