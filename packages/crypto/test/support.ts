/**
 * Two people with deterministic randomness, and the small steps every test of this package repeats.
 * Owns: seeded entropy, back-ends that count or fail. Leaves to the tests: what must hold.
 */
import {
  concatBytes,
  decodeEnvelope,
  type HelloEnvelope,
  hexToBytes,
  type MessageEnvelope,
  utf8ToBytes,
} from "@sotto/wire";
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  type Entropy,
  initiate,
  nobleBackend,
  type Opened,
  type OwnDevice,
  type Session,
  sha256,
} from "@sotto/crypto";

export const NOW = 1_700_000_000_000;
export const text = (value: string): Uint8Array<ArrayBuffer> => utf8ToBytes(value);

/** Of the hex in a frozen vector. */
export function bytes(hex: string): Uint8Array<ArrayBuffer> {
  const decoded = hexToBytes(hex);
  if (decoded === undefined) throw new Error("bad hex in a vector");
  return decoded;
}

/** SHA-256 of seed and a counter: the same bytes on every run and every machine. */
export function seededEntropy(seed: string): Entropy {
  let counter = 0;
  let pool: Uint8Array = new Uint8Array(0);
  return (length) => {
    while (pool.length < length) {
      pool = concatBytes(pool, sha256(utf8ToBytes(`${seed}/${counter++}`)));
    }
    const taken = pool.slice(0, length);
    pool = pool.slice(length);
    return Uint8Array.from(taken);
  };
}

export const seededEnv = (seed: string, crypto: CryptoBackend = nobleBackend): CryptoEnv => ({
  entropy: seededEntropy(seed),
  crypto,
  now: NOW,
});

/** Both ends of one conversation. */
export interface Pair {
  readonly alice: OwnDevice;
  readonly bob: OwnDevice;
  /** Initiator. */
  readonly a: Session;
  /** Responder. */
  readonly b: Session;
}

/** After the first message went from Alice to Bob and an answer came back: no HELLO any more. */
export async function settledPair(seed: string, crypto = nobleBackend): Promise<Pair> {
  const env = seededEnv(seed, crypto);
  const { alice, bob, a, hello, secrets } = await greeted(seed, text("hello"), crypto);
  const accepted = must(await accept(bob, secrets, hello, env));
  const answer = await encrypt(accepted.session, text("answer"), env);
  const back = must(await decrypt(a, asMessage(answer.envelope), env));
  return { alice, bob, a: back.session, b: answer.session };
}

/** Alice has sealed her first message to Bob; nothing has arrived. */
export async function greeted(
  seed: string,
  content = text("hello"),
  crypto: CryptoBackend = nobleBackend,
) {
  const env = seededEnv(`${seed}/greeted`, crypto);
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  const { bundle, secrets } = await createInviteBundle(bob, env);
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("bundle refused");
  const sealed = await encrypt(initiated.session, content, env);
  return {
    alice,
    bob,
    bundle,
    secrets,
    fresh: initiated.session,
    a: sealed.session,
    envelope: sealed.envelope,
    hello: asHello(sealed.envelope),
  };
}

/** Seals `contents` one after the other. */
export async function sealAll(
  session: Session,
  contents: readonly Uint8Array[],
  env: CryptoEnv,
): Promise<{ readonly session: Session; readonly envelopes: readonly Uint8Array[] }> {
  let current = session;
  const envelopes: Uint8Array[] = [];
  for (const content of contents) {
    const sealed = await encrypt(current, content, env);
    current = sealed.session;
    envelopes.push(sealed.envelope);
  }
  return { session: current, envelopes };
}

export const numbered = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => text(`message ${index}`));

export function asMessage(envelope: Uint8Array): MessageEnvelope {
  const decoded = decodeEnvelope(envelope);
  if (!decoded.ok || decoded.value.type === "signal" || decoded.value.type === "plea") {
    throw new Error("not a message");
  }
  return decoded.value.type === "hello" ? decoded.value.message : decoded.value;
}

export function asHello(envelope: Uint8Array): HelloEnvelope {
  const decoded = decodeEnvelope(envelope);
  if (!decoded.ok || decoded.value.type !== "hello") throw new Error("not a hello");
  return decoded.value;
}

/** Decodes and opens, as a receiver of raw bytes does; undefined when the bytes are no message at all. */
export async function openBytes(
  session: Session,
  bytes: Uint8Array,
  env: CryptoEnv,
): Promise<Opened | undefined> {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "message") return undefined;
  return decrypt(session, decoded.value, env);
}

/** The successful branch of a result; the reason when there is none. */
export function must<T extends { readonly ok: boolean }>(result: T): Extract<T, { ok: true }> {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result)}`);
  return result as Extract<T, { ok: true }>;
}

export const flipBit = (bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(bytes, (byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));

/** Every call answers with a promise, as engines of the platform do. */
export const asyncBackend = wrapBackend("async", (call) => Promise.resolve().then(call));

/** Counts calls and lets the `failAt`-th one (from 0) fail: at once, or with a rejected promise. */
export function failingBackend(
  failAt: number,
  manner: "throws" | "rejects",
): CryptoBackend & { calls(): number } {
  let calls = 0;
  const backend = wrapBackend("failing", (call) => {
    if (calls++ !== failAt) return call();
    if (manner === "throws") throw new Error("engine failed");
    return Promise.reject(new Error("engine failed"));
  });
  return { ...backend, calls: () => calls };
}

type Call = <T>(call: () => T | Promise<T>) => T | Promise<T>;

function wrapBackend(name: string, around: Call): CryptoBackend {
  const noble = nobleBackend;
  return {
    name,
    dhPublic: (secret) => around(() => noble.dhPublic(secret)),
    dh: (secret, remote) => around(() => noble.dh(secret, remote)),
    signPublic: (seed) => around(() => noble.signPublic(seed)),
    sign: (seed, message) => around(() => noble.sign(seed, message)),
    verify: (key, message, signature) => around(() => noble.verify(key, message, signature)),
    kemPublic: (seed) => around(() => noble.kemPublic(seed)),
    encaps: (key, randomness) => around(() => noble.encaps(key, randomness)),
    decaps: (seed, ciphertext) => around(() => noble.decaps(seed, ciphertext)),
    seal: (key, nonce, aad, plaintext) => around(() => noble.seal(key, nonce, aad, plaintext)),
    open: (key, nonce, aad, sealed) => around(() => noble.open(key, nonce, aad, sealed)),
    hmac: noble.hmac,
  };
}
