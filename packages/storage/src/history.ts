/**
 * The messages of all conversations in IndexedDB: of each a sealed tail, and sealed segments of what is older.
 * Owns: pages, finding messages by id, what a commit writes, moving rows of before there were segments.
 * Leaves to plan.ts: what goes where; to history-state.ts: reading.
 * Spec: SPEC.md §1, §5, §6.
 */
import type { Abort, MessagePage, MessageRow, SearchOptions, SearchPage } from "@sotto/protocol";
import {
  ATTEMPTS_MAX,
  blockOf,
  createHistoryState,
  DIRECTORY,
  type Head,
  type HistoryOptions,
  numbered,
  type SealedRow,
  Stale,
  type State,
} from "./history-state.ts";
import { coverOf, planWrite, type Standing, touchedBy } from "./plan.ts";
import { count, isMessage } from "./rows.ts";
import { createSearch } from "./search.ts";
import { createKey, type Place, seal, sealWith } from "./sealing.ts";
import {
  encodeDirectory,
  encodeIdBlock,
  encodeSegment,
  type Entry,
  type IdBlock,
} from "./segment.ts";

/** Rows of before that move in one transaction. */
export const MOVE_ROWS_MAX = 512;
/** Ids looked for one by one; for more each block is gone through once. */
const SINGLE_IDS_MAX = 32;
/** Greater than every order key: those are hex. */
const ORDER_END = "g";

export interface Found {
  readonly standing: Standing;
  /** A row of before may be damaged. */
  readonly row: unknown;
}

/** A write that is sealed and not made yet. */
export interface Prepared {
  readonly before: State;
  readonly after: State;
  readonly head: Head;
  readonly tail: readonly SealedRow[];
  /** What was in the tail goes first. */
  readonly cleared: boolean;
  readonly segments: readonly SealedRow[];
  readonly gone: readonly number[];
  readonly ids: readonly SealedRow[];
  readonly blocks: ReadonlyMap<number, IdBlock>;
  /** Ids of rows of before that are written anew. */
  readonly moved: readonly string[];
}

interface Bounds {
  readonly before?: string;
  readonly after?: string;
}

export interface PageOptions extends Bounds {
  readonly limit: number;
}

export function createHistory(options: HistoryOptions) {
  const { db, keys } = options;
  const state = createHistoryState(options);
  const search = createSearch({ ...options, state });
  const { heads, tail, segments, ids, damage, old } = state.tables;
  const lanes = new Map<string, Promise<void>>();
  /** Conversations that somebody looks at while rows of theirs have not moved. */
  const wanted = new Set<string>();

  /** One after another for each conversation: what one tab does never gets in its own way. */
  function inLane<T>(conversation: string, task: () => Promise<T>): Promise<T> {
    const result = (lanes.get(conversation) ?? Promise.resolve()).then(task);
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    lanes.set(conversation, settled);
    void settled.then(() => {
      if (lanes.get(conversation) === settled) lanes.delete(conversation);
    });
    return result;
  }

  /** What there is under these ids. Nothing of a segment that cannot be read: what was in it may come again. */
  async function find(at: State, sought: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    const left = new Set(sought);
    const take = (place: "tail" | "segment", n: number, row: MessageRow): void => {
      if (left.delete(row.id))
        found.set(row.id, { row, standing: { in: place, n, order: row.order } });
    };
    for (const [n, row] of at.tail) take("tail", n, row);
    if (left.size === 0) return found;
    const candidates = await candidatesOf(at, [...left]);
    for (const entry of at.entries) {
      // One at a time: of many only a few have room in memory.
      const rows = candidates.has(entry.n)
        ? (await state.segmentsOf(at, [entry])).get(entry.n)
        : [];
      for (const row of rows ?? []) take("segment", entry.n, row);
    }
    if (at.moved || left.size === 0) return found;
    const idsLeft = [...left];
    const rows = await old.bulkGet(idsLeft.map((id): [string, string] => [at.conversation, id]));
    for (const [index, id] of idsLeft.entries()) {
      const row = rows[index];
      if (row !== undefined) found.set(id, { row, standing: { in: "old" } });
    }
    return found;
  }

  /** Numbers of the segments that may hold one of these ids. */
  async function candidatesOf(at: State, sought: readonly string[]): Promise<ReadonlySet<number>> {
    const candidates = new Set<number>();
    if (at.blocks.size === 0) return candidates;
    const hashes = await state.hashesOf(sought);
    const all = new Set(hashes);
    const isOneByOne = hashes.length <= SINGLE_IDS_MAX;
    for (const number of at.blocks.keys()) {
      for (const [n, block] of await state.blockFor(at, number)) {
        const isCandidate = isOneByOne
          ? hashes.some((hash) => block.includes(hash))
          : block.some((hash) => all.has(hash));
        if (isCandidate) candidates.add(n);
      }
    }
    return candidates;
  }

  /** `rows`: written over those of their ids, or added. Throws a TypeError for what is no row. */
  async function prepare(
    before: State,
    rows: readonly MessageRow[],
    found: ReadonlyMap<string, Found>,
  ): Promise<Prepared> {
    if (!rows.every(isMessage)) throw new TypeError("not a row of history");
    const { conversation, following: version } = before;
    const { databaseKey } = await keys();
    // Copies, as they will be read: what stays in memory is neither the caller's nor unlike the disk.
    const copies = rows.map((row) => ({ ...row, text: row.text.toWellFormed() }));
    const latest = [...new Map(copies.map((row) => [row.id, row])).values()];
    const standing = new Map([...found].map(([id, one]) => [id, one.standing]));
    const touched = new Set(touchedBy(before, latest, standing));
    const loaded = await state.segmentsOf(
      before,
      before.entries.filter(({ n }) => touched.has(n)),
    );
    const plan = planWrite(before, version, latest, standing, loaded);
    const blocks = await blocksOf(before, plan, loaded);
    const hasDirectory = plan.segments.size + plan.gone.length > 0;
    const directory = {
      entries: plan.entries,
      last: plan.last,
      blocks: new Map([...before.blocks, ...[...blocks.keys()].map((n) => [n, version] as const)]),
    };
    const keyPlace = { table: "heads", conversation, n: 0, v: 0 } as const;
    const kept = plan.cleared ? undefined : before.tailKey;
    const tailKey = kept ?? (await createKey(databaseKey, keyPlace));
    const sealAs = async (
      table: Place["table"],
      n: number,
      plain: Uint8Array<ArrayBuffer>,
    ): Promise<SealedRow> => {
      const place = { table, conversation, n, v: version };
      return { conversation, n, v: version, sealed: await seal(databaseKey, place, plain) };
    };
    const sealTail = async (n: number): Promise<SealedRow> => {
      const row = plan.tail.get(n);
      const place = { table: "tail", conversation, n, v: 0 } as const;
      const plain = encodeSegment(row === undefined ? [] : [row]);
      return { conversation, n, v: 0, sealed: await sealWith(tailKey.key, place, plain) };
    };
    const [tailRows, segmentRows, idRows] = await Promise.all([
      Promise.all(plan.tailPut.map(sealTail)),
      Promise.all([
        ...(hasDirectory ? [sealAs("segments", DIRECTORY, encodeDirectory(directory))] : []),
        ...[...plan.segments].map(([n, all]) => sealAs("segments", n, encodeSegment(all))),
      ]),
      Promise.all([...blocks].map(([n, block]) => sealAs("ids", n, encodeIdBlock(block)))),
    ]);
    const head: Head = {
      conversation,
      version,
      next: plan.next,
      directory: hasDirectory ? version : before.directory,
      tailKey: tailKey.wrapped,
    };
    return {
      before,
      after: {
        ...before,
        ...directory,
        version,
        following: version + 1,
        next: plan.next,
        directory: head.directory,
        tail: plan.tail,
        tailKey,
        staleBlocks: hasDirectory ? new Set() : before.staleBlocks,
      },
      head,
      tail: tailRows,
      cleared: plan.cleared,
      segments: segmentRows,
      gone: plan.gone,
      ids: idRows,
      blocks,
      moved: latest.flatMap(({ id }) => (standing.get(id)?.in === "old" ? [id] : [])),
    };
  }

  /** Blocks with other ids than before, and those that could not be read. None while no directory is written. */
  async function blocksOf(
    before: State,
    { segments: written, gone }: ReturnType<typeof planWrite>,
    loaded: ReadonlyMap<number, readonly MessageRow[]>,
  ): Promise<ReadonlyMap<number, IdBlock>> {
    const numbers =
      written.size + gone.length > 0 ? new Set(before.staleBlocks) : new Set<number>();
    const idsByNumber = new Map<number, readonly string[]>();
    for (const [n, rows] of written) {
      const then = loaded.get(n) ?? [];
      if (rows.length === then.length && rows.every(({ id }, at) => id === then[at]?.id)) continue;
      idsByNumber.set(
        n,
        rows.map(({ id }) => id),
      );
      numbers.add(blockOf(n));
    }
    for (const n of gone) numbers.add(blockOf(n));
    const blocks = new Map<number, IdBlock>();
    for (const number of numbers) {
      const known = before.blocks.has(number) ? await state.blockFor(before, number) : [];
      const block = new Map(known);
      for (const n of gone) block.delete(n);
      for (const [n, all] of idsByNumber) {
        if (blockOf(n) === number) block.set(n, await state.hashesOf(all));
      }
      blocks.set(number, new Map([...block].toSorted(([a], [b]) => a - b)));
    }
    return blocks;
  }

  /** Within a transaction over `writeTables`. Throws when the conversation is not as it was when this was prepared. */
  async function write(prepared: Prepared): Promise<void> {
    const { conversation } = prepared.head;
    await state.mustBeCurrent(prepared.before);
    if (prepared.cleared) {
      await numbered(tail, conversation).delete();
      await damage
        .where("[table+conversation+n]")
        .between(["tail", conversation, 0], ["tail", conversation, Infinity])
        .delete();
    }
    await tail.bulkPut([...prepared.tail]);
    if (prepared.segments.length > 0) {
      await segments.bulkPut([...prepared.segments]);
      await segments.bulkDelete(prepared.gone.map((n): [string, number] => [conversation, n]));
      await ids.bulkPut([...prepared.ids]);
      await damage.bulkDelete(
        prepared.segments.map(({ n }): [string, string, number] => ["segments", conversation, n]),
      );
    }
    if (prepared.moved.length > 0) {
      await old.bulkDelete(prepared.moved.map((id): [string, string] => [conversation, id]));
    }
    await heads.put(prepared.head);
  }

  /** Ordered as `rowsFrom`; reads on past damaged rows, so that they never hide those behind them. */
  async function oldRowsFrom(
    conversation: string,
    { before = ORDER_END, after }: Bounds,
    count: number,
  ): Promise<readonly MessageRow[]> {
    const rows: MessageRow[] = [];
    let edge = after ?? before;
    for (;;) {
      const sought = count - rows.length;
      const [low, high] = after === undefined ? ["", edge] : [edge, ORDER_END];
      const between = old
        .where("[conversation+order]")
        .between([conversation, low], [conversation, high], after === undefined, false);
      // oxlint-disable-next-line unicorn/no-array-reverse -- a Dexie collection, not an array
      const ordered = after === undefined ? between.reverse() : between;
      const found = await ordered.limit(sought).toArray();
      rows.push(...found.filter(isMessage));
      const last = found.at(-1);
      if (last === undefined || found.length < sought || rows.length >= count) return rows;
      edge = last.order;
    }
  }

  /** Those before, newest first; or those after, oldest first. */
  async function rowsFrom(
    at: State,
    isFresh: boolean,
    bounds: Bounds,
    count: number,
  ): Promise<readonly MessageRow[]> {
    const { before = ORDER_END, after } = bounds;
    const isUp = after !== undefined;
    const isSought = ({ order }: MessageRow): boolean => (isUp ? order > after : order < before);
    const compare = isUp ? oldestFirst : newestFirst;
    // Newer than any segment.
    const inTail = [...at.tail.values()].filter(isSought).toSorted(compare);
    const rows = isUp ? [] : inTail;
    const cover = coverOf(at.entries, after ?? before);
    let next = isUp ? Math.max(0, cover) : cover;
    for (let isKnown = isFresh; ; isKnown = true) {
      const entries: Entry[] = [];
      for (let sum = rows.length; sum < count; next += isUp ? 1 : -1) {
        const entry = at.entries[next];
        if (entry === undefined) break;
        entries.push(entry);
        sum += entry.count;
      }
      if (entries.length === 0 && isKnown) break;
      const rowsByNumber = await state.segmentsOf(at, entries, !isKnown);
      for (const { n } of entries) {
        const found = (rowsByNumber.get(n) ?? []).filter(isSought);
        rows.push(...(isUp ? found : found.toReversed()));
      }
    }
    if (isUp) rows.push(...inTail);
    if (at.moved) return rows.slice(0, count);
    wanted.add(at.conversation);
    const more = await db.transaction("r", heads, old, async () => {
      await state.mustBeCurrent(at);
      return oldRowsFrom(at.conversation, bounds, count);
    });
    return [...rows, ...more].toSorted(compare).slice(0, count);
  }

  /** Answers with the order key after which to go on; undefined when nothing is left that could move. */
  const moveSome = (conversation: string, after: string): Promise<string | undefined> =>
    inLane(conversation, () =>
      state.withState(conversation, async (at) => {
        const rows = await old
          .where("[conversation+order]")
          .between([conversation, after], [conversation, ORDER_END], after === "", false)
          .limit(MOVE_ROWS_MAX)
          .toArray();
        const whole = rows.filter(isMessage);
        if (whole.length > 0) {
          const found = new Map(
            whole.map((row): [string, Found] => [row.id, { row, standing: { in: "old" } }]),
          );
          const prepared = await prepare(at, whole, found);
          await db.transaction("rw", writeTables, () => write(prepared));
          // Whether any are left is seen when it is read again.
          state.forget(conversation);
        }
        if (rows.length === 0) return undefined;
        // What moved is not there any more; what cannot be read stays.
        const stays = rows.findLastIndex((row) => !isMessage(row));
        return rows[stays]?.order ?? after;
      }),
    );

  const writeTables = [heads, tail, segments, ids, damage, old];

  return {
    writeTables,
    inLane,
    withState: state.withState,
    mustBeCurrent: state.mustBeCurrent,
    heads,
    find,
    prepare,
    write,
    written: ({ after, blocks }: Prepared): void => state.keep(after, blocks),

    page: (conversation: string, options: PageOptions): Promise<MessagePage> =>
      inLane(conversation, () =>
        state.withState(conversation, async (at, isFresh) => {
          const { after, limit } = options;
          const rows = await rowsFrom(at, isFresh, options, limit + 1);
          const first = rows.slice(0, limit);
          const page = after === undefined ? first.toReversed() : first;
          // What is in memory stays as it is, whatever a caller does with a row.
          return { rows: page.map((row) => ({ ...row })), hasMore: rows.length > limit };
        }),
      ),

    /** Nothing that was there is any more. */
    forgetAll(): void {
      state.forgetAll();
      search.forgetAll();
    },

    /** Newest first; done anew when somebody writes what it is about to read. */
    async search(
      query: string,
      wanted: SearchOptions,
      signal: Abort | undefined,
    ): Promise<SearchPage> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await search.find(query, wanted, signal);
        } catch (error) {
          if (!(error instanceof Stale) || attempt >= ATTEMPTS_MAX) throw error;
        }
      }
    },

    /** Messages that were found to be unreadable and have not been written anew. */
    damaged: async (): Promise<number> => {
      const found = await damage.toArray();
      return found.reduce((sum, { rows }) => sum + (count(rows) ? rows : 1), 0);
    },

    /** Moves the rows of before there were segments, conversation by conversation, those first that are looked at. */
    async moveOld(): Promise<void> {
      let passed = "";
      for (;;) {
        const [first] = wanted;
        const moving: string | undefined = first ?? (await nextOld(passed));
        if (moving === undefined) return;
        if (first === undefined) passed = moving;
        wanted.delete(moving);
        let after: string | undefined = "";
        while (after !== undefined) after = await moveSome(moving, after);
      }
    },
  };

  async function nextOld(conversation: string): Promise<string | undefined> {
    const [key] = await old
      .where("[conversation+id]")
      .above([conversation, []])
      .limit(1)
      .primaryKeys();
    return key?.[0];
  }
}

const oldestFirst = (a: MessageRow, b: MessageRow): number => (a.order < b.order ? -1 : 1);
const newestFirst = (a: MessageRow, b: MessageRow): number => (a.order < b.order ? 1 : -1);
