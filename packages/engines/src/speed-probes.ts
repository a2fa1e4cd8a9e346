/** One typical call of each operation, for timing it. Owns: what is typical. */
import { type MaybePromise, nobleBackend } from "@sotto/crypto";
import type { Operation, Operations } from "./engine.ts";

/** One array for every call: a secret serves two or three in a conversation, and an engine may keep what it read. */
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const KEM_SEED = Uint8Array.from({ length: 64 }, (_, index) => index + 1);
const NONCE = new Uint8Array(12);
const AAD = new Uint8Array(32);
/** u = 9: any point takes the same time. */
const POINT = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 9 : 0));
/** A long text: short ones are not for platforms. */
const TEXT = new Uint8Array(16_384);
/** What is signed: a label and a hash or a key. */
const MESSAGE = new Uint8Array(64);
/** Rejected in the same time as a fitting one: that is what ML-KEM promises. */
const CIPHERTEXT = new Uint8Array(1_088);
/** All coefficients zero: of the right form, and no key of anybody. */
const KEM_PUBLIC = new Uint8Array(1_184);

type Probe = (engine: Operations) => MaybePromise<unknown>;

export async function speedProbeOf(operation: Operation): Promise<Probe> {
  switch (operation) {
    case "dh":
      return (engine) => engine.dh(SECRET, POINT);
    case "dhPublic":
      return (engine) => engine.dhPublic(SECRET);
    case "signPublic":
      return (engine) => engine.signPublic(SECRET);
    case "verify": {
      const key = await nobleBackend.signPublic(SECRET);
      const signature = await nobleBackend.sign(SECRET, MESSAGE);
      return (engine) => engine.verify(key, MESSAGE, signature);
    }
    case "sign":
      return (engine) => engine.sign(SECRET, MESSAGE);
    case "kemPublic":
      return (engine) => engine.kemPublic(KEM_SEED);
    case "encaps":
      return (engine) => engine.encaps(KEM_PUBLIC, SECRET);
    case "decaps":
      return (engine) => engine.decaps(KEM_SEED, CIPHERTEXT);
    case "hmac":
      return (engine) => engine.hmac(SECRET, NONCE);
    case "seal":
      return (engine) => engine.seal(SECRET, NONCE, AAD, TEXT);
    case "open": {
      const sealed = await nobleBackend.seal(SECRET, NONCE, AAD, TEXT);
      return (engine) => engine.open(SECRET, NONCE, AAD, sealed);
    }
  }
}
