/**
 * Our ratchet with the constants of Olm: other labels, another sealing, headers in the open, no post-quantum part.
 * Chains, turns and skipped keys are those of ../src. Only for talking to Olm's own library in tests.
 * Owns: Olm's triple Diffie-Hellman, message layout and sealing. Source: the specification of Olm.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from "node:crypto";
import type { CryptoEnv } from "@sotto/crypto";
import { equalBytes } from "@sotto/wire";
import { chainStep, dropOldKeys } from "#src/chains.ts";
import {
  advanceInChain,
  advanceInSkipped,
  advanceToTurn,
  type Ratchet,
  takeTurn,
} from "#src/ratchet.ts";
import { der } from "./reference.ts";

const ROOT = "OLM_ROOT";
const RATCHET = { label: "OLM_RATCHET" };
const KEYS = "OLM_KEYS";
const VERSION = 3;
const MAC_BYTES = 8;
/** Protobuf tags. */
const MESSAGE = { ratchetKey: 0x0a, counter: 0x10, ciphertext: 0x22 } as const;
const PREKEY = { oneTimeKey: 0x0a, baseKey: 0x12, identityKey: 0x1a, message: 0x22 } as const;

const hkdf = (salt: Uint8Array, ikm: Uint8Array, info: string, length: number): Buffer =>
  Buffer.from(hkdfSync("sha256", ikm, salt, info, length));
const dh = (secret: Uint8Array, key: Uint8Array): Buffer =>
  diffieHellman({ privateKey: der.x25519Secret(secret), publicKey: der.x25519Public(key) });
export const x25519Public = (secret: Uint8Array): Buffer =>
  createPublicKey(der.x25519Secret(secret)).export({ format: "der", type: "spki" }).subarray(-32);

/** A chain's own ratchet key stands where this suite has no header key: it names the chain. */
export interface OlmSession extends Ratchet {
  readonly ownRatchetKey: Uint8Array;
  /** In front of what is sent until the other side has answered. */
  readonly prekey:
    | {
        readonly oneTimeKey: Uint8Array;
        readonly baseKey: Uint8Array;
        readonly identityKey: Uint8Array;
      }
    | undefined;
}

const NO_KEY = new Uint8Array(32);

/** Towards a published identity key and one-time key. */
export function olmInitiate(
  identitySecret: Uint8Array,
  remote: { readonly identityKey: Uint8Array; readonly oneTimeKey: Uint8Array },
  env: CryptoEnv,
): OlmSession {
  const [baseSecret, ratchetSecret] = [env.entropy(32), env.entropy(32)];
  const keys = firstKeys([
    dh(identitySecret, remote.oneTimeKey),
    dh(baseSecret, remote.identityKey),
    dh(baseSecret, remote.oneTimeKey),
  ]);
  const ratchetKey = x25519Public(ratchetSecret);
  return {
    rootKey: keys.rootKey,
    ownRatchetSecret: ratchetSecret,
    ownRatchetKey: ratchetKey,
    remoteRatchetKey: undefined,
    sending: { headerKey: ratchetKey, chainKey: keys.chainKey, next: 0 },
    nextSendingHeaderKey: NO_KEY,
    previousCount: 0,
    stepDue: false,
    receiving: undefined,
    nextReceivingHeaderKey: NO_KEY,
    skipped: [],
    turn: 0,
    prekey: {
      oneTimeKey: remote.oneTimeKey,
      baseKey: x25519Public(baseSecret),
      identityKey: x25519Public(identitySecret),
    },
  };
}

/** The session a prekey message begins; the message itself is opened with `olmOpen` afterwards. */
export function olmAccept(
  identitySecret: Uint8Array,
  oneTimeSecret: Uint8Array,
  prekeyMessage: Uint8Array,
): OlmSession {
  const fields = fieldsOf(prekeyMessage.slice(1));
  const baseKey = bytesOf(fields, PREKEY.baseKey);
  const keys = firstKeys([
    dh(oneTimeSecret, bytesOf(fields, PREKEY.identityKey)),
    dh(identitySecret, baseKey),
    dh(oneTimeSecret, baseKey),
  ]);
  const ratchetKey = bytesOf(
    fieldsOf(innerMessage(prekeyMessage).slice(1, -MAC_BYTES)),
    MESSAGE.ratchetKey,
  );
  return {
    rootKey: keys.rootKey,
    // Never used: the first turn of our own makes another.
    ownRatchetSecret: NO_KEY,
    ownRatchetKey: NO_KEY,
    remoteRatchetKey: ratchetKey,
    sending: undefined,
    nextSendingHeaderKey: NO_KEY,
    previousCount: 0,
    stepDue: true,
    receiving: { headerKey: ratchetKey, chainKey: keys.chainKey, next: 0 },
    nextReceivingHeaderKey: NO_KEY,
    skipped: [],
    turn: 1,
    prekey: undefined,
  };
}

function firstKeys(exchanges: readonly Buffer[]): { rootKey: Buffer; chainKey: Buffer } {
  const keys = hkdf(new Uint8Array(32), Buffer.concat(exchanges), ROOT, 64);
  return { rootKey: keys.subarray(0, 32), chainKey: keys.subarray(32) };
}

/** What a prekey message carries. */
export const innerMessage = (prekeyMessage: Uint8Array): Uint8Array =>
  bytesOf(fieldsOf(prekeyMessage.slice(1)), PREKEY.message);

export interface OlmSealed {
  /** 0: prekey message, 1: message; as Olm's library counts. */
  readonly type: 0 | 1;
  readonly bytes: Uint8Array;
}

export async function olmSeal(
  before: OlmSession,
  plaintext: Uint8Array,
  env: CryptoEnv,
): Promise<{ readonly session: OlmSession; readonly sealed: OlmSealed }> {
  const session = before.stepDue ? named(await takeTurn(before, env, RATCHET)) : before;
  const { sending } = session;
  if (sending === undefined) throw new RangeError("nothing to send on");
  const { messageKey, chainKey } = chainStep(sending.chainKey, env.crypto.hmac);
  const keys = messageKeysOf(messageKey);
  const cipher = createCipheriv("aes-256-cbc", keys.cipher, keys.iv);
  const body = Buffer.concat([
    Buffer.of(VERSION),
    field(MESSAGE.ratchetKey, session.ownRatchetKey),
    Buffer.of(MESSAGE.counter),
    varint(sending.next),
    field(MESSAGE.ciphertext, Buffer.concat([cipher.update(plaintext), cipher.final()])),
  ]);
  const message = Buffer.concat([body, macOf(keys.mac, body)]);
  const after = { ...session, sending: { ...sending, chainKey, next: sending.next + 1 } };
  const { prekey } = session;
  if (prekey === undefined) return { session: after, sealed: { type: 1, bytes: message } };
  const bytes = Buffer.concat([
    Buffer.of(VERSION),
    field(PREKEY.oneTimeKey, prekey.oneTimeKey),
    field(PREKEY.baseKey, prekey.baseKey),
    field(PREKEY.identityKey, prekey.identityKey),
    field(PREKEY.message, message),
  ]);
  return { session: after, sealed: { type: 0, bytes } };
}

/** The chain of our own turn is named by its key. */
const named = (session: OlmSession): OlmSession => ({
  ...session,
  ...(session.sending === undefined
    ? {}
    : { sending: { ...session.sending, headerKey: session.ownRatchetKey } }),
});

/**
 * Undefined when the message does not open. `previousCount` of a new chain is not in Olm's messages, where ours have
 * it in the header: the caller says how many messages the sender's chain before had.
 */
export async function olmOpen(
  before: OlmSession,
  message: Uint8Array,
  previousCount: number,
  env: CryptoEnv,
): Promise<{ readonly session: OlmSession; readonly plaintext: Uint8Array } | undefined> {
  const [body, mac] = [message.slice(0, -MAC_BYTES), message.slice(-MAC_BYTES)];
  const fields = fieldsOf(body.slice(1));
  const ratchetKey = bytesOf(fields, MESSAGE.ratchetKey);
  const n = fields.get(MESSAGE.counter);
  if (body[0] !== VERSION || typeof n !== "number") return undefined;
  const session = { ...before, skipped: dropOldKeys(before, env.now) };
  const advanced = await advance(session, ratchetKey, n, previousCount, env);
  if (!advanced.ok) return undefined;
  const keys = messageKeysOf(advanced.messageKey);
  if (!equalBytes(macOf(keys.mac, body), mac)) return undefined;
  const cipher = createDecipheriv("aes-256-cbc", keys.cipher, keys.iv);
  const plaintext = Buffer.concat([
    cipher.update(bytesOf(fields, MESSAGE.ciphertext)),
    cipher.final(),
  ]);
  const { session: after } = advanced;
  return {
    session: { ...after, prekey: undefined, skipped: dropOldKeys(after, env.now) },
    plaintext,
  };
}

async function advance(
  session: OlmSession,
  ratchetKey: Uint8Array,
  n: number,
  previousCount: number,
  env: CryptoEnv,
) {
  if (session.receiving !== undefined && equalBytes(session.receiving.headerKey, ratchetKey)) {
    return advanceInChain(session, n, env);
  }
  const chain = session.skipped.find((one) => equalBytes(one.headerKey, ratchetKey));
  if (chain !== undefined) return advanceInSkipped(session, chain, n);
  if (session.stepDue) return { ok: false, reason: "unknown-session" } as const;
  const next = { ...session, nextReceivingHeaderKey: ratchetKey };
  return advanceToTurn(next, { ratchetKey, previousCount, n }, env, RATCHET);
}

function messageKeysOf(messageKey: Uint8Array): { cipher: Buffer; mac: Buffer; iv: Buffer } {
  const keys = hkdf(new Uint8Array(32), messageKey, KEYS, 80);
  return { cipher: keys.subarray(0, 32), mac: keys.subarray(32, 64), iv: keys.subarray(64) };
}

const macOf = (key: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac("sha256", key).update(bytes).digest().subarray(0, MAC_BYTES);

const field = (tag: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(tag), varint(bytes.length), bytes]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}

/** By tag: a number, or the bytes of a string. */
function fieldsOf(bytes: Uint8Array): ReadonlyMap<number, number | Uint8Array> {
  const fields = new Map<number, number | Uint8Array>();
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("an Olm message ends too early");
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const value = number();
    if ((tag & 7) === 0) fields.set(tag, value);
    else {
      fields.set(tag, bytes.slice(at, at + value));
      at += value;
    }
  }
  return fields;
}

function bytesOf(fields: ReadonlyMap<number, number | Uint8Array>, tag: number): Uint8Array {
  const value = fields.get(tag);
  if (!(value instanceof Uint8Array)) throw new Error("a field of an Olm message is missing");
  return value;
}
