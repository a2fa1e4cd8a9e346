/**
 * Blind tokens: what a relay answers to whoever asks for some, and what it is asked over HTTP by anybody.
 */
import { nobleBackend } from "@sotto/crypto";
import { deriveIssuer, evaluateTokens, signIssuerKey, tokenOutput } from "@sotto/crypto/issuer";
import {
  blindTokens,
  finishTokens,
  ISSUER_KEY_BYTES,
  type IssuerKey,
  TOKEN_PROOF_BYTES,
  TOKENS_PER_ISSUE_MAX,
  verifyIssuerKey,
} from "@sotto/crypto/token";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import {
  type AdmissionStore,
  ADMISSION_BODY_BYTES_MAX,
  createDoorkeeper,
  type Doorkeeper,
  hashOfCode,
} from "sotto-relay/core";
import { admissionAnswer } from "../../../packages/transport/test/decoders.ts";
import { admissionRequest } from "../../../relay/test/decoders.ts";
import { createRandom } from "../../simulation/random.ts";
import { mutateJson } from "../mutate.ts";
import { Finding, type Target } from "../target.ts";
import { START } from "./parties.ts";

const { ANSWER_CHARACTERS_MAX, readAnswer, readEvaluation, readHex, readIssuer } = admissionAnswer;
const { createAdmission, readAsked } = admissionRequest;

const SEED = new Uint8Array(32).fill(86);
const EPOCH = 19_675;
const CODE = "GHJK-MNPQ-RSTV-WXYZ";

const entropyOf = (seed: number) => {
  const random = createRandom(seed);
  return (length: number): Uint8Array<ArrayBuffer> => random.bytes(length);
};
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const toBytes = (value: unknown): Uint8Array =>
  Uint8Array.from(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const issuer = deriveIssuer(SEED, EPOCH);
const blinds = blindTokens(2, entropyOf(87));

/**
 * A byte that says what was asked for, then the answer. Oracles: no key holds but the one that the relay signed, and a
 * token is what the key's owner knows again.
 */
function answerTarget(): Target {
  let relay: { readonly key: Uint8Array; readonly signed: IssuerKey } | undefined;

  async function isSigned(body: unknown): Promise<boolean> {
    const found = readIssuer(body);
    if (relay === undefined) throw new Error("call seeds first");
    if (found === undefined || !(await verifyIssuerKey(relay.key, found, nobleBackend))) {
      return false;
    }
    const isGenuine = found.epoch === EPOCH && isSame(found.publicKey, issuer.publicKey);
    if (!isGenuine) throw new Finding("a key holds that the relay did not sign");
    return true;
  }

  function isFinished(body: unknown): boolean {
    const evaluation = readEvaluation(body);
    if (evaluation === undefined) return false;
    const { epoch, evaluated } = evaluation;
    const asked = blinds.slice(0, Math.max(evaluated.length, 1));
    const tokens = finishTokens({ epoch, publicKey: issuer.publicKey }, asked, evaluation);
    if (tokens === undefined) return false;
    const isKnown = tokens.every(({ nonce, output }) => isSame(output, tokenOutput(issuer, nonce)));
    if (tokens.length !== asked.length || !isKnown) throw new Finding("a token is worth nothing");
    return true;
  }

  return {
    name: "admission-answer",
    covers: [
      "admissionAnswer.readAnswer",
      "admissionAnswer.readIssuer",
      "admissionAnswer.readEvaluation",
      "admissionAnswer.readHex",
      "token.verifyIssuerKey",
      "token.finishTokens",
      "issuer.tokenOutput",
    ],
    maxBytes: 1_024,
    weight: 1,
    steps: { base: 4_000, perByte: 20 },
    async run(input) {
      const text = Buffer.from(input.subarray(1)).toString("utf8");
      const hex = readHex(text);
      if (hex !== undefined && toHex(hex) !== text) throw new Finding("hexadecimal has two forms");
      const body = readAnswer(text);
      const accepted = (input[0] ?? 0) % 2 === 0 ? await isSigned(body) : isFinished(body);
      return { accepted, result: body };
    },
    oversized: () => [
      Uint8Array.from(Buffer.from(`0"${"x".repeat(ANSWER_CHARACTERS_MAX)}"`)),
      new Uint8Array(1_048_576).fill(0x5b),
    ],
    async seeds() {
      if (relay === undefined) {
        const signed = await signIssuerKey(SEED, EPOCH, issuer.publicKey, nobleBackend);
        relay = { key: await nobleBackend.signPublic(SEED), signed };
      }
      const { epoch, publicKey, signature } = relay.signed;
      const info = {
        admission: { issuer: { epoch, key: toHex(publicKey), signature: toHex(signature) } },
      };
      const answers = [1, 2].map((count) => {
        const blinded = blinds.slice(0, count).map((one) => one.blinded);
        const evaluation = evaluateTokens(issuer, blinded, entropyOf(88));
        if (evaluation === undefined) throw new Error("the own request was refused");
        const { evaluated, proof } = evaluation;
        return { epoch, evaluated: evaluated.map(toHex), proof: toHex(proof) };
      });
      return [
        Buffer.concat([Buffer.of(0), toBytes(info)]),
        ...answers.map((answer) => Buffer.concat([Buffer.of(1), toBytes(answer)])),
        Buffer.concat([Buffer.of(0), toBytes("00ff")]),
      ];
    },
    vary(input, random) {
      const varied = mutateJson(input.subarray(1), random);
      return varied && Buffer.concat([input.subarray(0, 1), varied]);
    },
  };
}

/** As much as one request touches of a store, for one code with one use. */
function storeOfOne(): AdmissionStore {
  let answered: Uint8Array | undefined;
  let uses = 1;
  const isCode = (hash: Uint8Array): boolean => isSame(hash, hashOfCode(CODE) ?? hash.subarray(1));
  const refuse = (): never => {
    throw new Finding("a request for tokens touches who was admitted");
  };
  return {
    readerUntil: refuse,
    renew: refuse,
    spend: refuse,
    addCode: refuse,
    sweep: refuse,
    close: refuse,
    hasCode: (hash) => isCode(hash) && uses > 0,
    takeCode(hash, _, request) {
      if (!isCode(hash) || uses === 0) return false;
      uses--;
      answered = request;
      return true;
    },
    hasAnswered: (request) => answered !== undefined && isSame(answered, request),
    putAnswered: (request) => {
      answered = request;
    },
  };
}

/** Kept, as it derives the key of its epoch but once; what it keeps of who came is not asked for here. */
const doorkeepers: { invite?: Doorkeeper; oidc?: Doorkeeper } = {};
const doorkeeperOf = (door: "invite" | "oidc"): Doorkeeper =>
  createDoorkeeper({
    door,
    sendersOpen: true,
    days: 30,
    relaySeed: SEED,
    relayKey: new Uint8Array(32),
    store: storeOfOne(),
    now: () => START,
  });

const STATUSES = new Set([200, 400, 401, 413, 429, 503]);
/** What the organisation's sign-in may say of a JWT. */
const VERDICTS = [
  { ok: true, subject: "somebody" },
  { ok: false, reason: "refused" },
  { ok: false, reason: "unavailable" },
] as const;

/**
 * A byte for the door and what its organisation says, then the body; asked twice. Oracles: each time one answer of the
 * closed set, and one that is given is given again to the same bytes.
 */
const requestTarget: Target = {
  name: "admission-request",
  covers: [
    "admissionRequest.createAdmission",
    "admissionRequest.readAsked",
    "issuer.evaluateTokens",
  ],
  maxBytes: 4_096,
  weight: 1,
  steps: { base: 8_000, perByte: 40 },
  async run(input) {
    const choice = input[0] ?? 0;
    const door = choice % 2 === 0 ? "invite" : "oidc";
    const body = Buffer.from(input.subarray(1));
    const store = storeOfOne();
    const verdict = VERDICTS[(choice >> 1) % VERDICTS.length] ?? VERDICTS[0];
    const doorkeeper = (doorkeepers[door] ??= doorkeeperOf(door));
    const admission = createAdmission({
      doorkeeper,
      store,
      relaySeed: SEED,
      crypto: nobleBackend,
      entropy: entropyOf(89),
      verifyJwt: door === "invite" ? undefined : () => Promise.resolve(verdict),
      tokensPerDay: 8,
    });
    const ask = async (): Promise<{ readonly status: number; readonly text: string }> => {
      const answers: { status: number; text: string }[] = [];
      let status = 0;
      const middle = body.length >> 1;
      const pieces = [body.subarray(0, middle), body.subarray(middle)].filter((one) => one.length);
      const request = Object.assign(Readable.from(pieces), { method: "POST" });
      const response = {
        setHeader: () => undefined,
        writeHead: (code: number) => void (status = code),
        end: (text: string) => void answers.push({ status, text }),
      };
      await admission.serve(
        request as unknown as IncomingMessage,
        response as unknown as ServerResponse,
        () => undefined,
      );
      const [answer] = answers;
      if (answer === undefined || answers.length > 1) throw new Finding("not answered once");
      if (!STATUSES.has(answer.status)) throw new Finding("an answer of another kind");
      return answer;
    };
    const first = await ask();
    const again = await ask();
    const asked = readAsked(body);
    if (first.status !== 200) return { accepted: false };
    if (again.status !== 200) throw new Finding("a lost answer costs the code");
    const evaluation = readEvaluation(readAnswer(first.text));
    const isWhole =
      evaluation?.epoch === doorkeeper.issuer().epoch &&
      evaluation.proof.length === TOKEN_PROOF_BYTES &&
      evaluation.evaluated.length === asked?.blinded.length &&
      evaluation.evaluated.every(({ length }) => length === ISSUER_KEY_BYTES);
    if (!isWhole) throw new Finding("an answer that no client reads");
    return { accepted: true };
  },
  oversized: () => [new Uint8Array(ADMISSION_BODY_BYTES_MAX + 2).fill(0x20)],
  seeds() {
    const one = toHex(blinds[0]?.blinded ?? SEED);
    const seeds: readonly (readonly [number, unknown])[] = [
      [0, { code: CODE, blinded: [one] }],
      [0, { code: CODE.toLowerCase(), blinded: [one, one] }],
      [0, { code: CODE, blinded: Array.from({ length: TOKENS_PER_ISSUE_MAX + 1 }, () => one) }],
      [0, { code: "0000-0000-0000-0000", blinded: [one] }],
      [0, { code: CODE, blinded: ["00".repeat(32)] }],
      [1, { token: "a.b.c", blinded: [one] }],
      [1, { token: "a.b.c", blinded: Array.from({ length: 9 }, () => one) }],
      [3, { token: "a.b.c", blinded: [one] }],
      [5, { token: "a.b.c", blinded: [one] }],
      [1, { code: CODE, token: "a.b.c", blinded: [one] }],
    ];
    return seeds.map(([choice, body]) => Buffer.concat([Buffer.of(choice), toBytes(body)]));
  },
  vary(input, random) {
    const varied = mutateJson(input.subarray(1), random);
    return varied && Buffer.concat([input.subarray(0, 1), varied]);
  },
};

export const tokenTargets: readonly Target[] = [answerTarget(), requestTarget];
