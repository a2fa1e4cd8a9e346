/**
 * The double ratchet with encrypted headers between two devices. State in, new state out; nothing is mutated.
 * Owns: chains, skipped keys, limits, sealing and opening of ratchet messages.
 * Leaves to handshake.ts: the first keys; to the caller: storing the new state together with the plaintext.
 * Spec: SPEC.md §5 (Double Ratchet §4).
 */
import {
  bucketFor,
  concatBytes,
  CONTENT_BYTES_MAX,
  createReader,
  createWriter,
  type DeviceCert,
  encodeMessageEnvelope,
  EnvelopeType,
  equalBytes,
  type HelloEnvelope,
  MESSAGE_HEADER_BYTES,
  type MessageEnvelope,
  NONCE_BYTES,
  type PrekeyBundle,
  TAG_BYTES,
  utf8ToBytes,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { type Agreed, agreeAsInitiator, agreeAsResponder } from "./handshake.ts";
import type { OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import type { LastResortSecrets, PrekeySecrets } from "./prekeys.ts";
import { hkdfSha256, hmacSha256, isExchangeKey } from "./primitives.ts";

/** Message keys derived ahead in one chain by one message: 2,000 × 2 HMAC bounds what a header can cost. */
export const JUMP_MAX = 2_000;
/** Skipped message keys kept per session, in all chains; beyond it the oldest is dropped. */
export const SKIPPED_KEYS_MAX = 2_000;
/** Chains before the current one whose late messages still open. */
export const OLD_CHAINS_MAX = 5;
/** A skipped key dies after 14 days. */
export const SKIPPED_KEY_AGE_MS_MAX = 14 * 24 * 3_600_000;
/** Sessions kept with one device. */
export const SESSIONS_MAX = 5;
/** Which device list the sender knows of itself; one until lists exist. */
const LIST_VERSION = 1;
const HEADER_BYTES = 43;
/** listVersion 2 | length 2. */
const BODY_PREFIX_BYTES = 4;
const AEAD_TAG_BYTES = 16;
const COUNTER_MAX = 0xffff_ffff;

/** One direction of one turn. `next`: number of the next message. */
interface Chain {
  readonly headerKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly next: number;
}

interface SkippedKey {
  readonly n: number;
  readonly key: Uint8Array;
  /** When it was skipped, ms since 1970. */
  readonly at: number;
}

/** Keys of messages that have not come yet, ascending by n. */
interface SkippedChain {
  readonly headerKey: Uint8Array;
  /** The session's turn in which the chain was the current one. */
  readonly turn: number;
  readonly keys: readonly SkippedKey[];
}

/** Plain bytes, numbers and arrays: survives structured cloning. All keys are 32 bytes. */
export interface Session {
  /** 16 bytes, the same on both devices. */
  readonly id: Uint8Array;
  readonly initiator: boolean;
  readonly transcript: Uint8Array;
  readonly rootKey: Uint8Array;
  readonly ownRatchetSecret: Uint8Array;
  readonly ownRatchetKey: Uint8Array;
  readonly remoteRatchetKey: Uint8Array | undefined;
  readonly sending: Chain | undefined;
  readonly nextSendingHeaderKey: Uint8Array;
  /** Messages sent in the sending chain before the current one. */
  readonly previousCount: number;
  /** The other side took its turn: the next `encrypt` makes a new ratchet key first. */
  readonly stepDue: boolean;
  readonly receiving: Chain | undefined;
  readonly nextReceivingHeaderKey: Uint8Array;
  /** Oldest first. */
  readonly skipped: readonly SkippedChain[];
  /** Receiving chains begun so far. */
  readonly turn: number;
  /** Sent in front of every message until the other side has answered. */
  readonly helloHeader: Uint8Array | undefined;
  readonly ownSignalKey: Uint8Array;
  readonly remoteSignalKey: Uint8Array;
}

export type OpenFailure =
  /** Its key was used or has died: seen before, or too old. */
  | "duplicate"
  | "too-far-ahead"
  /** No header key of this session opens it. */
  | "unknown-session"
  /** The header opened, the rest is not what the sender sealed. */
  | "bad-tag"
  | "malformed";

/** On failure the state passed in stays valid and unchanged. */
export type Opened =
  | { readonly ok: true; readonly session: Session; readonly content: Uint8Array }
  | { readonly ok: false; readonly reason: OpenFailure };

/** First session towards the owner of `bundle`. Undefined when the bundle does not verify. */
export async function initiate(
  own: OwnDevice,
  bundle: PrekeyBundle,
  env: CryptoEnv,
): Promise<{ readonly session: Session } | undefined> {
  const answer = await agreeAsInitiator(own, bundle, env);
  if (answer === undefined) return undefined;
  const { agreed, helloHeader } = answer;
  const ownRatchetSecret = env.entropy(32);
  const ownRatchetKey = await env.crypto.dhPublic(ownRatchetSecret);
  const remoteRatchetKey = bundle.signedPrekey.key;
  const step = rootStep(agreed.rootKey, await env.crypto.dh(ownRatchetSecret, remoteRatchetKey));
  const session: Session = {
    id: agreed.sessionId,
    initiator: true,
    transcript: agreed.transcript,
    rootKey: step.rootKey,
    ownRatchetSecret,
    ownRatchetKey,
    remoteRatchetKey,
    sending: { headerKey: agreed.headerKey, chainKey: step.chainKey, next: 0 },
    nextSendingHeaderKey: step.nextHeaderKey,
    previousCount: 0,
    stepDue: false,
    receiving: undefined,
    nextReceivingHeaderKey: agreed.nextHeaderKey,
    skipped: [],
    turn: 0,
    helloHeader,
    ownSignalKey: agreed.initiatorSignalKey,
    remoteSignalKey: agreed.responderSignalKey,
  };
  return { session };
}

export type Accepted =
  | {
      readonly ok: true;
      readonly session: Session;
      readonly cert: DeviceCert;
      readonly content: Uint8Array;
    }
  | { readonly ok: false; readonly reason: OpenFailure };

/** Answers a HELLO made for `secrets`. The caller deletes the secrets with the same commit. */
export async function accept(
  own: OwnDevice,
  secrets: PrekeySecrets | LastResortSecrets,
  hello: HelloEnvelope,
  env: CryptoEnv,
): Promise<Accepted> {
  const answer = await agreeAsResponder(own, secrets, hello, env);
  if (answer === undefined) return { ok: false, reason: "unknown-session" };
  const session = responderSession(
    answer.agreed,
    secrets.signedPrekeySecret,
    await env.crypto.dhPublic(secrets.signedPrekeySecret),
  );
  const opened = await decrypt(session, hello.message, env);
  return opened.ok ? { ...opened, cert: answer.cert } : opened;
}

/** Seals `content` into the smallest bucket. Throws a RangeError above CONTENT_BYTES_MAX. */
export async function encrypt(
  session: Session,
  content: Uint8Array,
  env: CryptoEnv,
): Promise<{ readonly session: Session; readonly envelope: Uint8Array }> {
  if (content.length > CONTENT_BYTES_MAX) {
    throw new RangeError(`content of ${content.length} bytes, at most ${CONTENT_BYTES_MAX}`);
  }
  const turned = session.stepDue ? await sendingStep(session, env) : session;
  const { sending } = turned;
  if (sending === undefined) throw new RangeError("nothing received yet: no chain to send on");
  if (sending.next >= COUNTER_MAX) throw new RangeError("sending chain is exhausted");
  const { messageKey, chainKey } = chainStep(sending.chainKey);
  const nonce = env.entropy(NONCE_BYTES);
  const prefix = concatBytes(
    Uint8Array.of(EnvelopeType.message),
    messageTag(sending.headerKey, sending.next),
    nonce,
  );
  const sealedHeader = await env.crypto.seal(
    sending.headerKey,
    nonce,
    concatBytes(turned.transcript, prefix),
    encodeHeader(turned.ownRatchetKey, turned.previousCount, sending.next),
  );
  const sealedBody = await env.crypto.seal(
    messageKey,
    nonce,
    concatBytes(turned.transcript, prefix, sealedHeader),
    padBody(content, turned.helloHeader?.length ?? 0),
  );
  const message = encodeMessageEnvelope(prefix, sealedHeader, sealedBody);
  const sent = { ...turned, sending: { ...sending, chainKey, next: sending.next + 1 } };
  return {
    session: dropOldKeys(sent, env.now),
    envelope: turned.helloHeader === undefined ? message : concatBytes(turned.helloHeader, message),
  };
}

export async function decrypt(
  before: Session,
  envelope: MessageEnvelope,
  env: CryptoEnv,
): Promise<Opened> {
  // First, so that a key that died since the last message does not open this one.
  const session = dropOldKeys(before, env.now);
  const found = await openHeader(session, envelope, env.crypto);
  if (found === undefined) return { ok: false, reason: "unknown-session" };
  const { header, headerKey, from } = found;
  if (!equalBytes(envelope.tag, messageTag(headerKey, header.n))) {
    return { ok: false, reason: "bad-tag" };
  }
  const advanced = await advance(session, from, header, env);
  if (!advanced.ok) return advanced;
  const body = await env.crypto.open(
    advanced.messageKey,
    envelope.nonce,
    concatBytes(session.transcript, envelope.prefix, envelope.sealedHeader),
    envelope.sealedBody,
  );
  if (body === undefined) return { ok: false, reason: "bad-tag" };
  const content = unpadBody(body);
  if (content === undefined) return { ok: false, reason: "malformed" };
  const next = { ...advanced.session, helloHeader: undefined };
  return { ok: true, session: dropOldKeys(next, env.now), content };
}

interface Header {
  readonly ratchetKey: Uint8Array;
  readonly previousCount: number;
  readonly n: number;
}

/** Which chain a header belongs to. */
type From = "current" | "next" | SkippedChain;

async function openHeader(
  session: Session,
  envelope: MessageEnvelope,
  crypto: CryptoBackend,
): Promise<
  { readonly header: Header; readonly headerKey: Uint8Array; readonly from: From } | undefined
> {
  const aad = concatBytes(session.transcript, envelope.prefix);
  const candidates: (readonly [Uint8Array, From])[] = [];
  if (session.receiving !== undefined) candidates.push([session.receiving.headerKey, "current"]);
  // The other side cannot turn again before it has seen our turn, so a "next" header is not genuine then.
  if (!session.stepDue) candidates.push([session.nextReceivingHeaderKey, "next"]);
  for (const chain of session.skipped.toReversed()) candidates.push([chain.headerKey, chain]);
  for (const [headerKey, from] of candidates) {
    const opened = await crypto.open(headerKey, envelope.nonce, aad, envelope.sealedHeader);
    if (opened !== undefined) return { header: decodeHeader(opened), headerKey, from };
  }
  return undefined;
}

type Advanced =
  | { readonly ok: true; readonly session: Session; readonly messageKey: Uint8Array }
  | { readonly ok: false; readonly reason: OpenFailure };

/** Derives the message key for `header` and the state after it. */
async function advance(
  session: Session,
  from: From,
  header: Header,
  env: CryptoEnv,
): Promise<Advanced> {
  if (from === "current") return jumpInChain(session, header.n, env.now);
  if (from !== "next") return takeSkipped(session, from, header.n);
  if (!isExchangeKey(header.ratchetKey)) return { ok: false, reason: "malformed" };
  const { receiving } = session;
  if (receiving !== undefined && header.previousCount < receiving.next) {
    // The old chain ended before what was already received in it: no honest sender says so.
    return { ok: false, reason: "malformed" };
  }
  const closed =
    receiving === undefined
      ? { ok: true as const, session }
      : skipTo(session, receiving, header.previousCount, env.now);
  if (!closed.ok) return closed;
  const turned = await receivingStep(closed.session, header.ratchetKey, env);
  return jumpInChain(turned, header.n, env.now);
}

function jumpInChain(session: Session, n: number, now: number): Advanced {
  const { receiving } = session;
  if (receiving === undefined) return { ok: false, reason: "unknown-session" };
  if (n < receiving.next) {
    const chain = session.skipped.find((one) => equalBytes(one.headerKey, receiving.headerKey));
    return chain === undefined
      ? { ok: false, reason: "duplicate" }
      : takeSkipped(session, chain, n);
  }
  const skipped = skipTo(session, receiving, n, now);
  if (!skipped.ok) return skipped;
  const { messageKey, chainKey } = chainStep(skipped.chain.chainKey);
  return {
    ok: true,
    messageKey,
    session: {
      ...skipped.session,
      receiving: { headerKey: receiving.headerKey, chainKey, next: n + 1 },
    },
  };
}

type Skipped =
  | { readonly ok: true; readonly session: Session; readonly chain: Chain }
  | { readonly ok: false; readonly reason: "too-far-ahead" };

/** Stores the keys of `chain` from its next message up to, not including, `until`. */
function skipTo(session: Session, chain: Chain, until: number, now: number): Skipped {
  if (until - chain.next > JUMP_MAX) return { ok: false, reason: "too-far-ahead" };
  const keys: SkippedKey[] = [];
  let { chainKey } = chain;
  for (let n = chain.next; n < until; n++) {
    const step = chainStep(chainKey);
    keys.push({ n, key: step.messageKey, at: now });
    ({ chainKey } = step);
  }
  const advanced = { headerKey: chain.headerKey, chainKey, next: until };
  if (keys.length === 0) return { ok: true, session, chain: advanced };
  const held = session.skipped.find((one) => equalBytes(one.headerKey, chain.headerKey));
  const grown: SkippedChain = {
    headerKey: chain.headerKey,
    turn: session.turn,
    keys: [...(held?.keys ?? []), ...keys],
  };
  const skipped = [...session.skipped.filter((one) => one !== held), grown];
  return { ok: true, session: { ...session, skipped }, chain: advanced };
}

function takeSkipped(session: Session, chain: SkippedChain, n: number): Advanced {
  const found = chain.keys.find((one) => one.n === n);
  if (found === undefined) return { ok: false, reason: "duplicate" };
  const rest = { ...chain, keys: chain.keys.filter((one) => one !== found) };
  const skipped = session.skipped.map((one) => (one === chain ? rest : one));
  return { ok: true, messageKey: found.key, session: { ...session, skipped } };
}

async function receivingStep(
  session: Session,
  remoteRatchetKey: Uint8Array,
  env: CryptoEnv,
): Promise<Session> {
  const shared = await env.crypto.dh(session.ownRatchetSecret, remoteRatchetKey);
  const step = rootStep(session.rootKey, shared);
  return {
    ...session,
    rootKey: step.rootKey,
    remoteRatchetKey,
    receiving: { headerKey: session.nextReceivingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextReceivingHeaderKey: step.nextHeaderKey,
    stepDue: true,
    turn: session.turn + 1,
  };
}

async function sendingStep(session: Session, env: CryptoEnv): Promise<Session> {
  const { remoteRatchetKey } = session;
  if (remoteRatchetKey === undefined) throw new RangeError("no remote ratchet key");
  const ownRatchetSecret = env.entropy(32);
  const [ownRatchetKey, shared] = await Promise.all([
    env.crypto.dhPublic(ownRatchetSecret),
    env.crypto.dh(ownRatchetSecret, remoteRatchetKey),
  ]);
  const step = rootStep(session.rootKey, shared);
  return {
    ...session,
    rootKey: step.rootKey,
    ownRatchetSecret,
    ownRatchetKey,
    previousCount: session.sending?.next ?? 0,
    sending: { headerKey: session.nextSendingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextSendingHeaderKey: step.nextHeaderKey,
    stepDue: false,
  };
}

function responderSession(
  agreed: Agreed,
  ownRatchetSecret: Uint8Array,
  ownRatchetKey: Uint8Array,
): Session {
  return {
    id: agreed.sessionId,
    initiator: false,
    transcript: agreed.transcript,
    rootKey: agreed.rootKey,
    ownRatchetSecret,
    ownRatchetKey,
    remoteRatchetKey: undefined,
    sending: undefined,
    nextSendingHeaderKey: agreed.nextHeaderKey,
    previousCount: 0,
    stepDue: false,
    receiving: undefined,
    nextReceivingHeaderKey: agreed.headerKey,
    skipped: [],
    turn: 0,
    helloHeader: undefined,
    ownSignalKey: agreed.responderSignalKey,
    remoteSignalKey: agreed.initiatorSignalKey,
  };
}

/** Applies every limit on skipped keys: age, turns, chains, total. */
function dropOldKeys(session: Session, now: number): Session {
  const oldest = now - SKIPPED_KEY_AGE_MS_MAX;
  let chains = session.skipped
    .filter((chain) => session.turn - chain.turn < OLD_CHAINS_MAX + 1)
    .map((chain) =>
      chain.keys.every((one) => one.at >= oldest)
        ? chain
        : { ...chain, keys: chain.keys.filter((one) => one.at >= oldest) },
    )
    .filter((chain) => chain.keys.length > 0);
  let excess = chains.reduce((sum, chain) => sum + chain.keys.length, 0) - SKIPPED_KEYS_MAX;
  while (excess > 0) {
    const [first, ...rest] = chains;
    if (first === undefined) break;
    const keys = first.keys.slice(excess);
    excess -= first.keys.length;
    chains = keys.length > 0 ? [{ ...first, keys }, ...rest] : rest;
  }
  return { ...session, skipped: chains };
}

function rootStep(
  rootKey: Uint8Array,
  shared: Uint8Array,
): {
  readonly rootKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly nextHeaderKey: Uint8Array;
} {
  const keys = hkdfSha256(shared, rootKey, utf8ToBytes(LABELS.root), 96);
  return {
    rootKey: keys.slice(0, 32),
    chainKey: keys.slice(32, 64),
    nextHeaderKey: keys.slice(64),
  };
}

function chainStep(chainKey: Uint8Array): {
  readonly messageKey: Uint8Array;
  readonly chainKey: Uint8Array;
} {
  return {
    messageKey: hmacSha256(chainKey, Uint8Array.of(1)),
    chainKey: hmacSha256(chainKey, Uint8Array.of(2)),
  };
}

const messageTag = (headerKey: Uint8Array, n: number): Uint8Array =>
  hmacSha256(headerKey, createWriter().raw(utf8ToBytes(LABELS.tag)).u32(n).done()).slice(
    0,
    TAG_BYTES,
  );

/** dh 32 | pn 4 | n 4 | pqEpoch 2, zero until the post-quantum ratchet | flags 1, zero. */
const encodeHeader = (ratchetKey: Uint8Array, previousCount: number, n: number): Uint8Array =>
  createWriter().raw(ratchetKey).u32(previousCount).u32(n).u16(0).u8(0).done();

/** The bytes passed the AEAD, so their length is right. Unknown epoch and flags are left to later versions. */
function decodeHeader(bytes: Uint8Array): Header {
  if (bytes.length !== HEADER_BYTES) throw new RangeError(`header of ${bytes.length} bytes`);
  const reader = createReader(bytes);
  return { ratchetKey: reader.take(32), previousCount: reader.u32(), n: reader.u32() };
}

function padBody(content: Uint8Array, helloBytes: number): Uint8Array {
  const around = helloBytes + MESSAGE_HEADER_BYTES + AEAD_TAG_BYTES;
  const bucket = bucketFor(around + BODY_PREFIX_BYTES + content.length);
  if (bucket === undefined)
    throw new RangeError(`content of ${content.length} bytes fits no bucket`);
  const body = new Uint8Array(bucket - around);
  const view = new DataView(body.buffer);
  view.setUint16(0, LIST_VERSION);
  view.setUint16(2, content.length);
  body.set(content, BODY_PREFIX_BYTES);
  return body;
}

function unpadBody(body: Uint8Array): Uint8Array | undefined {
  if (body.length < BODY_PREFIX_BYTES) return undefined;
  const length = new DataView(body.buffer, body.byteOffset).getUint16(2);
  const end = BODY_PREFIX_BYTES + length;
  if (end > body.length || body.subarray(end).some((byte) => byte !== 0)) return undefined;
  return body.slice(BODY_PREFIX_BYTES, end);
}
