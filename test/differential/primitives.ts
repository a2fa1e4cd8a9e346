/**
 * One random case for every primitive: whoever has it must answer as we do, for good input and for damaged input.
 * Owns: what is asked. Leaves to implementations.ts: who answers.
 */
import { deepStrictEqual } from "node:assert/strict";
import { libsignalPrimitives, signalSign } from "@sotto/peers/libsignal-primitives";
import { bytesToHex } from "@sotto/wire";
import { type Implementation, openssl, ours, webCrypto } from "./implementations.ts";
import { createRandom, type Random } from "./random.ts";

const OTHERS: readonly Implementation[] = [openssl, webCrypto, libsignalPrimitives];

/** How many answers of others were compared with ours, by primitive. */
export type Compared = Map<string, number>;

/** Throws an error that names primitive, implementation and seed at the first difference. */
export async function comparePrimitives(seed: string, compared: Compared): Promise<void> {
  const random = createRandom(seed);
  const ask: Ask = async (primitive, call) => {
    const expected = shown(await call(ours));
    for (const one of OTHERS) {
      const answer = shown(await call(one));
      if (answer === MISSING) continue;
      deepStrictEqual(answer, expected, `${primitive} of ${one.name} differs: seed ${seed}`);
      compared.set(primitive, (compared.get(primitive) ?? 0) + 1);
    }
    return expected;
  };
  await compareExchange(random, ask);
  await compareSignatures(random, ask);
  await compareHashes(random, ask);
  await compareCiphers(random, ask);
  await compareKem(random, ask);
}

type Bytes = Uint8Array<ArrayBuffer>;
type Value = Uint8Array | boolean | undefined;
/** An optional chain gives null where an implementation lacks the primitive. */
type Call = (one: Implementation) => Promise<Value | null> | Value | null;
/** Gives our answer. */
type Ask = (primitive: string, call: Call) => Promise<string>;

const MISSING = "missing";
const shown = (value: Value | null): string =>
  value === null ? MISSING : value instanceof Uint8Array ? bytesToHex(value) : String(value);

async function compareExchange(random: Random, ask: Ask): Promise<void> {
  const secret = random.bytes(32);
  const honest = Uint8Array.from(await ours.dhPublic(random.bytes(32)));
  // On the curve or on its twist; a random number below 2^254 is canonical.
  const stray = random.bytes(32);
  stray[31] = (stray[31] ?? 0) & 0x3f;
  await ask("X25519 public key", (one) => one.dhPublic?.(secret) ?? null);
  await ask("X25519", (one) => one.dh?.(secret, honest) ?? null);
  await ask("X25519 with any key", (one) => one.dh?.(secret, stray) ?? null);
}

async function compareSignatures(random: Random, ask: Ask): Promise<void> {
  const seed = random.bytes(32);
  const message = random.bytes(random.below(300));
  const key = Uint8Array.from(await ours.signPublic(seed));
  const signature = Uint8Array.from(await ours.sign(seed, message));
  const forged = flipped(signature, random);
  const other = random.bytes(message.length + 1);
  await ask("Ed25519 public key", (one) => one.signPublic?.(seed) ?? null);
  await ask("Ed25519 signature", (one) => one.sign?.(seed, message) ?? null);
  await askFor("true", "Ed25519 verified", (one) => one.verify?.(key, message, signature) ?? null);
  await askFor("false", "Ed25519 refused", (one) => one.verify?.(key, message, forged) ?? null);
  await askFor("false", "Ed25519 refused", (one) => one.verify?.(key, other, signature) ?? null);

  const made = signalSign(seed, message);
  const edwards = edwardsKey(await ours.dhPublic(seed), made);
  const cleared = Uint8Array.from(made, (byte, at) => (at === 63 ? byte & 0x7f : byte));
  deepStrictEqual(await ours.verify(edwards, message, cleared), true, "a signature of libsignal");
  deepStrictEqual(await ours.verify(edwards, other, cleared), false, "a signature of libsignal");

  async function askFor(expected: string, primitive: string, call: Call): Promise<void> {
    deepStrictEqual(await ask(primitive, call), expected, primitive);
  }
}

async function compareHashes(random: Random, ask: Ask): Promise<void> {
  const bytes = random.bytes(random.below(2_000));
  const key = random.bytes(1 + random.below(100));
  const ikm = random.bytes(1 + random.below(100));
  const salt = random.bytes(random.below(50));
  const info = random.bytes(random.below(50));
  const length = 1 + random.below(255);
  await ask("SHA-256", (one) => one.sha256?.(bytes) ?? null);
  await ask("HMAC", (one) => one.hmac?.(key, bytes) ?? null);
  await ask("HKDF", (one) => one.hkdf?.(ikm, salt, info, length) ?? null);
}

async function compareCiphers(random: Random, ask: Ask): Promise<void> {
  for (const [name, kind] of [
    ["ChaCha20-Poly1305", "chacha"],
    ["AES-256-GCM", "aesGcm"],
  ] as const) {
    const [key, nonce] = [random.bytes(32), random.bytes(12)];
    const aad = random.bytes(random.below(120));
    const plaintext = random.bytes(random.below(2_000));
    const sealed = Uint8Array.from(await ours[kind].seal(key, nonce, aad, plaintext));
    const damaged = flipped(sealed, random);
    await ask(name, (one) => one[kind]?.seal(key, nonce, aad, plaintext) ?? null);
    await ask(`${name} opened`, (one) => one[kind]?.open(key, nonce, aad, sealed) ?? null);
    await ask(`${name} refused`, (one) =>
      one[kind] === undefined ? null : one[kind].open(key, nonce, aad, damaged),
    );
  }
}

async function compareKem(random: Random, ask: Ask): Promise<void> {
  const seed = random.bytes(64);
  const key = Uint8Array.from(await ours.kemPublic(seed));
  await ask("ML-KEM-768 public key", (one) => one.kemPublic?.(seed) ?? null);
  for (const from of [ours, ...OTHERS]) {
    if (from.encaps === undefined) continue;
    const { ciphertext, sharedSecret } = await from.encaps(key, random.bytes(32));
    const sent = Uint8Array.from(ciphertext);
    const secret = await ask("ML-KEM-768", (one) => one.decaps?.(seed, sent) ?? null);
    deepStrictEqual(secret, bytesToHex(sharedSecret), `encapsulated by ${from.name}`);
    // Implicit rejection: a secret nobody else knows, but the same one in every implementation.
    const damaged = flipped(sent, random);
    await ask("ML-KEM-768 rejected", (one) => one.decaps?.(seed, damaged) ?? null);
  }
}

function flipped(bytes: Uint8Array, random: Random): Bytes {
  const bit = random.below(bytes.length * 8);
  return Uint8Array.from(bytes, (byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

const PRIME = 2n ** 255n - 19n;

/** XEdDSA: the Ed25519 key of an X25519 key, y = (u - 1) / (u + 1); its sign stands in the signature's last bit. */
function edwardsKey(montgomery: Uint8Array, signature: Uint8Array): Bytes {
  const u = BigInt(`0x${bytesToHex(montgomery.toReversed())}`);
  let inverse = 1n;
  for (let exponent = PRIME - 2n, base = u + 1n; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) inverse = (inverse * base) % PRIME;
    base = (base * base) % PRIME;
  }
  const y = ((u - 1n + PRIME) * inverse) % PRIME;
  const encoded = Uint8Array.from(
    Buffer.from(y.toString(16).padStart(64, "0"), "hex").toReversed(),
  );
  encoded[31] = (encoded[31] ?? 0) | ((signature[63] ?? 0) & 0x80);
  return encoded;
}
