/**
 * The post-quantum half of the ratchet: ML-KEM exchanges in pieces that ride in the padding, one after the other
 * with alternating roles. State in, new state out.
 * Owns: frames inside a body, roles, when a secret is ready. Leaves to session.ts: mixing it into the root step.
 * Spec: SPEC.md §5.6.
 */
import {
  type ByteReader,
  createWriter,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  refuse,
} from "@sotto/wire";
import type { CryptoEnv } from "./backend.ts";
import { type CodeSymbol, joinSymbols, SYMBOL_BYTES, symbolAt, SYMBOLS_MAX } from "./erasure.ts";
import { isKemKey } from "./primitives.ts";

/** Symbols of one frame at most: a whole key and one to spare. */
export const FRAME_SYMBOLS_MAX = 38;
/** Of these, at most so many that are no piece of the block: they cost a sum over all of it. */
export const FRAME_PARITY_MAX = 4;
/** kind 1 | epoch 2 | first index 1 | count 1. */
export const FRAME_HEADER_BYTES = 5;
/** A key or ciphertext is sent in one piece, where there is room for it, at most this often… */
export const WHOLE_MESSAGES_MIN = 50;
/** …or after this time: 10 minutes. */
export const WHOLE_INTERVAL_MS = 600_000;
/** Epochs are u16 and start again from 0: only "the same" and "the next" are ever asked for. */
const EPOCHS = 0x1_0000;

const FrameKind = { key: 1, ciphertext: 2 } as const;

/**
 * One exchange, seen from one side. The offerer goes `due` → `offering` → `ready` and then, having mixed the
 * secret, `awaiting` the other side's key; the answerer goes `awaiting` → `answering` → `due`.
 */
export type KemStep =
  /** Our turn to offer; the key is made with the next message. */
  | { readonly kind: "due" }
  | {
      readonly kind: "offering";
      /** 64 bytes. */
      readonly seed: Uint8Array;
      /** KEM_PUBLIC_BYTES, of `seed`. */
      readonly block: Uint8Array;
      /** Index of the next symbol to send. */
      readonly next: number;
      /** Symbols of the ciphertext. */
      readonly received: readonly CodeSymbol[];
    }
  /** The other side holds the secret too: it goes into our next root step. */
  | { readonly kind: "ready"; readonly secret: Uint8Array }
  | {
      readonly kind: "awaiting";
      /** Symbols of the key. */ readonly received: readonly CodeSymbol[];
    }
  | {
      readonly kind: "answering";
      readonly secret: Uint8Array;
      /** KEM_CIPHERTEXT_BYTES. */
      readonly block: Uint8Array;
      readonly next: number;
      /** The key came in one piece, so its answer may, once. */
      readonly whole: boolean;
    };

export interface KemRatchet {
  /** Secrets mixed into the root so far, modulo 2^16. */
  readonly epoch: number;
  readonly step: KemStep;
  /** Messages sealed since a key was last sent in one piece, and when that was (ms since 1970). */
  readonly sinceWhole: number;
  readonly wholeAt: number;
}

/** A run of symbols inside a body. */
export interface KemFrame {
  readonly kind: "key" | "ciphertext";
  readonly epoch: number;
  readonly symbols: readonly CodeSymbol[];
}

/** The initiator offers first. */
export const createKemRatchet = (initiator: boolean): KemRatchet => ({
  epoch: 0,
  step: initiator ? { kind: "due" } : { kind: "awaiting", received: [] },
  sinceWhole: WHOLE_MESSAGES_MIN,
  wholeAt: 0,
});

export const nextEpoch = (epoch: number): number => (epoch + 1) % EPOCHS;

/** Bytes of padding a body should leave for the frame: one symbol, everything, or nothing to say. */
export function wantedFrameBytes(kem: KemRatchet, wantsWhole: boolean, now: number): number {
  if (kem.step.kind !== "offering" && kem.step.kind !== "answering") return 0;
  const symbols = wantsWhole && mayBeWhole(kem, now) ? symbolsOf(kem.step.block) : 1;
  return FRAME_HEADER_BYTES + symbols * SYMBOL_BYTES;
}

/** Makes the key that is due. Before `takeFrame`, so that a failing engine changes nothing. */
export async function prepareOffer(kem: KemRatchet, env: CryptoEnv): Promise<KemRatchet> {
  if (kem.step.kind !== "due") return kem;
  const seed = env.entropy(64);
  const block = await env.crypto.kemPublic(seed);
  return { ...kem, step: { kind: "offering", seed, block, next: 0, received: [] } };
}

/** The frame that fits into `room` bytes, and the state after sending it. `bytes` is empty when there is none. */
export function takeFrame(
  kem: KemRatchet,
  room: number,
  now: number,
): { readonly kem: KemRatchet; readonly bytes: Uint8Array } {
  const { step } = kem;
  const sent = { ...kem, sinceWhole: kem.sinceWhole + 1 };
  const none = { kem: sent, bytes: new Uint8Array(0) };
  if (step.kind !== "offering" && step.kind !== "answering") return none;
  const fitting = Math.floor((room - FRAME_HEADER_BYTES) / SYMBOL_BYTES);
  const pieces = symbolsOf(step.block);
  // Where all of it fits, it goes as it is.
  const first = fitting >= pieces ? 0 : step.next;
  const count = Math.min(
    fitting,
    FRAME_SYMBOLS_MAX,
    Math.max(0, pieces - first) + FRAME_PARITY_MAX,
    SYMBOLS_MAX - first,
  );
  if (count < 1) return none;
  const writer = createWriter(FRAME_HEADER_BYTES + count * SYMBOL_BYTES)
    .u8(step.kind === "offering" ? FrameKind.key : FrameKind.ciphertext)
    .u16(nextEpoch(kem.epoch))
    .u8(first)
    .u8(count);
  for (let at = first; at < first + count; at++) writer.raw(symbolAt(step.block, at).bytes);
  const bytes = writer.done();
  const next = (first + count) % SYMBOLS_MAX;
  if (count < pieces) return { kem: { ...sent, step: { ...step, next } }, bytes };
  const whole =
    step.kind === "offering"
      ? { ...sent, step: { ...step, next }, sinceWhole: 0, wholeAt: now }
      : { ...sent, step: { ...step, next, whole: false } };
  return { kem: whole, bytes };
}

/** Reads what stands behind the content, up to the zeros. Refuses in `reader`. */
export function readFrame(reader: ByteReader): KemFrame | undefined {
  if (reader.left() === 0) return undefined;
  const kind = reader.u8();
  if (kind === 0) return undefined;
  if (kind !== FrameKind.key && kind !== FrameKind.ciphertext) refuse("malformed");
  const epoch = reader.u16();
  const first = reader.u8();
  const count = reader.u8();
  if (count === 0 || count > FRAME_SYMBOLS_MAX || first + count > SYMBOLS_MAX) refuse("malformed");
  const symbols = Array.from({ length: count }, (_, at) => ({
    index: first + at,
    bytes: reader.take(SYMBOL_BYTES),
  }));
  return { kind: kind === FrameKind.key ? "key" : "ciphertext", epoch, symbols };
}

/** What a frame from an authenticated body changes. One that is late, early or for the other role changes nothing. */
export async function acceptFrame(
  kem: KemRatchet,
  frame: KemFrame,
  env: CryptoEnv,
): Promise<KemRatchet> {
  const { step } = kem;
  if (frame.epoch !== nextEpoch(kem.epoch)) return kem;
  if (step.kind === "awaiting" && frame.kind === "key") {
    const received = collect(step.received, frame.symbols, KEM_SYMBOLS.key);
    if (received.length < KEM_SYMBOLS.key) return { ...kem, step: { kind: "awaiting", received } };
    const key = joinSymbols(received);
    // Only the other side can have sent these; whoever sends a key that is none does not get an exchange.
    if (!isKemKey(key)) return { ...kem, step: { kind: "awaiting", received: [] } };
    const { ciphertext, sharedSecret } = await env.crypto.encaps(key, env.entropy(32));
    const whole = frame.symbols.length >= KEM_SYMBOLS.key;
    return {
      ...kem,
      step: { kind: "answering", secret: sharedSecret, block: ciphertext, next: 0, whole },
    };
  }
  if (step.kind === "offering" && frame.kind === "ciphertext") {
    const received = collect(step.received, frame.symbols, KEM_SYMBOLS.ciphertext);
    if (received.length < KEM_SYMBOLS.ciphertext) return { ...kem, step: { ...step, received } };
    const secret = await env.crypto.decaps(step.seed, joinSymbols(received));
    return { ...kem, step: { kind: "ready", secret } };
  }
  return kem;
}

/** For our root step: the secret to mix, and the state after it. No secret: an ordinary root step. */
export const mixAsOfferer = (
  kem: KemRatchet,
): { readonly kem: KemRatchet; readonly secret: Uint8Array | undefined } =>
  kem.step.kind === "ready"
    ? {
        kem: { ...kem, epoch: nextEpoch(kem.epoch), step: { kind: "awaiting", received: [] } },
        secret: kem.step.secret,
      }
    : { kem, secret: undefined };

/**
 * For the other side's root step, whose header says `epoch`. Undefined when it claims a secret that was never
 * agreed, or goes back.
 */
export function mixAsAnswerer(
  kem: KemRatchet,
  epoch: number,
): { readonly kem: KemRatchet; readonly secret: Uint8Array | undefined } | undefined {
  if (epoch === kem.epoch) return { kem, secret: undefined };
  if (epoch !== nextEpoch(kem.epoch) || kem.step.kind !== "answering") return undefined;
  return { kem: { ...kem, epoch, step: { kind: "due" } }, secret: kem.step.secret };
}

/** Symbols that give a block back. */
export const KEM_SYMBOLS = {
  key: KEM_PUBLIC_BYTES / SYMBOL_BYTES,
  ciphertext: KEM_CIPHERTEXT_BYTES / SYMBOL_BYTES,
} as const;

const symbolsOf = (block: Uint8Array): number => block.length / SYMBOL_BYTES;

const mayBeWhole = ({ step, sinceWhole, wholeAt }: KemRatchet, now: number): boolean =>
  step.kind === "answering"
    ? step.whole
    : sinceWhole >= WHOLE_MESSAGES_MIN || now - wholeAt >= WHOLE_INTERVAL_MS;

/** Adds the symbols that are new, up to `needed`. */
function collect(
  received: readonly CodeSymbol[],
  symbols: readonly CodeSymbol[],
  needed: number,
): readonly CodeSymbol[] {
  const all = [...received];
  for (const symbol of symbols) {
    if (all.length >= needed) break;
    if (!all.some((one) => one.index === symbol.index)) all.push(symbol);
  }
  return all;
}
