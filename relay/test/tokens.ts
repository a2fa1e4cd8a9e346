/** Getting blind tokens and showing them, by hand. */
import { admissionAuthenticator } from "@sotto/crypto";
import {
  blindTokens,
  finishTokens,
  type IssuerKey,
  type Token,
  verifyIssuerKey,
} from "@sotto/crypto/token";
import { authTranscript, encodeAdmission } from "@sotto/wire";
import { nodeBackend } from "sotto-relay";
import { authenticate, type Client, type FrameOf, random } from "./client.ts";

export type Credential = { readonly code: string } | { readonly token: string };

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export async function issuerOf(url: string, relayKey: Uint8Array): Promise<IssuerKey> {
  const info = (await (await fetch(`${url}/info.json`)).json()) as {
    readonly admission: {
      readonly issuer: { readonly epoch: number; readonly key: string; readonly signature: string };
    };
  };
  const { epoch, key, signature } = info.admission.issuer;
  const issuer = { epoch, publicKey: fromHex(key), signature: fromHex(signature) };
  if (!(await verifyIssuerKey(relayKey, issuer, nodeBackend))) throw new Error("not the relay's");
  return issuer;
}

/** The status of a refusal, or the tokens. */
export async function getTokens(
  url: string,
  issuer: IssuerKey,
  credential: Credential,
  count = 1,
): Promise<readonly Token[] | number> {
  const blinds = blindTokens(count, random);
  const blinded = blinds.map((one) => toHex(one.blinded));
  const response = await ask(url, JSON.stringify({ ...credential, blinded }));
  if (response.status !== 200) return response.status;
  const { evaluated, proof } = (await response.json()) as {
    readonly evaluated: readonly string[];
    readonly proof: string;
  };
  const answer = { evaluated: evaluated.map(fromHex), proof: fromHex(proof) };
  const tokens = finishTokens(issuer, blinds, answer);
  if (tokens === undefined) throw new Error("not made with the published key");
  return tokens;
}

export const ask = (url: string, body: string): Promise<Response> =>
  fetch(`${url}/admission`, { method: "POST", body });

/** AUTH with this token, for the client's connection. */
export async function authenticateWith(client: Client, token: Token): Promise<FrameOf<"auth">> {
  const auth = await authenticate(client);
  const { nonce, relayKey } = client.hello;
  const transcript = authTranscript(nonce, relayKey, auth.readerKey);
  const admission = encodeAdmission({
    epoch: token.epoch,
    tokenNonce: token.nonce,
    authenticator: admissionAuthenticator(token.output, transcript),
  });
  return { ...auth, admission };
}
