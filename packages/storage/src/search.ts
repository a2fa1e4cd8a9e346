/**
 * Search over all messages: an index of sealed grams says which segments to read, and reading says what matches.
 * Owns: runs of the index, when they are made and merged, ranking. Leaves to grams.ts: what matches what.
 * What no run has yet, and the tails, are read without: the index makes it fast, never right or wrong.
 * Spec: SPEC.md §7.
 */
import type { Abort, MessageRow, SearchHit, SearchOptions, SearchPage } from "@sotto/protocol";
import type { Dexie, Table } from "dexie";
import {
  decodeGrams,
  encodeGrams,
  fold,
  foldQuery,
  gramsOf,
  HITS_MAX,
  hitOf,
  newestFirst,
  pageOf,
  type Wanted,
  wantedFor,
} from "./grams.ts";
import type { HistoryState, Keys, SealedRow, State } from "./history-state.ts";
import { createLru } from "./lru.ts";
import { isFields, isMessage } from "./rows.ts";
import { seal, unseal } from "./sealing.ts";
import type { Entry } from "./segment.ts";
import { bytesToUtf8, utf8ToBytes } from "@sotto/wire";

/** Segments of one run, at most. */
export const RUN_SEGMENTS_MAX = 512;
/** So many segments without an index become a run. */
export const RUN_SEGMENTS_MIN = 64;
/** So many runs that are not full become one. */
export const RUNS_MERGED = 8;
/** Heads of runs that stay in memory. */
const RUNS_MAX = 64;
/** Old rows read at a time. */
const OLD_ROWS = 512;
/** Segments that are read at a time: few at first, as what is asked for is often new; twice as many each time. */
const SEGMENTS_FIRST = 8;
const SEGMENTS_AT_ONCE = 64;

/** The head's place among a run's blocks, which count from 1. */
const HEAD = 0;

/** A segment as a run knows it: conversation, number, version. */
type Ref = readonly [conversation: string, n: number, v: number];

interface Run {
  readonly r: number;
  readonly refs: readonly Ref[];
  /** First gram of each block. */
  readonly firsts: readonly string[];
}

/** Rows that may match, none of them newer than `upper`. */
interface Source {
  readonly upper: string;
  readonly state: State;
  /** Undefined: the tail. */
  readonly entry: Entry | undefined;
}

const nameOf = ([conversation, n, v]: Ref): string => `${n}/${v}/${conversation}`;

export interface SearchParts {
  readonly db: Dexie;
  readonly keys: () => Promise<Keys>;
  readonly state: HistoryState;
  readonly now: () => number;
}

export function createSearch({ db, keys, state, now }: SearchParts) {
  const heads: Table<SealedRow, number> = db.table("runs");
  const grams: Table<SealedRow, [r: number, n: number]> = db.table("grams");
  const { old } = state.tables;
  const runs = createLru<Run>(RUNS_MAX);
  let indexing: Promise<void> | undefined;

  const place = (r: number, n: number) => ({ table: "grams", conversation: "", n, v: r }) as const;

  async function openRow(row: SealedRow | undefined): Promise<Uint8Array | undefined> {
    if (!(row?.sealed instanceof Uint8Array)) return undefined;
    return unseal((await keys()).databaseKey, place(row.v, row.n), row.sealed);
  }

  /** A run that cannot be read is none: its segments are indexed again. */
  async function allRuns(): Promise<readonly Run[]> {
    const found = await Promise.all(
      (await heads.toCollection().primaryKeys()).map(async (r) => {
        const known = runs.get(`${r}`);
        if (known !== undefined) return known;
        const plain = await openRow(await heads.get(r));
        const run = plain && runIn(r, plain);
        if (run !== undefined) runs.set(`${r}`, run);
        return run;
      }),
    );
    return found.filter((run) => run !== undefined);
  }

  /** Within a transaction over `heads` and `grams`. */
  async function remove(r: number): Promise<void> {
    await heads.delete(r);
    await grams.where("[v+n]").between([r, HEAD], [r, Infinity]).delete();
    runs.delete(`${r}`);
  }

  /** Names of the segments of all runs, and of those that may have what is wanted. */
  async function candidatesFor(
    wanted: Wanted,
  ): Promise<{ readonly known: ReadonlySet<string>; readonly candidates: ReadonlySet<string> }> {
    const known = new Set<string>();
    const candidates = new Set<string>();
    await Promise.all(
      (await allRuns()).map(async (run) => {
        const sought = wanted.start === undefined ? wanted.whole : [wanted.start];
        const blocksOf = new Map(
          sought.map((gram) => [gram, blocksFor(run, gram, wanted.start !== undefined)]),
        );
        const numbers = [...new Set([...blocksOf.values()].flat())];
        const rows = await grams.bulkGet(numbers.map((n): [number, number] => [run.r, n]));
        const blocks = new Map(
          await Promise.all(
            rows.map(async (row, at) => {
              const plain = await openRow(row);
              return [numbers[at] ?? 0, plain && decodeGrams(plain)] as const;
            }),
          ),
        );
        // With a block missing nothing can be left out: as if there were no run.
        if ([...blocks.values()].includes(undefined)) return;
        const lists = sought.map((gram) => {
          const places = new Set<number>();
          for (const n of blocksOf.get(gram) ?? []) {
            const block = blocks.get(n);
            if (wanted.start === undefined) block?.get(gram)?.forEach((at) => places.add(at));
            else {
              for (const [one, all] of block ?? []) {
                if (one.startsWith(gram)) all.forEach((at) => places.add(at));
              }
            }
          }
          return places;
        });
        for (const [at, ref] of run.refs.entries()) {
          known.add(nameOf(ref));
          if (lists.every((places) => places.has(at))) candidates.add(nameOf(ref));
        }
      }),
    );
    return { known, candidates };
  }

  /** Newest first; complete and exact, whatever the index has. */
  async function find(query: string, options: SearchOptions, signal?: Abort): Promise<SearchPage> {
    const folded = foldQuery(query);
    if (folded === undefined) return pageOf([]);
    const { known, candidates } = await candidatesFor(wantedFor(folded));
    const states = await state.all(options.conversation);
    index(states);
    const sources = states
      .flatMap((one): readonly Source[] => [
        { upper: "g", state: one, entry: undefined },
        ...one.entries.flatMap((entry, at): readonly Source[] => {
          const name = nameOf([one.conversation, entry.n, entry.v]);
          if (known.has(name) && !candidates.has(name)) return [];
          // In the last one there are rows up to the end, and a few of one instant may stand beside its neighbour's.
          const upper = one.entries[at + 1]?.first ?? one.last;
          return isOutside(entry.first, upper, options) ? [] : [{ upper, state: one, entry }];
        }),
      ])
      .toSorted((a, b) => (a.upper < b.upper ? 1 : -1));
    let hits: SearchHit[] = [];
    const take = (rows: Iterable<MessageRow>): void => {
      for (const row of rows) {
        const hit = hitOf(row, folded, options);
        if (hit !== undefined) hits.push(hit);
      }
    };
    await eachOld(options.conversation, take, signal);
    let size = states.length + SEGMENTS_FIRST;
    for (let at = 0; at < sources.length;) {
      signal?.throwIfAborted();
      const next = sources.slice(at, at + size);
      at += size;
      size = Math.min(SEGMENTS_AT_ONCE, 2 * Math.max(SEGMENTS_FIRST, size - states.length));
      const last = hits[HITS_MAX];
      if (last !== undefined && last.row.order > (next[0]?.upper ?? "")) break;
      for (const source of next) if (source.entry === undefined) take(source.state.tail.values());
      await Promise.all(
        [...Map.groupBy(next, (source) => source.state)].map(async ([one, all]) => {
          const entries = all.flatMap(({ entry }) => entry ?? []);
          for (const rows of (await state.segmentsOf(one, entries)).values()) take(rows);
        }),
      );
      hits = hits.toSorted(newestFirst).slice(0, HITS_MAX + 1);
    }
    return pageOf(hits.toSorted(newestFirst));
  }

  /** Rows that have not moved into segments yet. */
  async function eachOld(
    conversation: string | undefined,
    take: (rows: readonly MessageRow[]) => void,
    signal: Abort | undefined,
  ): Promise<void> {
    let after: [string, string] = [conversation ?? "", ""];
    for (;;) {
      signal?.throwIfAborted();
      const rows = await old.where("[conversation+id]").above(after).limit(OLD_ROWS).toArray();
      take(rows.filter(isMessage));
      const end = rows.at(-1);
      if (end === undefined || (conversation !== undefined && end.conversation !== conversation))
        return;
      after = [end.conversation, end.id];
    }
  }

  /** Goes on by itself; what it does not come to is read without an index. */
  function index(states: readonly State[]): void {
    indexing ??= makeRuns(states)
      .catch(() => {
        // Closed, full, or somebody else was faster: the next search tries again.
      })
      .finally(() => {
        indexing = undefined;
      });
  }

  async function makeRuns(states: readonly State[]): Promise<void> {
    const all = await allRuns();
    const known = new Set(all.flatMap(({ refs }) => refs.map(nameOf)));
    const current = new Set<string>();
    const missing: { readonly ref: Ref; readonly state: State; readonly entry: Entry }[] = [];
    for (const one of states) {
      for (const entry of one.entries) {
        const ref: Ref = [one.conversation, entry.n, entry.v];
        current.add(nameOf(ref));
        if (!known.has(nameOf(ref))) missing.push({ ref, state: one, entry });
      }
    }
    let last = Math.max(0, ...all.map(({ r }) => r));
    for (let at = 0; missing.length - at >= RUN_SEGMENTS_MIN; at += RUN_SEGMENTS_MAX) {
      const batch = missing.slice(at, at + RUN_SEGMENTS_MAX);
      const postings = new Map<string, number[]>();
      for (const [index, one] of batch.entries()) {
        const found = new Set<string>();
        const rows = (await state.segmentsOf(one.state, [one.entry])).get(one.entry.n) ?? [];
        for (const { text } of rows) gramsOf(fold(text), found);
        for (const gram of found) post(postings, gram, index);
      }
      last = await writeRun(
        last,
        batch.map(({ ref }) => ref),
        postings,
        [],
      );
    }
    const isWhole = (run: Run): boolean =>
      run.refs.filter((ref) => current.has(nameOf(ref))).length > RUN_SEGMENTS_MAX / 2;
    const small = (await allRuns()).filter((run) => !isWhole(run)).slice(0, RUNS_MERGED);
    if (small.length === RUNS_MERGED) await mergeRuns(last, small, current);
  }

  /** Into one, without segments that are not as they were. */
  async function mergeRuns(
    last: number,
    small: readonly Run[],
    current: ReadonlySet<string>,
  ): Promise<void> {
    const refs: Ref[] = [];
    const postings = new Map<string, number[]>();
    for (const run of small) {
      const places = run.refs.map((ref) => (current.has(nameOf(ref)) ? refs.push(ref) - 1 : -1));
      const rows = await grams
        .where("[v+n]")
        .between([run.r, HEAD + 1], [run.r, Infinity])
        .toArray();
      for (const row of rows) {
        const plain = await openRow(row);
        const block = plain && decodeGrams(plain);
        if (block === undefined) {
          await db.transaction("rw", heads, grams, () => remove(run.r));
          return;
        }
        for (const [gram, all] of block) {
          for (const at of all) if ((places[at] ?? -1) >= 0) post(postings, gram, places[at] ?? 0);
        }
      }
    }
    await writeRun(last, refs, postings, small);
  }

  /** The number of the new run. Throws when another tab has made one meanwhile. */
  async function writeRun(
    last: number,
    refs: readonly Ref[],
    postings: ReadonlyMap<string, readonly number[]>,
    instead: readonly Run[],
  ): Promise<number> {
    // No number comes again, whatever became of the last one: other tabs remember what they read under it.
    const r = Math.max(last + 1, now());
    const blocks = encodeGrams(postings);
    const { databaseKey } = await keys();
    const head = utf8ToBytes(JSON.stringify({ refs, firsts: blocks.map(({ first }) => first) }));
    const rows = await Promise.all(
      [head, ...blocks.map(({ bytes }) => bytes)].map(async (plain, n): Promise<SealedRow> => {
        return { conversation: "", n, v: r, sealed: await seal(databaseKey, place(r, n), plain) };
      }),
    );
    const [headRow, ...blockRows] = rows;
    await db.transaction("rw", heads, grams, async () => {
      const newest = Math.max(0, ...(await heads.toCollection().primaryKeys()));
      if (newest > last || headRow === undefined) throw new Error("another run was faster");
      await heads.put(headRow);
      await grams.bulkPut(blockRows);
      for (const one of instead) await remove(one.r);
    });
    return r;
  }

  return { find, forgetAll: () => runs.clear() };
}

/** No row between these order keys is asked for. */
function isOutside(first: string, upper: string, { before, after, from }: SearchOptions): boolean {
  const msOf = (order: string): number => Number.parseInt(order.slice(0, 12), 16);
  return (
    (before !== undefined && msOf(first) >= before) ||
    (after !== undefined && msOf(upper) < after) ||
    (from !== undefined && first > from)
  );
}

function post(postings: Map<string, number[]>, gram: string, at: number): void {
  const places = postings.get(gram);
  if (places === undefined) postings.set(gram, [at]);
  else places.push(at);
}

/** Numbers of the blocks that may have the gram, or all that begin with it. */
function blocksFor({ firsts }: Run, gram: string, isStart: boolean): readonly number[] {
  const numbers: number[] = [];
  for (const [at, first] of firsts.entries()) {
    const next = firsts[at + 1];
    const isBelow = next !== undefined && next <= gram;
    const isAbove = first > gram && !(isStart && first.startsWith(gram));
    if (!isBelow && !isAbove) numbers.push(at + 1);
  }
  return numbers;
}

function runIn(r: number, plain: Uint8Array): Run | undefined {
  // Sealed, so written by this code; of a later form it is none.
  const value: unknown = JSON.parse(bytesToUtf8(plain) ?? "0");
  if (!isFields(value)) return undefined;
  const { refs, firsts } = value;
  if (!isListOf(refs, isRef) || !isListOf(firsts, isText)) return undefined;
  return { r, refs, firsts };
}

const isText = (value: unknown): value is string => typeof value === "string";

const isRef = (value: unknown): value is Ref =>
  Array.isArray(value) &&
  isText(value[0]) &&
  Number.isSafeInteger(value[1]) &&
  Number.isSafeInteger(value[2]);

const isListOf = <T>(value: unknown, is: (one: unknown) => one is T): value is readonly T[] =>
  Array.isArray(value) && value.every(is);
