/** Every limit of the formats: at it, and one past it. What is refused is refused by the reader. */
import {
  ACCOUNT_ID_BYTES,
  ACK_SEQUENCES_MAX,
  ADDRESS_BYTES_MAX,
  ADDRESSES_MAX,
  ADMISSION_BYTES_MAX,
  DOORS,
  WORK_BITS_MAX,
  WORK_PROOF_BYTES,
  ALIAS_NONE,
  asAccountId,
  asContentId,
  asDeviceId,
  asEnvelopeId,
  asLinkId,
  asQueueId,
  asSendId,
  bucketFor,
  BUCKETS,
  BUNDLE_BYTES_MAX,
  CARRIED_BYTES_MAX,
  concatBytes,
  type Content,
  CONTENT_BYTES_MAX,
  createWriter,
  decodeAddress,
  decodeBundle,
  decodeContent,
  decodeDeviceCert,
  decodeDirectFrame,
  decodeEnvelope,
  decodeFrame,
  decodeInvite,
  decodeInviteOffer,
  decodeSignal,
  DEVICE_CERT_BYTES,
  DEVICE_LIST_BYTES_MAX,
  type DeviceCert,
  deviceCertBody,
  type DeviceList,
  DEVICES_EVER_MAX,
  DEVICES_MAX,
  DIRECT_FRAME_BYTES_MAX,
  encodeAddress,
  encodeBundle,
  encodeContent,
  encodeDeviceCert,
  encodeDirectFrame,
  encodeFrame,
  encodeInvite,
  encodeInviteOffer,
  encodeSignal,
  ENVELOPE_BYTES_MAX,
  EnvelopeType,
  ERROR_CODES,
  FRAME_BYTES_MAX,
  HELLO_HEADER_BYTES,
  helloTranscript,
  HUB_PATH,
  type IceServers,
  isIceUrl,
  authTranscript,
  sendTranscript,
  type HubFrame,
  INVITE_BLOB_BYTES_MAX,
  INVITE_BYTES,
  INVITE_LINK_CHARACTERS_MAX,
  INVITE_TEXT_CHARACTERS_MAX,
  inviteToLink,
  isBucket,
  isEncodedText,
  isName,
  isRelayUrl,
  linkToInvite,
  LIST_VERSION_MAX,
  MERKLE_PROOF_MAX,
  NAME_BYTES_MAX,
  NAME_CHARACTERS_MAX,
  NO_PREKEY_ID,
  PEER_ID_BYTES_MAX,
  type PrekeyBundle,
  PUSH_ENDPOINT_BYTES_MAX,
  QUEUE_OPEN_MAX,
  type QueueAddress,
  RECEIPT_IDS_MAX,
  RELAY_URL_BYTES_MAX,
  type Signal,
  SIGNAL_BLOB_BYTES_MAX,
  SIGNAL_BYTES_MAX,
  TEXT_BYTES_MAX,
  asChainId,
  asGroupId,
  asOpId,
  encodeGroupOp,
  encodeGroupPage,
  GROUP_ID_BYTES,
  GROUP_KEY_BYTES,
  GROUP_PAGE_BYTES_MAX,
  type GroupOp,
  PARENTS_MAX,
  PAST_PAGES_MAX,
  PAST_ROWS_MAX,
  type PastRow,
  POSITION_BYTES,
  SEALED_WAY_BYTES_MAX,
  SEALED_WAY_BYTES_MIN,
  TURN_NAME_BYTES_MAX,
  TURN_TTL_SECONDS_MAX,
  TURN_URL_BYTES_MAX,
  TURN_URLS_MAX,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";

const bytes = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value);
const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
const ok = { ok: true };
const refused = (reason: string): object => ({ ok: false, reason });

const address: QueueAddress = {
  relayUrl: "https://relay.example",
  relayKey: bytes(32),
  sendId: asSendId(bytes(24)),
  firstUse: bytes(16),
};
const cert: DeviceCert = {
  rootKey: bytes(32),
  deviceId: asDeviceId(bytes(8)),
  signingKey: bytes(32),
  dhKey: bytes(32),
  issuedAt: 1,
  signature: bytes(64),
};
const bundle = (kem: Partial<PrekeyBundle["kemPrekey"]> = {}, signedId = 0): PrekeyBundle => ({
  cert,
  signedPrekey: { id: signedId, key: bytes(32) },
  kemPrekey: {
    id: 0,
    key: bytes(1_184),
    oneTimeKey: bytes(32),
    leafIndex: 0,
    proof: [],
    signature: bytes(64),
    ...kem,
  },
});
const urlOf = (length: number): string => `https://${"a".repeat(length - 8)}`;

describe("an envelope", () => {
  it.each(BUCKETS)("of %d bytes is read; of one fewer or more it is refused", (size) => {
    const envelope = bytes(size).with(0, EnvelopeType.message);
    expect(decodeEnvelope(envelope)).toMatchObject(ok);
    expect(decodeEnvelope(envelope.subarray(0, size - 1))).toEqual(refused("malformed"));
    expect(decodeEnvelope(concatBytes(envelope, bytes(1)))).toEqual(refused("malformed"));
  });

  it("fits the smallest bucket that holds it", () => {
    let below = 0;
    for (const bucket of BUCKETS) {
      expect(bucketFor(below + 1)).toBe(bucket);
      expect(bucketFor(bucket)).toBe(bucket);
      expect(isBucket(bucket)).toBe(true);
      expect(isBucket(bucket + 1)).toBe(false);
      below = bucket;
    }
    expect(below).toBe(ENVELOPE_BYTES_MAX);
    expect(bucketFor(ENVELOPE_BYTES_MAX + 1)).toBeUndefined();
  });

  it.each([0, 5, 255])("of type %d is unknown", (type) => {
    expect(decodeEnvelope(bytes(256).with(0, type))).toEqual(refused("unknown-type"));
  });

  const hello = bytes(2_048).with(HELLO_HEADER_BYTES, EnvelopeType.message);

  it("that says hello needs this version, this suite and a message inside", () => {
    expect(decodeEnvelope(hello)).toMatchObject({ ok: true, value: { type: "hello", suite: 1 } });
    expect(decodeEnvelope(hello.with(1, 2))).toEqual(refused("unknown-type"));
    expect(decodeEnvelope(hello.with(2, 2))).toEqual(refused("unknown-type"));
    for (const inner of [EnvelopeType.hello, EnvelopeType.signal, 4]) {
      expect(decodeEnvelope(hello.with(HELLO_HEADER_BYTES, inner))).toEqual(
        refused("unknown-type"),
      );
    }
  });

  it("that says hello does not fit the bucket below", () => {
    expect(decodeEnvelope(hello.subarray(0, 1_024))).toEqual(refused("truncated"));
  });
});

describe("an address", () => {
  it(`has a URL of at most ${RELAY_URL_BYTES_MAX} bytes`, () => {
    const longest = encodeAddress({ ...address, relayUrl: urlOf(RELAY_URL_BYTES_MAX) });
    expect(longest).toHaveLength(ADDRESS_BYTES_MAX);
    expect(decodeAddress(longest)).toMatchObject(ok);
    const longer = encodeAddress({ ...address, relayUrl: urlOf(RELAY_URL_BYTES_MAX + 1) });
    expect(decodeAddress(longer)).toEqual(refused("too-large"));
    // Or an own relay could be chosen that no contact can be told of.
    expect(isRelayUrl(urlOf(RELAY_URL_BYTES_MAX))).toBe(true);
    expect(isRelayUrl(urlOf(RELAY_URL_BYTES_MAX + 1))).toBe(false);
  });

  it("is refused when its URL is none of a relay", () => {
    const bad = encodeAddress({ ...address, relayUrl: "http://relay.example" });
    expect(decodeAddress(bad)).toEqual(refused("malformed"));
  });

  it.each([
    "https://a",
    "https://chat.example.com",
    "https://chat.example.com:8443",
    "http://localhost",
    "http://localhost:8080",
    "http://127.0.0.1:1",
    "http://[::1]:65535",
  ])("may name %s", (url) => {
    expect(isRelayUrl(url)).toBe(true);
  });

  it.each([
    "",
    "https://",
    "https://chat.example.com/",
    "https://chat.example.com/path",
    "https://chat.example.com?x",
    "https://user@chat.example.com",
    "https://user:word@chat.example.com",
    "https://[::1]",
    "https://chat.example.com\\@other",
    "https://chat.example.com。",
    "https://ch%61t.example.com",
    "http://[::1",
    "https://CHAT.example.com",
    "https://chat.example.com:",
    "https://chat.example.com:123456",
    "https://chat.example.com\n",
    " https://chat.example.com",
    "http://chat.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://127x0x0x1",
    " http://localhost",
    "ws://localhost",
    "javascript:alert(1)",
  ])("may not name %j", (url) => {
    expect(isRelayUrl(url)).toBe(false);
  });
});

describe("certificates and bundles", () => {
  const proof = (depth: number): Uint8Array[] => times(depth, bytes(32));

  it("have a certificate of one size, of which the signature covers all but itself", () => {
    const encoded = encodeDeviceCert(cert);
    expect(encoded).toHaveLength(DEVICE_CERT_BYTES);
    expect(deviceCertBody(cert)).toEqual(encoded.slice(0, DEVICE_CERT_BYTES - 64));
    expect(decodeDeviceCert(encoded)).toMatchObject(ok);
    expect(decodeDeviceCert(concatBytes(encoded, bytes(1)))).toEqual(refused("too-large"));
  });

  it("of another version or suite are unknown", () => {
    expect(decodeDeviceCert(encodeDeviceCert(cert).with(0, 2))).toEqual(refused("unknown-type"));
    const encoded = encodeBundle(bundle());
    expect(decodeBundle(encoded.with(0, 2))).toEqual(refused("unknown-type"));
    expect(decodeBundle(encoded.with(1, 2))).toEqual(refused("unknown-type"));
    expect(decodeBundle(encoded.with(2, 2))).toEqual(refused("unknown-type"));
  });

  it("refuse a key of another kind in each place", () => {
    const encoded = encodeBundle(bundle());
    // Offsets of the type bytes: root, signing, DH, signed prekey, KEM, one-time.
    for (const at of [3, 44, 77, 184, 221, 1_407]) {
      const kind = encoded[at] ?? 0;
      expect([1, 2, 3], `at ${at}`).toContain(kind);
      expect(decodeBundle(encoded.with(at, (kind % 3) + 1)), `at ${at}`).toEqual(
        refused("malformed"),
      );
    }
  });

  it(`have proofs of at most ${MERKLE_PROOF_MAX} hashes`, () => {
    const deep = bundle({ proof: proof(MERKLE_PROOF_MAX), leafIndex: 63 });
    expect(decodeBundle(encodeBundle(deep))).toMatchObject(ok);
    const deeper = bundle({ proof: proof(MERKLE_PROOF_MAX + 1) });
    expect(decodeBundle(encodeBundle(deeper))).toEqual(refused("malformed"));
  });

  it.each([0, 1, 2, 3, 4, 5, 6])("have 2^%d leaves under that many hashes", (depth) => {
    const at = (leafIndex: number): unknown =>
      decodeBundle(encodeBundle(bundle({ proof: proof(depth), leafIndex })));
    expect(at(2 ** depth - 1)).toMatchObject(ok);
    expect(at(2 ** depth)).toEqual(refused("malformed"));
  });

  it("have no proof without a one-time key", () => {
    const last = bundle({ oneTimeKey: undefined });
    expect(decodeBundle(encodeBundle(last))).toMatchObject(ok);
    const odd = bundle({ oneTimeKey: undefined, proof: proof(1) });
    expect(decodeBundle(encodeBundle(odd))).toEqual(refused("malformed"));
  });

  it("have ids below the one that says there is none", () => {
    expect(
      decodeBundle(encodeBundle(bundle({ id: NO_PREKEY_ID - 1 }, NO_PREKEY_ID - 1))),
    ).toMatchObject(ok);
    expect(decodeBundle(encodeBundle(bundle({ id: NO_PREKEY_ID })))).toEqual(refused("malformed"));
    expect(decodeBundle(encodeBundle(bundle({}, NO_PREKEY_ID)))).toEqual(refused("malformed"));
  });

  it("say with 0 or 1 whether there is a one-time key", () => {
    const encoded = encodeBundle(bundle());
    expect(encoded[1_406]).toBe(1);
    expect(decodeBundle(encoded.with(1_406, 2))).toEqual(refused("malformed"));
    const none = encodeBundle(bundle({ oneTimeKey: undefined }));
    expect(none[1_406]).toBe(0);
    expect(decodeBundle(none.with(1_406, 2))).toEqual(refused("malformed"));
  });

  it(`are not looked into past ${BUNDLE_BYTES_MAX} bytes`, () => {
    const encoded = encodeBundle(bundle());
    const padded = (size: number): Uint8Array => concatBytes(encoded, bytes(size - encoded.length));
    expect(decodeBundle(padded(BUNDLE_BYTES_MAX))).toEqual(refused("trailing"));
    expect(decodeBundle(padded(BUNDLE_BYTES_MAX + 1))).toEqual(refused("too-large"));
  });

  const offer = (name: string, relayUrl = address.relayUrl): Uint8Array =>
    encodeInviteOffer({ bundle: bundle(), addresses: [{ ...address, relayUrl }], name });

  it(`stand in an offer with 1 to ${ADDRESSES_MAX} addresses`, () => {
    const offer = (count: number): Uint8Array =>
      encodeInviteOffer({ bundle: bundle(), addresses: times(count, address), name: "A" });
    expect(decodeInviteOffer(offer(0))).toEqual(refused("malformed"));
    expect(decodeInviteOffer(offer(1))).toMatchObject(ok);
    expect(decodeInviteOffer(offer(ADDRESSES_MAX))).toMatchObject(ok);
    expect(decodeInviteOffer(offer(ADDRESSES_MAX + 1))).toEqual(refused("malformed"));
  });

  it("stand in an offer beside a name and an address that are checked as well", () => {
    expect(decodeInviteOffer(offer("😀".repeat(NAME_CHARACTERS_MAX)))).toMatchObject(ok);
    expect(decodeInviteOffer(offer("a".repeat(NAME_CHARACTERS_MAX + 1)))).toEqual(
      refused("malformed"),
    );
    expect(decodeInviteOffer(offer("a".repeat(NAME_BYTES_MAX + 1)))).toEqual(refused("too-large"));
    expect(decodeInviteOffer(offer("A", "http://relay.example"))).toEqual(refused("malformed"));
    // The bundle's first byte: its version.
    expect(decodeInviteOffer(offer("A").with(2, 2))).toEqual(refused("unknown-type"));
  });

  it(`are not looked for in offers past ${INVITE_BLOB_BYTES_MAX} bytes`, () => {
    const encoded = offer("A");
    const padded = (size: number): Uint8Array => concatBytes(encoded, bytes(size - encoded.length));
    expect(decodeInviteOffer(padded(INVITE_BLOB_BYTES_MAX))).toEqual(refused("trailing"));
    expect(decodeInviteOffer(padded(INVITE_BLOB_BYTES_MAX + 1))).toEqual(refused("too-large"));
    const long = concatBytes(new Uint8Array([0x08, 0x01]), bytes(2_049));
    expect(decodeInviteOffer(long)).toEqual(refused("too-large"));
  });
});

describe("an invite link", () => {
  const invite = {
    seed: bytes(16, 3),
    accountId: asAccountId(bytes(ACCOUNT_ID_BYTES, 4)),
    relayPin: bytes(16, 5),
  };
  const origin = "https://chat.example.com";
  const link = inviteToLink(origin, invite, "contact");
  const deviceLink = inviteToLink(origin, invite, "device");
  const code = link.slice(link.indexOf("#") + 1);

  it("is an origin, a path and 71 characters", () => {
    expect(encodeInvite(invite)).toHaveLength(INVITE_BYTES);
    expect(link).toBe(`${origin}/i#${code}`);
    expect(code).toHaveLength(71);
    expect(deviceLink).toBe(`${origin}/d#${code}`);
    for (const purpose of ["contact", "device"] as const) {
      const longest = inviteToLink(urlOf(INVITE_LINK_CHARACTERS_MAX - 74), invite, purpose);
      expect(longest).toHaveLength(INVITE_LINK_CHARACTERS_MAX);
    }
  });

  it.each([
    ["alone", link, origin],
    ["in a sentence", `Come: ${link} !`, origin],
    ["in brackets", `<${link}>`, origin],
    ["at the end of a sentence", `Come: ${link}.`, origin],
    ["after a line break", `Hello\n${link}\n`, origin],
    [
      "towards this machine",
      link.replace(origin, "http://localhost:8080"),
      "http://localhost:8080",
    ],
    ["with a query", link.replace("#", "?as=demo#"), origin],
    ["with an empty query", `Come: ${link.replace("#", "?#")} !`, origin],
    ["as its bare code", code, undefined],
    ["as its bare code with space around it", `  ${code}\n`, undefined],
  ])("is found %s", (_, text, expected) => {
    const value = { origin: expected, purpose: "contact", invite };
    expect(linkToInvite(text)).toEqual({ ok: true, value });
  });

  it.each([
    ["alone", deviceLink],
    ["in a sentence", `Open ${deviceLink} there`],
    ["with a query", deviceLink.replace("#", "?as=demo#")],
    ["in capitals", deviceLink.replace("/d#", "/D#")],
    ["before an ordinary one", `${deviceLink} ${link}`],
  ])("for a device is told from one for a contact %s", (_, text) => {
    expect(linkToInvite(text)).toEqual({ ok: true, value: { origin, purpose: "device", invite } });
  });

  it("for a contact stays one with the other form behind it", () => {
    expect(linkToInvite(`${link} ${deviceLink}`)).toMatchObject({ value: { purpose: "contact" } });
  });

  it.each([
    ["nothing", ""],
    ["a code that is one character short", code.slice(0, -1)],
    ["a code that is one character longer", `${code}A`],
    ["a code with a foreign character", `${code.slice(0, -1)}+`],
    ["a code in a sentence without a link", `the code is ${code}`],
    ["a link to another page", `${origin}/x#${code}`],
    ["a link to both pages", `${origin}/id#${code}`],
    ["a link below a page", `${origin}/d/i#${code}`],
    ["a device link that is one character short", deviceLink.slice(0, -1)],
    ["a device link without its part behind the '#'", `${origin}/d#`],
    ["a query of another page", `${origin}/?/i#${code}`],
    ["a host that ends in a query", `${origin}?/i#${code}`],
    ["a query with a space in it", link.replace("#", "?as demo#")],
    ["a code whose spare bits are set", `${code.slice(0, -1)}${code.endsWith("B") ? "C" : "B"}`],
  ])("is not found in %s", (_, text) => {
    expect(linkToInvite(text)).toEqual(refused("malformed"));
  });

  it("is looked for in a long letter, and not in a longer one", () => {
    const before = " ".repeat(INVITE_TEXT_CHARACTERS_MAX - link.length);
    const found = linkToInvite(before + link);
    expect(found).toEqual({ ok: true, value: { origin, purpose: "contact", invite } });
    expect(linkToInvite(`${before} ${link}`)).toEqual(refused("too-large"));
  });

  it("of another version is unknown", () => {
    const later = inviteToLink(origin, invite, "contact").replace(`#${code.slice(0, 2)}`, "#Ag");
    expect(linkToInvite(later)).toEqual(refused("unknown-type"));
    expect(decodeInvite(encodeInvite(invite).with(0, 2))).toEqual(refused("unknown-type"));
  });
});

describe("a content", () => {
  const id = asContentId(bytes(16));
  const time = { ms: 1, counter: 1 };
  const read = (content: Content): unknown => decodeContent(encodeContent(content));
  const account = asAccountId(bytes(ACCOUNT_ID_BYTES));
  const list: DeviceList = {
    rootKey: bytes(32),
    version: 1,
    previous: bytes(32, 0),
    issuedAt: 1,
    devices: [
      {
        id: asDeviceId(bytes(8)),
        signingKey: bytes(32),
        dhKey: bytes(32),
        admin: true,
        addedAt: 1,
      },
    ],
    removed: [],
    signature: bytes(64),
  };
  /** The first `fixed` bytes as they are, `block` behind its length in place of what stood there. */
  const withBlock = (content: Content, fixed: number, block: Uint8Array): Uint8Array<ArrayBuffer> =>
    createWriter().raw(encodeContent(content).subarray(0, fixed)).block(block).done();
  /** Kind, id and time. */
  const HEAD = 25;
  const devices: Content = { kind: "devices", id, time, list };
  const spare: Content = { kind: "spare", id, time, bundle: bundle() };
  const offer = (fields: Partial<Extract<Content, { kind: "offer" }>> = {}): Content => ({
    kind: "offer",
    id,
    time,
    account,
    device: asDeviceId(bytes(8)),
    cert,
    way: bytes(SEALED_WAY_BYTES_MIN),
    ...fields,
  });
  const contact: Content = { kind: "contact", id, time, name: "A", verified: true, cert, list };
  /** Offsets in `contact`: its name has one byte. */
  const CONTACT = { verified: HEAD + 3, cert: HEAD + 4, list: HEAD + 4 + DEVICE_CERT_BYTES };
  const text = (length: number): Extract<Content, { kind: "text" }> => ({
    kind: "text",
    id,
    time,
    text: "x".repeat(length),
  });
  const carried = (content: Extract<Content, { kind: "carried" }>["content"]): Content => ({
    kind: "carried",
    id,
    time,
    account,
    content,
  });
  const group = asGroupId(bytes(32));
  const op = (fields: Partial<GroupOp> = {}): GroupOp => ({
    group,
    parents: [asOpId(bytes(32))],
    lamport: 1,
    signer: bytes(32),
    action: { kind: "leave" },
    signature: bytes(64),
    ...fields,
  });
  const page = (count: number): Extract<Content, { kind: "page" }> => ({
    kind: "page",
    id,
    time,
    group,
    page: { certs: [], ops: times(count, encodeGroupOp(op())) },
  });
  const key: Content = {
    kind: "key",
    id,
    time,
    group,
    key: {
      chainId: asChainId(bytes(16)),
      next: 1,
      chainKey: bytes(32),
      signingKey: bytes(32),
      heads: bytes(32),
    },
  };
  const heads = (count: number): Extract<Content, { kind: "heads" }> => ({
    kind: "heads",
    id,
    time,
    group,
    heads: Array.from({ length: count }, (_, index) => asOpId(bytes(32, index))),
  });
  const member: Content = { kind: "member", id, time, group, name: "A", cert, list };
  /** A content that carries these bytes, whatever they are. */
  const carrying = (inner: Uint8Array): unknown =>
    decodeContent(withBlock(carried(text(0)), HEAD + ACCOUNT_ID_BYTES, inner));

  it(`of text holds ${TEXT_BYTES_MAX} bytes`, () => {
    expect(read(text(TEXT_BYTES_MAX))).toMatchObject(ok);
    expect(read(text(TEXT_BYTES_MAX + 1))).toEqual(refused("too-large"));
  });

  it("of text counts bytes, not characters", () => {
    const wide = (count: number): Content => ({ ...text(0), text: "界".repeat(count) });
    expect(read(wide(5_461))).toMatchObject(ok);
    expect(read(wide(5_462))).toEqual(refused("too-large"));
  });

  it("of text is refused when it is not UTF-8", () => {
    const encoded = encodeContent(text(1));
    expect(decodeContent(encoded.with(encoded.length - 1, 0xff))).toEqual(refused("malformed"));
  });

  it(`that is a receipt names 1 to ${RECEIPT_IDS_MAX} ids`, () => {
    const receipt = (count: number): Content => ({ kind: "receipt", ids: times(count, id) });
    expect(read(receipt(0))).toEqual(refused("malformed"));
    expect(read(receipt(1))).toMatchObject(ok);
    expect(read(receipt(RECEIPT_IDS_MAX))).toMatchObject(ok);
    expect(read(receipt(RECEIPT_IDS_MAX + 1))).toEqual(refused("malformed"));
  });

  it(`that introduces names 1 to ${ADDRESSES_MAX} addresses`, () => {
    const introduction = (count: number): Content => ({
      kind: "introduction",
      id,
      time,
      name: "A",
      addresses: times(count, address),
    });
    expect(read(introduction(0))).toEqual(refused("malformed"));
    expect(read(introduction(1))).toMatchObject(ok);
    expect(read(introduction(ADDRESSES_MAX))).toMatchObject(ok);
    expect(read(introduction(ADDRESSES_MAX + 1))).toEqual(refused("malformed"));
  });

  it.each(["profile", "introduction", "contact"] as const)("with a name (%s) checks it", (kind) => {
    const rest = { addresses: [address], verified: false, cert, list: undefined };
    const named = (name: string): Content => ({ kind, id, time, name, ...rest });
    expect(read(named("a".repeat(NAME_CHARACTERS_MAX)))).toMatchObject(ok);
    expect(read(named("a".repeat(NAME_CHARACTERS_MAX + 1)))).toEqual(refused("malformed"));
    expect(read(named("😀".repeat(NAME_CHARACTERS_MAX)))).toMatchObject(ok);
    expect(read(named("a".repeat(NAME_BYTES_MAX)))).toEqual(refused("malformed"));
    expect(read(named("a".repeat(NAME_BYTES_MAX + 1)))).toEqual(refused("too-large"));
  });

  it.each([0, 17, 255])("of kind %d is unknown", (kind) => {
    const encoded = encodeContent(text(0));
    expect(decodeContent(encoded.with(0, kind))).toEqual(refused("unknown-type"));
  });

  it(`that asks for lists names a version of 0 to ${LIST_VERSION_MAX}`, () => {
    const request = (since: number): Content => ({ kind: "request", id, time, since });
    expect(read(request(0))).toEqual({ ok: true, value: request(0) });
    expect(read(request(LIST_VERSION_MAX))).toMatchObject(ok);
    expect(read(request(LIST_VERSION_MAX + 1))).toEqual(refused("malformed"));
    expect(read(request(0xffff))).toEqual(refused("malformed"));
  });

  it.each([
    ["devices", devices, HEAD, DEVICE_LIST_BYTES_MAX],
    ["spare", spare, HEAD, BUNDLE_BYTES_MAX],
    ["contact", contact, CONTACT.list, DEVICE_LIST_BYTES_MAX],
  ] as const)("of kind %s refuses a block for what is wrong in it", (_, content, fixed, max) => {
    const holding = (block: Uint8Array): unknown => decodeContent(withBlock(content, fixed, block));
    const inner = encodeContent(content).subarray(fixed + 2);
    expect(holding(inner)).toEqual({ ok: true, value: content });
    expect(holding(bytes(1))).toEqual(refused("truncated"));
    expect(holding(inner.subarray(0, -1))).toEqual(refused("truncated"));
    expect(holding(concatBytes(inner, bytes(1)))).toEqual(refused("trailing"));
    expect(holding(inner.with(0, 2))).toEqual(refused("unknown-type"));
    expect(holding(concatBytes(inner, bytes(max - inner.length)))).toEqual(refused("trailing"));
    expect(holding(concatBytes(inner, bytes(max + 1 - inner.length)))).toEqual(
      refused("too-large"),
    );
  });

  it("of kinds with a bundle or a list is refused when the block is empty, but for a contact's", () => {
    const nothing = bytes(0);
    for (const [content, fixed] of [
      [devices, HEAD],
      [spare, HEAD],
    ] as const) {
      expect(decodeContent(withBlock(content, fixed, nothing))).toEqual(refused("truncated"));
    }
    const alone = { ...contact, list: undefined };
    expect(decodeContent(withBlock(contact, CONTACT.list, nothing))).toEqual({
      ok: true,
      value: alone,
    });
    expect(encodeContent(alone)).toEqual(withBlock(contact, CONTACT.list, nothing));
  });

  it("holds the largest list, bundle, address and name there can be", () => {
    const keys = { id: asDeviceId(bytes(8)), signingKey: bytes(32), dhKey: bytes(32) };
    const full: DeviceList = {
      ...list,
      devices: times(DEVICES_MAX, { ...keys, admin: true, addedAt: 1 }),
      removed: times(DEVICES_EVER_MAX - DEVICES_MAX, { ...keys, removedAt: 1 }),
    };
    const name = "😀".repeat(NAME_CHARACTERS_MAX);
    const largest: readonly Content[] = [
      { ...devices, list: full },
      { ...contact, name, list: full },
      offer({ way: bytes(SEALED_WAY_BYTES_MAX) }),
      carried(text(TEXT_BYTES_MAX)),
      carried({ kind: "receipt", ids: times(RECEIPT_IDS_MAX, id) }),
    ];
    for (const content of largest) {
      expect(encodeContent(content).length).toBeLessThanOrEqual(CONTENT_BYTES_MAX);
      expect(read(content), content.kind).toEqual({ ok: true, value: content });
    }
  });

  it("that offers has a certificate, and a sealed way of a size that there can be", () => {
    expect(read(offer({ way: bytes(SEALED_WAY_BYTES_MAX) }))).toMatchObject(ok);
    expect(read(offer({ way: bytes(SEALED_WAY_BYTES_MAX + 1) }))).toEqual(refused("too-large"));
    expect(read(offer({ way: bytes(SEALED_WAY_BYTES_MIN - 1) }))).toEqual(refused("malformed"));
    const at = HEAD + ACCOUNT_ID_BYTES + 8;
    expect(decodeContent(encodeContent(offer()).with(at, 2))).toEqual(refused("unknown-type"));
  });

  it("that is a contact says with 0 or 1 whether it is verified", () => {
    const encoded = encodeContent(contact);
    expect(decodeContent(encoded)).toEqual({ ok: true, value: contact });
    expect(decodeContent(encoded.with(CONTACT.verified, 0))).toEqual({
      ok: true,
      value: { ...contact, verified: false },
    });
    expect(decodeContent(encoded.with(CONTACT.verified, 2))).toEqual(refused("malformed"));
    expect(decodeContent(encoded.with(CONTACT.verified, 255))).toEqual(refused("malformed"));
  });

  it("that is a contact is refused for what is wrong in its certificate", () => {
    const encoded = encodeContent(contact);
    expect(decodeContent(encoded.with(CONTACT.cert, 2))).toEqual(refused("unknown-type"));
    expect(decodeContent(encoded.with(CONTACT.cert + 1, 1))).toEqual(refused("malformed"));
    expect(decodeContent(encoded.subarray(0, CONTACT.list - 1))).toEqual(refused("truncated"));
  });

  it(`carries a text or a receipt of at most ${CARRIED_BYTES_MAX} bytes`, () => {
    expect(encodeContent(text(TEXT_BYTES_MAX))).toHaveLength(CARRIED_BYTES_MAX);
    expect(read(carried(text(TEXT_BYTES_MAX)))).toMatchObject(ok);
    expect(read(carried(text(TEXT_BYTES_MAX + 1)))).toEqual(refused("too-large"));
    const receipt = (count: number): Content => carried({ kind: "receipt", ids: times(count, id) });
    expect(read(receipt(0))).toEqual(refused("malformed"));
    expect(read(receipt(1))).toMatchObject(ok);
    expect(read(receipt(RECEIPT_IDS_MAX))).toMatchObject(ok);
    expect(read(receipt(RECEIPT_IDS_MAX + 1))).toEqual(refused("malformed"));
    const front = encodeContent(text(0));
    const padded = (size: number): unknown =>
      carrying(concatBytes(front, bytes(size - front.length)));
    expect(padded(CARRIED_BYTES_MAX)).toEqual(refused("trailing"));
    expect(padded(CARRIED_BYTES_MAX + 1)).toEqual(refused("too-large"));
  });

  it("that carries is refused for what is wrong in what it carries", () => {
    expect(carrying(bytes(0))).toEqual(refused("truncated"));
    for (const inner of [text(1), { kind: "receipt", ids: [id] }] as const) {
      const encoded = encodeContent(inner);
      expect(carrying(encoded)).toEqual({ ok: true, value: carried(inner) });
      expect(carrying(encoded.subarray(0, -1))).toEqual(refused("truncated"));
      expect(carrying(concatBytes(encoded, bytes(1)))).toEqual(refused("trailing"));
    }
    expect(carrying(encodeContent(text(1)).with(HEAD + 2, 0xff))).toEqual(refused("malformed"));
  });

  it("carries nothing but texts and receipts, and nothing that carries", () => {
    const others: readonly Content[] = [
      { kind: "introduction", id, time, name: "A", addresses: [address] },
      { kind: "profile", id, time, name: "A" },
      { kind: "request", id, time, since: 1 },
      devices,
      spare,
      offer(),
      contact,
      carried(text(1)),
      page(1),
      key,
      heads(1),
      member,
    ];
    for (const other of others) {
      expect(read(other), other.kind).toMatchObject(ok);
      expect(carrying(encodeContent(other)), other.kind).toEqual(refused("malformed"));
    }
    for (const kind of [0, 11, 15, 255]) {
      expect(carrying(encodeContent(text(1)).with(0, kind)), `${kind}`).toEqual(
        refused("malformed"),
      );
    }
  });

  it("that carries itself again and again is left at the first kind inside", () => {
    let nested = encodeContent(carried(text(0)));
    while (nested.length < CARRIED_BYTES_MAX - 64) {
      nested = withBlock(carried(text(0)), HEAD + ACCOUNT_ID_BYTES, nested);
    }
    expect(decodeContent(nested)).toEqual(refused("malformed"));
    // Also when nothing further in is right.
    expect(carrying(Uint8Array.of(10))).toEqual(refused("malformed"));
  });

  it("that asks for operations names at most as many heads as an operation has parents", () => {
    expect(read(heads(0))).toMatchObject(ok);
    expect(read(heads(PARENTS_MAX))).toEqual({ ok: true, value: heads(PARENTS_MAX) });
    expect(read(heads(PARENTS_MAX + 1))).toEqual(refused("too-large"));
    expect(read({ ...heads(2), heads: heads(2).heads.toReversed() })).toEqual(refused("malformed"));
  });

  it("that asks for history asks for one page to as many as go at once", () => {
    const about = { kind: "ask-past", id, time, place: { kind: "group", group } } as const;
    const ask = (pages: number): Content => ({ ...about, before: undefined, since: 0, pages });
    for (const pages of [1, PAST_PAGES_MAX]) expect(read(ask(pages))).toMatchObject(ok);
    for (const pages of [0, PAST_PAGES_MAX + 1]) {
      expect(read(ask(pages))).toEqual(refused("malformed"));
    }
    for (const length of [1, POSITION_BYTES - 1, POSITION_BYTES + 1]) {
      const isLonger = length > POSITION_BYTES;
      expect(read({ ...ask(1), before: bytes(length) } as Content)).toEqual(
        refused(isLonger ? "too-large" : "malformed"),
      );
    }
    expect(read({ ...ask(1), before: bytes(POSITION_BYTES) } as Content)).toMatchObject(ok);
  });

  it("of history has a limit of rows, and signs that fit whose they are", () => {
    const row: PastRow = {
      id,
      said: undefined,
      time,
      own: true,
      author: undefined,
      receivedAt: 5,
      status: "delivered",
      text: "",
    };
    const page = (rows: readonly PastRow[], left = 0, more = false): Content => ({
      kind: "past",
      id,
      time,
      place: { kind: "group", group },
      before: undefined,
      left,
      more,
      rows,
    });
    expect(read(page(times(PAST_ROWS_MAX, row)))).toMatchObject(ok);
    expect(read(page(times(PAST_ROWS_MAX + 1, row)))).toEqual(refused("too-large"));
    expect(read(page([], PAST_PAGES_MAX - 1, true))).toMatchObject(ok);
    expect(read(page([], PAST_PAGES_MAX, true))).toEqual(refused("malformed"));
    expect(read(page([], 1, false))).toEqual(refused("malformed"));
    expect(read(page([{ ...row, own: false }]))).toEqual(refused("malformed"));
    expect(read(page([{ ...row, own: false, status: "failed" }]))).toEqual(refused("malformed"));
    expect(read(page([{ ...row, said: id }]))).toEqual(refused("malformed"));
    const flagsAt = HEAD + 1 + GROUP_ID_BYTES + 2 + 1 + 1 + 2;
    for (const flags of [2 + 1 + 4, 32, 255]) {
      const spoilt = encodeContent(page([row])).with(flagsAt, flags);
      expect(decodeContent(spoilt)).toEqual(refused("malformed"));
    }
    expect(read(page([{ ...row, text: "a".repeat(TEXT_BYTES_MAX) }]))).toMatchObject(ok);
  });

  it(`of a group holds a page of ${GROUP_PAGE_BYTES_MAX} bytes`, () => {
    const [first] = page(1).page.ops;
    const padded = (size: number): unknown =>
      decodeContent(
        withBlock(
          page(1),
          HEAD + GROUP_ID_BYTES,
          concatBytes(encodeGroupPage(page(1).page), bytes(size - 5 - (first?.length ?? 0))),
        ),
      );
    expect(padded(GROUP_PAGE_BYTES_MAX)).toEqual(refused("trailing"));
    expect(padded(GROUP_PAGE_BYTES_MAX + 1)).toEqual(refused("too-large"));
    const parents = Array.from({ length: PARENTS_MAX }, (_, index) => asOpId(bytes(32, index)));
    const largest = encodeGroupOp(op({ parents }));
    const ops = times(Math.floor((GROUP_PAGE_BYTES_MAX - 3) / (largest.length + 2)), largest);
    const full: Content = { ...page(1), page: { certs: [], ops } };
    expect(encodeContent(full).length).toBeLessThanOrEqual(CONTENT_BYTES_MAX);
    expect(read(full)).toEqual({ ok: true, value: full });
  });

  it("of a group is refused for what is wrong in its record, certificate or list", () => {
    expect(read(key)).toEqual({ ok: true, value: key });
    expect(read(member)).toEqual({ ok: true, value: member });
    const at = HEAD + GROUP_ID_BYTES;
    expect(decodeContent(withBlock(key, at, bytes(GROUP_KEY_BYTES, 2)))).toEqual(
      refused("unknown-type"),
    );
    expect(decodeContent(withBlock(key, at, bytes(GROUP_KEY_BYTES + 1)))).toEqual(
      refused("too-large"),
    );
    const encoded = encodeContent(member);
    expect(decodeContent(encoded.with(at + 3, 2))).toEqual(refused("unknown-type"));
    expect(read({ ...member, name: "" })).toEqual(refused("malformed"));
  });

  it("is known for a text by its first byte", () => {
    expect(isEncodedText(encodeContent(text(0)))).toBe(true);
    expect(isEncodedText(Uint8Array.of(1))).toBe(true);
    expect(isEncodedText(bytes(0))).toBe(false);
    for (const other of [
      { kind: "receipt", ids: [id] },
      { kind: "profile", id, time, name: "A" },
      carried(text(0)),
    ] as const) {
      expect(isEncodedText(encodeContent(other)), other.kind).toBe(false);
    }
  });

  it(`is not looked into past ${CONTENT_BYTES_MAX} bytes`, () => {
    const encoded = encodeContent(text(0));
    const padded = (size: number): Uint8Array => concatBytes(encoded, bytes(size - encoded.length));
    expect(decodeContent(padded(CONTENT_BYTES_MAX))).toEqual(refused("trailing"));
    expect(decodeContent(padded(CONTENT_BYTES_MAX + 1))).toEqual(refused("too-large"));
  });
});

describe("a name", () => {
  it.each([
    "A",
    "李雷",
    "Zoë O’Hara-Smith",
    "👩‍👩‍👧",
    "محمد",
    "می‌خواهم",
    "a\u0301",
    "7",
    "*",
    "한\u3164글",
    "⠓⠊",
  ])("may be %j", (name) => {
    expect(isName(name)).toBe(true);
  });

  it.each([
    "",
    " ",
    "\u00a0\u3000",
    "\u200b",
    "\ufeff",
    "\u3164",
    "\u115f\u1160\uffa0",
    "\u2800",
    "\u200b\u3164 \u00ad",
    "\u{e0041}",
    "a\nb",
    "a\tb",
    "a\u0000",
    "a\u007f",
    "a\u0085",
    "a\u2028b",
    "a\u2029b",
    "a\u202egnp.exe",
    "\u2066a",
    "\ud800a",
    "a\udc00",
  ])("may not be %j", (name) => {
    expect(isName(name)).toBe(false);
  });
});

describe("a signal", () => {
  const signal: Signal = {
    counter: 1,
    presence: "online",
    probe: false,
    direct: "ready",
    peerId: bytes(38),
    reached: { chain: 1, next: 1 },
  };
  const read = (fields: Partial<Signal>): unknown =>
    decodeSignal(encodeSignal({ ...signal, ...fields }));

  it(`has a peer id of 1 to ${PEER_ID_BYTES_MAX} bytes when ready, and none otherwise`, () => {
    expect(read({ peerId: bytes(0) })).toEqual(refused("malformed"));
    expect(read({ peerId: bytes(1) })).toMatchObject(ok);
    expect(read({ peerId: bytes(PEER_ID_BYTES_MAX) })).toMatchObject(ok);
    expect(read({ peerId: bytes(PEER_ID_BYTES_MAX + 1) })).toEqual(refused("too-large"));
    for (const direct of ["none", "wanted"] as const) {
      expect(read({ direct, peerId: bytes(0) })).toMatchObject(ok);
      expect(read({ direct, peerId: bytes(1) })).toEqual(refused("malformed"));
    }
  });

  it("has no other presence, probe or direct value than those of the table", () => {
    const encoded = encodeSignal(signal);
    expect(decodeSignal(encoded.with(6, 2))).toEqual(refused("unknown-type"));
    expect(decodeSignal(encoded.with(7, 2))).toEqual(refused("malformed"));
    expect(decodeSignal(encoded.with(8, 3))).toEqual(refused("unknown-type"));
  });

  it(`is not looked into past ${SIGNAL_BYTES_MAX} bytes`, () => {
    const encoded = encodeSignal(signal);
    const padded = (size: number): Uint8Array => concatBytes(encoded, bytes(size - encoded.length));
    expect(decodeSignal(padded(SIGNAL_BYTES_MAX))).toEqual(refused("trailing"));
    expect(decodeSignal(padded(SIGNAL_BYTES_MAX + 1))).toEqual(refused("too-large"));
  });
});

describe("a frame on a direct channel", () => {
  const id = asEnvelopeId(bytes(16));

  it("carries an envelope of every bucket and of no other size", () => {
    for (const size of BUCKETS) {
      const frame = encodeDirectFrame({ type: "envelope", id, blob: bytes(size) });
      expect(decodeDirectFrame(frame)).toMatchObject(ok);
      expect(decodeDirectFrame(frame.subarray(0, frame.length - 1))).toEqual(refused("malformed"));
    }
    expect(decodeDirectFrame(encodeDirectFrame({ type: "envelope", id, blob: bytes(0) }))).toEqual(
      refused("malformed"),
    );
  });

  it(`has at most ${DIRECT_FRAME_BYTES_MAX} bytes`, () => {
    const largest = encodeDirectFrame({ type: "envelope", id, blob: bytes(ENVELOPE_BYTES_MAX) });
    expect(largest).toHaveLength(DIRECT_FRAME_BYTES_MAX);
    expect(decodeDirectFrame(concatBytes(largest, bytes(1)))).toEqual(refused("too-large"));
  });

  it.each(["ping", "pong"] as const)("that is a %s has a nonce of 8 bytes", (type) => {
    const read = (length: number): unknown =>
      decodeDirectFrame(encodeDirectFrame({ type, nonce: bytes(length) }));
    expect(read(7)).toEqual(refused("truncated"));
    expect(read(8)).toMatchObject(ok);
    expect(read(9)).toEqual(refused("trailing"));
  });

  it.each([0, 4, 255])("of type %d is unknown", (type) => {
    expect(decodeDirectFrame(bytes(9).with(0, type))).toEqual(refused("unknown-type"));
  });
});

describe("a hub frame", () => {
  const read = (frame: HubFrame, request = 1): unknown => decodeFrame(encodeFrame(request, frame));
  const id = asEnvelopeId(bytes(16));
  const queueId = asQueueId(bytes(24));
  const sendId = asSendId(bytes(24));
  const linkId = asLinkId(bytes(24));
  const largest: HubFrame = {
    type: "deliver",
    alias: 1,
    sequence: 1n,
    id,
    blob: bytes(ENVELOPE_BYTES_MAX),
  };

  it("is sent at one path of the relay's origin", () => {
    expect(HUB_PATH).toBe("/hub");
  });

  it(`has at most ${FRAME_BYTES_MAX} bytes: a delivery of the largest envelope`, () => {
    const encoded = encodeFrame(0, largest);
    expect(encoded).toHaveLength(FRAME_BYTES_MAX);
    expect(decodeFrame(encoded)).toMatchObject(ok);
    expect(decodeFrame(concatBytes(encoded, bytes(1)))).toEqual(refused("too-large"));
  });

  it.each([0, 0x1d, 0xff])("of type %d is unknown", (type) => {
    expect(decodeFrame(bytes(5).with(0, type))).toEqual(refused("unknown-type"));
  });

  it(`of type push-set has an endpoint of at most ${PUSH_ENDPOINT_BYTES_MAX} characters, printable and https`, () => {
    const endpoint = (length: number): string => `https://${"p".repeat(length - 8)}`;
    const set = (text: string): HubFrame => ({ type: "push-set", endpoint: text });
    expect(read(set(endpoint(PUSH_ENDPOINT_BYTES_MAX)))).toMatchObject(ok);
    expect(read(set(endpoint(PUSH_ENDPOINT_BYTES_MAX + 1)))).toEqual(refused("too-large"));
    expect(read(set(""))).toMatchObject(ok);
    for (const bad of ["https://", "http://p", "https://p q", "https://p\n", "https://p\u00e9"]) {
      expect(read(set(bad)), bad).toEqual(refused("malformed"));
    }
  });

  it("of type welcome has a push key of 65 bytes that begins with 04, or none", () => {
    const welcome = (pushKey: Uint8Array): HubFrame => ({
      type: "welcome",
      creditMessages: 1,
      circuit: false,
      admitted: false,
      pushKey,
    });
    expect(read(welcome(bytes(65).with(0, 4)))).toMatchObject(ok);
    expect(read(welcome(bytes(0)))).toMatchObject(ok);
    for (const bad of [bytes(64).with(0, 4), bytes(66).with(0, 4), bytes(65).with(0, 2)]) {
      expect(read(welcome(bad))).toEqual(refused("malformed"));
    }
  });

  it("carries a request of 32 bits", () => {
    expect(read({ type: "ok" }, 0xffff_ffff)).toMatchObject({ value: { request: 0xffff_ffff } });
    expect(() => encodeFrame(0x1_0000_0000, { type: "ok" })).toThrow(RangeError);
  });

  it.each([
    { type: "append", alias: 1, id },
    { type: "deliver", alias: 1, id, sequence: 1n },
  ] as const)("of type $type carries buckets only", (fields) => {
    for (const size of BUCKETS) {
      expect(read({ ...fields, blob: bytes(size) }), `${size}`).toMatchObject(ok);
      expect(read({ ...fields, blob: bytes(size - 1) }), `${size}`).toEqual(refused("malformed"));
      if (size < ENVELOPE_BYTES_MAX || fields.type === "append") {
        expect(read({ ...fields, blob: bytes(size + 1) }), `${size}`).toEqual(refused("malformed"));
      }
    }
    expect(read({ ...fields, blob: bytes(0) })).toEqual(refused("malformed"));
  });

  it.each(["signal", "signalled"] as const)("of type %s carries buckets up to 16 KiB", (type) => {
    for (const size of BUCKETS) {
      expect(read({ type, alias: 1, blob: bytes(size) }), `${size}`).toMatchObject(
        size <= SIGNAL_BLOB_BYTES_MAX ? ok : refused("too-large"),
      );
    }
    const past = bytes(SIGNAL_BLOB_BYTES_MAX + 1);
    expect(read({ type, alias: 1, blob: past })).toEqual(refused("malformed"));
  });

  it("names a queue or sender by an alias that is not the one for none", () => {
    const frames: readonly HubFrame[] = [
      { type: "queue", alias: ALIAS_NONE, sendId },
      { type: "queue-close", alias: ALIAS_NONE },
      { type: "sender", alias: ALIAS_NONE },
      { type: "drained", alias: ALIAS_NONE },
      { type: "append", alias: ALIAS_NONE, id, blob: bytes(256) },
      { type: "signal", alias: ALIAS_NONE, blob: bytes(256) },
      { type: "signalled", alias: ALIAS_NONE, blob: bytes(256) },
      { type: "deliver", alias: ALIAS_NONE, sequence: 1n, id, blob: bytes(256) },
      { type: "ack", alias: ALIAS_NONE, sequences: [1n] },
      { type: "bundle-put", alias: ALIAS_NONE, linkId, blob: bytes(1) },
    ];
    for (const frame of frames) {
      expect(read(frame), frame.type).toEqual(refused("malformed"));
      expect(read({ ...frame, alias: 1 } as HubFrame), frame.type).toMatchObject(ok);
    }
    // Only the answer to QUEUE_OPEN says "none".
    expect(read({ type: "queues", queues: [{ alias: ALIAS_NONE, backlog: 0 }] })).toMatchObject(ok);
  });

  const lists: readonly (readonly [string, number, (count: number) => HubFrame])[] = [
    [
      "queue-open",
      QUEUE_OPEN_MAX,
      (count) => ({ type: "queue-open", queueIds: times(count, queueId) }),
    ],
    [
      "queues",
      QUEUE_OPEN_MAX,
      (count) => ({ type: "queues", queues: times(count, { alias: 1, backlog: 0 }) }),
    ],
    ["ack", ACK_SEQUENCES_MAX, (count) => ({ type: "ack", alias: 1, sequences: times(count, 1n) })],
  ];
  it.each(lists)("of type %s lists 1 to %d", (_, max, frame) => {
    expect(read(frame(0))).toEqual(refused("malformed"));
    expect(read(frame(1))).toMatchObject(ok);
    expect(read(frame(max))).toMatchObject(ok);
    expect(read(frame(max + 1))).toEqual(refused("too-large"));
  });

  it.each([{ type: "bundle-put", alias: 1, linkId }, { type: "bundle" }] as const)(
    `of type $type carries 1 to ${INVITE_BLOB_BYTES_MAX} bytes`,
    (fields) => {
      expect(read({ ...fields, blob: bytes(0) })).toEqual(refused("malformed"));
      expect(read({ ...fields, blob: bytes(1) })).toMatchObject(ok);
      expect(read({ ...fields, blob: bytes(INVITE_BLOB_BYTES_MAX) })).toMatchObject(ok);
      expect(read({ ...fields, blob: bytes(INVITE_BLOB_BYTES_MAX + 1) })).toEqual(
        refused("too-large"),
      );
    },
  );

  it(`that proves a reader carries up to ${ADMISSION_BYTES_MAX} bytes of admission`, () => {
    const auth = (length: number): HubFrame => ({
      type: "auth",
      readerKey: bytes(32),
      signature: bytes(64),
      admission: bytes(length),
    });
    expect(read(auth(0))).toMatchObject(ok);
    expect(read(auth(ADMISSION_BYTES_MAX))).toMatchObject(ok);
    expect(read(auth(ADMISSION_BYTES_MAX + 1))).toEqual(refused("too-large"));
    expect(decodeFrame(encodeFrame(0, auth(0)).with(5, 2))).toEqual(refused("unknown-type"));
  });

  const turn = (change: Partial<IceServers> = {}): HubFrame => ({
    type: "turn-credential",
    ttlSeconds: 600,
    urls: ["turn:chat.example.com"],
    username: "1:a",
    credential: "b",
    ...change,
  });
  it(`that names servers names 1 to ${TURN_URLS_MAX}, each of up to ${TURN_URL_BYTES_MAX} bytes`, () => {
    const urls = (count: number): readonly string[] => times(count, "turn:chat.example.com");
    expect(read(turn({ urls: [] }))).toEqual(refused("malformed"));
    expect(read(turn({ urls: urls(TURN_URLS_MAX) }))).toMatchObject(ok);
    expect(read(turn({ urls: urls(TURN_URLS_MAX + 1) }))).toEqual(refused("too-large"));
    const long = (length: number): string => "turn:".padEnd(length, "a");
    expect(read(turn({ urls: [long(TURN_URL_BYTES_MAX)] }))).toMatchObject(ok);
    expect(read(turn({ urls: [long(TURN_URL_BYTES_MAX + 1)] }))).toEqual(refused("too-large"));
    expect(isIceUrl(long(TURN_URL_BYTES_MAX + 1))).toBe(false);
  });

  it("that names servers carries short names, and a time from a second to a day", () => {
    for (const field of ["username", "credential"] as const) {
      expect(read(turn({ [field]: "a".repeat(TURN_NAME_BYTES_MAX) }))).toMatchObject(ok);
      expect(read(turn({ [field]: "a".repeat(TURN_NAME_BYTES_MAX + 1) }))).toEqual(
        refused("too-large"),
      );
    }
    expect(read(turn({ ttlSeconds: 0 }))).toEqual(refused("malformed"));
    expect(read(turn({ ttlSeconds: 1 }))).toMatchObject(ok);
    expect(read(turn({ ttlSeconds: TURN_TTL_SECONDS_MAX }))).toMatchObject(ok);
    expect(read(turn({ ttlSeconds: TURN_TTL_SECONDS_MAX + 1 }))).toEqual(refused("too-large"));
  });

  it("that names servers has a credential exactly when one of them is a TURN server", () => {
    const stun = { urls: ["stun:chat.example.com"] };
    expect(read(turn(stun))).toEqual(refused("malformed"));
    expect(read(turn({ ...stun, username: "", credential: "" }))).toMatchObject(ok);
    expect(read(turn({ username: "" }))).toEqual(refused("malformed"));
    expect(read(turn({ credential: "" }))).toEqual(refused("malformed"));
  });

  it.each([
    "stun:chat.example.com",
    "stun:192.0.2.1:1",
    "turn:a:65535",
    "turn:[2001:db8::1]?transport=udp",
    "turns:chat.example.com:443?transport=tcp",
  ])("names %s as a server", (url) => {
    expect(isIceUrl(url)).toBe(true);
  });

  it.each([
    "",
    "chat.example.com",
    "http://chat.example.com",
    "stun:",
    "stun://chat.example.com",
    "stun:chat.example.com?transport=udp",
    "STUN:chat.example.com",
    "turn:Chat.example.com",
    "turn:chat.example.com:0",
    "turn:chat.example.com:65536",
    "turn:chat.example.com:03478",
    "turn:chat.example.com?transport=sctp",
    "turn:chat.example.com?transport=udp ",
    "turn:user@chat.example.com",
    "turn:chat..example.com/",
    "turn:chat.example.com\n",
    "turn:2001:db8::1",
    "stuns:chat.example.com",
  ])("does not name %j as a server", (url) => {
    expect(isIceUrl(url)).toBe(false);
    expect(read(turn({ urls: [url] }))).toEqual(refused("malformed"));
  });

  it.each(["bye", "error"] as const)("of type %s has a code of the closed list", (type) => {
    for (const code of ERROR_CODES) expect(read({ type, code, retryAfterMs: 1 })).toMatchObject(ok);
    const encoded = encodeFrame(0, { type, code: "malformed", retryAfterMs: 1 });
    expect(decodeFrame(encoded.with(5, ERROR_CODES.length))).toEqual(refused("unknown-type"));
  });

  it("that welcomes has two flags: circuits, and whether the reader may make queues", () => {
    const encoded = encodeFrame(0, {
      type: "welcome",
      creditMessages: 64,
      circuit: true,
      admitted: false,
      pushKey: new Uint8Array(),
    });
    for (const [flags, circuit, admitted] of [
      [0, false, false],
      [1, true, false],
      [2, false, true],
      [3, true, true],
    ] as const) {
      expect(decodeFrame(encoded.with(7, flags))).toMatchObject({
        value: { frame: { circuit, admitted } },
      });
    }
    expect(decodeFrame(encoded.with(7, 4))).toEqual(refused("malformed"));
  });

  it(`that makes a queue carries no proof or one of ${WORK_PROOF_BYTES} bytes`, () => {
    const make = (length: number): HubFrame => ({
      type: "queue-new",
      queueId,
      ttlHours: 1,
      firstUseHash: bytes(32),
      proof: bytes(length),
    });
    expect(read(make(0))).toMatchObject(ok);
    expect(read(make(WORK_PROOF_BYTES))).toMatchObject(ok);
    expect(read(make(WORK_PROOF_BYTES - 1))).toEqual(refused("malformed"));
    expect(read(make(WORK_PROOF_BYTES + 1))).toEqual(refused("too-large"));
  });

  it(`that asks for work asks for 1 to ${WORK_BITS_MAX} bits`, () => {
    expect(read({ type: "work", bits: 0 })).toEqual(refused("malformed"));
    expect(read({ type: "work", bits: 1 })).toMatchObject(ok);
    expect(read({ type: "work", bits: WORK_BITS_MAX })).toMatchObject(ok);
    expect(read({ type: "work", bits: WORK_BITS_MAX + 1 })).toEqual(refused("malformed"));
  });

  it("that says hello names a door of the closed list", () => {
    const hello = {
      type: "hello",
      relayKey: bytes(32),
      ephemeralKey: bytes(32),
      nonce: bytes(32),
      hour: 1,
      ttlHoursMax: 1,
      queueMessagesMax: 1,
      signature: bytes(64),
    } as const;
    for (const door of DOORS) expect(read({ ...hello, door })).toMatchObject(ok);
    const encoded = encodeFrame(0, { ...hello, door: "open" });
    expect(decodeFrame(encoded.with(5 + 107, DOORS.length))).toEqual(refused("unknown-type"));
  });

  it("that says hello carries exactly what its signature covers, and this version", () => {
    const hello = {
      relayKey: bytes(32, 1),
      ephemeralKey: bytes(32, 2),
      nonce: bytes(32, 3),
      hour: 4,
      ttlHoursMax: 5,
      queueMessagesMax: 6,
      door: "oidc" as const,
    };
    const encoded = encodeFrame(0, { type: "hello", ...hello, signature: bytes(64, 7) });
    expect(encoded.slice(5, -64)).toEqual(helloTranscript(hello));
    expect(decodeFrame(encoded.with(5, 2))).toEqual(refused("unknown-type"));
  });

  it("is bound by transcripts that join their fields", () => {
    const [nonce, relayKey, key] = [bytes(32, 1), bytes(32, 2), bytes(32, 3)];
    expect(authTranscript(nonce, relayKey, key)).toEqual(concatBytes(nonce, relayKey, key));
    expect(sendTranscript(nonce, relayKey, sendId, key)).toEqual(
      concatBytes(nonce, relayKey, sendId, key),
    );
  });
});
