/**
 * What is read of a conversation's messages: its head, tail, directory, segments and blocks of id hashes.
 * Owns: what of it is in memory, and what becomes of what cannot be read. Leaves to history.ts: what is made of it.
 * Spec: SPEC.md §1, §5.
 */
import type { MessageRow } from "@sotto/protocol";
import type { Collection, Dexie, Table } from "dexie";
import { createLru } from "./lru.ts";
import { count, isFields } from "./rows.ts";
import { openWith, type Place, unseal, unwrapKey } from "./sealing.ts";
import {
  BLOCK_SEGMENTS,
  createIdHash,
  decodeDirectory,
  decodeIdBlock,
  decodeSegment,
  type Directory,
  type Entry,
  type IdBlock,
} from "./segment.ts";

/** Conversations whose tail and directory stay in memory. */
export const STATES_MAX = 256;
/** Decoded segments that stay in memory: some 4,000 messages. */
export const SEGMENTS_MAX = 32;
/** Blocks of id hashes that stay in memory: 4 MiB, of a million messages. */
export const BLOCKS_MAX = 128;
/** How often what another tab overtook is done anew. */
export const ATTEMPTS_MAX = 16;

/** The directory's number among its segments, which count from 1. */
export const DIRECTORY = 0;

export interface Keys {
  readonly databaseKey: CryptoKey;
  /** ID_KEY_BYTES. */
  readonly idKey: Uint8Array;
}

/** A row of `tail`, `segments` or `ids`. */
export interface SealedRow {
  readonly conversation: string;
  readonly n: number;
  /** As in `Place`. */
  readonly v: number;
  readonly sealed: Uint8Array;
}

/** Of a conversation with messages. In the clear: its numbers say how many there are, which the rows say as well. */
export interface Head {
  readonly conversation: string;
  /** Raised with each write of messages. */
  readonly version: number;
  readonly next: number;
  /** Version that the directory was sealed for; 0: there is none. */
  readonly directory: number;
  /** Wrapped. */
  readonly tailKey: Uint8Array;
}

/** What could not be read, until it is written anew. */
export interface DamageRow {
  readonly table: "tail" | "segments";
  readonly conversation: string;
  readonly n: number;
  /** Messages that were in it, as far as anybody knows. */
  readonly rows: number;
}

/** A conversation at one version of its head. */
export interface State {
  readonly conversation: string;
  /** 0: there is no head that can be read. */
  readonly version: number;
  /** The version after this one: greater than any that something was sealed for. */
  readonly following: number;
  readonly next: number;
  /** Version of the directory; 0 without one. */
  readonly directory: number;
  readonly entries: Directory["entries"];
  readonly last: Directory["last"];
  readonly blocks: Directory["blocks"];
  readonly tail: ReadonlyMap<number, MessageRow>;
  readonly tailKey: { readonly key: CryptoKey; readonly wrapped: Uint8Array } | undefined;
  /** No row is left in the table of before. */
  readonly moved: boolean;
  /** Blocks that could not be read: written anew with the next directory. */
  readonly staleBlocks: Set<number>;
}

/** Somebody wrote to the conversation since its state was read. */
export class Stale extends Error {}

export type Numbered = [conversation: string, n: number];
export type OldKey = [conversation: string, id: string];

export const blockOf = (n: number): number => Math.floor(n / BLOCK_SEGMENTS);

const isHead = (row: unknown): row is Head =>
  isFields(row) &&
  [row["version"], row["next"], row["directory"]].every(count) &&
  row["tailKey"] instanceof Uint8Array;

const isSealed = (row: unknown): row is SealedRow =>
  isFields(row) && count(row["v"]) && row["sealed"] instanceof Uint8Array;

/** That of a damaged head is none. */
const versionOf = (head: unknown): number => (isHead(head) ? head.version : 0);

export interface HistoryOptions {
  readonly db: Dexie;
  /** Made where there are none; rejects where the disk takes none. */
  readonly keys: () => Promise<Keys>;
  readonly now: () => number;
}

export interface Tables {
  readonly heads: Table<unknown, string>;
  readonly tail: Table<unknown, Numbered>;
  readonly segments: Table<unknown, Numbered>;
  readonly ids: Table<unknown, Numbered>;
  readonly damage: Table<DamageRow, [string, string, number]>;
  /** Of before there were segments: a row in the clear for each message. */
  readonly old: Table<MessageRow, OldKey>;
}

export type HistoryState = ReturnType<typeof createHistoryState>;

export function createHistoryState({ db, keys, now }: HistoryOptions) {
  const tables: Tables = {
    heads: db.table("heads"),
    tail: db.table("tail"),
    segments: db.table("segments"),
    ids: db.table("ids"),
    damage: db.table("damage"),
    old: db.table("history"),
  };
  const { heads, tail, segments, ids, damage, old } = tables;
  const states = createLru<State>(STATES_MAX);
  const decoded = createLru<readonly MessageRow[]>(SEGMENTS_MAX);
  const decodedBlocks = createLru<IdBlock>(BLOCKS_MAX);

  const nameOf = ({ conversation }: State, n: number, v: number): string =>
    `${n}/${v}/${conversation}`;

  /** Best effort: what cannot be read is left out whether or not that can be noted. */
  const note = (row: DamageRow): void => void damage.put(row).catch(() => undefined);

  async function openRow(
    table: Place["table"],
    conversation: string,
    { n, v }: Pick<Place, "n" | "v">,
    row: unknown,
  ): Promise<Uint8Array | undefined> {
    if (!isSealed(row) || row.v !== v) return undefined;
    return unseal((await keys()).databaseKey, { table, conversation, n, v }, row.sealed);
  }

  /** Undefined for a segment that cannot be read. */
  async function openSegment(
    conversation: string,
    entry: Pick<Entry, "n" | "v">,
    row: unknown,
  ): Promise<readonly MessageRow[] | undefined> {
    const plain = await openRow("segments", conversation, entry, row);
    return plain && rowsIn(conversation, plain);
  }

  async function load(conversation: string): Promise<State> {
    const [row, tailRows, directoryRow, newest, oldKeys] = await db.transaction(
      "r",
      [heads, tail, segments, old],
      () =>
        Promise.all([
          heads.get(conversation),
          numbered(tail, conversation).toArray(),
          segments.get([conversation, DIRECTORY]),
          numbered(segments, conversation).last(),
          oldOf(old, conversation).limit(1).primaryKeys(),
        ]),
    );
    const head = isHead(row) ? row : undefined;
    const wrapped = head?.tailKey;
    const { databaseKey } = await keys();
    const place = { table: "heads", conversation, n: 0, v: 0 } as const;
    const key = wrapped && (await unwrapKey(databaseKey, place, wrapped));
    const rows = await Promise.all(tailRows.map((one) => openTail(conversation, key, one)));
    const isNew = row === undefined && tailRows.length === 0 && newest === undefined;
    const directory =
      isNew || (head?.directory === 0 && newest === undefined)
        ? {
            entries: [],
            last: "",
            blocks: new Map<number, number>(),
            staleBlocks: new Set<number>(),
          }
        : await openDirectory(conversation, head, directoryRow);
    const used = [...tailRows, newest].map((one) => (isFields(one) ? Number(one["n"]) : 0));
    const state: State = {
      ...directory,
      conversation,
      version: versionOf(row),
      // The clock is ahead of any count of writes: nothing was ever sealed for such a version.
      following: head === undefined ? (isNew ? 1 : now()) : head.version + 1,
      next: Math.max(head?.next ?? 1, ...used.map((n) => n + 1)),
      directory: head?.directory ?? 0,
      tail: new Map(rows.flatMap((one) => one ?? [])),
      tailKey: key && { key, wrapped },
      moved: oldKeys.length === 0,
    };
    states.set(conversation, state);
    return state;
  }

  async function openTail(
    conversation: string,
    key: CryptoKey | undefined,
    row: unknown,
  ): Promise<readonly (readonly [n: number, MessageRow])[] | undefined> {
    const n = isFields(row) ? Number(row["n"]) : 0;
    const place = { table: "tail", conversation, n, v: 0 } as const;
    const plain = key && isSealed(row) ? await openWith(key, place, row.sealed) : undefined;
    const [message] = (plain && rowsIn(conversation, plain)) ?? [];
    if (message !== undefined) return [[n, message]];
    note({ table: "tail", conversation, n, rows: 1 });
    return undefined;
  }

  /** Where it cannot be read, or has gone, one is made of the segments. */
  async function openDirectory(
    conversation: string,
    head: Head | undefined,
    row: unknown,
  ): Promise<Directory & Pick<State, "staleBlocks">> {
    const v = head?.directory ?? (isSealed(row) ? row.v : 0);
    const plain = await openRow("segments", conversation, { n: DIRECTORY, v }, row);
    const read = plain && decodeDirectory(plain);
    if (read?.ok === true) return { ...read.value, staleBlocks: new Set() };
    const entries: Entry[] = [];
    let last = "";
    for (const one of await numbered(segments, conversation, DIRECTORY + 1).toArray()) {
      const at = { n: isFields(one) ? Number(one["n"]) : 0, v: isSealed(one) ? one.v : 0 };
      const rows = await openSegment(conversation, at, one);
      const [first, end] = [rows?.[0], rows?.at(-1)];
      if (rows === undefined || first === undefined || end === undefined) {
        note({ table: "segments", conversation, n: at.n, rows: 1 });
        continue;
      }
      entries.push({ ...at, count: rows.length, first: first.order });
      if (end.order > last) last = end.order;
    }
    entries.sort((a, b) => (a.first < b.first ? -1 : 1));
    const staleBlocks = new Set(entries.map(({ n }) => blockOf(n)));
    // 0: no block was ever sealed for it.
    return { entries, last, blocks: new Map([...staleBlocks].map((n) => [n, 0])), staleBlocks };
  }

  /** Runs `task` with the conversation as it is, and again when that changed meanwhile. */
  async function withState<T>(
    conversation: string,
    task: (state: State, isFresh: boolean) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const known = states.get(conversation);
      try {
        return await task(known ?? (await load(conversation)), known === undefined);
      } catch (error) {
        states.delete(conversation);
        if (!(error instanceof Stale) || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Throws when there is another head. Within a transaction over `heads`. */
  async function mustBeCurrent({ conversation, version }: State): Promise<void> {
    if (versionOf(await heads.get(conversation)) !== version) throw new Stale();
  }

  /**
   * By number; no rows for one that cannot be read. Throws when a segment is not the state's any more, and with
   * `current` when anything of the conversation has changed.
   */
  async function segmentsOf(
    state: State,
    entries: readonly Entry[],
    current = false,
  ): Promise<ReadonlyMap<number, readonly MessageRow[]>> {
    const rowsByNumber = new Map<number, readonly MessageRow[]>();
    const missing: Entry[] = [];
    for (const entry of entries) {
      const known = decoded.get(nameOf(state, entry.n, entry.v));
      if (known === undefined) missing.push(entry);
      else rowsByNumber.set(entry.n, known);
    }
    if (missing.length === 0 && !current) return rowsByNumber;
    const { conversation } = state;
    const [head, found] = await db.transaction("r", heads, segments, () =>
      Promise.all([
        heads.get(conversation),
        segments.bulkGet(missing.map(({ n }): Numbered => [conversation, n])),
      ]),
    );
    const isCurrent = versionOf(head) === state.version;
    if (current && !isCurrent) throw new Stale();
    await Promise.all(
      missing.map(async (entry, at) => {
        const rows = await openSegment(conversation, entry, found[at]);
        if (rows === undefined && !isCurrent) throw new Stale();
        const { n, v, count } = entry;
        if (rows === undefined) note({ table: "segments", conversation, n, rows: count });
        else decoded.set(nameOf(state, n, v), rows);
        rowsByNumber.set(n, rows ?? []);
      }),
    );
    return rowsByNumber;
  }

  const hashesOf = async (all: readonly string[]): Promise<Uint32Array> =>
    Uint32Array.from(all, createIdHash((await keys()).idKey));

  /** Of the ids of a block's segments; made of the segments where it cannot be read. */
  async function blockFor(state: State, number: number): Promise<IdBlock> {
    const v = state.blocks.get(number) ?? 0;
    const name = nameOf(state, number, v);
    const known = decodedBlocks.get(name);
    if (known !== undefined) return known;
    const { conversation } = state;
    const row = await ids.get([conversation, number]);
    const plain = await openRow("ids", conversation, { n: number, v }, row);
    const read = plain && decodeIdBlock(plain, number);
    const block = read?.ok === true ? read.value : await remakeBlock(state, number);
    decodedBlocks.set(name, block);
    return block;
  }

  async function remakeBlock(state: State, number: number): Promise<IdBlock> {
    const block = new Map<number, Uint32Array>();
    const entries = state.entries.filter(({ n }) => blockOf(n) === number);
    for (const entry of entries.toSorted((a, b) => a.n - b.n)) {
      const rows = (await segmentsOf(state, [entry], true)).get(entry.n) ?? [];
      block.set(entry.n, await hashesOf(rows.map(({ id }) => id)));
    }
    state.staleBlocks.add(number);
    return block;
  }

  return {
    tables,
    withState,
    mustBeCurrent,
    segmentsOf,
    blockFor,
    hashesOf,
    /** Of every conversation that has messages, or of one. */
    async all(conversation: string | undefined): Promise<readonly State[]> {
      const known =
        conversation === undefined ? await heads.toArray() : [await heads.get(conversation)];
      const found: State[] = [];
      for (const head of known) {
        const name = isFields(head) ? head["conversation"] : undefined;
        if (typeof name !== "string") continue;
        const cached = states.get(name);
        found.push(cached?.version === versionOf(head) ? cached : await load(name));
      }
      return found;
    },
    /** What is there now is read again. */
    forget: (conversation: string): void => states.delete(conversation),
    forgetAll(): void {
      for (const kept of [states, decoded, decodedBlocks]) kept.clear();
    },
    /** After a write. */
    keep(state: State, blocks: ReadonlyMap<number, IdBlock>): void {
      states.set(state.conversation, state);
      for (const [number, block] of blocks) {
        decodedBlocks.set(nameOf(state, number, state.version), block);
      }
    },
  };
}

/** Its rows from the number `from` on, ascending. */
export const numbered = (
  table: Table<unknown, Numbered>,
  conversation: string,
  from = 0,
): Collection<unknown, Numbered> =>
  table.where("[conversation+n]").between([conversation, from], [conversation, Infinity]);

/** By id. */
export const oldOf = (
  table: Table<MessageRow, OldKey>,
  conversation: string,
): Collection<MessageRow, OldKey> =>
  table.where("[conversation+id]").between([conversation, ""], [conversation, []], true, false);

function rowsIn(conversation: string, plain: Uint8Array): readonly MessageRow[] | undefined {
  const read = decodeSegment(plain);
  return read.ok ? read.value.map((row) => ({ ...row, conversation })) : undefined;
}
