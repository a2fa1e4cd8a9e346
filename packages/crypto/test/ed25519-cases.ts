/**
 * Signatures about which verifiers of Ed25519 disagree, made by whoever owns a key, and signatures that are broken at
 * random. The same on every run and every machine; used in Node and in browsers.
 * Owns: the cases, and what RFC 8032 §5.1.7 with SPEC.md §1.1 says of the crafted ones, from their parts alone.
 * Leaves to the tests: whom to ask.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@sotto/wire";

export interface SignatureCase {
  readonly name: string;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export interface CraftedCase extends SignatureCase {
  /** The verdict of this suite. */
  readonly taken: boolean;
  /** True when the equation without the cofactor holds as well, whatever the encodings. */
  readonly exact: boolean;
}

/** What noble says with none of our own checks in front; lengths are its callers' business. */
export const bareNoble = ({ key, message, signature }: SignatureCase): boolean =>
  key.length === 32 &&
  signature.length === 64 &&
  ed25519.verify(signature, message, key, { zip215: false });

const { Point } = ed25519;
type EdwardsPoint = InstanceType<typeof Point>;
const L = Point.Fn.ORDER;
const P = Point.Fp.ORDER;

const little = (value: bigint): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n));
const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
const withSign = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, at) => (at === 31 ? byte ^ 128 : byte));

/** Of order 8: its multiples are all points of small order, by their number of times. */
const EIGHTH = Point.fromBytes(
  little(0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n),
);
export const TORSION: readonly EdwardsPoint[] = Array.from({ length: 8 }, (_, times) =>
  times === 0 ? Point.ZERO : EIGHTH.multiplyUnsafe(BigInt(times)),
);

/** `scalar`·B + `torsion`·T, as `bytes`: canonical or one of the other encodings. */
interface Part {
  readonly name: string;
  readonly scalar: bigint;
  readonly torsion: number;
  readonly bytes: Uint8Array;
  readonly canonical: boolean;
}

function partsOf(letter: string, scalar: bigint): readonly Part[] {
  const base = scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar);
  return TORSION.map((point, torsion) => ({
    name: scalar === 0n ? `${letter} = ${torsion}T` : `${letter} mixed with ${torsion}T`,
    scalar,
    torsion,
    bytes: base.add(point).toBytes(),
    canonical: true,
  }));
}

/** Second encodings exist for few points; of these the owner knows how to sign with the small ones. */
const secondEncodings = (letter: string): readonly Part[] =>
  [
    { torsion: 2, bytes: little(P) },
    { torsion: 6, bytes: withSign(little(P)) },
    { torsion: 0, bytes: little(P + 1n) },
    { torsion: 0, bytes: withSign(little(P + 1n)) },
    { torsion: 0, bytes: withSign(little(1n)) },
    { torsion: 4, bytes: withSign(little(P - 1n)) },
  ].map(({ torsion, bytes }, at) => ({
    name: `${letter} = ${torsion}T in second encoding ${at}`,
    scalar: 0n,
    // y = 0 stands for 2T or 6T; which of them is the one without the sign is read off the point itself.
    torsion:
      torsion % 4 === 2
        ? TORSION.findIndex((one) => one.equals(Point.fromBytes(bytes, true)))
        : torsion,
    bytes,
    canonical: false,
  }));

/** k of RFC 8032 §5.1.7 as it stands: its last three bits say what becomes of torsion in the key. */
const challengeOf = (r: Part, a: Part, message: Uint8Array): bigint =>
  numberOf(sha512(concatBytes(r.bytes, a.bytes, message))) % L;

const MESSAGES: readonly Uint8Array[] = Array.from({ length: 64 }, (_, at) =>
  utf8ToBytes(`crafted ${at}`),
);

/**
 * All pairs of key and R, each pure, of small order or mixed, with S such that the equation holds with the cofactor;
 * of each pair a message for which it holds without the cofactor and one for which it does not, where there are such.
 * With as much torsion in both, S one off and S + L too.
 */
export function craftedSignatures(): readonly CraftedCase[] {
  const keys = [...partsOf("A", 1_234_567n), ...partsOf("A", 0n), ...secondEncodings("A")];
  const points = [...partsOf("R", 7_654_321n), ...partsOf("R", 0n), ...secondEncodings("R")];
  const pairs = keys.flatMap((a) => points.map((r) => [a, r] as const));
  return pairs.flatMap(([a, r]) => {
    const signed = MESSAGES.map((message) => {
      const k = challengeOf(r, a, message);
      const exact = (BigInt(r.torsion) + k * BigInt(a.torsion)) % 8n === 0n;
      return { message, exact, s: (r.scalar + k * a.scalar) % L };
    });
    const wellFormed = a.canonical && r.canonical && a.scalar !== 0n;
    const caseOf = (
      { message, exact }: (typeof signed)[number],
      s: bigint,
      holds: boolean,
      note: string,
    ): CraftedCase => ({
      name: `${a.name}, ${r.name}${exact ? ", exact" : ""}${note}`,
      key: a.bytes,
      message,
      signature: concatBytes(r.bytes, little(s)),
      taken: wellFormed && holds && s < L,
      exact: exact && holds,
    });
    const chosen = [true, false].flatMap((exact) =>
      signed.filter((one) => one.exact === exact).slice(0, 1),
    );
    const fitting = chosen.map((one) => caseOf(one, one.s, true, ""));
    if (a.torsion !== r.torsion) return fitting;
    const broken = chosen.flatMap((one) => [
      caseOf(one, (one.s + 1n) % L, false, ", S one off"),
      caseOf(one, one.s + L, true, ", S + L"),
    ]);
    return [...fitting, ...broken];
  });
}

/** From 0 up to, not including, `limit`. */
type Below = (limit: number) => number;
/** This many fresh bytes. */
type Bytes = (length: number) => Uint8Array;

interface Signed {
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const HONEST = 24;

/** Honest signatures, spoilt in one to three ways, one after the other. `bytes` is where all chance comes from. */
export function createSpoiler(bytes: Bytes): () => SignatureCase {
  const below: Below = (limit) => Number(numberOf(bytes(6)) % BigInt(limit));
  const pick = <T>(all: readonly T[]): T => {
    const one = all[below(all.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  };
  const honest = Array.from({ length: HONEST }, (): Signed => {
    const seed = bytes(32);
    const message = bytes(below(200));
    return { key: ed25519.getPublicKey(seed), message, signature: ed25519.sign(message, seed) };
  });
  const ways: readonly (readonly [string, (one: Signed) => Signed])[] = [
    ["bit of A", (one) => ({ ...one, key: flipped(one.key, below) })],
    ["bit of the message", (one) => ({ ...one, message: flipped(one.message, below) })],
    ["bit of R", (one) => withR(one, flipped(rOf(one), below))],
    ["bit of S", (one) => withS(one, flipped(sOf(one), below))],
    ["another A", (one) => ({ ...one, key: pick(honest).key })],
    ["another R", (one) => withR(one, rOf(pick(honest)))],
    ["another S", (one) => withS(one, sOf(pick(honest)))],
    ["torsion in A", (one) => ({ ...one, key: shifted(one.key, pick(TORSION)) })],
    ["torsion in R", (one) => withR(one, shifted(rOf(one), pick(TORSION)))],
    ["S and some L", (one) => withS(one, plusOrder(sOf(one), 1 + below(14)))],
    ["S of chance", (one) => withS(one, bytes(32))],
    ["R of chance", (one) => withR(one, bytes(32))],
    ["A of chance", (one) => ({ ...one, key: bytes(32) })],
    ["small R", (one) => withR(one, pick(TORSION).toBytes())],
    ["small A", (one) => ({ ...one, key: pick(TORSION).toBytes() })],
    ["S of zero", (one) => withS(one, new Uint8Array(32))],
    ["negative A", (one) => ({ ...one, key: withSign(one.key) })],
    ["negative R", (one) => withR(one, withSign(rOf(one)))],
    ["y and the prime", (one) => withR(one, little(P + BigInt(below(19))))],
    ["a byte less", (one) => ({ ...one, signature: one.signature.subarray(0, 63) })],
    ["the owner", () => ownersWork(bytes, below)],
    ["nothing", (one) => one],
  ];
  return () => {
    let one = pick(honest);
    const names: string[] = [];
    for (let left = pick([1, 1, 1, 2, 3]); left > 0; left--) {
      const [name, spoil] = pick(ways);
      names.push(name);
      one = spoil(one);
    }
    return { name: names.join(", "), ...one };
  };
}

const rOf = ({ signature }: Signed): Uint8Array => signature.slice(0, 32);
const sOf = ({ signature }: Signed): Uint8Array => signature.slice(32);
const withR = (one: Signed, r: Uint8Array): Signed => ({
  ...one,
  signature: concatBytes(r, sOf(one)),
});
const withS = (one: Signed, s: Uint8Array): Signed => ({
  ...one,
  signature: concatBytes(rOf(one), s),
});

function flipped(bytes: Uint8Array, below: Below): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(1);
  const bit = below(bytes.length * 8);
  return bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

/** As it is where it is no point. */
function shifted(bytes: Uint8Array, by: EdwardsPoint): Uint8Array {
  try {
    return Point.fromBytes(bytes, true).add(by).toBytes();
  } catch {
    return bytes;
  }
}

const plusOrder = (s: Uint8Array, times: number): Uint8Array =>
  little((numberOf(s) + BigInt(times) * L) % (1n << 256n));

/** Taken by this suite always, and without the cofactor by chance. */
function ownersWork(bytes: Bytes, below: Below): Signed {
  const scalar = (): bigint => (numberOf(bytes(32)) % (L - 1n)) + 1n;
  const [a, r] = [scalar(), scalar()];
  const pointOf = (times: bigint): Uint8Array =>
    Point.BASE.multiply(times)
      .add(TORSION[below(8)] ?? Point.ZERO)
      .toBytes();
  const [key, point] = [pointOf(a), pointOf(r)];
  const message = bytes(below(40));
  const k = numberOf(sha512(concatBytes(point, key, message))) % L;
  return { key, message, signature: concatBytes(point, little((r + k * a) % L)) };
}
