/**
 * What an engine is, and what holds for all of them: which inputs none ever sees and how an answer must look.
 * Owns: the checks before and after a call. Leaves to the engines: the arithmetic; to choose.ts: which one answers.
 * Spec: crypto/SPEC.md §1.1 (what is refused), §1.2 (the contract).
 */
import {
  type CryptoBackend,
  isExchangeKey,
  isKemKey,
  isSignatureForm,
  type MaybePromise,
  nobleBackend,
} from "@sotto/crypto";
import { KEM_CIPHERTEXT_BYTES } from "@sotto/wire";

/**
 * An engine's `verify` need only be right when it says yes: that [S]B = R + [k]A holds, with the cofactor or without it.
 * A no is never the last word (see `verifyWith`).
 */
export type Operations = Omit<CryptoBackend, "name">;
export type Operation = keyof Operations;

/** The order in which engines are tried out: what a conversation waits for most comes first. */
export const OPERATIONS: readonly Operation[] = [
  "dh",
  "dhPublic",
  "seal",
  "open",
  // Behind those that may wait for a module to load: it may not.
  "hmac",
  "verify",
  "sign",
  "decaps",
  "kemPublic",
  "encaps",
  "signPublic",
];

export interface Engine {
  readonly name: string;
  /** Seals and opens texts of a few hundred bytes faster than noble. Crossing into a platform takes longer than that. */
  readonly short?: boolean;
  /**
   * What it does by itself. Inputs have passed `guardedBackend`, so that any throw or rejection is a failure of the
   * engine, never a verdict on the input. "The tag does not fit" is a verdict: `open` answers undefined. A platform that
   * says the same to that and to its own failures is asked through `confirmed`.
   */
  readonly operations: Partial<Operations>;
}

/** Thrown by an engine whose platform does not know the algorithm, or may not load what it takes. */
export class MissingOperation extends Error {
  constructor(cause?: unknown) {
    super("not on this platform", { cause });
    this.name = "MissingOperation";
  }
}

/** Carries out one call somewhere. `fits` is false for an answer that no working engine gives. */
export type Run = <T>(
  operation: Operation,
  call: (engine: Operations) => MaybePromise<T>,
  fits: (answer: T) => boolean,
) => MaybePromise<T>;

const SECRET_BYTES = 32;
const KEM_SEED_BYTES = 64;
const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/**
 * The contract of crypto/SPEC.md §1.2 over whatever `run` finds. Bad input throws a RangeError before any engine sees
 * it, the same on every platform; what cannot have been sealed opens as undefined at once.
 */
export function guardedBackend(name: string, run: Run): CryptoBackend {
  return {
    name,
    dhPublic(secret) {
      requireLength("secret", secret, SECRET_BYTES);
      return run("dhPublic", (engine) => engine.dhPublic(secret), isKey);
    },
    dh(secret, remotePublic) {
      requireLength("secret", secret, SECRET_BYTES);
      if (!isExchangeKey(remotePublic)) throw new RangeError("not a key to exchange with");
      return run("dh", (engine) => engine.dh(secret, remotePublic), isKey);
    },
    signPublic(seed) {
      requireLength("seed", seed, SECRET_BYTES);
      return run("signPublic", (engine) => engine.signPublic(seed), isKey);
    },
    sign(seed, message) {
      requireLength("seed", seed, SECRET_BYTES);
      return run(
        "sign",
        (engine) => engine.sign(seed, message),
        (answer) => isBytes(answer, 64),
      );
    },
    verify(publicKey, message, signature) {
      if (!isSignatureForm(publicKey, signature)) return false;
      return orElse(
        () =>
          run(
            "verify",
            (engine) => verifyWith(engine, publicKey, message, signature),
            (answer) => typeof answer === "boolean",
          ),
        () => nobleBackend.verify(publicKey, message, signature),
      );
    },
    kemPublic(seed) {
      requireLength("seed", seed, KEM_SEED_BYTES);
      return run("kemPublic", (engine) => engine.kemPublic(seed), isKemKey);
    },
    encaps(publicKey, randomness) {
      if (!isKemKey(publicKey)) throw new RangeError("not a key to encapsulate to");
      requireLength("randomness", randomness, SECRET_BYTES);
      return run(
        "encaps",
        (engine) => engine.encaps(publicKey, randomness),
        ({ ciphertext, sharedSecret }) =>
          isBytes(ciphertext, KEM_CIPHERTEXT_BYTES) && isKey(sharedSecret),
      );
    },
    decaps(seed, ciphertext) {
      requireLength("seed", seed, KEM_SEED_BYTES);
      requireLength("ciphertext", ciphertext, KEM_CIPHERTEXT_BYTES);
      return run("decaps", (engine) => engine.decaps(seed, ciphertext), isKey);
    },
    seal(key, nonce, aad, plaintext) {
      requireLength("key", key, SECRET_BYTES);
      requireLength("nonce", nonce, NONCE_BYTES);
      return run(
        "seal",
        (engine) => engine.seal(key, nonce, aad, plaintext),
        (answer) => isBytes(answer, plaintext.length + TAG_BYTES),
      );
    },
    open(key, nonce, aad, sealed) {
      // As the reference: what cannot have been sealed has no tag that fits.
      if (key.length !== SECRET_BYTES || nonce.length !== NONCE_BYTES) return undefined;
      if (sealed.length < TAG_BYTES) return undefined;
      return run(
        "open",
        (engine) => engine.open(key, nonce, aad, sealed),
        (answer) => answer === undefined || isBytes(answer, sealed.length - TAG_BYTES),
      );
    },
    hmac(key, bytes) {
      try {
        const answer = run("hmac", (engine) => engine.hmac(key, bytes), isDigest);
        if (!(answer instanceof Promise)) return answer;
      } catch {
        // Whoever walks a chain cannot wait, and noble never fails.
      }
      return nobleBackend.hmac(key, bytes);
    },
  };
}

/** One engine as a back-end, without a second one to help out; noble does what it leaves out. */
export function backendOf({ name, operations }: Engine): CryptoBackend {
  const complete: Operations = { ...nobleBackend, ...operations };
  return guardedBackend(name, (_, call, fits) => {
    const answer = call(complete);
    if (!(answer instanceof Promise)) return requireFit(answer, fits);
    return answer.then((value) => requireFit(value, fits));
  });
}

export const nobleEngine: Engine = { name: "noble", operations: nobleBackend };

/**
 * Every device must take exactly the same signatures, and platforms leave the cofactor out: what they take is a part
 * of what noble takes, once the encodings are canonical, but not all of it. So their yes counts and their no does not.
 */
function verifyWith(
  { verify }: Operations,
  ...question: Parameters<CryptoBackend["verify"]>
): MaybePromise<boolean> {
  const answer = verify(...question);
  if (verify === nobleBackend.verify) return answer;
  // A yes that is none, such as bytes, passes here and then counts as a failure of the engine.
  const settle = (given: boolean): MaybePromise<boolean> =>
    given || nobleBackend.verify(...question);
  return answer instanceof Promise ? answer.then(settle) : settle(answer);
}

/**
 * An `open` that fails, instead of giving a verdict, on what noble opens: for platforms whose word for a tag that does not
 * fit is also their word for anything else that went wrong. What opens costs nothing more.
 */
export const confirmed =
  (open: Operations["open"]): Operations["open"] =>
  (...question) => {
    const settle = (opened: Uint8Array | undefined): Uint8Array | undefined => {
      if (opened === undefined && nobleBackend.open(...question) !== undefined) {
        throw new Error("a tag that fits was refused");
      }
      return opened;
    };
    const answer = open(...question);
    return answer instanceof Promise ? answer.then(settle) : settle(answer);
  };

/** `other` where `ask` throws or rejects. */
function orElse<T>(ask: () => MaybePromise<T>, other: () => MaybePromise<T>): MaybePromise<T> {
  try {
    const answer = ask();
    return answer instanceof Promise ? answer.catch(other) : answer;
  } catch {
    return other();
  }
}

function requireFit<T>(answer: T, fits: (answer: T) => boolean): T {
  if (!fits(answer)) throw new Error("an answer that no working engine gives");
  return answer;
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`${what} of ${bytes.length} bytes`);
}

const isBytes = (value: unknown, length: number): boolean =>
  value instanceof Uint8Array && value.length === length;

const isDigest = (answer: Uint8Array): boolean => isBytes(answer, 32);

/** 32 bytes, and not all zero: no exchange, no key and no shared secret is. */
const isKey = (answer: Uint8Array): boolean =>
  isBytes(answer, 32) && answer.some((byte) => byte !== 0);
