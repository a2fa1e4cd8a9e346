/**
 * A second reading of SPEC.md: a straight line on OpenSSL through node:crypto, without one function of ../src and
 * without its primitives. It opens the frozen vectors from their secrets; when both agree, the spec says what the
 * code does.
 * Owns: the whole derivation again. Leaves out: state, limits, skipping.
 */
import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  verify,
} from "node:crypto";

const secret = (prefix: string, bytes: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from(prefix, "hex"), bytes]),
    format: "der",
    type: "pkcs8",
  });
const open = (prefix: string, bytes: Uint8Array): KeyObject =>
  createPublicKey({
    key: Buffer.concat([Buffer.from(prefix, "hex"), bytes]),
    format: "der",
    type: "spki",
  });

/** Raw keys as OpenSSL key objects (RFC 8410; ML-KEM: the seed form). */
export const der = {
  x25519Secret: (bytes: Uint8Array) => secret("302e020100300506032b656e04220420", bytes),
  x25519Public: (bytes: Uint8Array) => open("302a300506032b656e032100", bytes),
  ed25519Secret: (bytes: Uint8Array) => secret("302e020100300506032b657004220420", bytes),
  ed25519Public: (bytes: Uint8Array) => open("302a300506032b6570032100", bytes),
  mlKemSecret: (seed: Uint8Array) => secret("3054020100300b060960864801650304040204428040", seed),
};

const sha256 = (...parts: Uint8Array[]): Buffer =>
  createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const hkdf = (salt: Uint8Array, ikm: Uint8Array, info: Uint8Array, length: number): Buffer =>
  Buffer.from(hkdfSync("sha256", ikm, salt, info, length));
const dh = (mine: Uint8Array, theirs: Uint8Array): Buffer =>
  diffieHellman({ privateKey: der.x25519Secret(mine), publicKey: der.x25519Public(theirs) });
const ascii = (value: string): Buffer => Buffer.from(value, "ascii");
const zero = Buffer.from([0]);

/** Throws when the tag does not fit. */
function unseal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  const cipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
  cipher.setAuthTag(sealed.slice(-16));
  return Buffer.concat([cipher.update(sealed.slice(0, -16)), cipher.final()]);
}

export interface ReferenceKeys {
  readonly transcript: Buffer;
  readonly rootKey: Buffer;
  readonly headerKey: Buffer;
  readonly nextHeaderKey: Buffer;
  readonly sessionId: Buffer;
  readonly initiatorSignalKey: Buffer;
  readonly responderSignalKey: Buffer;
  /** The initiator's certificate, 178 bytes. */
  readonly initiatorCert: Buffer;
  /** §4.2, what the keys above come from; `k` 64 bytes, `s` 192 bytes. */
  readonly steps: {
    readonly dhIdentity: Buffer;
    readonly dhPrekey: Buffer;
    readonly kemSecret: Buffer;
    readonly k: Buffer;
    readonly dhStatic: Buffer;
    readonly dhOneTime: Buffer | undefined;
    readonly s: Buffer;
  };
}

/** SPEC.md §4 from the responder's side. Throws when a signature or a tag does not fit. */
export function referenceAccept(input: {
  readonly hello: Uint8Array;
  readonly bundle: Uint8Array;
  readonly dhSecret: Uint8Array;
  readonly signedPrekeySecret: Uint8Array;
  readonly oneTimeSecret: Uint8Array | undefined;
  readonly kemSeed: Uint8Array;
}): ReferenceKeys {
  const { hello, bundle } = input;
  const opening = hello.slice(0, 1_135);
  const ephemeral = hello.slice(15, 47);
  const ciphertext = hello.slice(47, 1_135);
  const responderCert = bundle.slice(2, 180);
  const bundleHash = sha256(ascii("sotto/1 bundle"), zero, bundle);
  const kemSecret = decapsulate(der.mlKemSecret(input.kemSeed), ciphertext);
  const dhIdentity = dh(input.dhSecret, ephemeral);
  const dhPrekey = dh(input.signedPrekeySecret, ephemeral);
  const identity = hkdf(
    Buffer.alloc(32),
    Buffer.concat([Buffer.alloc(32, 0xff), dhIdentity, dhPrekey, kemSecret]),
    Buffer.concat([ascii("sotto/1 hs id"), bundleHash]),
    64,
  );
  const initiatorCert = unseal(
    identity.subarray(32),
    Buffer.alloc(12),
    opening,
    hello.slice(1_135, 1_329),
  );
  const certSigned = Buffer.concat([
    ascii("sotto/1 device cert"),
    zero,
    initiatorCert.subarray(0, 114),
  ]);
  const rootKey = der.ed25519Public(initiatorCert.subarray(2, 34));
  if (!verify(null, certSigned, rootKey, initiatorCert.subarray(114))) {
    throw new Error("the initiator's certificate is not signed by its root key");
  }
  const transcript = sha256(
    ascii("sotto/1 transcript"),
    zero,
    initiatorCert,
    responderCert,
    bundleHash,
    opening,
  );
  const dhStatic = dh(input.signedPrekeySecret, initiatorCert.subarray(76, 108));
  const dhOneTime =
    input.oneTimeSecret === undefined ? undefined : dh(input.oneTimeSecret, ephemeral);
  const keys = hkdf(
    identity.subarray(0, 32),
    Buffer.concat([dhStatic, dhOneTime ?? Buffer.alloc(0)]),
    Buffer.concat([ascii("sotto/1 hs root"), transcript]),
    192,
  );
  return {
    transcript,
    initiatorCert,
    rootKey: keys.subarray(0, 32),
    headerKey: keys.subarray(32, 64),
    nextHeaderKey: keys.subarray(64, 96),
    sessionId: keys.subarray(96, 112),
    initiatorSignalKey: keys.subarray(128, 160),
    responderSignalKey: keys.subarray(160, 192),
    steps: { dhIdentity, dhPrekey, kemSecret, k: identity, dhStatic, dhOneTime, s: keys },
  };
}

export interface ReferenceTurn {
  readonly headerKey: Buffer;
  readonly chainKey: Buffer;
  /** What the root step took and what else it gave. */
  readonly rootKeyBefore: Buffer;
  readonly shared: Buffer;
  readonly rootKey: Buffer;
  readonly nextHeaderKey: Buffer;
}

/**
 * SPEC.md §5.1: the chains in the order of turns, the initiator's first. `secrets` are the ratchet secrets in that
 * order; before the first stands the signed prekey. `kemSecrets`: by the turn whose root step mixes them (§5.6).
 */
export function referenceTurns(
  keys: ReferenceKeys,
  signedPrekeySecret: Uint8Array,
  secrets: readonly Uint8Array[],
  kemSecrets: ReadonlyMap<number, Uint8Array> = new Map(),
): readonly ReferenceTurn[] {
  let { rootKey } = keys;
  const headerKeys = [keys.headerKey, keys.nextHeaderKey];
  const publicKeys = [signedPrekeySecret, ...secrets].map((one) =>
    createPublicKey(der.x25519Secret(one)).export({ type: "spki", format: "der" }).subarray(-32),
  );
  return secrets.map((mine, turn) => {
    const shared = dh(mine, publicKeys[turn]!);
    const ikm = Buffer.concat([shared, kemSecrets.get(turn) ?? Buffer.alloc(0)]);
    const rootKeyBefore = rootKey;
    const step = hkdf(rootKeyBefore, ikm, ascii("sotto/1 root"), 96);
    rootKey = step.subarray(0, 32);
    const nextHeaderKey = step.subarray(64);
    headerKeys.push(nextHeaderKey);
    const chainKey = step.subarray(32, 64);
    return {
      headerKey: headerKeys[turn]!,
      chainKey,
      rootKeyBefore,
      shared,
      rootKey,
      nextHeaderKey,
    };
  });
}

/** SPEC.md §5.1: the message keys of a chain, and its chain keys up to the one behind them. */
export function referenceChain(chainKey: Uint8Array, messages: number) {
  const chainKeys: Buffer[] = [Buffer.from(chainKey)];
  for (let n = 0; n < messages; n++) chainKeys.push(hmac(chainKeys[n]!, Buffer.of(2)));
  const messageKeys = chainKeys.slice(0, messages).map((key) => hmac(key, Buffer.of(1)));
  return { chainKeys, messageKeys };
}

export interface ReferenceBody {
  readonly mark: { readonly version: number; readonly prefix: Buffer };
  readonly content: Buffer;
  readonly frame:
    | {
        readonly kind: number;
        readonly epoch: number;
        readonly first: number;
        readonly symbols: readonly Buffer[];
      }
    | undefined;
}

/** SPEC.md §5.2 and §5.3: the body of the `n`-th message of a chain, with every field checked. */
export function referenceOpen(
  keys: ReferenceKeys,
  turn: ReferenceTurn,
  expected: { readonly n: number; readonly previousCount: number; readonly epoch: number },
  message: Uint8Array,
): ReferenceBody {
  const prefix = message.slice(0, 21);
  const nonce = message.slice(9, 21);
  const sealedHeader = message.slice(21, 80);
  const number = Buffer.alloc(4);
  number.writeUInt32BE(expected.n);
  const tag = hmac(turn.headerKey, ascii("sotto/1 tag"), number).subarray(0, 8);
  if (message[0] !== 2 || !tag.equals(message.slice(1, 9))) throw new Error("type or tag");
  const header = unseal(
    turn.headerKey,
    nonce,
    Buffer.concat([keys.transcript, prefix]),
    sealedHeader,
  );
  if (
    header.readUInt32BE(32) !== expected.previousCount ||
    header.readUInt32BE(36) !== expected.n ||
    header.readUInt16BE(40) !== expected.epoch ||
    header[42] !== 0
  ) {
    throw new Error("header");
  }
  let { chainKey } = turn;
  for (let n = 0; n < expected.n; n++) chainKey = hmac(chainKey, Buffer.from([2]));
  const body = unseal(
    hmac(chainKey, Buffer.from([1])),
    nonce,
    Buffer.concat([keys.transcript, prefix, sealedHeader]),
    message.slice(80),
  );
  const end = 12 + body.readUInt16BE(10);
  const content = body.subarray(12, end);
  const kind = body[end] ?? 0;
  const count = kind === 0 ? 0 : body[end + 4]!;
  const frameEnd = kind === 0 ? end : end + 5 + 32 * count;
  const mark = { version: body.readUInt16BE(0), prefix: body.subarray(2, 10) };
  const isList = mark.version > 0 && mark.version <= 255;
  const isNone = mark.version === 0 && mark.prefix.every((byte) => byte === 0);
  if (!(isList || isNone) || body.subarray(frameEnd).some((byte) => byte !== 0)) {
    throw new Error("body");
  }
  const symbols = Array.from({ length: count }, (_, at) =>
    body.subarray(end + 5 + 32 * at, end + 37 + 32 * at),
  );
  const frame =
    kind === 0
      ? undefined
      : { kind, epoch: body.readUInt16BE(end + 1), first: body[end + 3]!, symbols };
  return { mark, content, frame };
}

/** Carry-less product modulo x^8 + x^4 + x^3 + x^2 + 1, bit by bit. */
function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit--) {
    sum = (sum << 1) ^ (sum & 0x80 ? 0x11d : 0);
    if ((b >> bit) & 1) sum ^= a;
  }
  return sum;
}

/** SPEC.md §5.6: the block behind `k` symbols: those of the indices 0, 1, … k - 1. */
export const referenceJoin = (symbols: ReadonlyMap<number, Uint8Array>, k: number): Buffer =>
  referenceSymbols(symbols, k, 0, k);

/**
 * SPEC.md §5.6: `count` symbols from index `first` on, of the block behind `k` symbols, by elimination. Column c of the
 * system is the power c of the index: the polynomial's coefficients come out, and its values are the symbols.
 */
export function referenceSymbols(
  symbols: ReadonlyMap<number, Uint8Array>,
  k: number,
  first: number,
  count: number,
): Buffer {
  const power = (x: number, exponent: number): number =>
    exponent === 0 ? 1 : product(x, power(x, exponent - 1));
  const inverse = (x: number): number => power(x, 254);
  const rows = [...symbols].slice(0, k).map(([x, value]) => ({
    left: Array.from({ length: k }, (_, c) => power(x, c)),
    right: [...value],
  }));
  for (let column = 0; column < k; column++) {
    const pivot = rows.findIndex((row, at) => at >= column && row.left[column] !== 0);
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const scale = inverse(rows[column]!.left[column]!);
    const { left, right } = rows[column]!;
    rows[column] = {
      left: left.map((one) => product(one, scale)),
      right: right.map((one) => product(one, scale)),
    };
    rows.forEach((row, at) => {
      const factor = row.left[column]!;
      if (at === column || factor === 0) return;
      const own = rows[column]!;
      rows[at] = {
        left: row.left.map((one, c) => one ^ product(factor, own.left[c]!)),
        right: row.right.map((one, c) => one ^ product(factor, own.right[c]!)),
      };
    });
  }
  return Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      Buffer.from(
        Array.from({ length: 32 }, (__, at) =>
          rows.reduce((sum, row, c) => sum ^ product(row.right[at]!, power(first + index, c)), 0),
        ),
      ),
    ),
  );
}

/** SPEC.md §5.6: the secret of an exchange, from the offerer's seed. Throws when the key is not that seed's. */
export function referenceKemSecret(
  seed: Uint8Array,
  key: Uint8Array,
  ciphertext: Uint8Array,
): Buffer {
  const secretKey = der.mlKemSecret(seed);
  const made = createPublicKey(secretKey).export({ type: "spki", format: "der" }).subarray(-1_184);
  if (!made.equals(key)) throw new Error("key");
  return decapsulate(secretKey, ciphertext);
}

/** SPEC.md §6: the encoded signal. */
export function referenceOpenSignal(
  keys: ReferenceKeys,
  key: Buffer,
  envelope: Uint8Array,
): Buffer {
  const body = unseal(
    key,
    envelope.slice(1, 13),
    Buffer.concat([keys.transcript, envelope.slice(0, 13)]),
    envelope.slice(13),
  );
  return body.subarray(2, 2 + body.readUInt16BE(0));
}

/** SPEC.md §15: the encoded bundle and address of a way. Certificates are encoded (wire/SPEC.md §4.1). */
export function referenceOpenWay(
  dhSecret: Uint8Array,
  maker: Uint8Array,
  receiver: Uint8Array,
  way: Uint8Array,
): readonly [Buffer, Buffer] {
  const keysOf = (cert: Uint8Array): Buffer =>
    sha256(cert.slice(2, 34), cert.slice(34, 42), cert.slice(43, 75), cert.slice(76, 108));
  const key = hkdf(
    Buffer.alloc(32),
    dh(dhSecret, maker.slice(76, 108)),
    Buffer.concat([ascii("sotto/1 way"), keysOf(maker), keysOf(receiver)]),
    32,
  );
  const body = unseal(key, way.slice(0, 12), way.slice(0, 12), way.slice(12));
  const end = 2 + body.readUInt16BE(0);
  if (end + 2 + body.readUInt16BE(end) !== body.length) throw new Error("body");
  return [body.subarray(2, end), body.subarray(end + 2)];
}

/** SPEC.md §14: when a plea was made, and its encoded bundle. Certificates are encoded (wire/SPEC.md §4.1). */
export function referenceOpenPlea(
  dhSecret: Uint8Array,
  sender: Uint8Array,
  receiver: Uint8Array,
  envelope: Uint8Array,
): { readonly at: number; readonly bundle: Buffer } {
  const key = hkdf(
    Buffer.alloc(32),
    dh(dhSecret, sender.slice(76, 108)),
    Buffer.concat([ascii("sotto/1 plea"), sha256(sender), sha256(receiver)]),
    32,
  );
  const prefix = envelope.slice(0, 13);
  const body = unseal(key, envelope.slice(1, 13), prefix, envelope.slice(13));
  const end = 8 + body.readUInt16BE(6);
  if (
    envelope[0] !== 4 ||
    envelope.length !== 2_048 ||
    body.subarray(end).some((one) => one !== 0)
  ) {
    throw new Error("plea");
  }
  const bundle = body.subarray(8, end);
  if (!bundle.subarray(2, 180).equals(sender)) throw new Error("somebody else's bundle");
  return { at: body.readUIntBE(0, 6), bundle };
}

/** SPEC.md §13: the root secret behind 24 words of `list`, and the account's root key. Throws on a wrong checksum. */
export function referenceRecover(
  words: readonly string[],
  list: readonly string[],
): { readonly rootSecret: Buffer; readonly rootKey: Buffer } {
  const bits = words.map((word) => list.indexOf(word).toString(2).padStart(11, "0")).join("");
  const bytes = Buffer.from(bits.match(/.{8}/g)!.map((one) => Number.parseInt(one, 2)));
  const rootSecret = bytes.subarray(0, 32);
  if (bytes.length !== 33 || sha256(rootSecret)[0] !== bytes[32]) throw new Error("checksum");
  const rootKey = createPublicKey(der.ed25519Secret(rootSecret))
    .export({ type: "spki", format: "der" })
    .subarray(-32);
  return { rootSecret, rootKey };
}

/** SPEC.md §7: the encoded offer. */
export function referenceOpenOffer(seed: Uint8Array, blob: Uint8Array): Buffer {
  const keys = hkdf(Buffer.alloc(32), seed, ascii("sotto/1 invite"), 56);
  const aad = Buffer.concat([ascii("sotto/1 invite offer"), zero, keys.subarray(0, 24)]);
  const body = unseal(keys.subarray(24), blob.slice(0, 12), aad, blob.slice(12));
  return body.subarray(2, 2 + body.readUInt16BE(0));
}

/** SPEC.md §2.1. */
export const referenceAccountId = (rootKey: Uint8Array): Buffer =>
  sha256(ascii("sotto/1 account"), zero, rootKey).subarray(0, 20);

/** SPEC.md §8. */
export function referenceSafetyDigits(one: Uint8Array, other: Uint8Array): string {
  const half = (rootKey: Uint8Array): Buffer => {
    let hash = Buffer.concat([
      ascii("sotto/1 safety number"),
      Buffer.from([0, 0, 1]),
      rootKey,
      referenceAccountId(rootKey),
    ]);
    for (let round = 0; round < 5_200; round++) {
      hash = createHash("sha512").update(hash).update(rootKey).digest();
    }
    return hash.subarray(0, 32);
  };
  return [half(one), half(other)]
    .toSorted((left, right) => left.compare(right))
    .flatMap((hash) =>
      [0, 5, 10, 15, 20, 25].map((at) => String(hash.readUIntBE(at, 5) % 100_000).padStart(5, "0")),
    )
    .join("");
}

/** SPEC.md §9.3. */
export const referenceSendAuthenticator = (shared: Uint8Array, transcript: Uint8Array): Buffer =>
  hmac(hkdf(Buffer.alloc(32), shared, ascii("sotto/1 hub send"), 32), transcript);
