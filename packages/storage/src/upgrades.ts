/**
 * From one version of the database to the next.
 * Owns: what old records become. Leaves to history.ts: moving messages into segments, which has no transaction of its own.
 */
import type {
  GroupRow,
  MessageRow,
  OutboxRow,
  OwnDevices,
  OwnRelay,
  Peer,
  SenderRow,
  Session,
  Spares,
} from "@sotto/protocol";
import { NO_DEVICES, NO_LIST_MARK, NO_SPARES } from "@sotto/protocol";
import type { QueueAddress } from "@sotto/wire";
import type { Dexie, Table, Transaction } from "dexie";
import { isGroup, isSender } from "./group-rows.ts";
import { isFields } from "./rows.ts";

/** The identity's key in its table. */
export const SELF_KEY = "self";

export function declareVersions(db: Dexie): void {
  db.version(1).stores({
    self: "",
    conversations: "id",
    messages: "id, [conversation+order]",
    outbox: "id, conversation",
  });
  // A message has its id from its author: two contacts may use the same one.
  db.version(2)
    .stores({ messages: null, history: "[conversation+id], [conversation+order]" })
    .upgrade(moveHistory);
  db.version(3).upgrade(addRenewal);
  db.version(4)
    .stores({ groups: "conversation", senders: "[conversation+device]", posts: "id, from" })
    .upgrade(addDevices);
  db.version(6).upgrade(listAddresses);
  db.version(7).upgrade(listRelays);
  db.version(8).upgrade(countMeetings);
  // Messages are sealed: the rows of `history` move while the app is used (history.ts).
  db.version(9).stores({
    heads: "conversation",
    tail: "[conversation+n]",
    segments: "[conversation+n]",
    ids: "[conversation+n]",
    damage: "[table+conversation+n]",
    meta: "",
  });
  // The index of search: made while the app is used.
  db.version(10).stores({ runs: "v", grams: "[v+n]" });
  // Before version 5 without a count, and then with others.
  db.version(11).upgrade(countStrays);
}

/** A damaged row stays as far as it came: whoever reads it counts it, and it keeps nobody from the others. */
const changeEach = <Row>(table: Table<Row>, change: (row: Row) => void): PromiseLike<unknown> =>
  table.toCollection().modify((row) => {
    try {
      change(row);
    } catch {
      // Damaged.
    }
  });

const hasKey = ({ id, conversation }: MessageRow): boolean =>
  typeof id === "string" && typeof conversation === "string";

/** From version 1: rows by id alone, and no `at` in what the list shows. */
export async function moveHistory(transaction: Transaction): Promise<void> {
  const rows: MessageRow[] = await transaction.table("messages").toArray();
  await transaction.table("history").bulkPut(rows.filter(hasKey));
  await changeEach(
    transaction.table("conversations"),
    ({ last }: { last?: { time: { ms: number }; at?: number } }) => {
      if (last !== undefined) last.at = Math.min(last.time.ms, Date.now());
    },
  );
}

/** Sessions of before the post-quantum ratchet begin it now; conversations get their first spare bundles. */
export async function addRenewal(transaction: Transaction): Promise<void> {
  interface Old {
    peer?: {
      state: string;
      sessions?: { initiator: boolean; kem?: Session["kem"] }[];
      received?: Uint8Array;
      spares?: Spares;
      change?: undefined;
    };
  }
  await changeEach(transaction.table("conversations"), ({ peer }: Old) => {
    if (peer?.state !== "open") return;
    for (const session of peer.sessions ?? []) {
      const step: Session["kem"]["step"] = session.initiator
        ? { kind: "due" }
        : { kind: "awaiting", received: [] };
      session.kem ??= { epoch: 0, step, sinceWhole: 0, wholeAt: 0 };
    }
    // Its entries are longer now; of what was in it the store knows the ids.
    peer.received = new Uint8Array(0);
    peer.spares ??= NO_SPARES;
    peer.change = undefined;
  });
}

/** Accounts of before had one device each, and nobody had made a list. */
export async function addDevices(transaction: Transaction): Promise<void> {
  type Open = Extract<Peer, { state: "open" }>;
  const identities: Table<object, string> = transaction.table("self");
  const identity = await identities.get(SELF_KEY);
  const devices: OwnDevices = { lists: [], links: [], met: 0, reach: [] };
  if (identity !== undefined) await identities.put({ ...identity, devices }, SELF_KEY);
  await changeEach(transaction.table("conversations"), (record: { peer?: { state: string } }) => {
    Object.assign(record, { parent: undefined, listed: true, devices: NO_DEVICES });
    const { peer } = record;
    if (peer?.state !== "open") return;
    const fields: Pick<Open, "retired" | "mark" | "announced" | "offeredAt"> = {
      retired: false,
      mark: NO_LIST_MARK,
      announced: 0,
      offeredAt: 0,
    };
    Object.assign(peer, fields);
  });
  await changeEach(transaction.table("outbox"), (row: Partial<OutboxRow>) => {
    Object.assign(row, { spread: true, group: undefined, recipients: undefined });
  });
}

/**
 * Version 11: groups count strays by account and teller from here on: none of those that are there. What is missing is
 * kept by device, no more by account: it is what the last message that a device's row holds still waits for.
 */
export async function countStrays(transaction: Transaction): Promise<void> {
  const rows: unknown[] = await transaction.table("senders").toArray();
  const senders: readonly SenderRow[] = rows.filter(isSender);
  await changeEach(transaction.table("groups"), (row: { log?: object }) => {
    if (!isFields(row.log)) return;
    const awaited = new Map<string, readonly string[]>();
    const counts: Pick<GroupRow["log"], "siblings" | "late" | "brought" | "guests" | "awaited"> = {
      awaited,
      siblings: new Map(),
      late: new Map(),
      brought: new Map(),
      guests: new Map(),
    };
    Object.assign(row.log, counts);
    if (!isGroup(row)) return;
    const ids = [...row.log.ops.keys()];
    for (const { conversation, device, held } of senders) {
      const heads = held.at(-1)?.heads ?? [];
      const missing = heads.filter((head) => !ids.some((id) => id.startsWith(head)));
      if (conversation === row.conversation && missing.length > 0) awaited.set(device, missing);
    }
  });
}

/** From one relay to several: each address becomes a list of one. */
export async function listAddresses(transaction: Transaction): Promise<void> {
  interface Addressed {
    address?: QueueAddress | undefined;
    addresses?: readonly QueueAddress[];
  }
  interface Old {
    peer?: { queue?: Addressed; contact?: object };
    devices?: { offers?: Addressed[] };
  }
  const listed = (one: Addressed): void => {
    one.addresses ??= one.address === undefined ? [] : [one.address];
    delete one.address;
  };
  await changeEach(transaction.table("conversations"), ({ peer, devices }: Old) => {
    if (peer?.queue !== undefined) listed(peer.queue);
    // The next introduction is newer than any that was taken.
    const addressedAt = { ms: 0, counter: 0 };
    const contact = peer?.contact;
    if (contact !== undefined) Object.assign(contact, { addressedAt, ...contact });
    devices?.offers?.forEach(listed);
  });
  await changeEach(transaction.table("posts"), ({ post }: { post?: { offer?: Addressed } }) => {
    if (post?.offer !== undefined) listed(post.offer);
  });
  await changeEach(transaction.table("outbox"), (row: Partial<OutboxRow>) => {
    Object.assign(row, { copiedAt: undefined });
  });
}

/** Version 7: an installation has several relays. The one there was is the page's, which knows where that is. */
export async function listRelays(transaction: Transaction): Promise<void> {
  const identities: Table<{ relayKey?: Uint8Array; relays?: readonly OwnRelay[] }, string> =
    transaction.table("self");
  const identity = await identities.get(SELF_KEY);
  if (identity === undefined) return;
  const { relayKey, ...others } = identity;
  await identities.put(
    { ...others, relays: [{ url: "", key: relayKey, derived: false }] },
    SELF_KEY,
  );
}

/** Version 8: own devices are asked for history; none has been met anew yet. */
export async function countMeetings(transaction: Transaction): Promise<void> {
  const identities: Table<{ devices?: object }, string> = transaction.table("self");
  const identity = await identities.get(SELF_KEY);
  if (identity === undefined) return;
  await identities.put({ ...identity, devices: { ...identity.devices, met: 0 } }, SELF_KEY);
}
