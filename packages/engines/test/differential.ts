/**
 * The reference against any other engine on random input, the same cases everywhere. Used in Node and in browsers.
 * Owns: the cases. Leaves to the tests: which engines.
 */
import { type CryptoBackend, nobleBackend } from "@sotto/crypto";
import { backendOf, type Engine, type Operation } from "@sotto/engines";
import { bytesToHex } from "@sotto/wire";
import { seededEntropy } from "./support.ts";

type Case = (engine: CryptoBackend, random: (length: number) => Uint8Array) => unknown;

/** A point of random bytes is a key with probability one half of being on the twist: both kinds come up. */
const point = (random: (length: number) => Uint8Array): Uint8Array => {
  const bytes = random(32);
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  return bytes;
};

const CASES: Readonly<Record<Operation, Case>> = {
  dh: (engine, random) => engine.dh(random(32), point(random)),
  dhPublic: (engine, random) => engine.dhPublic(random(32)),
  signPublic: (engine, random) => engine.signPublic(random(32)),
  sign: (engine, random) => engine.sign(random(32), random(sizeOf(random))),
  async verify(engine, random) {
    const [seed, message] = [random(32), random(1 + sizeOf(random))];
    const key = await nobleBackend.signPublic(seed);
    const signature = await nobleBackend.sign(seed, message);
    const [kind = 0, at = 0, bit = 0] = random(3);
    const flip = (bytes: Uint8Array): Uint8Array =>
      bytes.map((byte, index) => (index === at % bytes.length ? byte ^ (1 << (bit & 7)) : byte));
    // Every fourth fits; of the others one bit is changed somewhere.
    const taken = await engine.verify(
      kind >> 6 === 1 ? flip(key) : key,
      kind >> 6 === 2 ? flip(message) : message,
      kind >> 6 === 3 ? flip(signature) : signature,
    );
    return taken ? "taken" : "refused";
  },
  kemPublic: (engine, random) => engine.kemPublic(random(64)),
  async encaps(engine, random) {
    const key = await nobleBackend.kemPublic(random(64));
    const { ciphertext, sharedSecret } = await engine.encaps(key, random(32));
    return bytesToHex(ciphertext) + bytesToHex(sharedSecret);
  },
  async decaps(engine, random) {
    const seed = random(64);
    const { ciphertext } = await nobleBackend.encaps(
      await nobleBackend.kemPublic(seed),
      random(32),
    );
    // Every other one does not fit the seed.
    if ((random(1)[0] ?? 0) < 128) return engine.decaps(seed, ciphertext);
    return engine.decaps(seed, random(1_088));
  },
  seal: (engine, random) =>
    engine.seal(random(32), random(12), random(sizeOf(random)), random(sizeOf(random))),
  hmac: (engine, random) => engine.hmac(random(sizeOf(random) % 80), random(sizeOf(random))),
  async open(engine, random) {
    const [key, nonce, aad] = [random(32), random(12), random(sizeOf(random))];
    const sealed = await nobleBackend.seal(key, nonce, aad, random(sizeOf(random)));
    const [at = 0, spoilt = 0] = random(2);
    if (spoilt < 128) return engine.open(key, nonce, aad, sealed);
    const index = at % sealed.length;
    return engine.open(
      key,
      nonce,
      aad,
      sealed.map((byte, position) => (position === index ? byte ^ 1 : byte)),
    );
  },
};

/** Often short, sometimes around a block, up to 2,047 bytes. */
function sizeOf(random: (length: number) => Uint8Array): number {
  const [kind = 0, low = 0, high = 0] = random(3);
  if (kind < 100) return low % 33;
  if (kind < 200) return 48 + (low % 96);
  return ((high & 7) << 8) | low;
}

/** Cases in which the two differ, as text; empty when they agree. Rejections count as answers. */
export async function differences(
  engine: Engine,
  operation: Operation,
  count: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  const other = backendOf(engine);
  for (let index = 0; index < count; index++) {
    const ask = (backend: CryptoBackend): Promise<string> =>
      answerOf(() => CASES[operation](backend, seededEntropy(`${operation} ${index}`)));
    const [expected, given] = [await ask(nobleBackend), await ask(other)];
    if (expected !== given) found.push(`${index}: ${expected} but ${given}`);
  }
  return found;
}

async function answerOf(ask: () => unknown): Promise<string> {
  try {
    const answer = await ask();
    if (answer instanceof Uint8Array) return bytesToHex(answer);
    return typeof answer === "string" ? answer : "refused";
  } catch {
    return "thrown";
  }
}

/** Inputs that nobody may answer, whatever the engine: each must throw or reject. */
export const REFUSALS: readonly (readonly [string, (engine: CryptoBackend) => unknown])[] = [
  ...[
    "00".repeat(32),
    `01${"00".repeat(31)}`,
    `ec${"ff".repeat(30)}7f`,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
    "ff".repeat(32),
    `09${"00".repeat(30)}80`,
    "09".repeat(31),
    "09".repeat(33),
    "",
  ].map(
    (digits) =>
      [
        `an exchange with ${digits === "" ? "nothing" : digits}`,
        (engine: CryptoBackend) => engine.dh(new Uint8Array(32).fill(1), fromHex(digits)),
      ] as const,
  ),
  ["a secret of 31 bytes", (engine) => engine.dh(new Uint8Array(31), nine())],
  ["a secret of 33 bytes", (engine) => engine.dhPublic(new Uint8Array(33))],
  ["a seed of 31 bytes", (engine) => engine.sign(new Uint8Array(31), new Uint8Array(1))],
  ["a seed of 33 bytes", (engine) => engine.signPublic(new Uint8Array(33))],
  ["a KEM seed of 63 bytes", (engine) => engine.kemPublic(new Uint8Array(63))],
  ["a KEM seed of 65 bytes", (engine) => engine.decaps(new Uint8Array(65), new Uint8Array(1_088))],
  ["a short ciphertext", (engine) => engine.decaps(new Uint8Array(64), new Uint8Array(1_087))],
  ["a long ciphertext", (engine) => engine.decaps(new Uint8Array(64), new Uint8Array(1_089))],
  [
    "a KEM key with a coefficient of the modulus",
    (engine) =>
      engine.encaps(
        Uint8Array.from({ length: 1_184 }, (_, at) => [0x01, 0x0d][at] ?? 0),
        new Uint8Array(32),
      ),
  ],
  ["a short KEM key", (engine) => engine.encaps(new Uint8Array(1_183), new Uint8Array(32))],
  ["short randomness", (engine) => engine.encaps(new Uint8Array(1_184), new Uint8Array(31))],
  [
    "a key of 31 bytes",
    (engine) => engine.seal(new Uint8Array(31), new Uint8Array(12), nothing(), nothing()),
  ],
  [
    "a nonce of 24 bytes",
    (engine) => engine.seal(new Uint8Array(32), new Uint8Array(24), nothing(), nothing()),
  ],
];

const nothing = (): Uint8Array => new Uint8Array(0);
const nine = (): Uint8Array => fromHex(`09${"00".repeat(31)}`);
const fromHex = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
