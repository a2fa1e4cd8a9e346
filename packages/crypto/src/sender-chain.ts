/**
 * Group messages: each sending device has a chain of its own, dealt to the members' devices through pairwise sessions,
 * and seals a message once for all of them. State in, new state out; nothing is mutated.
 * Owns: beginning, dealing and replacing chains, sealing and opening. Leaves to membership.ts: who is a member; to
 * chains.ts: the chain step; to the caller: the pairwise sessions that carry records, and storing states.
 * Spec: SPEC.md §11.7 to §11.10 (Signal's sender keys).
 */
import {
  type AccountId,
  asChainId,
  bucketFor,
  bytesToHex,
  CHAIN_ID_BYTES,
  type ChainId,
  concatBytes,
  CONTENT_BYTES_MAX,
  createWriter,
  decodeGroupHeader,
  decodeWith,
  type DeviceId,
  encodeGroupEnvelope,
  encodeGroupHeader,
  ENVELOPE_BYTES_MAX,
  equalBytes,
  GROUP_ENVELOPE_TYPE,
  GROUP_HEADER_BYTES,
  type GroupEnvelope,
  type GroupHeader,
  type GroupId,
  type GroupKey,
  HEAD_PREFIX_BYTES,
  isAscending,
  NONCE_BYTES,
  OP_ID_BYTES,
  PARENTS_MAX,
  refuse,
  SIGNATURE_BYTES,
  TAG_BYTES,
  utf8ToBytes,
  isZero,
} from "@sotto/wire";
import type { CryptoBackend, CryptoEnv } from "./backend.ts";
import { chainStep, JUMP_MAX, SKIPPED_KEY_AGE_MS_MAX, SKIPPED_KEYS_MAX } from "./chains.ts";
import { accountIdOf, type OwnDevice } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { deviceKey } from "./membership-cuts.ts";
import { bytesFrom, type GroupState, MEMBERS_MAX } from "./membership-fold.ts";
import { namedHeads } from "./membership-heads.ts";
import { type GroupLog, hasHead, headsHash, isMemberDevice, membersAhead } from "./membership.ts";
import { hkdfSha256, type Hmac, isSigningKey, labelled, sha256 } from "./primitives.ts";

const TAG_LABEL = utf8ToBytes(LABELS.groupTag);

/** Up to this many members every message has a chain of its own: a group heals as fast as a pairwise session. */
export const SMALL_GROUP_MEMBERS_MAX = 8;
/** In larger groups a chain ends after 500 messages or a day. */
export const CHAIN_MESSAGES_MAX = 500;
export const CHAIN_AGE_MS_MAX = 24 * 3_600_000;
/** Chains of one sender whose late messages open. In small groups that is as many messages. */
export const RECEIVING_CHAINS_MAX = 64;

const AEAD_TAG_BYTES = 16;

/** Whose chain it is. Part of everything derived, sealed and signed: nobody can pass it on as their own. */
interface ChainOwner {
  readonly group: GroupId;
  readonly account: AccountId;
  readonly device: DeviceId;
}

interface ChainKeys extends ChainOwner {
  readonly chainId: ChainId;
  /** Ed25519, 32 bytes. */
  readonly signingKey: Uint8Array;
  readonly headerKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly next: number;
}

export interface SendingChain extends ChainKeys {
  readonly signingSecret: Uint8Array;
  /** `headsHash` of the log under which it began. */
  readonly heads: Uint8Array;
  /** The log's `turnovers` at that time. */
  readonly turnovers: number;
  readonly begunAt: number;
  /** `deviceKey` of each device it was dealt to: of this chain, so that a new one begins with none. */
  readonly dealt: ReadonlySet<string>;
  /** Its last message has been sealed and says so. */
  readonly ended: boolean;
}

/** A device that is to have the chain, as its account's device list says. */
export interface MemberDevice {
  readonly account: AccountId;
  readonly device: DeviceId;
}

export type RotationReason = "membership" | "device" | "messages" | "age";

export type SendRefusal =
  /** A member knows operations that this device does not: `membersAhead`. */
  | "behind"
  | "not-a-member"
  /** `rotationDue` says why: begin another chain. */
  | "rotation-due";

type Refused<Reason> = { readonly ok: false; readonly reason: Reason };

/** A new chain. The one before is deleted with the same commit. */
export async function beginChain(
  log: GroupLog,
  own: OwnDevice,
  env: CryptoEnv,
): Promise<{ readonly ok: true; readonly chain: SendingChain } | Refused<SendRefusal>> {
  const owner = {
    group: log.group,
    account: accountIdOf(own.cert.rootKey),
    device: own.cert.deviceId,
  };
  const reason = refusalBy(log, owner);
  if (reason !== undefined) return { ok: false, reason };
  const chainId = asChainId(env.entropy(CHAIN_ID_BYTES));
  const chainKey = env.entropy(32);
  const signingSecret = env.entropy(32);
  const signingKey = await env.crypto.signPublic(signingSecret);
  const heads = headsHash(log);
  return {
    ok: true,
    chain: {
      ...owner,
      chainId,
      signingKey,
      headerKey: headerKeyOf(owner, chainId, signingKey, heads),
      chainKey,
      next: 0,
      signingSecret,
      heads,
      turnovers: log.turnovers,
      begunAt: env.now,
      dealt: new Set(),
      ended: false,
    },
  };
}

/**
 * Whether the chain must be replaced before the next message, and why. `entitled`: the devices that are to have it
 * now, by the newest device lists; without it only what the log says is looked at.
 */
export function rotationDue(
  chain: SendingChain,
  log: GroupLog,
  now: number,
  entitled?: readonly MemberDevice[],
): RotationReason | undefined {
  if (chain.turnovers !== log.turnovers) return "membership";
  // Without a turnover nobody drops out, except where concurrent adds have filled the group (§11.4).
  if (log.state.members.size >= MEMBERS_MAX) {
    for (const key of chain.dealt) if (!isEntitled(log.state, key)) return "membership";
  }
  if (entitled !== undefined) {
    const keys = new Set(entitled.map(keyOf));
    for (const key of chain.dealt) if (!keys.has(key)) return "device";
  }
  if (chain.ended || chain.next >= messagesMax(log.state)) return "messages";
  // A clock that was set back says nothing about how old it is.
  const isOver = now < chain.begunAt || now - chain.begunAt >= CHAIN_AGE_MS_MAX;
  return isOver ? "age" : undefined;
}

/** Devices of `entitled` that do not have this chain yet. */
export const undealt = (
  chain: SendingChain,
  entitled: readonly MemberDevice[],
): readonly MemberDevice[] => entitled.filter((one) => !chain.dealt.has(keyOf(one)));

/** The record for devices of members, to be sealed in the session with each: it opens from the next message on. */
export function dealChain(
  chain: SendingChain,
  log: GroupLog,
  to: readonly MemberDevice[],
  now: number,
):
  | { readonly ok: true; readonly chain: SendingChain; readonly record: GroupKey }
  | Refused<SendRefusal> {
  const reason = refusalBy(log, chain);
  if (reason !== undefined) return { ok: false, reason };
  if (to.some(({ account, device }) => !isMemberDevice(log.state, account, device))) {
    return { ok: false, reason: "not-a-member" };
  }
  if (rotationDue(chain, log, now) !== undefined) return { ok: false, reason: "rotation-due" };
  const { chainId, next, chainKey, signingKey, heads } = chain;
  return {
    ok: true,
    chain: { ...chain, dealt: new Set([...chain.dealt, ...to.map(keyOf)]) },
    record: { chainId, next, chainKey, signingKey, heads },
  };
}

/**
 * Seals `content` for everybody who has the chain, into the smallest bucket. Throws a RangeError above
 * CONTENT_BYTES_MAX. The caller stores the new chain before the envelope leaves.
 */
export async function sealForGroup(
  chain: SendingChain,
  log: GroupLog,
  content: Uint8Array,
  env: CryptoEnv,
): Promise<
  | { readonly ok: true; readonly chain: SendingChain; readonly envelope: Uint8Array }
  | Refused<SendRefusal>
> {
  if (content.length > CONTENT_BYTES_MAX) {
    throw new RangeError(`content of ${content.length} bytes, at most ${CONTENT_BYTES_MAX}`);
  }
  const reason = refusalBy(log, chain);
  if (reason !== undefined) return { ok: false, reason };
  if (rotationDue(chain, log, env.now) !== undefined) return { ok: false, reason: "rotation-due" };
  const listed = log.heads.length > 1;
  const [head = ""] = log.heads;
  const last = chain.next + 1 >= messagesMax(log.state);
  const header = encodeGroupHeader({
    n: chain.next,
    head: listed
      ? new Uint8Array(HEAD_PREFIX_BYTES)
      : bytesFrom(head).subarray(0, HEAD_PREFIX_BYTES),
    listed,
    last,
  });
  const own = { account: bytesToHex(chain.account), device: bytesToHex(chain.device) };
  const body = encodeBody(listed ? namedHeads(log, own) : [], content);
  const nonce = env.entropy(NONCE_BYTES);
  const tag = tagOf(chain.headerKey, chain.next, env.crypto.hmac);
  const prefix = concatBytes(Uint8Array.of(GROUP_ENVELOPE_TYPE), tag, nonce);
  const step = chainStep(chain.chainKey, env.crypto.hmac);
  const context = contextOf(chain);
  const [sealedHeader, signature] = await Promise.all([
    env.crypto.seal(chain.headerKey, nonce, concatBytes(context, prefix), header),
    env.crypto.sign(chain.signingSecret, signedBytes(context, prefix, header, body)),
  ]);
  const sealedBody = await env.crypto.seal(
    step.messageKey,
    nonce,
    concatBytes(context, prefix, sealedHeader),
    concatBytes(body, signature),
  );
  return {
    ok: true,
    chain: { ...chain, chainKey: step.chainKey, next: chain.next + 1, ended: last },
    envelope: encodeGroupEnvelope({ prefix, sealedHeader, sealedBody }),
  };
}

interface SkippedKey {
  readonly n: number;
  readonly key: Uint8Array;
  /** When it was skipped, ms since 1970. */
  readonly at: number;
}

interface ReceivingChain extends ChainKeys {
  /** Keys of messages that have not come, ascending. */
  readonly skipped: readonly SkippedKey[];
  /** How many messages it has, once its last one has said so. */
  readonly end: number | undefined;
  readonly receivedAt: number;
}

/** What is kept of one sending device in one group. Plain values: survives structured cloning. */
export interface RemoteSender extends ChainOwner {
  /** Oldest first. */
  readonly chains: readonly ReceivingChain[];
}

export type GroupOpenFailure =
  /** Its key was used or has died: seen before, or too old. */
  | "duplicate"
  | "too-far-ahead"
  /** No chain of this sender opens it: its record has not come, or it is somebody else's. */
  | "unknown-chain"
  /** The header opened, the rest is not what the sender sealed. */
  | "bad-tag"
  /** A member sealed it, but not the one whose chain it is. */
  | "bad-signature"
  /** Its sender is no member by what this device knows now. */
  | "not-a-member"
  | "malformed";

/** On failure the state passed in stays valid and unchanged, and the genuine message still opens. */
export type GroupOpened =
  | {
      readonly ok: true;
      readonly sender: RemoteSender;
      readonly content: Uint8Array;
      readonly chainId: ChainId;
      readonly n: number;
    }
  | Refused<GroupOpenFailure>
  /** To be kept and opened again when the log has grown. `heads`: those not here, hex, for `awaitHeads`. */
  | (Refused<"unknown-heads"> & { readonly heads: readonly string[] });

export const createRemoteSender = (
  group: GroupId,
  account: AccountId,
  device: DeviceId,
): RemoteSender => ({ group, account, device, chains: [] });

/**
 * Takes in a record that came through a pairwise session with the sender's device itself. Undefined when its signing
 * key is none. One that is there already changes nothing: its keys have moved on.
 */
export function takeRecord(
  sender: RemoteSender,
  record: GroupKey,
  now: number,
): RemoteSender | undefined {
  if (!isSigningKey(record.signingKey)) return undefined;
  if (sender.chains.some(({ chainId }) => equalBytes(chainId, record.chainId))) return sender;
  const chain: ReceivingChain = {
    group: sender.group,
    account: sender.account,
    device: sender.device,
    chainId: record.chainId,
    signingKey: record.signingKey,
    headerKey: headerKeyOf(sender, record.chainId, record.signingKey, record.heads),
    chainKey: record.chainKey,
    next: record.next,
    skipped: [],
    end: undefined,
    receivedAt: now,
  };
  return forget({ ...sender, chains: [...sender.chains, chain] }, now);
}

/** Whether a chain of this sender's made that envelope: for finding the group it is of. */
export const isFromSender = async (
  sender: RemoteSender,
  envelope: GroupEnvelope,
  crypto: CryptoBackend,
): Promise<boolean> => (await openHeader(sender, envelope, crypto)) !== undefined;

export async function openFromGroup(
  before: RemoteSender,
  envelope: GroupEnvelope,
  log: GroupLog,
  env: CryptoEnv,
): Promise<GroupOpened> {
  // First, so that a key that died since the last message does not open this one.
  const sender = forget(before, env.now);
  const found = await openHeader(sender, envelope, env.crypto);
  if (found === undefined) return { ok: false, reason: "unknown-chain" };
  const { chain, header, headerBytes } = found;
  if (!equalBytes(envelope.tag, tagOf(chain.headerKey, header.n, env.crypto.hmac))) {
    return { ok: false, reason: "bad-tag" };
  }
  const advanced = advance(chain, header, env);
  if (!advanced.ok) return advanced;
  const context = contextOf(chain);
  const opened = await env.crypto.open(
    advanced.messageKey,
    envelope.nonce,
    concatBytes(context, envelope.prefix, envelope.sealedHeader),
    envelope.sealedBody,
  );
  if (opened === undefined) return { ok: false, reason: "bad-tag" };
  if (opened.length < SIGNATURE_BYTES) return { ok: false, reason: "malformed" };
  const bodyBytes = opened.slice(0, -SIGNATURE_BYTES);
  const isGenuine = await env.crypto.verify(
    chain.signingKey,
    signedBytes(context, envelope.prefix, headerBytes, bodyBytes),
    opened.slice(-SIGNATURE_BYTES),
  );
  if (!isGenuine) return { ok: false, reason: "bad-signature" };
  const body = decodeBody(bodyBytes, header.listed);
  if (body === undefined) return { ok: false, reason: "malformed" };
  const heads = header.listed ? body.heads : [bytesToHex(header.head)];
  const missing = heads.filter((head) => !hasHead(log, head));
  if (missing.length > 0) return { ok: false, reason: "unknown-heads", heads: missing };
  if (!isMemberDevice(log.state, sender.account, sender.device)) {
    return { ok: false, reason: "not-a-member" };
  }
  const chains = sender.chains.map((one) => (one === chain ? advanced.chain : one));
  return {
    ok: true,
    sender: forget({ ...sender, chains }, env.now),
    content: body.content,
    chainId: chain.chainId,
    n: header.n,
  };
}

const keyOf = ({ account, device }: MemberDevice): string =>
  deviceKey(bytesToHex(account), bytesToHex(device));

function refusalBy(log: GroupLog, owner: ChainOwner): SendRefusal | undefined {
  if (!equalBytes(owner.group, log.group)) return "not-a-member";
  if (!isMemberDevice(log.state, owner.account, owner.device)) return "not-a-member";
  return membersAhead(log).length > 0 ? "behind" : undefined;
}

/** `key`: of a device the chain was dealt to, account first. */
const isEntitled = ({ members, revoked }: GroupState, key: string): boolean =>
  members.has(key.slice(0, key.indexOf("/"))) && !revoked.has(key);

const messagesMax = ({ members }: GroupState): number =>
  members.size <= SMALL_GROUP_MEMBERS_MAX ? 1 : CHAIN_MESSAGES_MAX;

/** From what stays the same in a chain, so that a device that comes later derives it too. */
function headerKeyOf(
  owner: ChainOwner,
  chainId: ChainId,
  signingKey: Uint8Array,
  heads: Uint8Array,
): Uint8Array {
  const info = concatBytes(
    utf8ToBytes(LABELS.groupChain),
    owner.group,
    owner.account,
    owner.device,
  );
  return hkdfSha256(concatBytes(chainId, signingKey), heads, info, 32);
}

const contextOf = ({ group, account, device, chainId }: ChainKeys): Uint8Array =>
  concatBytes(group, account, device, chainId);

const tagOf = (headerKey: Uint8Array, n: number, hmac: Hmac): Uint8Array =>
  hmac(
    headerKey,
    createWriter(TAG_LABEL.length + 4)
      .raw(TAG_LABEL)
      .u32(n)
      .done(),
  ).slice(0, TAG_BYTES);

const signedBytes = (
  context: Uint8Array,
  prefix: Uint8Array,
  header: Uint8Array,
  body: Uint8Array,
): Uint8Array => labelled(LABELS.groupMessage, context, sha256(concatBytes(prefix, header, body)));

/** [count 1, heads 32 each] ‖ length 2 ‖ content ‖ zeros up to the bucket. */
function encodeBody(heads: readonly string[], content: Uint8Array): Uint8Array {
  const writer = createWriter();
  if (heads.length > 0) writer.u8(heads.length);
  for (const head of heads) writer.raw(bytesFrom(head));
  const filled = writer.u16(content.length).raw(content).done();
  const around = GROUP_HEADER_BYTES + SIGNATURE_BYTES + AEAD_TAG_BYTES;
  const bucket = bucketFor(around + filled.length);
  if (bucket === undefined)
    throw new RangeError(`content of ${content.length} bytes fits no bucket`);
  const body = new Uint8Array(bucket - around);
  body.set(filled);
  return body;
}

function decodeBody(
  bytes: Uint8Array,
  listed: boolean,
): { readonly heads: readonly string[]; readonly content: Uint8Array } | undefined {
  const decoded = decodeWith(bytes, ENVELOPE_BYTES_MAX, (reader) => {
    const count = listed ? reader.u8() : 0;
    if (listed && (count < 2 || count > PARENTS_MAX)) refuse("malformed");
    const heads = Array.from({ length: count }, () => reader.take(OP_ID_BYTES));
    if (!isAscending(heads)) refuse("malformed");
    const content = reader.take(reader.u16());
    if (!isZero(reader.rest())) refuse("malformed");
    return { heads: heads.map(bytesToHex), content };
  });
  return decoded.ok ? decoded.value : undefined;
}

async function openHeader(
  sender: RemoteSender,
  envelope: GroupEnvelope,
  crypto: CryptoBackend,
): Promise<
  | {
      readonly chain: ReceivingChain;
      readonly header: GroupHeader;
      readonly headerBytes: Uint8Array;
    }
  | undefined
> {
  for (const chain of sender.chains.toReversed()) {
    const aad = concatBytes(contextOf(chain), envelope.prefix);
    const opened = await crypto.open(chain.headerKey, envelope.nonce, aad, envelope.sealedHeader);
    if (opened === undefined) continue;
    const header = decodeGroupHeader(opened);
    if (header.ok) return { chain, header: header.value, headerBytes: opened };
  }
  return undefined;
}

/** The key of message `n` and the chain after its use. */
function advance(
  chain: ReceivingChain,
  { n, last }: GroupHeader,
  { now, crypto }: CryptoEnv,
):
  | { readonly ok: true; readonly chain: ReceivingChain; readonly messageKey: Uint8Array }
  | Refused<GroupOpenFailure> {
  if (chain.end !== undefined && n >= chain.end) return { ok: false, reason: "malformed" };
  if (n < chain.next) {
    const kept = chain.skipped.find((one) => one.n === n);
    if (kept === undefined) return { ok: false, reason: "duplicate" };
    // It says that nothing follows, and something has.
    if (last) return { ok: false, reason: "malformed" };
    const skipped = chain.skipped.filter((one) => one !== kept);
    return { ok: true, chain: { ...chain, skipped }, messageKey: kept.key };
  }
  if (n - chain.next > JUMP_MAX) return { ok: false, reason: "too-far-ahead" };
  const skipped = [...chain.skipped];
  let { chainKey } = chain;
  for (let at = chain.next; at < n; at++) {
    const step = chainStep(chainKey, crypto.hmac);
    skipped.push({ n: at, key: step.messageKey, at: now });
    ({ chainKey } = step);
  }
  const step = chainStep(chainKey, crypto.hmac);
  return {
    ok: true,
    messageKey: step.messageKey,
    chain: {
      ...chain,
      skipped,
      chainKey: step.chainKey,
      next: n + 1,
      end: last ? n + 1 : undefined,
    },
  };
}

/**
 * Applies every limit: chains that were replaced too long ago, their number, the age and
 * the number of kept keys.
 */
function forget(sender: RemoteSender, now: number): RemoteSender {
  const newest = sender.chains.at(-1);
  const aged = sender.chains
    .filter(
      (chain) =>
        chain === newest || now - chain.receivedAt <= CHAIN_AGE_MS_MAX + SKIPPED_KEY_AGE_MS_MAX,
    )
    .slice(-RECEIVING_CHAINS_MAX)
    .map((chain) =>
      chain.skipped.every(({ at }) => now - at <= SKIPPED_KEY_AGE_MS_MAX)
        ? chain
        : {
            ...chain,
            skipped: chain.skipped.filter(({ at }) => now - at <= SKIPPED_KEY_AGE_MS_MAX),
          },
    );
  let excess = aged.reduce((sum, { skipped }) => sum + skipped.length, 0) - SKIPPED_KEYS_MAX;
  const chains = aged.map((chain) => {
    if (excess <= 0) return chain;
    const skipped = chain.skipped.slice(excess);
    excess -= chain.skipped.length;
    return { ...chain, skipped };
  });
  return { ...sender, chains };
}
