/** Every codec of the package with an arbitrary for its values: what property and vector tests run over. */
import {
  ACK_SEQUENCES_MAX,
  ADDRESSES_MAX,
  ADMISSION_BYTES_MAX,
  decodeAdmission,
  DOORS,
  encodeAdmission,
  WORK_BITS_MAX,
  WORK_PROOF_BYTES,
  asAccountId,
  asChainId,
  asContentId,
  asDeviceId,
  asEnvelopeId,
  asFileId,
  asGroupId,
  asLinkId,
  asOpId,
  asQueueId,
  asSendId,
  BUCKETS,
  compareBytes,
  type Content,
  type ContentKind,
  PAST_PAGES_MAX,
  type PastRow,
  type Place,
  POSITION_BYTES,
  decodeAddress,
  decodeAddresses,
  decodeBundle,
  decodeContent,
  decodeDeviceCert,
  decodeDeviceList,
  decodeDirectFrame,
  decodeEnvelope,
  decodeFileReference,
  decodeFrame,
  decodeGroupEnvelope,
  decodeGroupHeader,
  decodeGroupKey,
  decodeGroupOp,
  decodeGroupPage,
  decodeInvite,
  decodeInviteOffer,
  decodeSignal,
  type Decoded,
  DEVICES_EVER_MAX,
  DEVICES_MAX,
  type DeviceCert,
  type DeviceList,
  type DirectFrame,
  encodeAddress,
  encodeAddresses,
  encodeBundle,
  encodeContent,
  encodeDeviceCert,
  encodeDeviceList,
  encodeDirectFrame,
  encodeFileReference,
  encodeFrame,
  encodeGroupEnvelope,
  encodeGroupHeader,
  encodeGroupKey,
  encodeGroupOp,
  encodeGroupPage,
  encodeInvite,
  encodeInviteOffer,
  encodeMessageEnvelope,
  encodeSignal,
  type Envelope,
  ERROR_CODES,
  FILE_BYTES_MAX,
  FILE_NAME_BYTES_MAX,
  type FileReference,
  type Framed,
  GROUP_HEADER_BYTES,
  GROUP_SALT_BYTES,
  GROUP_SEALED_HEADER_BYTES,
  type GroupAction,
  type GroupEnvelope,
  type GroupHeader,
  type GroupKey,
  type GroupOp,
  type GroupPage,
  HEAD_PREFIX_BYTES,
  HELLO_HEADER_BYTES,
  type HubFrame,
  INVITE_BLOB_BYTES_MAX,
  type Invite,
  type InviteOffer,
  isFileName,
  isName,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  LIST_VERSION_MAX,
  MERKLE_PROOF_MAX,
  MESSAGE_HEADER_BYTES,
  type MessageEnvelope,
  NAME_CHARACTERS_MAX,
  NO_PREKEY_ID,
  NONCE_BYTES,
  PARENTS_MAX,
  PEER_ID_BYTES_MAX,
  type PrekeyBundle,
  PUSH_ENDPOINT_BYTES_MAX,
  PUSH_KEY_BYTES,
  QUEUE_OPEN_MAX,
  type QueueAddress,
  RECEIPT_IDS_MAX,
  RELAY_URL_BYTES_MAX,
  SEALED_HEADER_BYTES,
  SEALED_IDENTITY_BYTES,
  SEALED_WAY_BYTES_MAX,
  SEALED_WAY_BYTES_MIN,
  type Signal,
  SIGNAL_BLOB_BYTES_MAX,
  TAG_BYTES,
  concatBytes,
  type IceServers,
  isTurnUrl,
  TURN_NAME_BYTES_MAX,
  TURN_TTL_SECONDS_MAX,
  TURN_URLS_MAX,
  utf8ToBytes,
} from "@sotto/wire";
import * as fc from "fast-check";

export interface Codec<T> {
  readonly name: string;
  readonly values: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Decoded<T>;
  /** Its last field takes whatever is left, so that a shorter or longer one may be a value as well. */
  readonly openEnd?: (value: T) => boolean;
}

/** With the prototype that object literals have, so that results compare equal to the last. */
const record = <T extends object>(fields: {
  readonly [Field in keyof T]: fc.Arbitrary<T[Field]>;
}): fc.Arbitrary<T> => fc.record<T>(fields, { noNullPrototype: true });
const of = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const upTo = (maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const key = of(32);
const signature = of(64);
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u48 = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const text = fc.string({ unit: "binary", maxLength: 400 });
const name = fc
  .string({ unit: "binary", minLength: 1, maxLength: NAME_CHARACTERS_MAX })
  .filter(isName);
const alias = fc.integer({ min: 1, max: 0xffff_ffff });
const prekeyId = fc.integer({ min: 0, max: NO_PREKEY_ID - 1 });

const relayUrl = fc
  .oneof(
    fc.stringMatching(/^[a-z0-9.-]{1,60}$/).map((host) => `https://${host}`),
    fc.constantFrom("http://localhost", "http://127.0.0.1", "http://[::1]", "https://a"),
  )
  .chain((url) =>
    fc
      .option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined })
      .map((port) => (port === undefined ? url : `${url}:${port}`)),
  )
  .filter((url) => url.length <= RELAY_URL_BYTES_MAX);

const address: fc.Arbitrary<QueueAddress> = record({
  relayUrl,
  relayKey: key,
  sendId: of(24).map(asSendId),
  firstUse: of(16),
});

const cert: fc.Arbitrary<DeviceCert> = record({
  rootKey: key,
  deviceId: of(8).map(asDeviceId),
  signingKey: key,
  dhKey: key,
  issuedAt: u48,
  signature,
});

const deviceKeys = { id: of(8).map(asDeviceId), signingKey: key, dhKey: key };

const deviceList: fc.Arbitrary<DeviceList> = record({
  rootKey: key,
  version: fc.integer({ min: 1, max: LIST_VERSION_MAX }),
  previous: key,
  issuedAt: u48,
  devices: fc.array(record({ ...deviceKeys, admin: fc.boolean(), addedAt: u48 }), {
    minLength: 1,
    maxLength: DEVICES_MAX,
  }),
  removed: fc.array(record({ ...deviceKeys, removedAt: u48 }), {
    maxLength: DEVICES_EVER_MAX - DEVICES_MAX,
    size: "small",
  }),
  signature,
});

const kemPrekey: fc.Arbitrary<PrekeyBundle["kemPrekey"]> = record({
  oneTimeKey: fc.option(key, { nil: undefined }),
  depth: fc.integer({ min: 0, max: MERKLE_PROOF_MAX }),
}).chain(({ oneTimeKey, depth: wanted }) => {
  const depth = oneTimeKey === undefined ? 0 : wanted;
  return record({
    id: prekeyId,
    key: of(KEM_PUBLIC_BYTES),
    oneTimeKey: fc.constant(oneTimeKey),
    leafIndex: fc.integer({ min: 0, max: 2 ** depth - 1 }),
    proof: fc.array(key, { minLength: depth, maxLength: depth }),
    signature,
  });
});

const bundle: fc.Arbitrary<PrekeyBundle> = record({
  cert,
  signedPrekey: record({ id: prekeyId, key }),
  kemPrekey,
});

const invite: fc.Arbitrary<Invite> = record({
  seed: of(16),
  accountId: of(20).map(asAccountId),
  relayPin: of(16),
});

const addresses = fc.array(address, { minLength: 1, maxLength: ADDRESSES_MAX });
const offer: fc.Arbitrary<InviteOffer> = record({ bundle, addresses, name });

const time = record({ ms: u48, counter: u16 });
const contentId = of(16).map(asContentId);

const accountId = of(20).map(asAccountId);
type ContentOf<Kind extends ContentKind> = fc.Arbitrary<Extract<Content, { kind: Kind }>>;
/** What stands behind the kind of every content but a receipt. */
const head = { id: contentId, time };

const textContent: ContentOf<"text"> = record({ kind: fc.constant("text"), ...head, text });
const receipt: ContentOf<"receipt"> = record({
  kind: fc.constant("receipt"),
  ids: fc.array(contentId, { minLength: 1, maxLength: RECEIPT_IDS_MAX, size: "small" }),
});

const mediaSegment = fc.stringMatching(/^[a-z0-9][a-z0-9!#$&^_.+-]{0,40}$/);

const file: fc.Arbitrary<FileReference> = record({
  id: of(16).map(asFileId),
  key,
  noncePrefix: of(7),
  sizeBytes: fc.integer({ min: 0, max: FILE_BYTES_MAX }),
  root: key,
  mediaType: fc.tuple(mediaSegment, mediaSegment).map((segments) => segments.join("/")),
  name: fc
    .string({ unit: "binary", minLength: 1, maxLength: Math.floor(FILE_NAME_BYTES_MAX / 4) })
    .filter(isFileName),
});

const signal: fc.Arbitrary<Signal> = record({
  counter: u48,
  presence: fc.constantFrom("online" as const, "away" as const),
  probe: fc.boolean(),
  direct: fc.constantFrom("none" as const, "wanted" as const, "ready" as const),
  reached: record({ chain: u32, next: u32 }),
}).chain((fields) =>
  (fields.direct === "ready" ? upTo(PEER_ID_BYTES_MAX, 1) : of(0)).map((peerId) => ({
    ...fields,
    peerId,
  })),
);

/** The smallest bucket that fits, so that no truncation is another bucket. */
const messageOf = (size: number): fc.Arbitrary<MessageEnvelope> =>
  record({
    tag: of(TAG_BYTES),
    nonce: of(NONCE_BYTES),
    sealedHeader: of(SEALED_HEADER_BYTES),
    sealedBody: of(size - MESSAGE_HEADER_BYTES),
  }).map((fields) => ({
    type: "message",
    ...fields,
    prefix: concatBytes(new Uint8Array([2]), fields.tag, fields.nonce),
  }));

const hello = record({
  signedPrekeyId: u32,
  oneTimePrekeyId: u32,
  kemPrekeyId: u32,
  ephemeralKey: key,
  kemCiphertext: of(KEM_CIPHERTEXT_BYTES),
  sealedIdentity: of(SEALED_IDENTITY_BYTES),
  message: messageOf(2_048 - HELLO_HEADER_BYTES),
}).map((fields) => {
  const ids = new DataView(new ArrayBuffer(12));
  ids.setUint32(0, fields.signedPrekeyId);
  ids.setUint32(4, fields.oneTimePrekeyId);
  ids.setUint32(8, fields.kemPrekeyId);
  const header = concatBytes(
    new Uint8Array([1, 1, 1]),
    new Uint8Array(ids.buffer),
    fields.ephemeralKey,
    fields.kemCiphertext,
    fields.sealedIdentity,
  );
  return { type: "hello" as const, suite: 1, ...fields, header };
});

const envelope: fc.Arbitrary<Envelope> = fc.oneof(
  messageOf(256),
  hello,
  ...(["signal", "plea"] as const).map((type) =>
    record({ nonce: of(NONCE_BYTES), sealedBody: of(256 - 1 - NONCE_BYTES) }).map((fields) => ({
      type,
      ...fields,
      prefix: concatBytes(new Uint8Array([type === "signal" ? 3 : 4]), fields.nonce),
    })),
  ),
);

/** There is no such function in the package: crypto joins what it has just sealed. */
function encodeEnvelope(envelope: Envelope): Uint8Array {
  switch (envelope.type) {
    case "signal":
    case "plea":
      return concatBytes(envelope.prefix, envelope.sealedBody);
    case "message":
      return encodeMessageEnvelope(envelope.prefix, envelope.sealedHeader, envelope.sealedBody);
    case "hello":
      return concatBytes(envelope.header, encodeEnvelope(envelope.message));
  }
}

const envelopeId = of(16).map(asEnvelopeId);
const smallBucket = of(256);
const bucket = fc.constantFrom(...BUCKETS).map((size) => new Uint8Array(size).fill(size % 251));
const signalBlob = bucket.filter((blob) => blob.length <= SIGNAL_BLOB_BYTES_MAX);

const direct: fc.Arbitrary<DirectFrame> = fc.oneof(
  record({ type: fc.constant("envelope" as const), id: envelopeId, blob: smallBucket }),
  record({ type: fc.constantFrom("ping" as const, "pong" as const), nonce: of(8) }),
);

const code = fc.constantFrom(...ERROR_CODES);
const sendId = of(24).map(asSendId);
const linkId = of(24).map(asLinkId);
const queueId = of(24).map(asQueueId);
const inviteBlob = upTo(INVITE_BLOB_BYTES_MAX, 1);

const iceUrl = fc.oneof(
  fc.constantFrom("stun:", "turn:", "turns:").map((scheme) => `${scheme}chat.example.com`),
  fc.constantFrom("", "?transport=udp", "?transport=tcp").map((way) => `turn:192.0.2.1:3478${way}`),
  fc.integer({ min: 1, max: 65_535 }).map((port) => `turns:[2001:db8::1]:${port}`),
);
const turnName = fc.string({ minLength: 1, maxLength: TURN_NAME_BYTES_MAX / 4, unit: "grapheme" });
const short = turnName.filter((text) => utf8ToBytes(text).length <= TURN_NAME_BYTES_MAX);
const iceServers: fc.Arbitrary<IceServers> = record({
  ttlSeconds: fc.integer({ min: 1, max: TURN_TTL_SECONDS_MAX }),
  urls: fc.array(iceUrl, { minLength: 1, maxLength: TURN_URLS_MAX }),
  username: short,
  credential: short,
}).map((servers) =>
  servers.urls.some(isTurnUrl) ? servers : { ...servers, username: "", credential: "" },
);

/** One per type: the compiler refuses a new frame without one. */
const frameByType: {
  readonly [Type in HubFrame["type"]]: fc.Arbitrary<
    Omit<Extract<HubFrame, { type: Type }>, "type">
  >;
} = {
  hello: record({
    relayKey: key,
    ephemeralKey: key,
    nonce: key,
    hour: u32,
    ttlHoursMax: u16,
    queueMessagesMax: u32,
    door: fc.constantFrom(...DOORS),
    signature,
  }),
  auth: record({ readerKey: key, signature, admission: upTo(ADMISSION_BYTES_MAX) }),
  welcome: record({
    creditMessages: u16,
    circuit: fc.boolean(),
    admitted: fc.boolean(),
    pushKey: fc.oneof(
      fc.constant(new Uint8Array()),
      of(PUSH_KEY_BYTES).map((point) => point.with(0, 0x04)),
    ),
  }),
  "push-set": record({
    endpoint: fc.constantFrom(
      "",
      "https://push.example/1",
      `https://${"p".repeat(PUSH_ENDPOINT_BYTES_MAX - 8)}`,
    ),
  }),
  bye: record({ code, retryAfterMs: u32 }),
  "queue-new": record({
    queueId,
    ttlHours: u16,
    firstUseHash: key,
    proof: fc.oneof(of(0), of(WORK_PROOF_BYTES)),
  }),
  work: record({ bits: fc.integer({ min: 1, max: WORK_BITS_MAX }) }),
  queue: record({ alias, sendId }),
  "queue-open": record({
    queueIds: fc.array(queueId, { minLength: 1, maxLength: QUEUE_OPEN_MAX, size: "small" }),
  }),
  queues: record({
    queues: fc.array(record({ alias: u32, backlog: u32 }), {
      minLength: 1,
      maxLength: QUEUE_OPEN_MAX,
    }),
  }),
  "queue-close": record({ alias }),
  "send-open": record({ sendId, sendKey: key, authenticator: key, firstUse: of(16) }),
  sender: record({ alias }),
  append: record({ alias, id: envelopeId, blob: bucket }),
  signal: record({ alias, blob: signalBlob }),
  deliver: record({ alias, sequence: u64, id: envelopeId, blob: bucket }),
  signalled: record({ alias, blob: signalBlob }),
  drained: record({ alias }),
  ack: record({
    alias,
    sequences: fc.array(u64, { minLength: 1, maxLength: ACK_SEQUENCES_MAX }),
  }),
  "bundle-put": record({ alias, linkId, blob: inviteBlob }),
  "bundle-get": record({ linkId }),
  bundle: record({ blob: inviteBlob }),
  turn: fc.constant({}),
  "turn-credential": iceServers,
  ping: fc.constant({}),
  pong: fc.constant({}),
  ok: fc.constant({}),
  error: record({ code, retryAfterMs: u32 }),
};

const frame: fc.Arbitrary<Framed> = record({
  request: u32,
  frame: fc.oneof(
    ...Object.entries(frameByType).map(([type, fields]) =>
      (fields as fc.Arbitrary<object>).map((one) => ({ type, ...one }) as HubFrame),
    ),
  ),
});

const bare = <Kind extends string>(kind: Kind): fc.Arbitrary<{ readonly kind: Kind }> =>
  record({ kind: fc.constant(kind) });
const action: fc.Arbitrary<Exclude<GroupAction, { kind: "create" }>> = fc.oneof(
  record({ kind: fc.constantFrom("add" as const, "remove" as const), account: accountId }),
  bare("leave"),
  record({
    kind: fc.constant("role" as const),
    account: accountId,
    role: fc.constantFrom("member" as const, "admin" as const),
  }),
  record({
    kind: fc.constant("policy" as const),
    adders: fc.constantFrom("admins" as const, "members" as const),
  }),
  bare("rotateTopic"),
  record({ kind: fc.constant("revoke" as const), device: of(8).map(asDeviceId) }),
);
const groupOp: fc.Arbitrary<GroupOp> = fc.oneof(
  record({
    group: fc.constant(asGroupId(new Uint8Array(32))),
    parents: fc.constant([]),
    lamport: fc.constant(0),
    signer: key,
    action: record({ kind: fc.constant("create" as const), salt: of(GROUP_SALT_BYTES) }),
    signature,
  }),
  record({
    group: key.map(asGroupId),
    parents: fc
      .uniqueArray(key, {
        minLength: 1,
        maxLength: PARENTS_MAX,
        comparator: (a, b) => compareBytes(a, b) === 0,
      })
      .map((ids) => ids.toSorted(compareBytes).map(asOpId)),
    lamport: fc.integer({ min: 1, max: 0xffff_ffff_ffff }),
    signer: key,
    action,
    signature,
  }),
);
const groupPage: fc.Arbitrary<GroupPage> = record({
  certs: fc.array(cert, { maxLength: 3 }),
  ops: fc.array(groupOp.map(encodeGroupOp), { minLength: 1, maxLength: 4 }),
});
const groupKey: fc.Arbitrary<GroupKey> = record({
  chainId: of(16).map(asChainId),
  next: u32,
  chainKey: key,
  signingKey: key,
  heads: key,
});
const place: fc.Arbitrary<Place> = fc.oneof(
  record({ kind: fc.constant("account"), account: accountId }),
  record({ kind: fc.constant("group"), group: key.map(asGroupId) }),
);
const position = fc.option(of(POSITION_BYTES), { nil: undefined });
const pastRow: fc.Arbitrary<PastRow> = record({
  id: contentId,
  said: fc.option(contentId, { nil: undefined }),
  time,
  own: fc.boolean(),
  author: fc.option(accountId, { nil: undefined }),
  receivedAt: fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
  status: fc.constantFrom("sent" as const, "delivered" as const, "failed" as const),
  text,
}).map((row) => ({ ...row, status: row.own ? row.status : ("sent" as const) }));
/** One per kind: the compiler refuses a new content without one. */
const contentByKind: { readonly [Kind in ContentKind]: ContentOf<Kind> } = {
  text: textContent,
  receipt,
  introduction: record({
    kind: fc.constant("introduction"),
    ...head,
    name,
    addresses,
  }),
  profile: record({ kind: fc.constant("profile"), ...head, name }),
  devices: record({ kind: fc.constant("devices"), ...head, list: deviceList }),
  request: record({
    kind: fc.constant("request"),
    ...head,
    since: fc.integer({ min: 0, max: LIST_VERSION_MAX }),
  }),
  spare: record({ kind: fc.constant("spare"), ...head, bundle }),
  offer: record({
    kind: fc.constant("offer"),
    ...head,
    account: accountId,
    device: of(8).map(asDeviceId),
    cert,
    way: fc.uint8Array({ minLength: SEALED_WAY_BYTES_MIN, maxLength: SEALED_WAY_BYTES_MAX }),
  }),
  contact: record({
    kind: fc.constant("contact"),
    ...head,
    name,
    verified: fc.boolean(),
    cert,
    list: fc.option(deviceList, { nil: undefined }),
  }),
  carried: record({
    kind: fc.constant("carried"),
    ...head,
    account: accountId,
    content: fc.oneof(textContent, receipt),
  }),
  page: record({ kind: fc.constant("page"), ...head, group: key.map(asGroupId), page: groupPage }),
  key: record({ kind: fc.constant("key"), ...head, group: key.map(asGroupId), key: groupKey }),
  heads: record({
    kind: fc.constant("heads"),
    ...head,
    group: key.map(asGroupId),
    heads: fc
      .uniqueArray(of(32), {
        maxLength: PARENTS_MAX,
        comparator: (a, b) => compareBytes(a, b) === 0,
      })
      .map((ids) => ids.toSorted(compareBytes).map(asOpId)),
  }),
  member: record({
    kind: fc.constant("member"),
    ...head,
    group: key.map(asGroupId),
    name,
    cert,
    list: fc.option(deviceList, { nil: undefined }),
  }),
  "ask-past": record({
    kind: fc.constant("ask-past"),
    ...head,
    place,
    before: position,
    since: fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
    pages: fc.integer({ min: 1, max: PAST_PAGES_MAX }),
  }),
  past: record({
    kind: fc.constant("past"),
    ...head,
    place,
    before: position,
    left: fc.integer({ min: 0, max: PAST_PAGES_MAX - 1 }),
    more: fc.boolean(),
    rows: fc.array(pastRow, { maxLength: 8 }),
  }).map((page) => ({ ...page, more: page.more || page.left > 0 })),
};

const content: fc.Arbitrary<Content> = fc.oneof(...Object.values(contentByKind));

const groupEnvelope: fc.Arbitrary<GroupEnvelope> = record({
  tag: of(TAG_BYTES),
  nonce: of(NONCE_BYTES),
  sealedHeader: of(GROUP_SEALED_HEADER_BYTES),
  sealedBody: of(256 - GROUP_HEADER_BYTES),
}).map((fields) => ({
  ...fields,
  prefix: concatBytes(new Uint8Array([5]), fields.tag, fields.nonce),
}));
const groupHeader: fc.Arbitrary<GroupHeader> = fc.oneof(
  record({ n: u32, head: of(HEAD_PREFIX_BYTES), listed: fc.constant(false), last: fc.boolean() }),
  record({
    n: u32,
    head: fc.constant(new Uint8Array(HEAD_PREFIX_BYTES)),
    listed: fc.constant(true),
    last: fc.boolean(),
  }),
);

const codec = <T>(one: Codec<T>): Codec<unknown> => one as unknown as Codec<unknown>;

export const CODECS: readonly Codec<unknown>[] = [
  codec({ name: "address", values: address, encode: encodeAddress, decode: decodeAddress }),
  codec({
    name: "addresses",
    values: addresses,
    encode: encodeAddresses,
    decode: decodeAddresses,
  }),
  codec({ name: "cert", values: cert, encode: encodeDeviceCert, decode: decodeDeviceCert }),
  codec({
    name: "device-list",
    values: deviceList,
    encode: encodeDeviceList,
    decode: decodeDeviceList,
  }),
  codec({ name: "bundle", values: bundle, encode: encodeBundle, decode: decodeBundle }),
  codec({ name: "invite", values: invite, encode: encodeInvite, decode: decodeInvite }),
  codec({ name: "offer", values: offer, encode: encodeInviteOffer, decode: decodeInviteOffer }),
  codec({ name: "content", values: content, encode: encodeContent, decode: decodeContent }),
  codec({ name: "group-op", values: groupOp, encode: encodeGroupOp, decode: decodeGroupOp }),
  codec({
    name: "group-page",
    values: groupPage,
    encode: encodeGroupPage,
    decode: decodeGroupPage,
  }),
  codec({ name: "group-key", values: groupKey, encode: encodeGroupKey, decode: decodeGroupKey }),
  codec({
    name: "group-envelope",
    values: groupEnvelope,
    encode: encodeGroupEnvelope,
    decode: decodeGroupEnvelope,
  }),
  codec({
    name: "group-header",
    values: groupHeader,
    encode: encodeGroupHeader,
    decode: decodeGroupHeader,
  }),
  codec({ name: "file", values: file, encode: encodeFileReference, decode: decodeFileReference }),
  codec({ name: "signal", values: signal, encode: encodeSignal, decode: decodeSignal }),
  codec({ name: "envelope", values: envelope, encode: encodeEnvelope, decode: decodeEnvelope }),
  codec({ name: "direct", values: direct, encode: encodeDirectFrame, decode: decodeDirectFrame }),
  codec({
    name: "frame",
    values: frame,
    encode: ({ request, frame }: Framed) => encodeFrame(request, frame),
    decode: decodeFrame,
    openEnd: ({ frame }) => "blob" in frame || "endpoint" in frame || "pushKey" in frame,
  }),
  codec({
    name: "admission",
    values: record({ epoch: u32, tokenNonce: key, authenticator: key }),
    encode: encodeAdmission,
    decode: decodeAdmission,
  }),
];
