/**
 * What each operation must answer, one case per class of edge, and whether an engine does.
 * Owns: the cases. Inputs are chosen by hand or taken from RFC 7748, 8032 and 8439; the tests check the answers
 * against those documents and the reference.
 * Leaves to choose.ts: what follows from a verdict.
 */
import { type MaybePromise, nobleBackend, sha256 } from "@sotto/crypto";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@sotto/wire";
import { type Engine, MissingOperation, type Operation, type Operations } from "./engine.ts";

/** "missing": the platform does not know it. "failed": it threw. Both differ from a wrong answer. */
export type Verdict = "correct" | "wrong answer" | "missing" | "failed";

export interface KnownAnswer {
  readonly ask: (engine: Operations) => MaybePromise<Uint8Array | undefined>;
  /** The first 8 bytes of SHA-256 of the answer, in hex; REFUSED when tag or signature must not fit. */
  readonly expected: string;
}

const REFUSED = "refused";
/** The digest of one byte, 1. */
const TAKEN = "4bf5122f344554c5";
const DIGEST_BYTES = 8;

const hex = (digits: string): Uint8Array => hexToBytes(digits) ?? new Uint8Array(0);
/** `start`, `start + step`, `start + 2 * step`, … modulo 256. */
const series = (length: number, start = 0, step = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => start + index * step);
/** 32 bytes: `first`, then `middle` thirty times, then `last`. */
const framed = (first: number, middle: number, last: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, index) =>
    index === 0 ? first : index === 31 ? last : middle,
  );
const NONE = new Uint8Array(0);
const NINE = framed(9, 0, 0);
const ZEROS = framed(0, 0, 0);
const ONES = framed(255, 255, 255);

const dh = (secret: Uint8Array, point: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.dh(secret, point),
  expected,
});
const dhPublic = (secret: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.dhPublic(secret),
  expected,
});
const signPublic = (seed: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.signPublic(seed),
  expected,
});
const sign = (seed: Uint8Array, message: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.sign(seed, message),
  expected,
});
/** `change`: what is done to key, message and signature, all of which fit. Taken is one byte, 1. */
const verify = (
  seed: Uint8Array,
  message: Uint8Array,
  expected: string,
  change: (...fitting: Signed) => Signed = (...fitting) => fitting,
): KnownAnswer => ({
  async ask(engine) {
    const key = await nobleBackend.signPublic(seed);
    const signature = await nobleBackend.sign(seed, message);
    const taken = await engine.verify(...change(key, message, signature));
    return taken ? Uint8Array.of(Number(taken)) : undefined;
  },
  expected,
});
type Signed = [key: Uint8Array, message: Uint8Array, signature: Uint8Array];
const kemPublic = (seed: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.kemPublic(seed),
  expected,
});
/** `change`: what is done to a ciphertext that fits the seed. */
const decaps = (
  seed: Uint8Array,
  change: (ciphertext: Uint8Array) => Uint8Array,
  expected: string,
): KnownAnswer => ({
  async ask(engine) {
    const { ciphertext } = await nobleBackend.encaps(
      await nobleBackend.kemPublic(seed),
      series(32, 5),
    );
    return engine.decaps(seed, change(ciphertext));
  },
  expected,
});

/** Length of the text and of the associated data. */
type Sizes = readonly [text: number, aad: number];
const SEAL_KEY = series(32, 0x80);
const SEAL_NONCE = hex("070000004041424344454647");
const seal = ([text, aad]: Sizes, expected: string): KnownAnswer => ({
  ask: (engine) => engine.seal(SEAL_KEY, SEAL_NONCE, series(aad, 3), series(text, 1, 7)),
  expected,
});
const hmac = (key: Uint8Array, bytes: Uint8Array, expected: string): KnownAnswer => ({
  ask: (engine) => engine.hmac(key, bytes),
  expected,
});
/** `change`: what is done to the sealed bytes before they are opened. */
const open = (
  [text, aad]: Sizes,
  expected: string,
  change: (sealed: Uint8Array) => Uint8Array = same,
  openedAad = aad,
): KnownAnswer => ({
  async ask(engine) {
    const sealed = await nobleBackend.seal(
      SEAL_KEY,
      SEAL_NONCE,
      series(aad, 3),
      series(text, 1, 7),
    );
    return engine.open(SEAL_KEY, SEAL_NONCE, series(openedAad, 3), change(sealed));
  },
  expected,
});
const same = (bytes: Uint8Array): Uint8Array => bytes;
/** Flips one bit of the byte at `index`, from the end when negative. */
const flipped =
  (index: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, at) => (at === (index + bytes.length) % bytes.length ? byte ^ 1 : byte));

const RFC_SECRET = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
const RFC_SEED = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
const RFC_SEED_2 = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");

export const KNOWN_ANSWERS: Readonly<Record<Operation, readonly KnownAnswer[]>> = {
  dh: [
    // RFC 7748 §5.2, the second with the high bit of the point cleared.
    dh(
      hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
      hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
      "f6bb286c0e5f5bd0",
    ),
    dh(
      hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
      hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a413"),
      "e047daac15299783",
    ),
    // RFC 7748 §6.1.
    dh(
      RFC_SECRET,
      hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
      "dead45a1d43d6902",
    ),
    // A secret of which nothing is left but the bits that are always set, and its opposite.
    dh(ZEROS, NINE, "233ced774423c7a7"),
    dh(ONES, NINE, "6095c95684574cd7"),
    // Points: 2, on the twist; 2^254; p - 2 and p - 3, the largest that are no small multiples.
    dh(RFC_SECRET, framed(2, 0, 0), "4312664e7163130a"),
    dh(RFC_SECRET, framed(0, 0, 64), "1261ca7717d01dbf"),
    dh(RFC_SECRET, framed(0xeb, 255, 127), "3d6f458702fd9cb3"),
    dh(RFC_SECRET, framed(0xea, 255, 127), "348c873b942f2e43"),
    // Every second bit; long runs of zeros between.
    dh(RFC_SECRET, framed(0x55, 0x55, 0x55), "076f8793e79b73f5"),
    dh(RFC_SECRET, framed(1, 0, 1), "6c79635fc34d12ec"),
    // Results whose first and whose last byte is zero.
    dh(series(32, 53, 11), NINE, "67b54e26d73f7acc"),
    dh(series(32, 17, 7), NINE, "d471c230cd1b9e1c"),
  ],
  dhPublic: [
    dhPublic(RFC_SECRET, "f35e5616160a30bf"),
    dhPublic(ZEROS, "233ced774423c7a7"),
    dhPublic(ONES, "6095c95684574cd7"),
    dhPublic(series(32, 53, 11), "67b54e26d73f7acc"),
    dhPublic(series(32, 17, 7), "d471c230cd1b9e1c"),
    // For those that take half a byte at a time, with a sign: every one the least, and every other one.
    dhPublic(framed(0x88, 0x88, 0x88), "f8cab77c960554e8"),
    dhPublic(framed(0x78, 0x78, 0x78), "edf7441e6bdf766b"),
  ],
  signPublic: [
    // RFC 8032 §7.1, tests 1 and 2.
    signPublic(RFC_SEED, "21fe31dfa154a261"),
    signPublic(RFC_SEED_2, "39f713d0a644253f"),
    signPublic(ZEROS, "139e3940e64b5491"),
  ],
  sign: [
    // RFC 8032 §7.1, tests 1 and 2.
    sign(RFC_SEED, NONE, "a99e560bf0a0bbf8"),
    sign(RFC_SEED_2, hex("72"), "4f6c8aac3951c1a9"),
    // The longest message that shares a block of SHA-512 with what stands before it, one byte more, and many blocks.
    sign(ZEROS, series(47), "3d18733eff3644f1"),
    sign(ZEROS, series(48), "ec5d3499a991bde7"),
    sign(ONES, series(1_000), "35cf4682d88bd5c6"),
  ],
  verify: [
    verify(RFC_SEED, NONE, TAKEN),
    verify(RFC_SEED_2, hex("72"), TAKEN),
    verify(ZEROS, series(48), TAKEN),
    verify(ONES, series(1_000), TAKEN),
    // One bit in R, in S, in the message and in the key; the length of the message; a signature of nothing.
    verify(RFC_SEED, series(64), REFUSED, (key, message, signature) => [
      key,
      message,
      flipped(3)(signature),
    ]),
    verify(RFC_SEED, series(64), REFUSED, (key, message, signature) => [
      key,
      message,
      flipped(40)(signature),
    ]),
    verify(RFC_SEED, series(64), REFUSED, (key, message, signature) => [
      key,
      flipped(63)(message),
      signature,
    ]),
    verify(RFC_SEED, series(64), REFUSED, (key, message, signature) => [
      flipped(-1)(key),
      message,
      signature,
    ]),
    verify(RFC_SEED, series(64), REFUSED, (key, message, signature) => [
      key,
      message.subarray(1),
      signature,
    ]),
    verify(RFC_SEED, NONE, REFUSED, (key) => [key, NONE, new Uint8Array(64)]),
  ],
  kemPublic: [
    kemPublic(series(64), "0b7934c83125c788"),
    kemPublic(series(64, 255, 0), "b212c1e61145cc7f"),
  ],
  decaps: [
    decaps(series(64), same, "67cde9b14e7d78e8"),
    // Rejected without a word: another secret comes out.
    decaps(series(64), flipped(0), "53b3923d2dcb2376"),
    decaps(series(64, 255, 0), () => series(1_088, 1, 3), "e8bd38dae9501aab"),
  ],
  encaps: [
    {
      async ask(engine) {
        const key = await nobleBackend.kemPublic(series(64));
        const { ciphertext, sharedSecret } = await engine.encaps(key, series(32, 5));
        return concatBytes(ciphertext, sharedSecret);
      },
      expected: "6cf146a9584d7781",
    },
  ],
  seal: [
    // Nothing at all; whole blocks of 16 and 64 bytes and one byte more or less; many blocks.
    seal([0, 0], "4beb58a946c2fe18"),
    seal([1, 0], "75210ac523b34c3c"),
    seal([0, 17], "7db5e2de87b7b8f6"),
    seal([63, 16], "09a0e3432be41d8c"),
    seal([64, 15], "d83cb10aa79b2a05"),
    seal([65, 16], "c1cbe239dee2c092"),
    seal([16_400, 100], "c378ee8d0152be6f"),
    seal([1_025, 33], "aa7080e48845a073"),
  ],
  hmac: [
    // RFC 4231 §4.2 and §4.3: keys that are shorter than a block.
    hmac(new Uint8Array(20).fill(0x0b), utf8ToBytes("Hi There"), "cbd6dfff304b7b62"),
    hmac(utf8ToBytes("Jefe"), utf8ToBytes("what do ya want for nothing?"), "86ea816be859ea16"),
    // No key, no text; a whole block of key; texts that fill the last block up to the length, and one byte more.
    hmac(NONE, NONE, "ed59e83e776f0caf"),
    hmac(series(64), series(55), "27ad0c5b2039fc2b"),
    hmac(series(32, 7), series(56), "9ee3576d5d48777a"),
    hmac(series(32, 7), series(64, 9), "ad3e63d55aa3eeea"),
    hmac(series(32, 9), Uint8Array.of(1), "089d417c794c8a08"),
    // Longer than a block of key, and a long text.
    hmac(series(65), series(5), "e1f3fcefce4b34fe"),
    hmac(series(32, 1), series(3_000, 5, 3), "dd5197f42a16b873"),
  ],
  open: [
    open([0, 0], "e3b0c44298fc1c14"),
    open([64, 16], "66bd4633ed6f71c4"),
    open([16_400, 100], "f2038e365dc4fe77"),
    open([16_400, 100], REFUSED, flipped(9_000)),
    open([1_025, 33], "028e14546ffdea82"),
    open([64, 16], REFUSED, flipped(0)),
    open([64, 16], REFUSED, flipped(-1)),
    open([64, 16], REFUSED, flipped(-16)),
    open([64, 16], REFUSED, (sealed) => sealed.subarray(0, 16)),
    open([64, 16], REFUSED, same, 17),
    open([0, 0], REFUSED, flipped(3)),
  ],
};

/** Asks until the first answer that is not right. `breathe` lets others work in between. */
export async function judge(
  { operations }: Engine,
  operation: Operation,
  breathe: () => Promise<void>,
): Promise<Verdict> {
  if (operations[operation] === undefined) return "missing";
  const complete: Operations = { ...nobleBackend, ...operations };
  for (const { ask, expected } of KNOWN_ANSWERS[operation]) {
    try {
      if (digestOf(await ask(complete)) !== expected) return "wrong answer";
    } catch (error) {
      return error instanceof MissingOperation ? "missing" : "failed";
    }
    await breathe();
  }
  return "correct";
}

/** What `expected` is compared with. */
export function digestOf(answer: Uint8Array | undefined): string {
  return answer === undefined ? REFUSED : bytesToHex(sha256(answer).subarray(0, DIGEST_BYTES));
}
