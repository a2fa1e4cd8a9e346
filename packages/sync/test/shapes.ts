/**
 * Pairs of sets as they come about, and a link between two sides that counts bytes.
 * Hashes are drawn instead of computed: they are the output of a keyed hash, and 100,000 of those take seconds.
 */
import {
  answerReconciliation,
  awaitReconciliation,
  beginReconciliation,
  continueReconciliation,
  createItemSet,
  deriveSetKeys,
  eventId,
  type Item,
  type ItemSet,
  hashAt,
  type Reconciled,
  type SetKeys,
} from "@sotto/sync";
import { bytesToHex } from "@sotto/wire";
import { createRandom, type Random } from "../../../test/simulation/random.ts";

export const KEYS: SetKeys = deriveSetKeys(new Uint8Array(32).fill(7));

const DAY_MS = 86_400_000;
/** Two and a half years of history. */
const SPAN_MS = 900 * DAY_MS;
const BEGIN_MS = 1_700_000_000_000;

/** `size` items in the order of their ids, over the whole span. */
export function drawItems(size: number, random: Random): readonly Item[] {
  const step = SPAN_MS / size;
  const devices = [1, 2, 3].map((device) => new Uint8Array(8).fill(device));
  return Array.from({ length: size }, (_, at) => {
    const ms = BEGIN_MS + Math.floor((at + random.next()) * step);
    return {
      id: eventId(ms, random.int(4), devices[random.int(3)] ?? new Uint8Array(8)),
      hash: random.bytes(8),
    };
  });
}

export interface Pair {
  /** Begins. */
  readonly a: readonly Item[];
  readonly b: readonly Item[];
  /** Hashes that only one of them has, as hex. */
  readonly onlyA: readonly string[];
  readonly onlyB: readonly string[];
}

export type Shape = "uniform" | "tail" | "behind" | "window";

const drawn = new Map<string, readonly Item[]>();

/**
 * `size` items in all. uniform: `differences` of them, anywhere, are on one side only, half on each. tail: the one who
 * answers lacks the newest. behind: the one who begins lacks them. window: of the newest, each side has its half.
 */
export function drawPair(shape: Shape, size: number, differences: number, seed: number): Pair {
  const name = `${size} ${seed}`;
  const all = drawn.get(name) ?? drawItems(size, createRandom(seed));
  drawn.set(name, all);
  const chosen =
    shape === "uniform"
      ? draw(size, differences, createRandom(seed + differences))
      : new Set<number>(range(size - differences, size));
  const sides: readonly [Item[], Item[]] = [[], []];
  const only: readonly [string[], string[]] = [[], []];
  let turn = 0;
  for (const [at, item] of all.entries()) {
    if (!chosen.has(at)) {
      for (const side of sides) side.push(item);
      continue;
    }
    const owner = shape === "tail" ? 0 : shape === "behind" ? 1 : turn++ % 2 === 0 ? 0 : 1;
    sides[owner].push(item);
    only[owner].push(bytesToHex(item.hash));
  }
  return { a: sides[0], b: sides[1], onlyA: only[0], onlyB: only[1] };
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

function draw(size: number, count: number, random: Random): ReadonlySet<number> {
  const chosen = new Set<number>();
  if (count === size) return new Set(range(0, size));
  while (chosen.size < count) chosen.add(random.int(size));
  return chosen;
}

export interface Run {
  /** Both ways, until the initiator knows both sides of the difference. */
  readonly bytes: number;
  /** With the hashes of what each asks the other for. */
  readonly bytesWithWants: number;
  /** Runs of messages of the initiator after which it waited for an answer. */
  readonly flights: number;
  readonly messages: number;
  readonly largest: number;
  readonly outcome: string;
  /** Hashes of what each gives, as hex: put together when asked for, as it is no part of a reconciliation. */
  readonly gives: { readonly a: readonly string[]; readonly b: readonly string[] };
}

/** A message kind of 11 asks for events; everything else is what it takes to know which. */
const isWant = (message: Uint8Array): boolean => message[0] === 11;

/** One message after another, each answered before the next one is delivered. */
export function reconcile(a: ItemSet, b: ItemSet): Run {
  let bytes = 0;
  let wants = 0;
  let flights = 0;
  let messages = 0;
  let largest = 0;
  const toB: Uint8Array[] = [];
  const toA: Uint8Array[] = [];
  const send = (to: Uint8Array[], sent: readonly Uint8Array[]): void => {
    for (const one of sent) {
      messages++;
      largest = Math.max(largest, one.length);
      if (isWant(one)) wants += one.length;
      else bytes += one.length;
      to.push(one);
    }
  };
  const given: { readonly a: Uint32Array[]; readonly b: Uint32Array[] } = { a: [], b: [] };
  const take = <T>(gives: Uint32Array[], step: Reconciled<T>): Reconciled<T> => {
    gives.push(step.give);
    return step;
  };
  const hashesOf = (set: ItemSet, gives: readonly Uint32Array[]): readonly string[] =>
    gives.flatMap((positions) => Array.from(positions, (at) => bytesToHex(hashAt(set, at))));
  let initiator = take(given.a, beginReconciliation(a));
  let responder: Reconciled<ReturnType<typeof awaitReconciliation>> | undefined;
  send(toB, initiator.send);
  if (initiator.send.some((one) => !isWant(one))) flights++;
  for (;;) {
    const forB = toB.shift();
    if (forB !== undefined) {
      const state = responder?.state ?? awaitReconciliation(b);
      responder = take(given.b, answerReconciliation(state, forB));
      if (responder.outcome === "refused") throw new Error("the responder refused");
      send(toA, responder.send);
      continue;
    }
    const forA = toA.shift();
    if (forA === undefined) break;
    const wasIdle = toA.length === 0;
    initiator = take(given.a, continueReconciliation(initiator.state, forA));
    // What comes after the end was under way when it came.
    if (initiator.outcome === "refused" && forA[0] !== 7) throw new Error("the initiator refused");
    if (initiator.outcome === "refused") continue;
    send(toB, initiator.send);
    if (wasIdle && initiator.send.some((one) => !isWant(one))) flights++;
  }
  const outcome = initiator.outcome === "refused" ? "done" : initiator.outcome;
  const gives = {
    get a() {
      return hashesOf(a, given.a);
    },
    get b() {
      return hashesOf(b, given.b);
    },
  };
  return { bytes, bytesWithWants: bytes + wants, flights, messages, largest, outcome, gives };
}

export const setOf = (items: readonly Item[], keys: SetKeys = KEYS): ItemSet =>
  createItemSet(keys, items);

/** Hashes in `a` that are not in `b`, as hex. */
export function onlyIn(a: readonly Item[], b: readonly Item[]): readonly string[] {
  const others = new Set(b.map(({ hash }) => bytesToHex(hash)));
  return a.map(({ hash }) => bytesToHex(hash)).filter((hash) => !others.has(hash));
}
