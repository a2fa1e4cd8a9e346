/**
 * A second implementation of handshake and ratchet, written from crypto/SPEC.md and wire/SPEC.md alone, on OpenSSL.
 * A straight line without one function of the packages: it derives, joins and searches the slow and plain way.
 * Owns: both roles, turns, skipped keys, post-quantum exchanges. Leaves out: ages, the limits that short schedules do
 * not reach, and which reason a refusal has: whatever does not open throws.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";

type Random = (length: number) => Uint8Array;

const DER = {
  x25519: { secret: "302e020100300506032b656e04220420", key: "302a300506032b656e032100" },
  ed25519: { secret: "302e020100300506032b657004220420", key: "302a300506032b6570032100" },
  mlKem: {
    secret: "3054020100300b060960864801650304040204428040",
    key: "308204b2300b0609608648016503040402038204a100",
  },
} as const;

const secretKey = (kind: keyof typeof DER, bytes: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from(DER[kind].secret, "hex"), bytes]),
    format: "der",
    type: "pkcs8",
  });
const publicKey = (kind: keyof typeof DER, bytes: Uint8Array): KeyObject =>
  createPublicKey({
    key: Buffer.concat([Buffer.from(DER[kind].key, "hex"), bytes]),
    format: "der",
    type: "spki",
  });
const publicOf = (kind: keyof typeof DER, secret: Uint8Array): Buffer =>
  createPublicKey(secretKey(kind, secret))
    .export({ format: "der", type: "spki" })
    .subarray(kind === "mlKem" ? -1_184 : -32);

const join = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);
const ascii = (text: string): Buffer => Buffer.from(text, "ascii");
const labelled = (label: string, ...parts: readonly Uint8Array[]): Buffer =>
  join(ascii(label), Buffer.of(0), ...parts);
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const u32 = (value: number): Buffer => join(u16(value >>> 16), u16(value & 0xffff));
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
const hmac = (key: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac("sha256", key).update(bytes).digest();
const hkdf = (salt: Uint8Array, ikm: Uint8Array, info: Uint8Array, length: number): Buffer =>
  Buffer.from(hkdfSync("sha256", ikm, salt, info, length));
const dh = (secret: Uint8Array, remote: Uint8Array): Buffer =>
  diffieHellman({
    privateKey: secretKey("x25519", secret),
    publicKey: publicKey("x25519", remote),
  });
const signed = (seed: Uint8Array, bytes: Uint8Array): Buffer =>
  sign(null, bytes, secretKey("ed25519", seed));
function requireSignature(key: Uint8Array, bytes: Uint8Array, signature: Uint8Array): void {
  must(verify(null, bytes, publicKey("ed25519", key), signature), "signature");
}
function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`refused: ${what}`);
}

function seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return join(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}
/** Throws when the tag does not fit. */
function open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  const cipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
  cipher.setAuthTag(sealed.subarray(-16));
  return join(cipher.update(sealed.subarray(0, -16)), cipher.final());
}

/** crypto/SPEC.md §2.2. */
export interface Device {
  readonly signingSecret: Uint8Array;
  readonly dhSecret: Uint8Array;
  readonly cert: Buffer;
}

export function createDevice(random: Random): Device {
  const [rootSecret, signingSecret, dhSecret] = [random(32), random(32), random(32)];
  const body = join(
    Buffer.of(1, 2),
    publicOf("ed25519", rootSecret),
    random(8),
    Buffer.of(2),
    publicOf("ed25519", signingSecret),
    Buffer.of(1),
    publicOf("x25519", dhSecret),
    Buffer.alloc(6, 1),
  );
  const signature = signed(rootSecret, labelled("sotto/1 device cert", body));
  return { signingSecret, dhSecret, cert: join(body, signature) };
}

function requireCert(cert: Uint8Array): void {
  const body = cert.subarray(0, 114);
  requireSignature(cert.subarray(2, 34), labelled("sotto/1 device cert", body), cert.subarray(114));
}

/** crypto/SPEC.md §3: what the responder keeps of a bundle. */
export interface Prekeys {
  readonly bundle: Buffer;
  readonly signedPrekeySecret: Uint8Array;
  /** Undefined with a last resort. */
  readonly oneTimeSecret: Uint8Array | undefined;
  readonly kemSeed: Uint8Array;
}

const NO_PREKEY = Buffer.alloc(4, 0xff);

export function createPrekeys(own: Device, lastResort: boolean, random: Random): Prekeys {
  const [signedPrekeySecret, kemSeed] = [random(32), random(64)];
  const oneTimeSecret = lastResort ? undefined : random(32);
  const [signedId, kemId] = [random(4), random(4)];
  const signedKey = publicOf("x25519", signedPrekeySecret);
  const kemKey = publicOf("mlKem", kemSeed);
  const oneTimeKey = oneTimeSecret === undefined ? undefined : publicOf("x25519", oneTimeSecret);
  const covered =
    oneTimeKey === undefined
      ? labelled("sotto/1 last resort", signedId, signedKey, kemId, kemKey)
      : labelled(
          "sotto/1 prekey batch",
          signedId,
          signedKey,
          sha256(labelled("sotto/1 prekey leaf", kemId, oneTimeKey, kemKey)),
        );
  const bundle = join(
    Buffer.of(1, 1),
    own.cert,
    signedId,
    Buffer.of(1),
    signedKey,
    kemId,
    Buffer.of(3),
    kemKey,
    oneTimeKey === undefined ? Buffer.of(0) : join(Buffer.of(1, 1), oneTimeKey),
    // Leaf 0 of a batch of one: no siblings.
    Buffer.of(0, 0),
    signed(own.signingSecret, covered),
  );
  return { bundle, signedPrekeySecret, oneTimeSecret, kemSeed };
}

interface Chain {
  readonly headerKey: Buffer;
  readonly chainKey: Buffer;
  readonly next: number;
}

interface KeptKey {
  readonly headerKey: Buffer;
  /** The receiving chain it belongs to, counted from 1. */
  readonly turn: number;
  readonly n: number;
  readonly messageKey: Buffer;
}

/** crypto/SPEC.md §5. A value: every step makes a new one. */
export interface ReferenceSession {
  readonly transcript: Buffer;
  /** In front of every message until the first answer. */
  readonly hello: Buffer | undefined;
  readonly rootKey: Buffer;
  readonly ownSecret: Uint8Array;
  readonly previousCount: number;
  readonly remoteKey: Uint8Array | undefined;
  readonly turnDue: boolean;
  readonly sending: Chain | undefined;
  readonly nextSendingHeaderKey: Buffer;
  readonly receiving: Chain | undefined;
  readonly nextReceivingHeaderKey: Buffer;
  /** Receiving chains so far. */
  readonly turn: number;
  readonly kept: readonly KeptKey[];
  readonly epoch: number;
  readonly exchange: Exchange;
}

/** crypto/SPEC.md §5.6, from one side. */
interface Exchange {
  readonly offers: boolean;
  readonly seed: Uint8Array | undefined;
  /** What is being sent: the key or the ciphertext. */
  readonly block: Buffer | undefined;
  readonly nextIndex: number;
  readonly collected: ReadonlyMap<number, Buffer>;
  readonly secret: Buffer | undefined;
}

const newExchange = (offers: boolean): Exchange => ({
  offers,
  seed: undefined,
  block: undefined,
  nextIndex: 0,
  collected: new Map(),
  secret: undefined,
});

/**
 * §4.2. `first`: the exchanges under the identity; `reveal` is given the key that seals the initiator's certificate
 * and says it with the exchanges that follow.
 */
function agree(
  first: readonly [Buffer, Buffer],
  kemSecret: Uint8Array,
  bundle: Uint8Array,
  opening: Uint8Array,
  reveal: (identityKey: Buffer) => { readonly cert: Uint8Array; readonly dhs: readonly Buffer[] },
) {
  const bundleHash = sha256(labelled("sotto/1 bundle", bundle));
  const k = hkdf(
    Buffer.alloc(32),
    join(Buffer.alloc(32, 0xff), ...first, kemSecret),
    join(ascii("sotto/1 hs id"), bundleHash),
    64,
  );
  const { cert, dhs } = reveal(k.subarray(32));
  const responderCert = bundle.subarray(2, 180);
  const transcript = sha256(
    labelled("sotto/1 transcript", cert, responderCert, bundleHash, opening),
  );
  const info = join(ascii("sotto/1 hs root"), transcript);
  const s = hkdf(k.subarray(0, 32), join(...dhs), info, 192);
  return {
    identityKey: k.subarray(32),
    transcript,
    rootKey: s.subarray(0, 32),
    initiatorHeaderKey: s.subarray(32, 64),
    responderHeaderKey: s.subarray(64, 96),
  };
}

/** crypto/SPEC.md §4, the initiator: a session that can send. Throws when the bundle does not verify. */
export function referenceInitiate(
  own: Device,
  bundle: Uint8Array,
  random: Random,
): ReferenceSession {
  const cert = bundle.subarray(2, 180);
  const signingKey = cert.subarray(43, 75);
  const [signedId, signedKey] = [bundle.subarray(180, 184), bundle.subarray(185, 217)];
  const [kemId, kemKey] = [bundle.subarray(217, 221), bundle.subarray(222, 1_406)];
  const oneTimeKey = bundle[1_406] === 1 ? bundle.subarray(1_408, 1_440) : undefined;
  requireCert(cert);
  requireSignature(signingKey, coveredOf(bundle, kemId, oneTimeKey, kemKey), bundle.subarray(-64));
  const ephemeral = random(32);
  const { ciphertext, sharedKey } = encapsulate(publicKey("mlKem", kemKey));
  const opening = join(
    Buffer.of(1, 1, 1),
    signedId,
    oneTimeKey === undefined ? NO_PREKEY : kemId,
    kemId,
    publicOf("x25519", ephemeral),
    ciphertext,
  );
  const agreed = agree(
    [dh(ephemeral, cert.subarray(76, 108)), dh(ephemeral, signedKey)],
    sharedKey,
    bundle,
    opening,
    () => ({
      cert: own.cert,
      dhs: [
        dh(own.dhSecret, signedKey),
        ...(oneTimeKey === undefined ? [] : [dh(ephemeral, oneTimeKey)]),
      ],
    }),
  );
  const ownSecret = random(32);
  const step = rootStep(agreed.rootKey, dh(ownSecret, signedKey), undefined);
  return {
    transcript: agreed.transcript,
    hello: join(opening, seal(agreed.identityKey, Buffer.alloc(12), opening, own.cert)),
    rootKey: step.rootKey,
    ownSecret,
    previousCount: 0,
    remoteKey: signedKey,
    turnDue: false,
    sending: { headerKey: agreed.initiatorHeaderKey, chainKey: step.chainKey, next: 0 },
    nextSendingHeaderKey: step.nextHeaderKey,
    receiving: undefined,
    nextReceivingHeaderKey: agreed.responderHeaderKey,
    turn: 0,
    kept: [],
    epoch: 0,
    exchange: newExchange(true),
  };
}

/** crypto/SPEC.md §3.2 and §3.3: what the signature at a bundle's end covers. */
function coveredOf(
  bundle: Uint8Array,
  kemId: Uint8Array,
  oneTimeKey: Uint8Array | undefined,
  kemKey: Uint8Array,
): Buffer {
  const signedPrekey = join(bundle.subarray(180, 184), bundle.subarray(185, 217));
  if (oneTimeKey === undefined) {
    return labelled("sotto/1 last resort", signedPrekey, kemId, kemKey);
  }
  let node = sha256(labelled("sotto/1 prekey leaf", kemId, oneTimeKey, kemKey));
  const [index = 0, count = 0] = bundle.subarray(1_440, 1_442);
  for (let height = 0; height < count; height++) {
    const sibling = bundle.subarray(1_442 + 32 * height, 1_474 + 32 * height);
    const pair = ((index >> height) & 1) === 1 ? [sibling, node] : [node, sibling];
    node = sha256(labelled("sotto/1 prekey node", ...pair));
  }
  return labelled("sotto/1 prekey batch", signedPrekey, node);
}

/** crypto/SPEC.md §10.6. */
export interface Mark {
  readonly version: number;
  /** 8 bytes. */
  readonly prefix: Uint8Array;
}

interface Opened {
  readonly session: ReferenceSession;
  readonly mark: Mark;
  readonly content: Buffer;
}

/** crypto/SPEC.md §4.3: the session of the first message that arrived, its mark and its content. */
export function referenceAccept(own: Device, prekeys: Prekeys, envelope: Uint8Array): Opened {
  const { bundle, oneTimeSecret, signedPrekeySecret, kemSeed } = prekeys;
  const opening = envelope.subarray(0, 1_135);
  const kemId = bundle.subarray(217, 221);
  must(bundle.subarray(180, 184).equals(opening.subarray(3, 7)), "signed prekey id");
  must(kemId.equals(opening.subarray(11, 15)), "KEM prekey id");
  const oneTimeId = oneTimeSecret === undefined ? NO_PREKEY : kemId;
  must(oneTimeId.equals(opening.subarray(7, 11)), "one-time id");
  const ephemeral = opening.subarray(15, 47);
  const agreed = agree(
    [dh(own.dhSecret, ephemeral), dh(signedPrekeySecret, ephemeral)],
    decapsulate(secretKey("mlKem", kemSeed), opening.subarray(47)),
    bundle,
    opening,
    (identityKey) => {
      const cert = open(identityKey, Buffer.alloc(12), opening, envelope.subarray(1_135, 1_329));
      requireCert(cert);
      return {
        cert,
        dhs: [
          dh(signedPrekeySecret, cert.subarray(76, 108)),
          ...(oneTimeSecret === undefined ? [] : [dh(oneTimeSecret, ephemeral)]),
        ],
      };
    },
  );
  return referenceOpen(
    {
      transcript: agreed.transcript,
      hello: undefined,
      rootKey: agreed.rootKey,
      ownSecret: signedPrekeySecret,
      previousCount: 0,
      remoteKey: undefined,
      turnDue: false,
      sending: undefined,
      nextSendingHeaderKey: agreed.responderHeaderKey,
      receiving: undefined,
      nextReceivingHeaderKey: agreed.initiatorHeaderKey,
      turn: 0,
      kept: [],
      epoch: 0,
      exchange: newExchange(false),
    },
    envelope,
  );
}

function rootStep(rootKey: Uint8Array, shared: Buffer, kemSecret: Buffer | undefined) {
  const keys = hkdf(rootKey, join(shared, kemSecret ?? Buffer.alloc(0)), ascii("sotto/1 root"), 96);
  return {
    rootKey: keys.subarray(0, 32),
    chainKey: keys.subarray(32, 64),
    nextHeaderKey: keys.subarray(64),
  };
}

const tagOf = (headerKey: Uint8Array, n: number): Buffer =>
  hmac(headerKey, join(ascii("sotto/1 tag"), u32(n))).subarray(0, 8);

const BUCKETS = [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 49_152, 65_536];

/** crypto/SPEC.md §5.2 and §5.3. Throws while nothing can be sent. */
export function referenceSeal(
  before: ReferenceSession,
  mark: Mark,
  content: Uint8Array,
  random: Random,
): { readonly session: ReferenceSession; readonly envelope: Buffer } {
  const session = before.turnDue ? takeTurn(before, random) : before;
  const { sending } = session;
  must(sending !== undefined, "nothing to send on");
  const exchange = offered(session.exchange, random);
  const hasSymbols = exchange.block !== undefined && !(exchange.offers && exchange.secret);
  const helloBytes = session.hello?.length ?? 0;
  const least = helloBytes + 80 + 16 + 12 + content.length + (hasSymbols ? 37 : 0);
  const bucket = BUCKETS.find((size) => size >= least);
  must(bucket !== undefined, "content too long");
  const room = bucket - helloBytes - 80 - 16 - 12 - content.length;
  const count = hasSymbols
    ? Math.min(Math.floor((room - 5) / 32), 38, 255 - exchange.nextIndex)
    : 0;
  const frame =
    exchange.block === undefined || count < 1
      ? Buffer.alloc(0)
      : join(
          Buffer.of(exchange.offers ? 1 : 2),
          u16((session.epoch + 1) & 0xffff),
          Buffer.of(exchange.nextIndex, count),
          ...symbolsOf(exchange.block, exchange.nextIndex, count),
        );
  const zeros = Buffer.alloc(room - frame.length);
  const body = join(u16(mark.version), mark.prefix, u16(content.length), content, frame, zeros);
  const nonce = random(12);
  const prefix = join(Buffer.of(2), tagOf(sending.headerKey, sending.next), nonce);
  const header = join(
    publicOf("x25519", session.ownSecret),
    u32(session.previousCount),
    u32(sending.next),
    u16(session.epoch),
    Buffer.of(0),
  );
  const sealedHeader = seal(sending.headerKey, nonce, join(session.transcript, prefix), header);
  const messageKey = hmac(sending.chainKey, Buffer.of(1));
  const sealedBody = seal(messageKey, nonce, join(session.transcript, prefix, sealedHeader), body);
  return {
    session: {
      ...session,
      sending: {
        ...sending,
        chainKey: hmac(sending.chainKey, Buffer.of(2)),
        next: sending.next + 1,
      },
      exchange: { ...exchange, nextIndex: (exchange.nextIndex + Math.max(count, 0)) % 255 },
    },
    envelope: join(session.hello ?? Buffer.alloc(0), prefix, sealedHeader, sealedBody),
  };
}

/** crypto/SPEC.md §5.1, one's own turn; §5.6 step 4 when the secret is there. */
function takeTurn(session: ReferenceSession, random: Random): ReferenceSession {
  must(session.remoteKey !== undefined, "no remote key");
  const { exchange } = session;
  const secret = exchange.offers ? exchange.secret : undefined;
  const ownSecret = random(32);
  const step = rootStep(session.rootKey, dh(ownSecret, session.remoteKey), secret);
  return {
    ...session,
    rootKey: step.rootKey,
    ownSecret,
    previousCount: session.sending?.next ?? 0,
    sending: { headerKey: session.nextSendingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextSendingHeaderKey: step.nextHeaderKey,
    turnDue: false,
    ...(secret === undefined
      ? {}
      : { epoch: (session.epoch + 1) & 0xffff, exchange: newExchange(false) }),
  };
}

/** crypto/SPEC.md §5.6 step 1. */
function offered(exchange: Exchange, random: Random): Exchange {
  if (!exchange.offers || exchange.seed !== undefined) return exchange;
  const seed = random(64);
  return { ...exchange, seed, block: publicOf("mlKem", seed) };
}

/** crypto/SPEC.md §5.4. Throws, and the given session is as it was, when the message does not open. */
export function referenceOpen(before: ReferenceSession, envelope: Uint8Array): Opened {
  must(BUCKETS.includes(envelope.length), "size");
  const message = envelope[0] === 1 ? envelope.subarray(1_329) : envelope;
  must(message[0] === 2, "type");
  const [prefix, nonce] = [message.subarray(0, 21), message.subarray(9, 21)];
  const sealedHeader = message.subarray(21, 80);
  const aad = join(before.transcript, prefix);
  const keys = [
    ...(before.receiving === undefined ? [] : [before.receiving.headerKey]),
    ...(before.turnDue ? [] : [before.nextReceivingHeaderKey]),
    ...before.kept.map((one) => one.headerKey).toReversed(),
  ];
  const found = keys
    .map((key) => ({ key, header: attempt(() => open(key, nonce, aad, sealedHeader)) }))
    .find((one) => one.header !== undefined);
  must(found?.header !== undefined, "unknown session");
  const { key, header } = found;
  const n = header.readUInt32BE(36);
  must(tagOf(key, n).equals(message.subarray(1, 9)), "tag");
  const isNext = key === before.nextReceivingHeaderKey;
  const session = isNext ? turned(before, header) : before;
  const { receiving } = session;
  must(receiving !== undefined, "no chain");
  const known = session.kept.find((one) => one.headerKey.equals(key) && one.n === n);
  let advanced: ReferenceSession;
  let messageKey: Buffer;
  if (known === undefined) {
    must(key.equals(receiving.headerKey) && n >= receiving.next, "duplicate");
    const skipped = keptUntil(session, n + 1);
    const last = skipped.kept.at(-1);
    must(last !== undefined, "no key");
    ({ messageKey } = last);
    advanced = { ...skipped, kept: skipped.kept.slice(0, -1) };
  } else {
    ({ messageKey } = known);
    advanced = { ...session, kept: session.kept.filter((one) => one !== known) };
  }
  const body = open(
    messageKey,
    nonce,
    join(session.transcript, prefix, sealedHeader),
    message.subarray(80),
  );
  const mark = { version: body.readUInt16BE(0), prefix: body.subarray(2, 10) };
  must(mark.version <= 255, "version of a list");
  must(mark.version > 0 || mark.prefix.every((byte) => byte === 0), "mark of no list");
  const end = 12 + body.readUInt16BE(10);
  const { frame, rest } = frameIn(body.subarray(end));
  must(
    rest.every((byte) => byte === 0),
    "padding",
  );
  return {
    session: {
      ...advanced,
      hello: undefined,
      kept: advanced.kept.filter((one) => advanced.turn - one.turn <= 5),
      exchange:
        frame === undefined ? advanced.exchange : taken(advanced.exchange, advanced.epoch, frame),
    },
    mark,
    content: body.subarray(12, end),
  };
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** The other side's turn: the tail of its old chain is kept, the root steps on. */
function turned(before: ReferenceSession, header: Buffer): ReferenceSession {
  const [remoteKey, previousCount] = [header.subarray(0, 32), header.readUInt32BE(32)];
  const epoch = header.readUInt16BE(40);
  const mixes = epoch !== before.epoch;
  const { offers, secret } = before.exchange;
  must(!mixes || epoch === ((before.epoch + 1) & 0xffff), "epoch");
  must(!mixes || (!offers && secret !== undefined), "epoch before its secret");
  must(previousCount >= (before.receiving?.next ?? 0), "previous count");
  const closed = before.receiving === undefined ? before : keptUntil(before, previousCount);
  const step = rootStep(
    before.rootKey,
    dh(before.ownSecret, remoteKey),
    mixes ? secret : undefined,
  );
  return {
    ...closed,
    rootKey: step.rootKey,
    remoteKey,
    turnDue: true,
    receiving: { headerKey: before.nextReceivingHeaderKey, chainKey: step.chainKey, next: 0 },
    nextReceivingHeaderKey: step.nextHeaderKey,
    turn: before.turn + 1,
    ...(mixes ? { epoch, exchange: newExchange(true) } : {}),
  };
}

/** Keeps the keys of the receiving chain up to, not including, number `until`. */
function keptUntil(session: ReferenceSession, until: number): ReferenceSession {
  const { receiving } = session;
  must(receiving !== undefined, "no chain");
  must(until - receiving.next <= 2_001, "too far ahead");
  const kept = [...session.kept];
  let { chainKey } = receiving;
  for (let n = receiving.next; n < until; n++) {
    kept.push({
      headerKey: receiving.headerKey,
      turn: session.turn,
      n,
      messageKey: hmac(chainKey, Buffer.of(1)),
    });
    chainKey = hmac(chainKey, Buffer.of(2));
  }
  return { ...session, kept, receiving: { ...receiving, chainKey, next: until } };
}

interface Frame {
  readonly kind: number;
  readonly epoch: number;
  readonly symbols: ReadonlyMap<number, Buffer>;
}

function frameIn(bytes: Buffer): { readonly frame: Frame | undefined; readonly rest: Buffer } {
  const [kind = 0] = bytes;
  if (kind === 0) return { frame: undefined, rest: bytes };
  const [first = 0, count = 0] = bytes.subarray(3, 5);
  must(kind <= 2 && count >= 1 && count <= 38 && first + count <= 255, "frame");
  const symbols = Array.from(
    { length: count },
    (_, at) => [first + at, bytes.subarray(5 + 32 * at, 37 + 32 * at)] as const,
  );
  const frame = { kind, epoch: bytes.readUInt16BE(1), symbols: new Map(symbols) };
  return { frame, rest: bytes.subarray(5 + 32 * count) };
}

const KEY_SYMBOLS = 37;
const CIPHERTEXT_SYMBOLS = 34;

/** crypto/SPEC.md §5.6, steps 2 and 3. */
function taken(exchange: Exchange, epoch: number, { kind, ...frame }: Frame): Exchange {
  const wanted = exchange.offers ? 2 : 1;
  const over = exchange.secret !== undefined || (exchange.offers && exchange.seed === undefined);
  if (over || kind !== wanted || frame.epoch !== ((epoch + 1) & 0xffff)) return exchange;
  const collected = new Map([...exchange.collected, ...frame.symbols]);
  const needed = exchange.offers ? CIPHERTEXT_SYMBOLS : KEY_SYMBOLS;
  if (collected.size < needed) return { ...exchange, collected };
  const block = joined(collected, needed);
  if (exchange.seed !== undefined) {
    return { ...exchange, secret: decapsulate(secretKey("mlKem", exchange.seed), block) };
  }
  const { ciphertext, sharedKey } = encapsulate(publicKey("mlKem", block));
  return { ...exchange, block: ciphertext, nextIndex: 0, secret: sharedKey };
}

/** Carry-less product modulo x^8 + x^4 + x^3 + x^2 + 1. */
function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit--) {
    sum = (sum << 1) ^ ((sum & 0x80) === 0 ? 0 : 0x11d);
    if (((b >> bit) & 1) === 1) sum ^= a;
  }
  return sum;
}

/** All of them, by both factors. */
const PRODUCTS = Array.from({ length: 256 }, (_, a) =>
  Uint8Array.from({ length: 256 }, (__, b) => product(a, b)),
);
const times = (a: number, b: number): number => PRODUCTS[a]?.[b] ?? 0;
const inverse = (x: number): number => PRODUCTS[x]?.indexOf(1) ?? 0;

/** Lagrange: the value at `x` of the polynomial through `points`, byte by byte. */
function valueAt(x: number, points: ReadonlyMap<number, Buffer>): Buffer {
  const own = points.get(x);
  if (own !== undefined) return own;
  const sum = Buffer.alloc(32);
  for (const [at, value] of points) {
    let [above, below] = [1, 1];
    for (const other of points.keys()) {
      if (other === at) continue;
      above = times(above, x ^ other);
      below = times(below, at ^ other);
    }
    const factor = times(above, inverse(below));
    for (let byte = 0; byte < 32; byte++)
      sum[byte] = (sum[byte] ?? 0) ^ times(factor, value[byte] ?? 0);
  }
  return sum;
}

function symbolsOf(block: Buffer, first: number, count: number): readonly Buffer[] {
  const points = new Map(
    Array.from(
      { length: block.length / 32 },
      (_, at) => [at, block.subarray(32 * at, 32 * at + 32)] as const,
    ),
  );
  return Array.from({ length: count }, (_, at) => valueAt(first + at, points));
}

/** The block behind any `k` of its symbols. */
function joined(symbols: ReadonlyMap<number, Buffer>, k: number): Buffer {
  const points = new Map([...symbols].slice(0, k));
  return join(...Array.from({ length: k }, (_, at) => valueAt(at, points)));
}
