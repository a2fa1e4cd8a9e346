/**
 * What groups put on the wire: operations of the membership log, pages of them, the record that deals a sender's
 * chain, and the envelope every member opens.
 * Owns: layouts, their limits, and the exact bytes that ids and signatures cover.
 * Leaves to crypto/membership.ts: who may do what; to crypto/sender-chain.ts: keys and sealing.
 * Spec: SPEC.md §13.
 */
import {
  ACCOUNT_ID_BYTES,
  type AccountId,
  asAccountId,
  asChainId,
  asDeviceId,
  asGroupId,
  asOpId,
  CHAIN_ID_BYTES,
  type ChainId,
  DEVICE_ID_BYTES,
  type DeviceId,
  GROUP_ID_BYTES,
  type GroupId,
  OP_ID_BYTES,
  type OpId,
} from "./brand.ts";
import {
  decodeDeviceCert,
  DEVICE_CERT_BYTES,
  type DeviceCert,
  encodeDeviceCert,
  SIGNATURE_BYTES,
} from "./bundle.ts";
import {
  type ByteReader,
  type ByteWriter,
  concatBytes,
  copyBytes,
  createWriter,
  decodeWith,
  type Decoded,
  refuse,
} from "./bytes.ts";
import { NONCE_BYTES, TAG_BYTES } from "./envelope.ts";
import { ENVELOPE_BYTES_MAX, isBucket } from "./padding.ts";

export const GROUP_VERSION = 1;
/** First byte of a group envelope. Pairwise envelopes have 1 to 4. */
export const GROUP_ENVELOPE_TYPE = 5;

/** Operations one operation may follow, and heads one message may name. */
export const PARENTS_MAX = 16;
/** version 1 | group 32 | count 1 | parents 32 each | lamport 6 | signer 32 | kind 1 | payload 21 | signature 64. */
export const GROUP_OP_BYTES_MAX = 158 + PARENTS_MAX * OP_ID_BYTES;
/** Random bytes that make each group another one. */
export const GROUP_SALT_BYTES = 16;
/** Certificates, and operations, of one page. */
export const PAGE_OPS_MAX = 40;
/** A page fits a content. */
export const GROUP_PAGE_BYTES_MAX = 20_000;

/** A chain's record: version 1 | chain id 16 | n 4 | chain key 32 | signing key 32 | heads 32. */
export const GROUP_KEY_BYTES = 117;

/** n 4 | heads 8 | flags 1, and an AEAD tag. */
export const GROUP_SEALED_HEADER_BYTES = 29;
/** First bytes of an operation's id: how a message names the one head it was sealed under. */
export const HEAD_PREFIX_BYTES = 8;
/** type 1 | tag 8 | nonce 12 | sealed header 29; the sealed body follows. */
export const GROUP_HEADER_BYTES = 1 + TAG_BYTES + NONCE_BYTES + GROUP_SEALED_HEADER_BYTES;

export type GroupRole = "member" | "admin";
/** Who may add members. Everything else is the admins'. */
export type GroupAdders = "admins" | "members";

export type GroupAction =
  /** First operation: its actor is the first admin. The salt, 16 bytes, is random. */
  | { readonly kind: "create"; readonly salt: Uint8Array }
  | { readonly kind: "add"; readonly account: AccountId }
  | { readonly kind: "remove"; readonly account: AccountId }
  | { readonly kind: "leave" }
  | { readonly kind: "role"; readonly account: AccountId; readonly role: GroupRole }
  | { readonly kind: "policy"; readonly adders: GroupAdders }
  /** Every member begins a new chain: keys and topics from before are taken as known to others. */
  | { readonly kind: "rotateTopic" }
  /** A device of the actor's own account, lost or given away, acts no more. */
  | { readonly kind: "revoke"; readonly device: DeviceId };

export interface GroupOp {
  /** 32 zero bytes in a `create`, whose id becomes the group's. */
  readonly group: GroupId;
  /** What its actor knew: ascending, no two equal, 1 to PARENTS_MAX; none in a `create`. */
  readonly parents: readonly OpId[];
  /** 0 in a `create`; else one more than the highest of its parents. */
  readonly lamport: number;
  /** 32 bytes: hash of the certificate of the device that signs (crypto/SPEC.md §11.2). */
  readonly signer: Uint8Array;
  readonly action: GroupAction;
  /** Ed25519 by the signer over `groupOpBody`. */
  readonly signature: Uint8Array;
}

/** Operations, parents first, with certificates of their signers that the other side may lack. */
export interface GroupPage {
  readonly certs: readonly DeviceCert[];
  /** Encoded, at least one: each is decoded on its own, so that one bad operation spoils no other. */
  readonly ops: readonly Uint8Array[];
}

/** What opens a sender's chain from message `next` on. Travels through pairwise sessions only. */
export interface GroupKey {
  readonly chainId: ChainId;
  readonly next: number;
  /** 32 bytes. */
  readonly chainKey: Uint8Array;
  /** Ed25519, 32 bytes: this chain's alone. */
  readonly signingKey: Uint8Array;
  /** 32 bytes: hash over the heads under which the chain began. */
  readonly heads: Uint8Array;
}

/** One message for all members. */
export interface GroupEnvelope {
  readonly tag: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealedHeader: Uint8Array;
  readonly sealedBody: Uint8Array;
  /** type | tag | nonce. */
  readonly prefix: Uint8Array;
}

export interface GroupHeader {
  readonly n: number;
  /** HEAD_PREFIX_BYTES; zeros when the body lists the heads. */
  readonly head: Uint8Array;
  /** The body begins with a list of heads, because there is more than one. */
  readonly listed: boolean;
  /** No later message comes in this chain. */
  readonly last: boolean;
}

const Kind = {
  create: 1,
  add: 2,
  remove: 3,
  leave: 4,
  role: 5,
  policy: 6,
  rotateTopic: 7,
  revoke: 8,
} as const;
const ROLES: readonly GroupRole[] = ["member", "admin"];
const ADDERS: readonly GroupAdders[] = ["admins", "members"];
const Flag = { listed: 1, last: 2 } as const;

/** Everything but the signature: what the signature and the id cover. */
export const groupOpBody = (op: Omit<GroupOp, "signature">): Uint8Array<ArrayBuffer> =>
  writeOp(op).done();

/** Throws a RangeError above PARENTS_MAX parents. */
export const encodeGroupOp = (op: GroupOp): Uint8Array<ArrayBuffer> =>
  writeOp(op).raw(op.signature).done();

/** Checks shape only: who may do it, and that it was signed, is the log's. */
export const decodeGroupOp = (bytes: Uint8Array): Decoded<GroupOp> =>
  decodeWith(bytes, GROUP_OP_BYTES_MAX, (reader): GroupOp => {
    if (reader.u8() !== GROUP_VERSION) refuse("unknown-type");
    const group = asGroupId(reader.take(GROUP_ID_BYTES));
    const count = reader.u8();
    if (count > PARENTS_MAX) refuse("too-large");
    const parents = Array.from({ length: count }, () => asOpId(reader.take(OP_ID_BYTES)));
    if (!isAscending(parents)) refuse("malformed");
    const lamport = reader.u48();
    const signer = reader.take(32);
    const action = readAction(reader);
    const begins = action.kind === "create";
    if (begins !== (count === 0) || begins !== (lamport === 0)) refuse("malformed");
    if (begins && group.some((byte) => byte !== 0)) refuse("malformed");
    return { group, parents, lamport, signer, action, signature: reader.take(SIGNATURE_BYTES) };
  });

/** Throws a RangeError when the page is larger than PAGE_OPS_MAX or GROUP_PAGE_BYTES_MAX allow. */
export function encodeGroupPage({ certs, ops }: GroupPage): Uint8Array<ArrayBuffer> {
  const writer = createWriter().u8(GROUP_VERSION).u8(certs.length);
  for (const cert of certs) writer.raw(encodeDeviceCert(cert));
  writer.u8(ops.length);
  for (const op of ops) writer.block(op);
  const page = writer.done();
  if (
    Math.max(certs.length, ops.length) > PAGE_OPS_MAX ||
    ops.length === 0 ||
    page.length > GROUP_PAGE_BYTES_MAX
  ) {
    throw new RangeError(`page of ${ops.length} operations, ${page.length} bytes`);
  }
  return page;
}

export const decodeGroupPage = (bytes: Uint8Array): Decoded<GroupPage> =>
  decodeWith(bytes, GROUP_PAGE_BYTES_MAX, (reader): GroupPage => {
    if (reader.u8() !== GROUP_VERSION) refuse("unknown-type");
    const certCount = reader.u8();
    if (certCount > PAGE_OPS_MAX) refuse("too-large");
    const certs = Array.from({ length: certCount }, () => {
      const cert = decodeDeviceCert(reader.take(DEVICE_CERT_BYTES));
      return cert.ok ? cert.value : refuse(cert.reason);
    });
    const opCount = reader.u8();
    if (opCount > PAGE_OPS_MAX) refuse("too-large");
    if (opCount === 0) refuse("malformed");
    return { certs, ops: Array.from({ length: opCount }, () => reader.block(GROUP_OP_BYTES_MAX)) };
  });

export const encodeGroupKey = (key: GroupKey): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u8(GROUP_VERSION)
    .raw(key.chainId)
    .u32(key.next)
    .raw(key.chainKey)
    .raw(key.signingKey)
    .raw(key.heads)
    .done();

export const decodeGroupKey = (bytes: Uint8Array): Decoded<GroupKey> =>
  decodeWith(bytes, GROUP_KEY_BYTES, (reader): GroupKey => {
    if (reader.u8() !== GROUP_VERSION) refuse("unknown-type");
    return {
      chainId: asChainId(reader.take(CHAIN_ID_BYTES)),
      next: reader.u32(),
      chainKey: reader.take(32),
      signingKey: reader.take(32),
      heads: reader.take(32),
    };
  });

/** `prefix ‖ sealedHeader ‖ sealedBody`. */
export const encodeGroupEnvelope = (
  envelope: Pick<GroupEnvelope, "prefix" | "sealedHeader" | "sealedBody">,
): Uint8Array<ArrayBuffer> =>
  concatBytes(envelope.prefix, envelope.sealedHeader, envelope.sealedBody);

/** Refuses every size that is not a bucket, and every type but a group's. */
export function decodeGroupEnvelope(bytes: Uint8Array): Decoded<GroupEnvelope> {
  if (!isBucket(bytes.length)) return { ok: false, reason: "malformed" };
  return decodeWith(bytes, ENVELOPE_BYTES_MAX, (reader): GroupEnvelope => {
    if (reader.u8() !== GROUP_ENVELOPE_TYPE) refuse("unknown-type");
    return {
      tag: reader.take(TAG_BYTES),
      nonce: reader.take(NONCE_BYTES),
      sealedHeader: reader.take(GROUP_SEALED_HEADER_BYTES),
      sealedBody: reader.rest(),
      prefix: copyBytes(bytes, 0, 1 + TAG_BYTES + NONCE_BYTES),
    };
  });
}

export const encodeGroupHeader = (header: GroupHeader): Uint8Array<ArrayBuffer> =>
  createWriter()
    .u32(header.n)
    .raw(header.head)
    .u8((header.listed ? Flag.listed : 0) | (header.last ? Flag.last : 0))
    .done();

export const decodeGroupHeader = (bytes: Uint8Array): Decoded<GroupHeader> =>
  decodeWith(bytes, GROUP_SEALED_HEADER_BYTES, (reader): GroupHeader => {
    const n = reader.u32();
    const head = reader.take(HEAD_PREFIX_BYTES);
    const flags = reader.u8();
    if (flags > (Flag.listed | Flag.last)) refuse("malformed");
    const listed = (flags & Flag.listed) !== 0;
    if (listed && head.some((byte) => byte !== 0)) refuse("malformed");
    return { n, head, listed, last: (flags & Flag.last) !== 0 };
  });

/** -1, 0 or 1, as bytes. Not for secrets: stops at the first difference. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return Math.sign(a.length - b.length);
}

/** Sorted as bytes, no two equal: a list with one form. */
export const isAscending = (ids: readonly Uint8Array[]): boolean =>
  ids.every((id, index) => {
    const before = ids[index - 1];
    return before === undefined || compareBytes(before, id) < 0;
  });

function writeOp(op: Omit<GroupOp, "signature">): ByteWriter {
  if (op.parents.length > PARENTS_MAX) {
    throw new RangeError(`${op.parents.length} parents, at most ${PARENTS_MAX}`);
  }
  const writer = createWriter().u8(GROUP_VERSION).raw(op.group).u8(op.parents.length);
  for (const parent of op.parents) writer.raw(parent);
  writer.u48(op.lamport).raw(op.signer).u8(Kind[op.action.kind]);
  switch (op.action.kind) {
    case "create":
      return writer.raw(op.action.salt);
    case "add":
    case "remove":
      return writer.raw(op.action.account);
    case "role":
      return writer.raw(op.action.account).u8(ROLES.indexOf(op.action.role));
    case "policy":
      return writer.u8(ADDERS.indexOf(op.action.adders));
    case "revoke":
      return writer.raw(op.action.device);
    case "leave":
    case "rotateTopic":
      return writer;
  }
}

function readAction(reader: ByteReader): GroupAction {
  switch (reader.u8()) {
    case Kind.create:
      return { kind: "create", salt: reader.take(GROUP_SALT_BYTES) };
    case Kind.add:
      return { kind: "add", account: readAccount(reader) };
    case Kind.remove:
      return { kind: "remove", account: readAccount(reader) };
    case Kind.leave:
      return { kind: "leave" };
    case Kind.role: {
      const account = readAccount(reader);
      return { kind: "role", account, role: ROLES[reader.u8()] ?? refuse("unknown-type") };
    }
    case Kind.policy:
      return { kind: "policy", adders: ADDERS[reader.u8()] ?? refuse("unknown-type") };
    case Kind.rotateTopic:
      return { kind: "rotateTopic" };
    case Kind.revoke:
      return { kind: "revoke", device: asDeviceId(reader.take(DEVICE_ID_BYTES)) };
    default:
      return refuse("unknown-type");
  }
}

const readAccount = (reader: ByteReader): AccountId => asAccountId(reader.take(ACCOUNT_ID_BYTES));
