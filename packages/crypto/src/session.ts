/**
 * The double ratchet with encrypted headers between two devices. State in, new state out; nothing is mutated.
 * Owns: sealing and opening of ratchet messages. Leaves to ratchet.ts: turns and keys; to kem-ratchet.ts:
 * post-quantum secrets; to handshake.ts: the first keys; to the caller: storing the new state with the plaintext.
 * Spec: SPEC.md §5 (Double Ratchet §4).
 */
import {
  concatBytes,
  CONTENT_BYTES_MAX,
  createReader,
  createWriter,
  type DeviceCert,
  encodeMessageEnvelope,
  EnvelopeType,
  equalBytes,
  type HelloEnvelope,
  type MessageEnvelope,
  NONCE_BYTES,
  type PrekeyBundle,
  type Reached,
  TAG_BYTES,
  utf8ToBytes,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { bodySize, decodeBody, encodeBody, frameRoom } from "./body.ts";
import { chainStep, dropOldKeys, rootStep, type SkippedChain } from "./chains.ts";
import { type ListMark, NO_LIST_MARK } from "./device-list.ts";
import { type Agreed, agreeAsInitiator, agreeAsResponder } from "./handshake.ts";
import type { OwnDevice } from "./identity.ts";
import {
  acceptFrame,
  createKemRatchet,
  type KemRatchet,
  mixAsAnswerer,
  mixAsOfferer,
  prepareOffer,
  takeFrame,
  wantedFrameBytes,
} from "./kem-ratchet.ts";
import { LABELS } from "./labels.ts";
import type { LastResortSecrets, PrekeySecrets } from "./prekeys.ts";
import { type Hmac, isExchangeKey } from "./primitives.ts";
import {
  type Advanced,
  advanceInChain,
  advanceInSkipped,
  advanceToTurn,
  type Ratchet,
  takeTurn,
} from "./ratchet.ts";

/** Sessions kept with one device. */
export const SESSIONS_MAX = 5;
const HEADER_BYTES = 43;
const TAG_LABEL = utf8ToBytes(LABELS.tag);
const COUNTER_MAX = 0xffff_ffff;

/** Plain bytes, numbers and arrays: survives structured cloning. All keys are 32 bytes. */
export interface Session extends Ratchet {
  /** 16 bytes, the same on both devices. */
  readonly id: Uint8Array;
  readonly initiator: boolean;
  readonly transcript: Uint8Array;
  readonly kem: KemRatchet;
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
  | {
      readonly ok: true;
      readonly session: Session;
      readonly content: Uint8Array;
      /** Of the newest device list of its own account that the sender knows. */
      readonly mark: ListMark;
    }
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
  const shared = await env.crypto.dh(ownRatchetSecret, remoteRatchetKey);
  const step = rootStep(agreed.rootKey, shared, undefined, env.crypto.hmac);
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
    kem: createKemRatchet(true),
    helloHeader,
    ownSignalKey: agreed.initiatorSignalKey,
    remoteSignalKey: agreed.responderSignalKey,
  };
  return { session };
}

export type Accepted =
  | (Extract<Opened, { ok: true }> & { readonly cert: DeviceCert })
  | Extract<Opened, { ok: false }>;

/** Answers a HELLO made for `secrets`. The caller deletes the secrets with the same commit. */
export async function accept(
  own: OwnDevice,
  secrets: PrekeySecrets | LastResortSecrets,
  hello: HelloEnvelope,
  env: CryptoEnv,
): Promise<Accepted> {
  const answer = await agreeAsResponder(own, secrets, hello, env);
  if (answer === undefined) return { ok: false, reason: "unknown-session" };
  const session = responderSession(answer.agreed, secrets.signedPrekeySecret);
  const opened = await decrypt(session, hello.message, env);
  return opened.ok ? { ...opened, cert: answer.cert } : opened;
}

export interface SealOptions {
  /** Of the newest device list of one's own account; NO_LIST_MARK without one. */
  readonly mark?: ListMark;
  /** The way to the other side is wide: a key of the post-quantum ratchet may take one bigger bucket. */
  readonly wide?: boolean;
}

/**
 * Seals `content` into the smallest bucket that leaves room for the post-quantum ratchet.
 * Throws a RangeError above CONTENT_BYTES_MAX, and for a mark that no list can have.
 */
export async function encrypt(
  session: Session,
  content: Uint8Array,
  env: CryptoEnv,
  { mark = NO_LIST_MARK, wide = false }: SealOptions = {},
): Promise<{ readonly session: Session; readonly envelope: Uint8Array }> {
  if (content.length > CONTENT_BYTES_MAX) {
    throw new RangeError(`content of ${content.length} bytes, at most ${CONTENT_BYTES_MAX}`);
  }
  const turned = session.stepDue ? await sendingStep(session, env) : session;
  const { sending, ownRatchetKey } = turned;
  if (sending === undefined || ownRatchetKey === undefined) {
    throw new RangeError("nothing received yet: no chain to send on");
  }
  if (sending.next >= COUNTER_MAX) throw new RangeError("sending chain is exhausted");
  const offered = await prepareOffer(turned.kem, env);
  const size = bodySize(
    content.length,
    wantedFrameBytes(offered, wide, env.now),
    turned.helloHeader?.length ?? 0,
  );
  const frame = takeFrame(offered, frameRoom(size, content.length), env.now);
  const { messageKey, chainKey } = chainStep(sending.chainKey, env.crypto.hmac);
  const nonce = env.entropy(NONCE_BYTES);
  const prefix = concatBytes(
    Uint8Array.of(EnvelopeType.message),
    messageTag(sending.headerKey, sending.next, env.crypto.hmac),
    nonce,
  );
  const sealedHeader = await env.crypto.seal(
    sending.headerKey,
    nonce,
    concatBytes(turned.transcript, prefix),
    encodeHeader(ownRatchetKey, turned.previousCount, sending.next, turned.kem.epoch),
  );
  const sealedBody = await env.crypto.seal(
    messageKey,
    nonce,
    concatBytes(turned.transcript, prefix, sealedHeader),
    encodeBody(size, mark, content, frame.bytes),
  );
  const message = encodeMessageEnvelope(prefix, sealedHeader, sealedBody);
  return {
    session: {
      ...turned,
      sending: { ...sending, chainKey, next: sending.next + 1 },
      kem: frame.kem,
      skipped: dropOldKeys(turned, env.now),
    },
    envelope: turned.helloHeader === undefined ? message : concatBytes(turned.helloHeader, message),
  };
}

/** How much of the other side's this session has opened, to be told to it. */
export const reachedIn = ({ turn, receiving }: Session): Reached => ({
  chain: turn,
  next: receiving?.next ?? 0,
});

/** Whether the other side has opened more than this session has sealed: the store is an older one, put back. */
export function isOlderThan(session: Session, { chain, next }: Reached): boolean {
  const { turn, stepDue, initiator, sending } = session;
  // The one that begins has a chain before the first turn of the other side's.
  const own = turn + (initiator ? 1 : 0) - (stepDue ? 1 : 0);
  return chain > own || (chain === own && next > (sending?.next ?? 0));
}

export async function decrypt(
  before: Session,
  envelope: MessageEnvelope,
  env: CryptoEnv,
): Promise<Opened> {
  // First, so that a key that died since the last message does not open this one.
  const session = { ...before, skipped: dropOldKeys(before, env.now) };
  const found = await openHeader(session, envelope, env.crypto);
  if (found === undefined) return { ok: false, reason: "unknown-session" };
  const { header, headerKey, from } = found;
  if (!equalBytes(envelope.tag, messageTag(headerKey, header.n, env.crypto.hmac))) {
    return { ok: false, reason: "bad-tag" };
  }
  const advanced = await advance(session, from, header, env);
  if (!advanced.ok) return advanced;
  const opened = await env.crypto.open(
    advanced.messageKey,
    envelope.nonce,
    concatBytes(session.transcript, envelope.prefix, envelope.sealedHeader),
    envelope.sealedBody,
  );
  if (opened === undefined) return { ok: false, reason: "bad-tag" };
  const body = decodeBody(opened);
  if (body === undefined) return { ok: false, reason: "malformed" };
  const { frame, content, mark } = body;
  const { kem } = advanced.session;
  return {
    ok: true,
    session: {
      ...advanced.session,
      helloHeader: undefined,
      kem: frame === undefined ? kem : await acceptFrame(kem, frame, env),
      skipped: dropOldKeys(advanced.session, env.now),
    },
    content,
    mark,
  };
}

interface Header {
  readonly ratchetKey: Uint8Array;
  readonly previousCount: number;
  readonly n: number;
  /** Secrets of the post-quantum ratchet in the root of its chain, modulo 2^16. */
  readonly epoch: number;
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

/** Derives the message key for `header` and the state after it. */
async function advance(
  session: Session,
  from: From,
  header: Header,
  env: CryptoEnv,
): Promise<Advanced<Session>> {
  if (from === "current") return advanceInChain(session, header.n, env);
  if (from !== "next") return advanceInSkipped(session, from, header.n);
  if (!isExchangeKey(header.ratchetKey)) return { ok: false, reason: "malformed" };
  const mixed = mixAsAnswerer(session.kem, header.epoch);
  if (mixed === undefined) return { ok: false, reason: "malformed" };
  const root = { kemSecret: mixed.secret };
  return advanceToTurn({ ...session, kem: mixed.kem }, header, env, root);
}

function sendingStep(session: Session, env: CryptoEnv): Promise<Session> {
  const mixed = mixAsOfferer(session.kem);
  return takeTurn({ ...session, kem: mixed.kem }, env, { kemSecret: mixed.secret });
}

function responderSession(agreed: Agreed, ownRatchetSecret: Uint8Array): Session {
  return {
    id: agreed.sessionId,
    initiator: false,
    transcript: agreed.transcript,
    rootKey: agreed.rootKey,
    ownRatchetSecret,
    ownRatchetKey: undefined,
    remoteRatchetKey: undefined,
    sending: undefined,
    nextSendingHeaderKey: agreed.nextHeaderKey,
    previousCount: 0,
    stepDue: false,
    receiving: undefined,
    nextReceivingHeaderKey: agreed.headerKey,
    skipped: [],
    turn: 0,
    kem: createKemRatchet(false),
    helloHeader: undefined,
    ownSignalKey: agreed.responderSignalKey,
    remoteSignalKey: agreed.initiatorSignalKey,
  };
}

const messageTag = (headerKey: Uint8Array, n: number, hmac: Hmac): Uint8Array =>
  hmac(
    headerKey,
    createWriter(TAG_LABEL.length + 4)
      .raw(TAG_LABEL)
      .u32(n)
      .done(),
  ).slice(0, TAG_BYTES);

/** dh 32 | pn 4 | n 4 | epoch 2 | flags 1, zero. */
const encodeHeader = (
  ratchetKey: Uint8Array,
  previousCount: number,
  n: number,
  epoch: number,
): Uint8Array =>
  createWriter(HEADER_BYTES).raw(ratchetKey).u32(previousCount).u32(n).u16(epoch).u8(0).done();

/** The bytes passed the AEAD, so their length is right. Unknown flags are left to later versions. */
function decodeHeader(bytes: Uint8Array): Header {
  if (bytes.length !== HEADER_BYTES) throw new RangeError(`header of ${bytes.length} bytes`);
  const reader = createReader(bytes);
  return {
    ratchetKey: reader.take(32),
    previousCount: reader.u32(),
    n: reader.u32(),
    epoch: reader.u16(),
  };
}
