/**
 * The side that begins a reconciliation and decides how it goes on.
 * Owns: the choice between suffix, symbols and lists, and when to stop. Leaves to responder.ts: answering.
 * Spec: SPEC.md §4.1, §4.3.
 */
import { equalBytes } from "@sotto/wire";
import {
  createDecoder,
  createEncoder,
  SYMBOL_BYTES,
  type SymbolDecoder,
  SYMBOLS_MAX,
} from "./coded-symbols.ts";
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
import { ITEM_HASH_BYTES } from "./item.ts";
import {
  estimateDifference,
  fingerprintWith,
  firstFrom,
  type ItemSet,
  msAt,
  rangeFingerprint,
  setFingerprint,
  type Range,
} from "./item-set.ts";
import {
  CREDIT_MAX,
  decodeSyncMessage,
  encodeSyncMessage,
  type SetHead,
  type Slice,
  SLICES_MAX,
  type SyncMessage,
  type SyncMessageOf,
} from "./message.ts";

/** A range of fewer items is not split before it is listed: the split would cost more than it saves. */
export const SPLIT_ITEMS_MIN = 64;
/** Grants on their way at any time, so that the other side never waits for one. */
const GRANTS_AHEAD = 2;
/**
 * Symbols of one grant: this share of those there are. Two grants are what may come too much, and the fewer they are the
 * more often both sides wait for each other where a link is slow to answer.
 */
const GRANT_SHARE = 1 / 16;
const GRANT_MIN = 4;
/** Symbols per difference that decoding takes, with what comes too much: what the choice of a way reckons with. */
const SYMBOLS_PER_DIFFERENCE = 1.5;
/** Asked for at once, per difference of the estimate; two grants come on top. */
const FIRST_CREDIT = 1.15;

const grantFor = (symbols: number): number =>
  Math.min(Math.max(Math.ceil(symbols * GRANT_SHARE), GRANT_MIN), CREDIT_MAX);

/** What comes of one message. */
export interface Reconciled<State> {
  /** Goes on from here; a state is used once, as the symbols in it grow in place. */
  readonly state: State;
  /** To the other side, in this order. */
  readonly send: readonly Uint8Array[];
  /** Own items the other side lacks, as positions in the own set. */
  readonly give: Positions;
  /**
   * going: more is to come. done: nothing more to say. mismatch: begin again with keys of a new salt. refused: the
   * message was malformed or out of place; nothing has changed.
   */
  readonly outcome: "going" | "done" | "mismatch" | "refused";
}

export interface InitiatorState {
  readonly set: ItemSet;
  readonly phase: Phase;
}

interface Suffix {
  readonly remote: SetHead;
  /** Milliseconds: everything before is the same on both sides. */
  readonly from: number;
  readonly own: Range;
  /** Items of the other side from there on. */
  readonly remoteItems: number;
}

type Phase =
  | { readonly phase: "greeted" }
  | ({
      readonly phase: "symbols";
      readonly decoder: SymbolDecoder;
      /** Symbols asked for and not here yet. */
      readonly outstanding: number;
      /** Beyond so many a list is cheaper. */
      readonly budget: number;
    } & Suffix)
  | ({
      readonly phase: "list";
      readonly starts: readonly number[];
      readonly list: number[];
    } & Suffix)
  /** Items the other side asked for so far. */
  | { readonly phase: "wanted"; readonly own: Range; readonly wanted: number[] }
  | { readonly phase: "ended" };

type Step = Reconciled<InitiatorState>;

/** Says hello: what there is, in 38 bytes at most. */
export function beginReconciliation(set: ItemSet): Step {
  const hello = encodeSyncMessage({
    kind: "hello",
    salt: set.keys.salt,
    count: set.size,
    fingerprint: setFingerprint(set),
  });
  return going(set, { phase: "greeted" }, [hello]);
}

const going = (set: ItemSet, phase: Phase, send: readonly Uint8Array[] = []): Step => ({
  state: { set, phase },
  send,
  give: NONE,
  outcome: "going",
});

const ended = (
  set: ItemSet,
  outcome: "done" | "mismatch",
  send: readonly Uint8Array[] = [],
  give: Positions = NONE,
): Step => ({ state: { set, phase: { phase: "ended" } }, send, give, outcome });

const refused = (state: InitiatorState): Step => ({
  state,
  send: [],
  give: NONE,
  outcome: "refused",
});

/** Takes one message of the other side. Total: whatever it is, a step comes of it. */
export function continueReconciliation(state: InitiatorState, bytes: Uint8Array): Step {
  const decoded = decodeSyncMessage(bytes);
  if (!decoded.ok) return refused(state);
  const message = decoded.value;
  const { set, phase } = state;
  if (message.kind === "mismatch" && phase.phase !== "ended") return ended(set, "mismatch");
  switch (phase.phase) {
    case "greeted":
      if (message.kind === "equal") return ended(set, "done");
      if (message.kind === "ahead") return ended(set, "done");
      return message.kind === "summary" ? (choose(set, message) ?? refused(state)) : refused(state);
    case "symbols":
      return message.kind === "symbols" && message.first === phase.decoder.size
        ? takeSymbols(state, phase, message)
        : refused(state);
    case "list":
      return message.kind === "list"
        ? (takeList(state, phase, message) ?? refused(state))
        : refused(state);
    case "wanted": {
      if (message.kind !== "want") return refused(state);
      const { wanted } = phase;
      wanted.push(...wordsOf(message.hashes));
      if (wanted.length > 2 * (phase.own.to - phase.own.from)) return refused(state);
      if (!message.isLast) return going(set, phase);
      return ended(set, "done", [], findPositions(set, [phase.own], wanted));
    }
    case "ended":
      return refused(state);
  }
}

/** Undefined for a summary that cannot be true. */
function choose(set: ItemSet, summary: SyncMessageOf<"summary">): Step | undefined {
  const { count, fingerprint, estimators, cuts } = summary;
  const remote: SetHead = { count, fingerprint };
  const oldest = { from: 0, to: count };
  if (count <= set.size && equalBytes(rangeFingerprint(set, oldest), fingerprint)) {
    return ended(set, "done", sendWants([]), positionsIn({ from: count, to: set.size }));
  }
  const cut = cuts.find((one) =>
    isPart(set, { from: 0, to: firstFrom(set, one.before) }, one.fingerprint),
  );
  const from = cut?.before ?? 0;
  const own: Range = { from: firstFrom(set, from), to: set.size };
  const remoteItems = count - own.from;
  if (remoteItems < 0) return undefined;
  const suffix: Suffix = { remote, from, own, remoteItems };
  const estimate = estimateDifference(set, count, estimators);
  const symbols = SYMBOL_BYTES * SYMBOLS_PER_DIFFERENCE * estimate;
  return symbols < Math.min(ownListBytes(suffix), remoteListBytes(suffix))
    ? askSymbols(set, suffix, estimate)
    : list(set, suffix);
}

const ownListBytes = ({ own }: Suffix): number => ITEM_HASH_BYTES * (own.to - own.from);

/** A split range is rarely different in all its parts: the suffix begins up to twice as deep as it must. */
const remoteListBytes = ({ own, remoteItems }: Suffix): number =>
  isSplit(own)
    ? 10 * SLICES_MAX + 0.75 * ITEM_HASH_BYTES * remoteItems
    : ITEM_HASH_BYTES * remoteItems;

const isSplit = ({ from, to }: Range): boolean => to - from >= SPLIT_ITEMS_MIN;

function askSymbols(set: ItemSet, suffix: Suffix, estimate: number): Step {
  const grant = grantFor(estimate);
  const credit = Math.min(Math.ceil(FIRST_CREDIT * estimate), CREDIT_MAX);
  const listBytes = Math.min(ownListBytes(suffix), ITEM_HASH_BYTES * suffix.remoteItems);
  const send: SyncMessage[] = [{ kind: "ask-symbols", from: suffix.from, credit }];
  for (let ahead = 0; ahead < GRANTS_AHEAD; ahead++) send.push({ kind: "grant", credit: grant });
  const phase: Phase = {
    phase: "symbols",
    decoder: createDecoder(set.keys, createEncoder(set, suffix.own)),
    outstanding: credit + GRANTS_AHEAD * grant,
    budget: Math.min(Math.max(Math.ceil(listBytes / SYMBOL_BYTES), 16), SYMBOLS_MAX),
    ...suffix,
  };
  return going(set, phase, send.map(encodeSyncMessage));
}

type SymbolsPhase = Extract<Phase, { phase: "symbols" }>;

function takeSymbols(
  state: InitiatorState,
  phase: SymbolsPhase,
  message: SyncMessageOf<"symbols">,
): Step {
  const { set } = state;
  const { decoder } = phase;
  const received = message.bytes.length / SYMBOL_BYTES;
  const outstanding = phase.outstanding - received;
  if (outstanding < 0) return refused(state);
  const decoded = decoder.take(message.bytes);
  if (decoded === "wrong") return ended(set, "mismatch");
  if (decoded === "done") {
    const { own, remote } = decoder.difference;
    const give = findPositions(set, [phase.own], own);
    return conclude(set, phase.remote, give, remote, 2 * give.length === own.length);
  }
  if (decoder.size + outstanding >= phase.budget && outstanding === 0) return list(set, phase);
  const grants: Uint8Array[] = [];
  const grant = grantFor(decoder.size);
  let asked = outstanding;
  while (asked <= (GRANTS_AHEAD - 1) * grant && decoder.size + asked < phase.budget) {
    grants.push(encodeSyncMessage({ kind: "grant", credit: grant }));
    asked += grant;
  }
  return going(set, { ...phase, outstanding: asked }, grants);
}

/** `remote`: words of what only the other side has. Believed when the other side's fingerprint follows from it. */
function conclude(
  set: ItemSet,
  head: SetHead,
  give: Positions,
  remote: readonly number[],
  isOwn: boolean,
): Step {
  const expected = fingerprintWith(set, remote, wordsAt(set, give));
  if (!isOwn || !equalBytes(expected, head.fingerprint)) return ended(set, "mismatch");
  return ended(set, "done", sendWants(remote), give);
}

/** Sends the own list or asks for the other side's, whichever is shorter. */
function list(set: ItemSet, suffix: Suffix): Step {
  const { own, from } = suffix;
  if (ownListBytes(suffix) <= remoteListBytes(suffix)) {
    const words = wordsAt(set, positionsIn(own));
    const send = sendRuns(words, (hashes, isLast) => ({ kind: "own-list", from, isLast, hashes }));
    return going(set, { phase: "wanted", own, wanted: [] }, send);
  }
  const slices = slicesOf(set, suffix);
  const send = [encodeSyncMessage({ kind: "ask-list", slices })];
  const starts = slices.map((slice) => slice.from);
  return going(set, { ...suffix, phase: "list", starts, list: [] }, send);
}

/** Of about as many own items each; the last one is open. */
function slicesOf(set: ItemSet, { own, from }: Suffix): readonly Slice[] {
  const starts = [from];
  const count = isSplit(own) ? SLICES_MAX : 1;
  for (let at = 1; at < count; at++) {
    const ms = msAt(set, own.from + Math.floor((at * (own.to - own.from)) / count));
    if (ms > (starts.at(-1) ?? 0)) starts.push(ms);
  }
  return rangesFrom(set, starts).map((range, at) => ({
    from: starts[at] ?? 0,
    fingerprint: shortFingerprint(set, range),
  }));
}

/** Own items from each start up to the next one. */
export const rangesFrom = (set: ItemSet, starts: readonly number[]): readonly Range[] =>
  starts.map((start, at) => {
    const next = starts[at + 1];
    return {
      from: firstFrom(set, start),
      to: next === undefined ? set.size : firstFrom(set, next),
    };
  });

type ListPhase = Extract<Phase, { phase: "list" }>;

/** Undefined for more than the other side said it has. */
function takeList(
  state: InitiatorState,
  phase: ListPhase,
  message: SyncMessageOf<"list">,
): Step | undefined {
  const { set } = state;
  phase.list.push(...wordsOf(message.hashes));
  if (phase.list.length > 2 * phase.remoteItems) return undefined;
  if (!message.isLast) return going(set, phase);
  const ranges = rangesFrom(set, phase.starts).filter(
    (_, at) => ((message.slices >>> at) & 1) === 1,
  );
  const { ownOnly, remoteOnly } = compareList(set, ranges, phase.list);
  return conclude(set, phase.remote, ownOnly, remoteOnly, true);
}
