/**
 * The side that is asked: says what it has, in the form the initiator chose.
 * Owns: answers, within what may be asked. Leaves to initiator.ts: deciding.
 * Spec: SPEC.md §4.1, §4.4.
 */
import { createWriter, equalBytes } from "@sotto/wire";
import { createEncoder, type SymbolEncoder, SYMBOLS_MAX, writeSymbols } from "./coded-symbols.ts";
import {
  compareList,
  findPositions,
  isPart,
  NONE,
  type Positions,
  positionsIn,
  sendRuns,
  sendWants,
  shortFingerprint,
  wordsAt,
  wordsOf,
} from "./compare.ts";
import { type Reconciled, rangesFrom } from "./initiator.ts";
import {
  fingerprintWith,
  firstFrom,
  type ItemSet,
  msAt,
  type Range,
  rangeFingerprint,
  setFingerprint,
} from "./item-set.ts";
import {
  type Cut,
  CUTS_MAX,
  decodeSyncMessage,
  encodeSyncMessage,
  type SetHead,
  SYMBOLS_PER_MESSAGE,
  type SyncMessageOf,
} from "./message.ts";

/** Items after the newest cut. */
const CUT_DEPTH_MIN = 16;

export interface ResponderState {
  readonly set: ItemSet;
  readonly phase: Phase;
}

interface Asked {
  readonly phase: "asked";
  /** Of the initiator's hello. */
  readonly remote: SetHead;
  /** What the initiator asked symbols of. */
  readonly symbols: { readonly encoder: SymbolEncoder; readonly sent: number } | undefined;
  /** Hashes of an own list of the initiator's that goes on, and where it begins. */
  readonly list: { readonly from: number; readonly words: number[] } | undefined;
  /** Words of what the initiator wants; more follow. */
  readonly wanted: number[];
}

type Phase = { readonly phase: "waiting" } | Asked | { readonly phase: "ended" };

type Step = Reconciled<ResponderState>;

/** Ready for a hello. Its salt has to be that of the keys of `set`: `saltOf` tells it beforehand. */
export const awaitReconciliation = (set: ItemSet): ResponderState => ({
  set,
  phase: { phase: "waiting" },
});

/** The salt of a hello or a sketch, so that the set can be made with it. Undefined for anything else. */
export function saltOf(bytes: Uint8Array): Uint8Array | undefined {
  const decoded = decodeSyncMessage(bytes);
  return decoded.ok && "salt" in decoded.value ? decoded.value.salt : undefined;
}

const going = (set: ItemSet, phase: Phase, send: readonly Uint8Array[]): Step => ({
  state: { set, phase },
  send,
  give: NONE,
  outcome: "going",
});

const ended = (
  set: ItemSet,
  outcome: "done" | "mismatch",
  send: readonly Uint8Array[],
  give: Positions = NONE,
): Step => ({ state: { set, phase: { phase: "ended" } }, send, give, outcome });

const refused = (state: ResponderState): Step => ({
  state,
  send: [],
  give: NONE,
  outcome: "refused",
});

/** Takes one message of the initiator. Total: whatever it is, a step comes of it. */
export function answerReconciliation(state: ResponderState, bytes: Uint8Array): Step {
  const decoded = decodeSyncMessage(bytes);
  if (!decoded.ok) return refused(state);
  const message = decoded.value;
  const { set, phase } = state;
  if (phase.phase === "waiting") {
    return message.kind === "hello" && equalBytes(message.salt, set.keys.salt)
      ? greet(set, message)
      : refused(state);
  }
  if (phase.phase === "ended") return refused(state);
  switch (message.kind) {
    case "ask-symbols": {
      if (phase.symbols !== undefined) return refused(state);
      const range: Range = { from: firstFrom(set, message.from), to: set.size };
      const symbols = { encoder: createEncoder(set, range), sent: 0 };
      return sendSymbols(state, { ...phase, symbols }, message.credit);
    }
    case "grant":
      return sendSymbols(state, phase, message.credit);
    case "ask-list": {
      const { mask, words } = differing(set, message.slices);
      const send = sendRuns(words, (hashes, isLast) => ({
        kind: "list",
        slices: mask,
        isLast,
        hashes,
      }));
      return going(set, { ...phase, symbols: undefined }, send);
    }
    case "own-list":
      return takeOwnList(state, phase, message) ?? refused(state);
    case "want": {
      const { wanted } = phase;
      wanted.push(...wordsOf(message.hashes));
      if (wanted.length > 2 * set.size) return refused(state);
      if (!message.isLast) return going(set, phase, []);
      return ended(set, "done", [], findPositions(set, [{ from: 0, to: set.size }], wanted));
    }
    default:
      return refused(state);
  }
}

function greet(set: ItemSet, hello: SyncMessageOf<"hello">): Step {
  const { count, fingerprint } = hello;
  const own = setFingerprint(set);
  if (count === set.size && equalBytes(own, fingerprint)) {
    return ended(set, "done", [encodeSyncMessage({ kind: "equal" })]);
  }
  if (count < set.size && equalBytes(rangeFingerprint(set, { from: 0, to: count }), fingerprint)) {
    const newer = positionsIn({ from: count, to: set.size });
    return ended(set, "done", [encodeSyncMessage({ kind: "ahead", newer: newer.length })], newer);
  }
  const summary = encodeSyncMessage({
    kind: "summary",
    count: set.size,
    fingerprint: own,
    estimators: set.estimators,
    cuts: cutsOf(set),
  });
  const remote = { count, fingerprint };
  const phase: Asked = { phase: "asked", remote, symbols: undefined, list: undefined, wanted: [] };
  return going(set, phase, [summary]);
}

/** At the times of the items 16, 32, 64, … from the newest one. Items of one time are on one side of a cut. */
function cutsOf(set: ItemSet): readonly Cut[] {
  const cuts: Cut[] = [];
  let previous = Infinity;
  for (let depth = CUT_DEPTH_MIN; depth < set.size && cuts.length < CUTS_MAX; depth *= 2) {
    const before = msAt(set, set.size - depth);
    if (before >= previous) continue;
    previous = before;
    const range = { from: 0, to: firstFrom(set, before) };
    cuts.push({ before, fingerprint: shortFingerprint(set, range) });
  }
  return cuts;
}

function sendSymbols(state: ResponderState, phase: Asked, credit: number): Step {
  const { symbols } = phase;
  if (symbols === undefined || symbols.sent + credit > SYMBOLS_MAX) return refused(state);
  const { encoder, sent } = symbols;
  const end = sent + credit;
  encoder.extend(end);
  const send: Uint8Array[] = [];
  for (let first = sent; first < end; first += SYMBOLS_PER_MESSAGE) {
    const to = Math.min(first + SYMBOLS_PER_MESSAGE, end);
    const bytes = writeSymbols(createWriter(), encoder.symbols, first, to).done();
    send.push(encodeSyncMessage({ kind: "symbols", first, bytes }));
  }
  return going(state.set, { ...phase, symbols: { encoder, sent: end } }, send);
}

function differing(
  set: ItemSet,
  slices: SyncMessageOf<"ask-list">["slices"],
): { readonly mask: number; readonly words: readonly number[] } {
  let mask = 0;
  const words: number[] = [];
  const ranges = rangesFrom(
    set,
    slices.map(({ from }) => from),
  );
  for (const [at, slice] of slices.entries()) {
    const range = ranges[at] ?? { from: 0, to: 0 };
    if (isPart(set, range, slice.fingerprint)) continue;
    mask |= 1 << at;
    for (const word of wordsAt(set, positionsIn(range))) words.push(word);
  }
  return { mask, words };
}

/** Undefined for more than the initiator said it has, or for a list that changes where it begins. */
function takeOwnList(
  state: ResponderState,
  phase: Asked,
  message: SyncMessageOf<"own-list">,
): Step | undefined {
  const { set } = state;
  const list = phase.list ?? { from: message.from, words: [] };
  if (list.from !== message.from) return undefined;
  for (const word of wordsOf(message.hashes)) list.words.push(word);
  if (list.words.length > 2 * phase.remote.count) return undefined;
  if (!message.isLast) return going(set, { ...phase, list }, []);
  const range: Range = { from: firstFrom(set, list.from), to: set.size };
  const { ownOnly, remoteOnly } = compareList(set, [range], list.words);
  const expected = fingerprintWith(set, remoteOnly, wordsAt(set, ownOnly));
  if (!equalBytes(expected, phase.remote.fingerprint)) {
    return ended(set, "mismatch", [encodeSyncMessage({ kind: "mismatch" })]);
  }
  return ended(set, "done", sendWants(remoteOnly), ownOnly);
}
