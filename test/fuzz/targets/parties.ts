/**
 * Two devices and the means to attack them: a back-end that seals something else than it was given, a session to write
 * into, and the rules that hold for a session whatever it was given.
 */
import {
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  initiate,
  accept,
  OLD_CHAINS_MAX,
  type Opened,
  type OwnDevice,
  type PrekeySecrets,
  type Session,
  SKIPPED_KEYS_MAX,
} from "@sotto/crypto";
import { decodeEnvelope, type MessageEnvelope, type PrekeyBundle } from "@sotto/wire";
import { createRandom } from "../../simulation/random.ts";
import { copyOf, isSameData, sizeOf } from "../measure.ts";
import type { Tape } from "../tape.ts";
import { Finding } from "../target.ts";

export const START = 1_700_000_000_000;

export const envOf = (crypto: CryptoBackend, seed: number, now = START): CryptoEnv => {
  const random = createRandom(seed);
  return { crypto, now, entropy: (length) => random.bytes(length) };
};

/** Overwrites a part of what is sealed by the `call`-th seal from now on. */
export interface Edit {
  readonly call: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface EditingBackend extends CryptoBackend {
  /** For the seals that follow, counted from 0. */
  edit(edits: readonly Edit[]): void;
}

/** The valid tag of whoever has the key, over a content no honest code would write. */
export function editingBackend(base: CryptoBackend): EditingBackend {
  let edits: readonly Edit[] = [];
  let calls = 0;
  return {
    ...base,
    edit(wanted) {
      edits = wanted;
      calls = 0;
    },
    seal(key, nonce, aad, plaintext) {
      const changed = Uint8Array.from(plaintext);
      for (const { call, at, bytes } of edits) {
        if (call === calls)
          changed.set(
            bytes.subarray(0, Math.max(0, changed.length - at)),
            Math.min(at, changed.length),
          );
      }
      calls++;
      return base.seal(key, nonce, aad, changed);
    },
  };
}

/** Every signature is valid: what remains is what an owner of the key may claim. */
export const trusting = <Backend extends CryptoBackend>(base: Backend): Backend => ({
  ...base,
  verify: () => true,
});

/** count, then call | place 2 | length | bytes of each. */
export const readEdits = (tape: Tape, calls: number): readonly Edit[] =>
  Array.from({ length: tape.below(4) }, () => {
    const call = tape.below(calls);
    const at = tape.u8() * 256 + tape.u8();
    return { call, at, bytes: tape.take(tape.u8()) };
  });

export interface Greeting {
  readonly alice: OwnDevice;
  readonly bob: OwnDevice;
  readonly bundle: PrekeyBundle;
  readonly secrets: PrekeySecrets;
  /** Initiated, nothing sent. */
  readonly session: Session;
}

export async function greet(crypto: CryptoBackend, seed: number): Promise<Greeting> {
  const env = envOf(crypto, seed);
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  const { bundle, secrets } = await createInviteBundle(bob, env);
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("the bundle was refused");
  return { alice, bob, bundle, secrets, session: initiated.session };
}

export interface Pair {
  readonly a: Session;
  readonly b: Session;
}

/** One message each way: no HELLO any more. */
export async function settle(greeting: Greeting, crypto: CryptoBackend): Promise<Pair> {
  const env = envOf(crypto, 77);
  const first = await encrypt(greeting.session, Uint8Array.of(1), env);
  const hello = decodeEnvelope(first.envelope);
  if (!hello.ok || hello.value.type !== "hello") throw new Error("not a HELLO");
  const accepted = await accept(greeting.bob, greeting.secrets, hello.value, env);
  if (!accepted.ok) throw new Error("the HELLO was refused");
  const answer = await encrypt(accepted.session, Uint8Array.of(2), env);
  const message = decodeEnvelope(answer.envelope);
  if (!message.ok || message.value.type !== "message") throw new Error("not a message");
  const back = await decrypt(first.session, message.value, env);
  if (!back.ok) throw new Error("the answer was refused");
  return { a: back.session, b: answer.session };
}

/** Skipped keys 32 bytes each, a key and a ciphertext of the post-quantum ratchet in pieces, a HELLO, and fields. */
const SESSION_BYTES_MAX = 16_384 + SKIPPED_KEYS_MAX * 160;

export function checkSession(session: Session): void {
  const keys = session.skipped.reduce((sum, chain) => sum + chain.keys.length, 0);
  if (keys > SKIPPED_KEYS_MAX) throw new Finding("more skipped keys than allowed");
  if (session.skipped.length > OLD_CHAINS_MAX + 1)
    throw new Finding("more old chains than allowed");
  if (sizeOf(session) > SESSION_BYTES_MAX) throw new Finding("a session grew beyond its bound");
}

/** Runs `step` and checks that the state it began with is still what it was. */
export async function untouched<T>(session: Session, step: () => Promise<T>): Promise<T> {
  const before = copyOf(session);
  const result = await step();
  if (!isSameData(session, before)) throw new Finding("a state was changed in place");
  return result;
}

export async function decryptSafely(
  session: Session,
  envelope: MessageEnvelope,
  env: CryptoEnv,
): Promise<Opened> {
  const opened = await untouched(session, () => decrypt(session, envelope, env));
  if (opened.ok) checkSession(opened.session);
  return opened;
}

export async function encryptSafely(
  session: Session,
  content: Uint8Array,
  env: CryptoEnv,
  wide = false,
): Promise<{ readonly session: Session; readonly envelope: Uint8Array }> {
  const sealed = await untouched(session, () => encrypt(session, content, env, { wide }));
  checkSession(sealed.session);
  return sealed;
}
