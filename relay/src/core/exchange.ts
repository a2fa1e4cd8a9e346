/**
 * All queues of a relay: who may read and write them, who is here to read, what is written when.
 * Owns: ack-or-persist, durability before every answer, expiry. Leaves to connection.ts: frames, aliases, credit.
 * Spec: SPEC.md §2, §3.
 */
import { hmacSha256, sha256 } from "@sotto/crypto";
import {
  asSendId,
  type EnvelopeId,
  equalBytes,
  type LinkId,
  type QueueId,
  SEND_ID_BYTES,
  type SendId,
} from "@sotto/wire";
import { bytesToKey, keyToBytes } from "./keys.ts";
import {
  AGE_HOURS,
  BUNDLES_PER_QUEUE_MAX,
  BYTES_MAX_DEFAULT,
  CLOCK_STEP_MS,
  COMMIT_BYTES_MAX,
  DELETIONS_OWED_MAX,
  HELD_BYTES_MAX,
  HOLD_MS,
  HOUR_MS,
  NEW_SHARE,
  OFFER_HOURS,
  QUEUE_AWAITED_HOURS,
  QUEUE_IDLE_HOURS,
  QUEUE_RENEW_HOURS,
  QUEUE_UNUSED_HOURS,
  QUEUES_MAX,
  QUEUES_PER_READER_MAX,
  ROW_BYTES,
  SCARCE_SHARE,
  STEADY_SWEEPS,
  SWEEP_MS,
  TTL_HOURS_DEFAULT,
} from "./limits.ts";
import {
  admit,
  type AppendOutcome,
  createMailbox,
  expired,
  MAIL_LIMITS,
  type Mailbox,
  type MailLimits,
  type Message,
  remove,
  restore,
} from "./mailbox.ts";
import {
  type Clock,
  type Counter,
  type QueueRow,
  type Store,
  StoreError,
  type StoreOperation,
} from "./ports.ts";

/** The connection that reads a queue. Calls come while the exchange is in a consistent state. */
export interface Owner {
  /** New mail. True: it has been sent to the owner now. */
  offer(queue: Queue, message: Message): boolean;
  /** False: the owner cannot take it now. */
  signal(queue: Queue, blob: Uint8Array): boolean;
  /** Another connection reads this queue from now on. */
  displaced(queue: Queue): void;
}

const NO_BUNDLES: readonly string[] = [];
/** Compared in the place of the sender of a queue that does not exist. */
const NOBODY = bytesToKey(new Uint8Array(32));

interface Bundle {
  readonly row: number;
  readonly queue: Queue;
  readonly sizeBytes: number;
  readonly expiryHour: number;
}

interface Reader {
  readonly key: string;
  queues: number;
}

/**
 * All of a relay's queues are in memory, most of them with nothing in them, so bytes are here as keys (keys.ts), the
 * same ones that the maps have: a small byte array costs five times as much.
 */
export interface Queue {
  readonly row: number;
  readonly key: string;
  readonly sendHash: string;
  readonly reader: Reader;
  readonly ttlHours: number;
  readonly mailbox: Mailbox;
  /** Keys of the link hashes of its bundles; at most BUNDLES_PER_QUEUE_MAX. */
  bundles: readonly string[];
  sender: string;
  bound: boolean;
  /** Whether its owner writes to somebody, who may have its address and not have used it yet. Memory only. */
  awaited: boolean;
  expiryHour: number;
  owner: Owner | undefined;
  closed: boolean;
  /** While its own row is being written. */
  creating: Promise<Outcome> | undefined;
}

export type Outcome = "ok" | "gone" | "limit" | "later" | "full";
export type Refused = Exclude<Outcome, "ok">;

export interface Exchange {
  /** Whether anything here is this reader's. */
  hasQueues(readerKey: Uint8Array): boolean;
  /** Idempotent for the same reader. Resolves when the queue is durable. */
  create(
    readerKey: Uint8Array,
    asked: {
      readonly queueId: QueueId;
      readonly ttlHours: number;
      readonly firstUseHash: Uint8Array;
    },
  ): Promise<
    | { readonly ok: true; readonly queue: Queue; readonly sendId: SendId }
    | { readonly ok: false; readonly reason: Refused }
  >;
  /** `owner` reads the queue from now on. Undefined: no such queue, or another's. */
  open(readerKey: Uint8Array, queueId: QueueId, owner: Owner): Queue | undefined;
  /** Its owner writes to somebody: the queue lives long enough for an answer. */
  keepForAnswer(queue: Queue): void;
  /** `owner` reads it no longer. */
  release(queue: Queue, owner: Owner): void;
  close(queue: Queue): Promise<Outcome>;
  /**
   * The queue behind a sendId for its sender; the first to show the first-use secret becomes it.
   * `proven`: whether `sendKey` was proven. If not, the answer is "gone" after the same work.
   */
  claim(asked: {
    readonly sendId: SendId;
    readonly sendKey: Uint8Array;
    readonly firstUse: Uint8Array;
    readonly proven: boolean;
  }): Promise<
    { readonly ok: true; readonly queue: Queue } | { readonly ok: false; readonly reason: Refused }
  >;
  /** `settle` is called exactly once: "ok" when durable or acknowledged by the owner, whichever is first. */
  append(
    queue: Queue,
    id: EnvelopeId,
    blob: Uint8Array,
    settle: (outcome: AppendOutcome) => void,
  ): void;
  signal(queue: Queue, blob: Uint8Array): "ok" | "away" | "gone";
  /**
   * Deletes. What it answers or resolves to says whether the deletion is durable; a lost one only means a second
   * delivery.
   */
  acknowledge(queue: Queue, message: Message): Outcome | Promise<Outcome>;
  /** Blobs of stored messages; undefined for those that went meanwhile. */
  read(messages: readonly Message[]): Promise<readonly (Uint8Array | undefined)[]>;
  putBundle(queue: Queue, linkId: LinkId, blob: Uint8Array): Promise<Outcome>;
  getBundle(linkId: LinkId): Promise<Uint8Array | undefined>;
  /** So many queues that what is left has to be shared out. */
  isScarce(): boolean;
  /** Drops what expired by now; also runs by itself every SWEEP_MS, unless the clock was just set. */
  sweep(): void;
  /** Writes what is held, waits for it, stops the timers. The store stays open. */
  stop(): Promise<void>;
  stats(): {
    readonly queues: number;
    readonly messages: number;
    /** What counts towards `bytesMax`. */
    readonly bytes: number;
    readonly heldBytes: number;
    readonly commitBytes: number;
    /** Whether the last commit failed. */
    readonly storeFails: boolean;
    /** Of the message that waits the longest, in whole hours of the clock; 0: none, or less. */
    readonly oldestHours: number;
    /** Messages that wait for at least so many hours as AGE_HOURS says, in its order. */
    readonly olderThan: readonly number[];
  };
}

export interface ExchangeOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** 32 bytes: derives sendIds from queueIds. */
  readonly sendSecret: Uint8Array;
  readonly queuesMax?: number;
  readonly queuesPerReader?: number;
  readonly deletionsOwedMax?: number;
  readonly mailLimits?: MailLimits | undefined;
  /** For everything the relay keeps: ROW_BYTES for each row, and the blobs. */
  readonly bytesMax?: number;
  /** Whether the disk has room for more than deletions; asked at each new row. */
  readonly hasDisk?: () => boolean;
  /** Mail is on the disk for a reader that does not read this queue now. */
  readonly stored?: ((readerKey: Uint8Array) => void) | undefined;
  readonly count: (this: void, counter: Counter) => void;
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { store, clock, sendSecret, count } = options;
  const queuesMax = options.queuesMax ?? QUEUES_MAX;
  const bytesMax = options.bytesMax ?? BYTES_MAX_DEFAULT;
  const queuesPerReader = options.queuesPerReader ?? QUEUES_PER_READER_MAX;
  const mailLimits = options.mailLimits ?? MAIL_LIMITS;
  const deletionsOwedMax = options.deletionsOwedMax ?? DELETIONS_OWED_MAX;
  const hasDisk = options.hasDisk ?? (() => true);
  const queueById = new Map<string, Queue>();
  const queueBySendHash = new Map<string, Queue>();
  const readers = new Map<string, Reader>();
  const bundleByLink = new Map<string, Bundle>();
  /** In the order in which they become due. */
  const held = new Map<Message, Queue>();
  /** Of those, the ones for which there was no room: unless they are acknowledged in time, they end. */
  const unkeepable = new Set<Message>();
  const writes = new Set<Promise<unknown>>();
  let heldBytes = 0;
  let commitBytes = 0;
  let messages = 0;
  /** How many messages came in which hour since 1970: what a queue's lifetime and an expiry say, no finer. */
  const cameIn = new Map<number, number>();
  let bytes = 0;
  let nextRow = 1;
  let cancelHold: (() => void) | undefined;
  let cancelSweep = clock.after(SWEEP_MS, onSweep);
  let sweptAt = clock.now();
  let steadySweeps = STEADY_SWEEPS;
  /** Deletions that the disk did not take. At most `deletionsOwedMax`. */
  const owed: StoreOperation[] = [];
  let stopped = false;
  let storeFails = false;

  load();

  const hour = (): number => Math.floor(clock.now() / HOUR_MS);
  /** Kept for at least the whole time asked for. */
  const expiryAfter = (hours: number): number => hour() + hours + 1;

  function load(): void {
    const stored = store.load();
    const queueByRow = new Map<number, Queue>();
    /** Whose queue went while the disk did not take their deletion: old data has to leave the disk. */
    const orphans: StoreOperation[] = [];
    for (const row of stored.queues) {
      const queue = addQueue(row);
      queueByRow.set(row.row, queue);
      nextRow = Math.max(nextRow, row.row + 1);
    }
    for (const row of stored.messages) {
      nextRow = Math.max(nextRow, row.row + 1);
      const queue = queueByRow.get(row.queueRow);
      if (queue === undefined) {
        orphans.push({ type: "delete-message", row: row.row });
        continue;
      }
      countMessage(queue, row, 1);
      restore(queue.mailbox, { ...row, key: bytesToKey(row.id) });
    }
    for (const { row, queueRow, linkHash, sizeBytes, expiryHour } of stored.bundles) {
      nextRow = Math.max(nextRow, row + 1);
      const queue = queueByRow.get(queueRow);
      if (queue === undefined) {
        orphans.push({ type: "delete-bundle", row });
        continue;
      }
      addBundle(bytesToKey(linkHash), { row, queue, sizeBytes, expiryHour });
    }
    if (orphans.length > 0) void discard(orphans);
  }

  function addQueue(row: QueueRow): Queue {
    const key = bytesToKey(row.readerKey);
    let reader = readers.get(key);
    if (reader === undefined) readers.set(key, (reader = { key, queues: 0 }));
    reader.queues++;
    const queue: Queue = {
      row: row.row,
      key: bytesToKey(row.queueId),
      sendHash: bytesToKey(row.sendHash),
      reader,
      sender: bytesToKey(row.sender),
      bound: row.bound,
      ttlHours: row.ttlHours,
      expiryHour: row.expiryHour,
      mailbox: createMailbox(),
      bundles: NO_BUNDLES,
      awaited: false,
      owner: undefined,
      closed: false,
      creating: undefined,
    };
    bytes += ROW_BYTES;
    queueById.set(queue.key, queue);
    queueBySendHash.set(queue.sendHash, queue);
    return queue;
  }

  /** Also in the place of an older one under the same link. */
  function addBundle(link: string, bundle: Bundle): void {
    const older = bundleByLink.get(link);
    if (older !== undefined) bytes -= ROW_BYTES + older.sizeBytes;
    bytes += ROW_BYTES + bundle.sizeBytes;
    bundleByLink.set(link, bundle);
    const { queue } = bundle;
    if (!queue.bundles.includes(link)) queue.bundles = [...queue.bundles, link];
  }

  function dropBundle(link: string): number | undefined {
    const bundle = bundleByLink.get(link);
    bundleByLink.delete(link);
    if (bundle === undefined) return undefined;
    bytes -= ROW_BYTES + bundle.sizeBytes;
    bundle.queue.bundles = bundle.queue.bundles.filter((other) => other !== link);
    return bundle.row;
  }

  async function commit(operations: readonly StoreOperation[]): Promise<Outcome> {
    const write = store.apply(operations);
    writes.add(write);
    try {
      await write;
      storeFails = false;
      return "ok";
    } catch (error) {
      storeFails = true;
      count("store-failed");
      return error instanceof StoreError && error.code === "full" ? "full" : "later";
    } finally {
      writes.delete(write);
    }
  }

  /**
   * For what is gone from memory already: a disk that does not take it now is asked again with every sweep, or
   * what was acknowledged would be delivered, and a closed queue be open, after the next start.
   */
  async function discard(deletions: readonly StoreOperation[]): Promise<Outcome> {
    const outcome = await commit(deletions);
    if (outcome !== "ok") owed.push(...deletions.slice(0, deletionsOwedMax - owed.length));
    return outcome;
  }

  function payOwed(): void {
    if (owed.length > 0) void discard(owed.splice(0));
  }

  const sendIdOf = (queueId: QueueId): SendId =>
    asSendId(hmacSha256(sendSecret, queueId).slice(0, SEND_ID_BYTES));

  const rowOf = (queue: Queue): QueueRow => ({
    row: queue.row,
    queueId: keyToBytes(queue.key),
    sendHash: keyToBytes(queue.sendHash),
    readerKey: keyToBytes(queue.reader.key),
    sender: keyToBytes(queue.sender),
    bound: queue.bound,
    ttlHours: queue.ttlHours,
    expiryHour: queue.expiryHour,
  });

  const hasRoomFor = (sizeBytes: number, max = bytesMax): boolean =>
    bytes + ROW_BYTES + sizeBytes <= max && hasDisk();
  /** What nobody waits for yet ends first, so that mail that has an address still gets through. */
  const hasRoomForNew = (sizeBytes: number): boolean => hasRoomFor(sizeBytes, NEW_SHARE * bytesMax);

  /** How long a queue lives after its owner was here. */
  const lifeOf = (queue: Queue): number => {
    if (queue.bound) return QUEUE_IDLE_HOURS;
    return queue.awaited ? QUEUE_AWAITED_HOURS : QUEUE_UNUSED_HOURS;
  };

  const isReader = ({ reader }: Queue, readerKey: Uint8Array): boolean =>
    equalBytes(keyToBytes(reader.key), readerKey);

  const owned = (readerKey: Uint8Array, queueId: QueueId): Queue | undefined => {
    const queue = queueById.get(bytesToKey(queueId));
    return queue !== undefined && isReader(queue, readerKey) ? queue : undefined;
  };

  const create: Exchange["create"] = async (readerKey, { queueId, ttlHours, firstUseHash }) => {
    const sendId = sendIdOf(queueId);
    if (ttlHours > mailLimits.ttlHours) return { ok: false, reason: "limit" };
    const known = queueById.get(bytesToKey(queueId));
    if (known !== undefined) {
      if (!isReader(known, readerKey)) return { ok: false, reason: "gone" };
      const outcome = (await known.creating) ?? "ok";
      return outcome === "ok" ? { ok: true, queue: known, sendId } : { ok: false, reason: outcome };
    }
    if (
      queueById.size >= queuesMax ||
      (readers.get(bytesToKey(readerKey))?.queues ?? 0) >= queuesPerReader
    ) {
      return { ok: false, reason: "limit" };
    }
    if (!hasRoomForNew(0)) return { ok: false, reason: "full" };
    const queue = addQueue({
      row: nextRow++,
      queueId,
      sendHash: sha256(sendId),
      readerKey,
      sender: firstUseHash,
      bound: false,
      ttlHours: ttlHours === 0 ? Math.min(TTL_HOURS_DEFAULT, mailLimits.ttlHours) : ttlHours,
      expiryHour: expiryAfter(QUEUE_UNUSED_HOURS),
    });
    queue.creating = commit([{ type: "put-queue", queue: rowOf(queue) }]);
    const outcome = await queue.creating;
    queue.creating = undefined;
    if (outcome === "ok") return { ok: true, queue, sendId };
    forget(queue);
    return { ok: false, reason: outcome };
  };

  function open(readerKey: Uint8Array, queueId: QueueId, owner: Owner): Queue | undefined {
    const queue = owned(readerKey, queueId);
    if (queue === undefined) return undefined;
    const previous = queue.owner;
    queue.owner = owner;
    if (previous !== undefined && previous !== owner) previous.displaced(queue);
    renew(queue);
    return queue;
  }

  function renew(queue: Queue): void {
    const life = lifeOf(queue);
    const expiryHour = expiryAfter(life);
    const grain = Math.min(QUEUE_RENEW_HOURS, Math.floor(life / 12));
    if (expiryHour - queue.expiryHour < grain || queue.creating !== undefined) return;
    queue.expiryHour = expiryHour;
    void commit([{ type: "put-queue", queue: rowOf(queue) }]);
  }

  function keepForAnswer(queue: Queue): void {
    if (queue.closed || queue.bound || queue.awaited) return;
    queue.awaited = true;
    renew(queue);
  }

  function release(queue: Queue, owner: Owner): void {
    if (queue.owner !== owner) return;
    queue.owner = undefined;
    for (const message of queue.mailbox.messages) {
      if (message.state === "held") write(queue, message);
    }
  }

  /** Takes a queue and everything in it out of memory; what it returns takes it off the disk. */
  function forget(queue: Queue): readonly StoreOperation[] {
    queue.closed = true;
    queue.owner = undefined;
    bytes -= ROW_BYTES;
    queueById.delete(queue.key);
    queueBySendHash.delete(queue.sendHash);
    if (--queue.reader.queues === 0) readers.delete(queue.reader.key);
    const operations: StoreOperation[] = [];
    for (const message of queue.mailbox.messages.slice()) {
      operations.push(...drop(queue, message, false, "gone"));
    }
    operations.push(...dropBundles(queue), { type: "delete-queue", row: queue.row });
    return operations;
  }

  function dropBundles(queue: Queue): readonly StoreOperation[] {
    return queue.bundles.flatMap((link) => {
      const row = dropBundle(link);
      return row === undefined ? [] : [{ type: "delete-bundle", row } as const];
    });
  }

  /** Ends a message's life in memory and answers its senders; what it returns ends it on the disk. */
  function drop(
    queue: Queue,
    message: Message,
    acknowledged: boolean,
    outcome: AppendOutcome,
  ): readonly StoreOperation[] {
    if (message.state === "gone") return [];
    const written = message.state !== "held";
    unhold(message);
    remove(queue.mailbox, message, acknowledged);
    countMessage(queue, message, -1);
    settleAll(message, outcome);
    return written ? [{ type: "delete-message", row: message.row }] : [];
  }

  /** `step`: 1 when it comes, -1 when it goes. */
  function countMessage(
    queue: Queue,
    { sizeBytes, expiryHour }: Pick<Message, "sizeBytes" | "expiryHour">,
    step: 1 | -1,
  ): void {
    messages += step;
    bytes += step * (ROW_BYTES + sizeBytes);
    const came = expiryHour - queue.ttlHours - 1;
    const count = (cameIn.get(came) ?? 0) + step;
    if (count === 0) cameIn.delete(came);
    else cameIn.set(came, count);
  }

  function ages(): Pick<ReturnType<Exchange["stats"]>, "oldestHours" | "olderThan"> {
    const now = hour();
    const olderThan = AGE_HOURS.map(() => 0);
    let oldestHours = 0;
    for (const [came, count] of cameIn) {
      const age = Math.max(0, now - came);
      oldestHours = Math.max(oldestHours, age);
      for (const [index, hours] of AGE_HOURS.entries()) {
        if (age >= hours) olderThan[index] = (olderThan[index] ?? 0) + count;
      }
    }
    return { oldestHours, olderThan };
  }

  const claim: Exchange["claim"] = async ({ sendId, sendKey, firstUse, proven }) => {
    const queue = queueBySendHash.get(bytesToKey(sha256(sendId)));
    const shown = sha256(firstUse);
    // Both comparisons always run, so that missing, foreign and spent take the same time.
    const sender = keyToBytes(queue?.sender ?? NOBODY);
    const isSender = equalBytes(sender, sendKey);
    const isFirst = equalBytes(sender, shown);
    if (queue === undefined || queue.creating !== undefined || !proven) {
      return { ok: false, reason: "gone" };
    }
    if (queue.bound) return isSender ? { ok: true, queue } : { ok: false, reason: "gone" };
    if (!isFirst) return { ok: false, reason: "gone" };
    const { sender: unbound, expiryHour } = queue;
    queue.sender = bytesToKey(sendKey);
    queue.bound = true;
    queue.expiryHour = expiryAfter(QUEUE_IDLE_HOURS);
    const outcome = await commit([
      { type: "put-queue", queue: rowOf(queue) },
      ...queue.bundles.flatMap((link) => {
        const row = bundleByLink.get(link)?.row;
        return row === undefined ? [] : [{ type: "delete-bundle", row } as const];
      }),
    ]);
    if (outcome === "ok") {
      for (const link of queue.bundles) dropBundle(link);
      return queue.closed ? { ok: false, reason: "gone" } : { ok: true, queue };
    }
    queue.sender = unbound;
    queue.bound = false;
    queue.expiryHour = expiryHour;
    return { ok: false, reason: outcome };
  };

  const append: Exchange["append"] = (queue, id, blob, settle) => {
    if (queue.closed) return settle("gone");
    if (stopped || commitBytes + blob.length > COMMIT_BYTES_MAX) return settle("later");
    // What the owner takes from hand to hand needs no room: a full disk must not silence those who are here.
    const isKeepable = hasRoomFor(blob.length);
    const hasRoom = isKeepable || queue.owner !== undefined;
    const expiryHour = expiryAfter(queue.ttlHours);
    const admitted = admit(queue.mailbox, id, blob, expiryHour, hasRoom, mailLimits);
    switch (admitted.kind) {
      case "quota":
      case "full":
        return settle(admitted.kind);
      case "done":
        count("repeated");
        return settle("ok");
      case "known":
        count("repeated");
        if (admitted.message.state === "stored") return settle("ok");
        (admitted.message.waiting ??= []).push(settle);
        return;
      case "new":
        count("appended");
        countMessage(queue, admitted.message, 1);
        admitted.message.waiting = [settle];
        if (!isKeepable) unkeepable.add(admitted.message);
        return place(queue, admitted.message);
    }
  };

  /** Ack-or-persist: mail the owner has in hand waits a moment for the acknowledgement, other mail is written. */
  function place(queue: Queue, message: Message): void {
    const taken = queue.owner?.offer(queue, message) ?? false;
    if (message.state !== "held") return;
    if (!taken || heldBytes + message.sizeBytes > HELD_BYTES_MAX) return write(queue, message);
    message.dueAt = clock.now() + HOLD_MS;
    held.set(message, queue);
    heldBytes += message.sizeBytes;
    cancelHold ??= clock.after(HOLD_MS, onDue);
  }

  function unhold(message: Message): void {
    unkeepable.delete(message);
    if (held.delete(message)) heldBytes -= message.sizeBytes;
  }

  function onDue(): void {
    cancelHold = undefined;
    const now = clock.now();
    for (const [message, queue] of held) {
      // A clock set back must not hold mail for longer than promised.
      const leftMs = message.dueAt - now;
      if (leftMs > 0 && leftMs <= HOLD_MS) {
        cancelHold = clock.after(leftMs, onDue);
        return;
      }
      write(queue, message);
    }
  }

  function write(queue: Queue, message: Message): void {
    const { blob, sizeBytes } = message;
    if (blob === undefined) return;
    const mustFail = unkeepable.has(message);
    unhold(message);
    if (mustFail) return fail(queue, message, "full");
    message.state = "writing";
    message.row = nextRow++;
    commitBytes += sizeBytes;
    count("written");
    const row = {
      row: message.row,
      queueRow: queue.row,
      id: keyToBytes(message.key),
      expiryHour: message.expiryHour,
    };
    void commit([{ type: "put-message", message: row, blob }]).then((outcome) => {
      commitBytes -= sizeBytes;
      if (message.state !== "writing") return;
      if (outcome !== "ok") {
        return fail(queue, message, outcome === "full" ? "full" : "later");
      }
      message.state = "stored";
      message.blob = undefined;
      settleAll(message, "ok");
      if (queue.owner === undefined) options.stored?.(keyToBytes(queue.reader.key));
    });
  }

  /** Not durable: the sender hears the truth, and the owner drops a second copy by its id. */
  function fail(queue: Queue, message: Message, outcome: "full" | "later"): void {
    remove(queue.mailbox, message, false);
    countMessage(queue, message, -1);
    settleAll(message, outcome);
  }

  function settleAll(message: Message, outcome: AppendOutcome): void {
    const { waiting } = message;
    message.waiting = undefined;
    for (const settle of waiting ?? []) settle(outcome);
  }

  const acknowledge: Exchange["acknowledge"] = (queue, message) => {
    if (message.state === "gone") return "ok";
    count("acknowledged");
    const operations = drop(queue, message, true, "ok");
    return operations.length === 0 ? "ok" : discard(operations);
  };

  const putBundle: Exchange["putBundle"] = async (queue, linkId, blob) => {
    const link = bytesToKey(sha256(linkId));
    const known = bundleByLink.get(link);
    if (queue.closed || queue.bound || (known !== undefined && known.queue !== queue)) {
      return "gone";
    }
    if (known === undefined && queue.bundles.length >= BUNDLES_PER_QUEUE_MAX) return "limit";
    if (!hasRoomForNew(blob.length)) return "full";
    // Putting it again does not make it live longer.
    const isLive = known !== undefined && known.expiryHour > hour();
    const bundle: Bundle = {
      row: known?.row ?? nextRow++,
      queue,
      sizeBytes: blob.length,
      expiryHour: isLive ? known.expiryHour : expiryAfter(OFFER_HOURS),
    };
    addBundle(link, bundle);
    const { row, expiryHour } = bundle;
    // An hour more, so that whoever fetched the offer at its end can still answer it.
    queue.expiryHour = Math.max(queue.expiryHour, expiryHour + 1);
    const stored = { row, queueRow: queue.row, linkHash: keyToBytes(link), expiryHour };
    const outcome = await commit([
      { type: "put-queue", queue: rowOf(queue) },
      { type: "put-bundle", bundle: stored, blob },
    ]);
    if (outcome !== "ok" && bundleByLink.get(link) === bundle) {
      if (known === undefined) dropBundle(link);
      else addBundle(link, known);
    }
    return outcome;
  };

  const getBundle: Exchange["getBundle"] = async (linkId) => {
    const bundle = bundleByLink.get(bytesToKey(sha256(linkId)));
    if (bundle === undefined || bundle.queue.bound || bundle.expiryHour <= hour()) return undefined;
    return store.readBundle(bundle.row);
  };

  function onSweep(): void {
    const now = clock.now();
    // The timer does not care what the clock is set to.
    const stepMs = Math.abs(now - sweptAt - SWEEP_MS);
    sweptAt = now;
    steadySweeps = stepMs < CLOCK_STEP_MS ? steadySweeps + 1 : 0;
    if (steadySweeps >= STEADY_SWEEPS) sweep();
    else payOwed();
    cancelSweep = clock.after(SWEEP_MS, onSweep);
  }

  function sweep(): void {
    payOwed();
    const now = hour();
    for (const queue of queueById.values()) {
      if (queue.owner !== undefined) renew(queue);
      const old = expired(queue.mailbox, now);
      if (queue.expiryHour <= now) void discard(forget(queue));
      else if (old.length > 0) {
        void discard(old.flatMap((message) => drop(queue, message, false, "gone")));
      }
      for (const _ of old) count("expired");
    }
    for (const [link, bundle] of bundleByLink) {
      if (bundle.expiryHour > now) continue;
      dropBundle(link);
      void discard([{ type: "delete-bundle", row: bundle.row }]);
    }
  }

  return {
    hasQueues: (readerKey) => (readers.get(bytesToKey(readerKey))?.queues ?? 0) > 0,
    create,
    open,
    keepForAnswer,
    release,
    async close(queue) {
      if (queue.closed) return "gone";
      return discard(forget(queue));
    },
    claim,
    append,
    signal(queue, blob) {
      if (queue.closed) return "gone";
      if (queue.owner?.signal(queue, blob) !== true) return "away";
      count("signalled");
      return "ok";
    },
    acknowledge,
    read: (asked) => store.readMessages(asked.map((message) => message.row)),
    putBundle,
    getBundle,
    isScarce: () => queueById.size >= SCARCE_SHARE * queuesMax,
    sweep,
    async stop() {
      stopped = true;
      cancelHold?.();
      cancelSweep();
      for (const [message, queue] of held) write(queue, message);
      payOwed();
      await Promise.allSettled(writes);
    },
    stats: () => ({
      queues: queueById.size,
      messages,
      bytes,
      heldBytes,
      commitBytes,
      storeFails,
      ...ages(),
    }),
  };
}
