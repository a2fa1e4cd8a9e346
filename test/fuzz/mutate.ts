/**
 * New inputs out of old ones: bytes changed blindly, with the words of a dictionary, or as fields of a value.
 * Owns: the mutations. Leaves to the loop: which input to change, and what became of it.
 * Uses nothing of the packages under test: they may have a bug planted in them.
 */
import type { Random } from "../simulation/random.ts";

const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255] as const;
const INTERESTING_WIDE = [
  0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000,
  0xffff_fffe, 0xffff_ffff,
] as const;
/** Mutations stacked on one input at most. */
const STACK_MAX = 6;

const join = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.concat(parts));

/** Literals of the sources as bytes: numbers in each width they fit, texts as UTF-8 and hex as what it says. */
export function createDictionary(literals: readonly (number | string)[]): readonly Uint8Array[] {
  const words = new Map<string, Uint8Array>();
  const add = (bytes: Uint8Array): void => void words.set(bytes.join(), bytes);
  for (const literal of literals) {
    if (typeof literal === "string") {
      add(Uint8Array.from(Buffer.from(literal)));
      if (/^([\da-f]{2}){4,}$/.test(literal)) add(Uint8Array.from(Buffer.from(literal, "hex")));
    } else if (literal <= 0xffff_ffff) {
      for (const near of [literal - 1, literal, literal + 1].filter((one) => one >= 0)) {
        if (near <= 0xff) add(Uint8Array.of(near));
        if (near > 3 && near <= 0xffff) add(bigEndian(near, 2));
        if (near > 0xff) add(bigEndian(near, 4));
      }
    }
  }
  return [...words.values()];
}

function bigEndian(value: number, width: 2 | 4): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(width);
  const view = new DataView(bytes.buffer);
  if (width === 2) view.setUint16(0, value & 0xffff);
  else view.setUint32(0, value >>> 0);
  return bytes;
}

/** Most structure stands in front: half of all places are among the first bytes. */
const placeIn = (length: number, random: Random): number =>
  random.int(random.chance(0.5) ? Math.min(length, 48) : length);

type Mutation = (
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  dictionary: readonly Uint8Array[],
) => Uint8Array<ArrayBuffer>;

const overwrite = (
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  word: Uint8Array,
): Uint8Array<ArrayBuffer> => {
  bytes.set(word.subarray(0, bytes.length - at), at);
  return bytes;
};
const insert = (bytes: Uint8Array, at: number, word: Uint8Array): Uint8Array<ArrayBuffer> =>
  join(bytes.subarray(0, at), word, bytes.subarray(at));
/** Short ones mostly, half of everything now and then. */
const lengthUpTo = (max: number, random: Random): number =>
  1 + random.int(Math.max(1, random.chance(0.7) ? Math.min(max, 8) : max >> 1));

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => {
    const at = placeIn(bytes.length, random);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
    return bytes;
  },
  (bytes, random) => {
    const at = placeIn(bytes.length, random);
    bytes[at] = random.int(256);
    return bytes;
  },
  (bytes, random) => {
    const at = placeIn(bytes.length, random);
    bytes[at] = (bytes[at] ?? 0) + random.between(-16, 16);
    return bytes;
  },
  (bytes, random) => {
    bytes[placeIn(bytes.length, random)] = random.pick(INTERESTING);
    return bytes;
  },
  (bytes, random) => {
    const word = bigEndian(random.pick(INTERESTING_WIDE), random.chance(0.5) ? 2 : 4);
    return overwrite(bytes, placeIn(bytes.length, random), word);
  },
  // A length in front of a block: a little more or less.
  (bytes, random) => {
    const at = placeIn(bytes.length, random);
    const value = ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0) + random.between(-8, 8);
    return overwrite(bytes, at, bigEndian(value & 0xffff, 2));
  },
  (bytes, random, dictionary) =>
    dictionary.length === 0
      ? bytes
      : overwrite(bytes, placeIn(bytes.length, random), random.pick(dictionary)),
  (bytes, random, dictionary) =>
    dictionary.length === 0
      ? bytes
      : insert(bytes, placeIn(bytes.length + 1, random), random.pick(dictionary)),
  (bytes, random) => {
    const at = placeIn(bytes.length, random);
    const end = Math.min(bytes.length, at + lengthUpTo(bytes.length, random));
    return join(bytes.subarray(0, at), bytes.subarray(end));
  },
  (bytes, random) =>
    insert(
      bytes,
      placeIn(bytes.length + 1, random),
      random.chance(0.5)
        ? random.bytes(lengthUpTo(64, random))
        : new Uint8Array(lengthUpTo(64, random)).fill(random.int(256)),
    ),
  // A block of its own somewhere else: over what is there, or between.
  (bytes, random) => {
    const from = random.int(bytes.length);
    const block = bytes.slice(from, from + lengthUpTo(bytes.length, random));
    const at = placeIn(bytes.length, random);
    return random.chance(0.5) ? overwrite(bytes, at, block) : insert(bytes, at, block);
  },
  (bytes, random) => bytes.slice(0, random.int(bytes.length + 1)),
];

/** One to STACK_MAX mutations of `input`, now and then after joining it with a part of `other`. */
export function mutateBytes(
  input: Uint8Array,
  other: Uint8Array,
  maxBytes: number,
  random: Random,
  dictionary: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  let bytes = Uint8Array.from(input);
  if (random.chance(0.15)) {
    const start = random.int(other.length + 1);
    bytes = join(bytes.subarray(0, random.int(bytes.length + 1)), other.subarray(start));
  }
  for (let left = random.between(1, STACK_MAX); left > 0; left--) {
    if (bytes.length === 0) bytes = random.bytes(random.between(1, 16));
    else bytes = random.pick(MUTATIONS)(bytes, random, dictionary);
  }
  return bytes.length > maxBytes ? bytes.slice(0, maxBytes) : bytes;
}

/** A copy of a decoded value with one to three of its fields changed, the type of each kept. */
export function mutateValue(value: unknown, random: Random): unknown {
  let mutated = structuredClone(value);
  for (let left = random.between(1, 3); left > 0; left--) mutated = mutateOne(mutated, random);
  return mutated;
}

function mutateOne(value: unknown, random: Random): unknown {
  if (value instanceof Uint8Array) return mutateArray(value, random);
  if (Array.isArray(value)) return mutateList(value, random);
  switch (typeof value) {
    case "number":
      return random.chance(0.5)
        ? random.pick(INTERESTING_WIDE)
        : Math.max(0, value + random.between(-3, 3));
    case "bigint":
      return random.chance(0.5) ? 0xffff_ffff_ffff_ffffn : value ^ (1n << BigInt(random.int(64)));
    case "boolean":
      return !value;
    case "string":
      return mutateText(value, random);
    case "object": {
      if (value === null) return value;
      const entries: [string, unknown][] = Object.entries(value);
      if (entries.length === 0) return value;
      const [name, field] = random.pick(entries);
      return { ...value, [name]: mutateOne(field, random) };
    }
    default:
      return random.chance(0.5) ? random.bytes(32) : value;
  }
}

function mutateArray(value: Uint8Array, random: Random): Uint8Array {
  if (random.chance(0.3)) return random.bytes(random.pick([0, 1, value.length + 1, 16, 32, 64]));
  const bytes = Uint8Array.from(value);
  if (bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256);
  return bytes;
}

function mutateList(value: readonly unknown[], random: Random): readonly unknown[] {
  if (value.length === 0) return value;
  const at = random.int(value.length);
  switch (random.int(4)) {
    case 0:
      return [...value, value[at]];
    case 1:
      return value.toSpliced(at, 1);
    case 2:
      return Array.from({ length: random.between(1, 80) }, () => value[at]);
    default:
      return value.with(at, mutateOne(value[at], random));
  }
}

const TEXTS = ["", "\0", "é", "e\u0301", "\u202e", "\u{1f600}", "__proto__", "a".repeat(129)];

function mutateText(value: string, random: Random): string {
  const at = random.int(value.length + 1);
  const piece = random.chance(0.5)
    ? random.pick(TEXTS)
    : String.fromCharCode(random.int(random.chance(0.7) ? 128 : 0x1_0000));
  return value.slice(0, at) + piece + value.slice(at + random.int(3));
}

/** A JSON text with one to three of its values changed; undefined when `input` is none. */
export function mutateJson(input: Uint8Array, random: Random): Uint8Array | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(input).toString("utf8"));
    return Uint8Array.from(Buffer.from(JSON.stringify(mutateValue(value, random))));
  } catch {
    return undefined;
  }
}
