/**
 * The loop: one lane per conversation; load the slice, ask the engine, commit, then act.
 * Owns: the order "commit before anything leaves", timers, counting what was refused.
 * Leaves to the engine: deciding; to leader.ts: what people ask for; to direct-links.ts: the data channels.
 * Spec: protocol/SPEC.md §3.
 */
import {
  asKnown,
  asTaken,
  type CommitResult,
  type ConversationId,
  type ConversationRecord,
  type CryptoBackend,
  type DropReason,
  type Effect,
  type Entropy,
  type GroupSlice,
  INITIAL_LIVE,
  type Input,
  LOST_PAUSE_MS,
  type OutboxRow,
  type PostRow,
  QUEUE_TTL_HOURS,
  QUOTA_PAUSE_MS,
  routeOf,
  type SelfRecord,
  type Slice,
  step,
  type Stepped,
  type Store,
} from "@sotto/protocol";
import { createTurns } from "@sotto/crypto";
import {
  createRelays,
  type Hub,
  type HubEvents,
  type OpenRelay,
  type Recipient,
  type RelayQueue,
  type Relays,
  type RelaysEvents,
  type Timers,
} from "@sotto/transport";
import {
  asEnvelopeId,
  asLinkId,
  asQueueId,
  bytesToHex,
  EnvelopeType,
  equalBytes,
  hexToBytes,
  PAST_ROWS_MAX,
} from "@sotto/wire";
import type { DirectLinks } from "./direct-links.ts";
import { createLane, type Lane, LANE_DIRECT_MAX, LANE_OTHERS_MAX } from "./lane.ts";

/** Commits tried again after another writer was faster; there should be none. */
export const CONFLICTS_MAX = 3;
/** Pause before a full disk is tried again. */
export const STORE_PAUSE_MS = 10_000;
/** Posts kept in memory for a record that is not there yet. */
export const PARKED_POSTS_MAX = 1_000;
/** As many as a queue holds at the relay; more are delivered again with the next connection. */
export const REFUSED_FRAMES_MAX = 256;

/** Inputs that say how things stand, so that only the newest counts. Everything else comes again with "hub". */
type StateKind = "want" | "reservation" | "direct" | "hub";

export interface Entry {
  slice: Slice;
  readonly lane: Lane;
  /** `at`: on the timers' clock, which never jumps. */
  wake: { readonly at: number; cancel(): void } | undefined;
  /** What a full disk refused and must still be said: the newest of each kind. */
  readonly unapplied: Map<StateKind, Input>;
  /** Deliveries that a full disk refused, by sequence; the relay keeps them until they are acknowledged. */
  readonly refusedFrames: Map<bigint, Input>;
  /** Posts that a full disk refused, by id; the store keeps them until they are taken. */
  readonly refusedPosts: Map<string, Input>;
  roundTripMs: number | undefined;
}

export interface ShellOptions {
  readonly store: Store;
  readonly self: SelfRecord;
  readonly crypto: CryptoBackend;
  readonly entropy: Entropy;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly createHub: (relay: OpenRelay, events: HubEvents) => Hub;
  readonly createDirectLinks: (shell: Shell) => DirectLinks;
  /** Something a screen may show has changed. */
  readonly changed: () => void;
}

export interface Shell {
  readonly entries: ReadonlyMap<ConversationId, Entry>;
  readonly relays: Relays;
  readonly direct: DirectLinks;
  readonly dropped: ReadonlyMap<DropReason, number>;
  readonly damagedRows: number;
  /** Steps that failed in this process: an engine of the cryptography, a bug. Nothing of theirs was stored. */
  readonly faults: number;
  readonly storage: "ok" | "full" | "closed";
  readonly self: SelfRecord;
  /** Begins a conversation. The outcome tells whether the engine made one, and what the store said. */
  begin(
    id: ConversationId,
    input: Extract<Input, { id: ConversationId }>,
  ): Promise<{ readonly begun: boolean; readonly commit: CommitResult }>;
  /** One step; resolves when its commit is durable. Unknown conversations are ignored. */
  feed(id: ConversationId, input: Input): Promise<FeedResult>;
  /** As `feed`, when nobody waits for the outcome. */
  drive(id: ConversationId, input: Input): void;
  feedAll(input: Input): void;
  changeSelf(change: Partial<SelfRecord>): Promise<CommitResult>;
  count(reason: DropReason): void;
  close(): Promise<void>;
}

export interface FeedResult {
  readonly commit: CommitResult;
  readonly dropped: readonly DropReason[];
}

/** After a step before key pairs are made ahead: what the person waits for comes first. */
const FILL_DELAY_MS = 300;
const OK: CommitResult = { ok: true };

export async function startShell(options: ShellOptions): Promise<Shell> {
  const { store, timers, now } = options;
  const loaded = await store.loadAll();
  const entries = new Map<ConversationId, Entry>();
  const dropped = new Map<DropReason, number>();
  let { self } = options;
  let storage: Shell["storage"] = "ok";
  let closed = false;
  /** At one own relay or more. */
  let online = false;
  let faults = 0;
  let cancelProbe: (() => void) | undefined;
  /** Whatever may change the self record goes through this one: the notes, and pairs with own devices. */
  const selfLane = createLane();
  /** Posts for accounts that no conversation is with yet. */
  const parked: PostRow[] = [];
  /** Posts that begin a record which a full disk refused, and what is for it. */
  const unbegun: PostRow[] = [];
  const accountLane = createLane();

  const turns = createTurns(options.crypto, options.entropy);
  const env = (): Parameters<typeof step>[2] => ({
    now: now(),
    entropy: options.entropy,
    crypto: options.crypto,
    turns,
  });
  let cancelFill: (() => void) | undefined;
  /** In the pause after a step: key pairs for the turns to come. */
  const fillTurns = (): void => {
    if (closed) return;
    cancelFill ??= timers.after(FILL_DELAY_MS, () => {
      cancelFill = undefined;
      turns.fill().catch(() => {
        // They are made when they are needed, on another engine if this one keeps failing.
      });
    });
  };

  const createEntry = (
    conversation: ConversationRecord | undefined,
    outbox: readonly OutboxRow[],
    group: GroupSlice | undefined,
  ): Entry => ({
    slice: {
      self,
      conversation,
      outbox,
      live: { ...INITIAL_LIVE, hub: online },
      ...(group === undefined ? {} : { group }),
    },
    lane: createLane(),
    wake: undefined,
    unapplied: new Map(),
    refusedFrames: new Map(),
    refusedPosts: new Map(),
    roundTripMs: undefined,
  });

  const notesId = (): ConversationId | undefined =>
    [...entries].find(([, { slice }]) => slice.conversation?.peer.state === "notes")?.[0];

  const laneOf = (entry: Entry, parent: ConversationId | undefined): Lane => {
    const isOwn =
      entry.slice.conversation?.peer.state === "notes" ||
      (parent !== undefined && parent === notesId());
    return isOwn ? selfLane : entry.lane;
  };

  for (const conversation of loaded.conversations) {
    const outbox = loaded.outbox.filter((row) => row.conversation === conversation.id);
    entries.set(conversation.id, createEntry(conversation, outbox, groupIn(loaded, conversation)));
  }

  const count = (reason: DropReason): void => {
    dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
  };

  async function reload(entry: Entry, id: ConversationId): Promise<void> {
    const all = await store.loadAll();
    const conversation = all.conversations.find((one) => one.id === id);
    const outbox = all.outbox.filter((row) => row.conversation === id);
    const group = conversation === undefined ? undefined : groupIn(all, conversation);
    entry.slice = {
      ...entry.slice,
      conversation,
      outbox,
      ...(group === undefined ? {} : { group }),
    };
  }

  /** Runs inside the lane. Nothing but the commit has happened when it fails. */
  async function runStep(entry: Entry, id: ConversationId, input: Input): Promise<FeedResult> {
    let asked = input;
    for (let conflicts = 0; ; conflicts++) {
      const stepped = await step({ ...entry.slice, self }, asked, env());
      const commit = await commitOf(stepped);
      if (commit.ok) {
        const reasons = stored(entry, stepped);
        fillTurns();
        return { commit, dropped: reasons };
      }
      const isOver = commit.reason === "full" || commit.reason === "closed";
      if (isOver || conflicts >= CONFLICTS_MAX) return { commit, dropped: [] };
      if (commit.reason === "known") asked = asKnown(asked);
      else if (commit.reason === "taken") asked = asTaken(asked, commit.ids);
      else await reload(entry, id);
    }
  }

  /** What follows from a commit that the store has. */
  function stored(entry: Entry, stepped: Stepped): readonly DropReason[] {
    const wasOpen = entry.slice.conversation?.peer.state === "open";
    const knewMembers = entry.slice.group?.row?.log.state.members;
    entry.slice = stepped.slice;
    const changes = stepped.effects.flatMap((one) => (one.kind === "commit" ? [one.change] : []));
    const changedSelf = changes.find((change) => change.self !== undefined)?.self;
    if (changedSelf !== undefined) adoptSelf(changedSelf);
    const reasons = act(entry, stepped.effects);
    for (const { addPosts } of changes) for (const row of addPosts) deliver(row);
    // Somebody is known from here on: what waited for that is for this conversation. Or nobody will bring them any more.
    const isOpen = stepped.slice.conversation?.peer.state === "open";
    const isChanged = stepped.slice.group?.row?.log.state.members !== knewMembers;
    if ((isOpen && !wasOpen) || isChanged) for (const row of parked.splice(0)) deliver(row);
    // Every conversation has something to say about another list of the own devices.
    if (changedSelf !== undefined) shell.feedAll({ kind: "wake" });
    options.changed();
    return reasons;
  }

  function adoptSelf(next: SelfRecord): void {
    self = next;
    for (const entry of entries.values()) entry.slice = { ...entry.slice, self };
  }

  /** To the record it is for: one that is there, one that it begins, or one that will be. */
  function deliver(row: PostRow): void {
    if (closed) return;
    const entry = entries.get(row.to);
    if (entry !== undefined) {
      drive(row.to, { kind: "post", row });
      return;
    }
    // One after another: two of them may be about somebody who is new here.
    accountLane
      .run(() => deliverNew(row))
      .catch(() => {
        faults++;
      });
  }

  async function deliverNew(row: PostRow): Promise<void> {
    const slices = new Map([...entries].map(([id, { slice }]) => [id, slice]));
    const route = await routeOf(row, slices, options.crypto);
    if (route.kind === "to") {
      const input: Input = { kind: "post", row };
      // A message's chain, which says what group it is of, may have come just before it.
      if (row.post.kind === "told") await feed(route.id, input);
      else drive(route.id, input);
      return;
    }
    if (route.kind === "waits") {
      keep(row.to.startsWith("account:") ? parked : unbegun, row);
      return;
    }
    const id = row.post.kind === "begin" ? row.to : bytesToHex(options.entropy(16));
    const { begun } = await shell.begin(id, { kind: "start-post", id, row });
    if (!begun) {
      keep(unbegun, row);
    }
  }

  /** The store has them, too: beyond the limit they come with the next start. */
  function keep(rows: PostRow[], row: PostRow): void {
    if (rows.length >= PARKED_POSTS_MAX) count("outbox-full");
    else rows.push(row);
  }

  async function commitOf(stepped: Stepped): Promise<CommitResult> {
    for (const effect of stepped.effects) {
      if (effect.kind !== "commit") continue;
      const result = await store.commit(effect.change);
      if (result.ok) setStorage("ok");
      else if (result.reason === "full" || result.reason === "closed") setStorage(result.reason);
      return result;
    }
    return OK;
  }

  function setStorage(next: Shell["storage"]): void {
    if (next === storage) return;
    const before = storage;
    storage = next;
    options.changed();
    if (next === "full") probeLater();
    else if (before === "full" && next === "ok") sayAgain();
  }

  /** Looks whether there is room again, until there is. */
  function probeLater(): void {
    cancelProbe ??= later(STORE_PAUSE_MS, () => {
      cancelProbe = undefined;
      changeSelf({}).then(
        () => {
          if (storage === "full") probeLater();
        },
        () => {
          faults++;
        },
      );
    });
  }

  /** Everything that was refused while the disk was full, as it stands now. */
  function sayAgain(): void {
    for (const [id, entry] of entries) {
      const { unapplied, refusedFrames, refusedPosts } = entry;
      const inputs = [...unapplied.values(), ...refusedPosts.values(), ...refusedFrames.values()];
      unapplied.clear();
      refusedFrames.clear();
      refusedPosts.clear();
      for (const input of inputs) drive(id, asOfNow(id, input));
    }
    for (const row of unbegun.splice(0)) deliver(row);
  }

  function refuse(entry: Entry, input: Input): void {
    if (input.kind === "frame") {
      // A direct one comes again by itself: its sender takes the relay when nothing answers.
      if (input.source.path !== "relay" || entry.refusedFrames.size >= REFUSED_FRAMES_MAX) return;
      entry.refusedFrames.set(input.source.sequence, input);
    } else if (input.kind === "post") entry.refusedPosts.set(input.row.id, input);
    else if (isStateful(input)) entry.unapplied.set(input.kind, input);
    else entry.unapplied.set("hub", { kind: "hub", up: isUp(entry) });
  }

  function act(entry: Entry, effects: readonly Effect[]): readonly DropReason[] {
    const reasons: DropReason[] = [];
    for (const effect of effects) {
      if (effect.kind !== "dropped") {
        execute(entry, effect);
        continue;
      }
      count(effect.reason);
      reasons.push(effect.reason);
    }
    return reasons;
  }

  function execute(entry: Entry, effect: Exclude<Effect, { kind: "dropped" }>): void {
    const id = entry.slice.conversation?.id;
    if (id === undefined || closed) return;
    switch (effect.kind) {
      case "commit":
        return;
      case "make-queue":
        keepQueue(entry);
        return;
      case "close-queue":
        relays.closeQueue(asQueueId(effect.queueId));
        return;
      case "publish":
        void publish(entry, effect);
        return;
      case "transmit":
        if (effect.path === "relay") void append(entry, effect);
        else if (!direct.send(id, effect.id, effect.blob)) {
          drive(id, { kind: "transmitted", id: effect.id, path: "direct", outcome: "lost" });
        }
        return;
      case "signal":
        void signal(entry, effect.blob);
        return;
      case "ack": {
        const queue = queueOf(entry);
        if (queue !== undefined) relays.ack(queue, effect.sequence);
        return;
      }
      case "prepare-direct":
        if (hasSameHome(entry)) direct.prepare(id);
        else drive(id, { kind: "reservation", peerId: undefined });
        return;
      case "expect":
        direct.expect(id, effect.peerId);
        return;
      case "dial":
        if (hasSameHome(entry)) direct.dial(id, effect.peerId);
        else drive(id, { kind: "direct", up: false });
        return;
      case "read-past":
        void readPast(entry, id, effect);
        return;
      case "wake":
        wakeAt(entry, id, effect.at);
    }
  }

  function keepQueue(entry: Entry): void {
    const queue = keptIn(entry);
    if (queue !== undefined) relays.keepQueues([queue]);
  }

  async function publish(
    entry: Entry,
    effect: Extract<Effect, { kind: "publish" }>,
  ): Promise<void> {
    const queueId = queueOf(entry);
    if (queueId === undefined) return;
    const { blob } = effect;
    const outcome = await relays.publish({ queueId, linkId: asLinkId(effect.linkId), blob });
    if (outcome === "ok") driveEntry(entry, { kind: "published" });
    else if (online && entry.slice.conversation?.peer.state === "invited") {
      later(outcome === "lost" ? LOST_PAUSE_MS : QUOTA_PAUSE_MS, () => {
        if (online) void publish(entry, effect);
      });
    }
  }

  async function append(
    entry: Entry,
    effect: Extract<Effect, { kind: "transmit"; path: "relay" }>,
  ): Promise<void> {
    const to = recipientOf(entry);
    const { id, blob, copy } = effect;
    const outcome =
      to === undefined
        ? "gone"
        : await relays.append(to, { id: asEnvelopeId(bytesOf(id)), blob, copy });
    driveEntry(entry, {
      kind: "transmitted",
      id,
      path: "relay",
      outcome,
      ...(copy ? { copy } : {}),
    });
  }

  async function signal(entry: Entry, blob: Uint8Array): Promise<void> {
    const to = recipientOf(entry);
    if (to === undefined) return;
    const outcome = await relays.signal(to, blob);
    if (outcome === "away" || outcome === "gone") {
      driveEntry(entry, { kind: "signalled", outcome: "away" });
    }
  }

  /** What cannot be read is asked for again by the device that wants it. */
  async function readPast(
    entry: Entry,
    id: ConversationId,
    { device, before, since, pages }: Extract<Effect, { kind: "read-past" }>,
  ): Promise<void> {
    try {
      const { rows, hasMore } = await store.messages(id, {
        limit: pages * PAST_ROWS_MAX,
        ...(before === undefined ? {} : { before }),
      });
      driveEntry(entry, { kind: "past-read", device, before, since, pages, rows, hasMore });
    } catch {
      faults++;
    }
  }

  function recipientOf(entry: Entry): Recipient | undefined {
    const peer = entry.slice.conversation?.peer;
    if (peer?.state !== "open" || peer.contact.addresses.length === 0) return undefined;
    const { addresses, sendSecret } = peer.contact;
    return { addresses, sendSecret };
  }

  /** Whether anything can be handed over: the own relays may all be away, and the other side's there. */
  function isUp(entry: Entry | undefined): boolean {
    const to = online || entry === undefined ? undefined : recipientOf(entry);
    return online || (to !== undefined && relays.reaches(to));
  }

  function followHub(id: ConversationId, entry: Entry): void {
    const up = isUp(entry);
    if (entry.slice.live.hub !== up) drive(id, { kind: "hub", up });
  }

  /** A direct link begins at the relay where the other side holds its reservation: its home, and only from there. */
  function hasSameHome(entry: Entry): boolean {
    const key = relays.places[0]?.key;
    const theirs = recipientOf(entry)?.addresses[0]?.relayKey;
    return key !== undefined && theirs !== undefined && equalBytes(key, theirs);
  }

  function wakeAt(entry: Entry, id: ConversationId, at: number): void {
    const delayMs = Math.max(0, at - now());
    const due = timers.now() + delayMs;
    if (entry.wake !== undefined) {
      if (entry.wake.at <= due) return;
      entry.wake.cancel();
    }
    const cancel = later(delayMs, () => {
      entry.wake = undefined;
      drive(id, { kind: "wake" });
    });
    entry.wake = { at: due, cancel };
  }

  const later = (ms: number, run: () => void): (() => void) =>
    timers.after(ms, () => {
      if (!closed) run();
    });

  function driveEntry(entry: Entry, input: Input): void {
    const id = entry.slice.conversation?.id;
    if (id !== undefined) drive(id, input);
  }

  async function feed(id: ConversationId, input: Input): Promise<FeedResult> {
    const entry = entries.get(id);
    if (entry === undefined || closed) return { commit: OK, dropped: [] };
    const lane = laneOf(entry, entry.slice.conversation?.parent);
    // The relay delivers a frame again with the next connection, and a direct one comes over the relay.
    if (lane.waiting >= placesFor(input)) {
      count("outbox-full");
      return { commit: OK, dropped: ["outbox-full"] };
    }
    const result = await lane.run(() => runStep(entry, id, input));
    if (result.commit.ok) {
      if (isStateful(input)) entry.unapplied.delete(input.kind);
      // It may have told where the other side reads by now.
      if (input.kind !== "hub") followHub(id, entry);
    } else if (result.commit.reason === "full" && !isRequest(input)) refuse(entry, input);
    return result;
  }

  /** For what nobody waits for: a fault is counted, the stored state is still the truth. */
  function drive(id: ConversationId, input: Input): void {
    feed(id, input).catch(() => {
      faults++;
    });
  }

  /** What a step that could not be stored says after the pause: connections may have changed meanwhile. */
  function asOfNow(id: ConversationId, input: Input): Input {
    if (input.kind === "hub") return { kind: "hub", up: isUp(entries.get(id)) };
    return input.kind === "direct" ? { kind: "direct", up: direct.isOpen(id) } : input;
  }

  /** One after another, each on what the one before left. */
  function changeSelf(change: Partial<SelfRecord>): Promise<CommitResult> {
    return selfLane.run(async () => {
      const next = { ...self, ...change };
      const result = await store.saveSelf(next);
      if (result.ok) setStorage("ok");
      else if (result.reason === "full" || result.reason === "closed") setStorage(result.reason);
      if (!result.ok) return result;
      adoptSelf(next);
      options.changed();
      return result;
    });
  }

  const entryByQueue = (queueId: Uint8Array): Entry | undefined => {
    for (const entry of entries.values()) {
      const known = queueOf(entry);
      if (known !== undefined && equalBytes(known, queueId)) return entry;
    }
    return undefined;
  };

  const events: RelaysEvents = {
    changed() {
      const isOnline = relays.state === "online";
      const isOther = isOnline !== online;
      online = isOnline;
      for (const [id, entry] of entries) {
        // The relay delivers again what was not acknowledged.
        if (!isOnline) entry.refusedFrames.clear();
        if (isOther) drive(id, { kind: "hub", up: isUp(entry) });
        else followHub(id, entry);
      }
      options.changed();
    },
    places(places) {
      changeSelf({ relays: places }).catch(() => {
        faults++;
      });
    },
    made(queueId, addresses) {
      const entry = entryByQueue(queueId);
      if (entry !== undefined) driveEntry(entry, { kind: "queue-ready", addresses });
    },
    deliver({ queueId, sequence, blob }) {
      const entry = entryByQueue(queueId);
      if (entry === undefined) {
        count("unexpected");
        relays.ack(queueId, sequence);
        return;
      }
      driveEntry(entry, { kind: "frame", blob, source: { path: "relay", sequence } });
    },
    signalled(queueId, blob) {
      const entry = entryByQueue(queueId);
      // Only signals travel unstored: anything else would be lost if this device failed now.
      if (entry === undefined || blob[0] !== EnvelopeType.signal) count("unexpected");
      else driveEntry(entry, { kind: "frame", blob, source: { path: "direct" } });
    },
  };

  const shell: Shell = {
    entries,
    get relays() {
      return relays;
    },
    get direct() {
      return direct;
    },
    dropped,
    damagedRows: loaded.damaged,
    get faults() {
      return faults;
    },
    get storage() {
      return storage;
    },
    get self() {
      return self;
    },
    async begin(id, input) {
      const entry = createEntry(undefined, [], undefined);
      const { commit } = await laneOf(entry, parentIn(input)).run(async () => {
        const stepped = await step({ ...entry.slice, self }, input, env());
        const result = await commitOf(stepped);
        if (!result.ok) return { commit: result };
        if (stepped.slice.conversation !== undefined) entries.set(id, entry);
        stored(entry, stepped);
        return { commit: result };
      });
      // The connection may have come or gone while nobody could tell this conversation.
      followHub(id, entry);
      return { begun: entries.get(id) === entry, commit };
    },
    feed,
    drive,
    feedAll(input) {
      for (const id of entries.keys()) drive(id, input);
    },
    changeSelf,
    count,
    async close() {
      const leaving = [...entries.keys()].map((id) => feed(id, { kind: "leaving" }));
      // Whoever cannot take leave any more is gone all the same.
      for (const left of await Promise.allSettled(leaving))
        if (left.status === "rejected") faults++;
      closed = true;
      cancelProbe?.();
      cancelFill?.();
      for (const entry of entries.values()) {
        entry.wake?.cancel();
      }
      await Promise.all([relays.close(), direct.close()]);
      await Promise.all([...entries.values()].map((entry) => entry.lane.idle()));
    },
  };
  const relays = createRelays({
    places: self.relays,
    readerSecret: self.readerSecret,
    openRelay: options.createHub,
    timers,
    entropy: options.entropy,
    events,
  });
  const direct = options.createDirectLinks(shell);
  relays.keepQueues([...entries.values()].map(keptIn).filter((queue) => queue !== undefined));
  for (const row of loaded.posts) deliver(row);
  return shell;
}

/** What the store has of a group beside its record. */
function groupIn(
  { groups, senders }: Awaited<ReturnType<Store["loadAll"]>>,
  { id, peer }: ConversationRecord,
): GroupSlice | undefined {
  if (peer.state !== "group") return undefined;
  const own = senders.filter((row) => row.conversation === id);
  return {
    row: groups.find((row) => row.conversation === id),
    senders: new Map(own.map((row) => [row.device, row])),
  };
}

const isStateful = (input: Input): input is Extract<Input, { kind: StateKind }> =>
  input.kind === "want" ||
  input.kind === "reservation" ||
  input.kind === "direct" ||
  input.kind === "hub";

const parentIn = (input: Extract<Input, { id: ConversationId }>): ConversationId | undefined => {
  if (input.kind === "start-invite" || input.kind === "start-accept") return input.parent;
  if (input.kind !== "start-post" || input.row.post.kind !== "begin") return undefined;
  return input.row.post.parent;
};

/** Tasks of a lane beyond which it does not take this; the lane's own limit for what does not come again. */
function placesFor(input: Input): number {
  if (input.kind === "frame" && input.source.path === "direct") return LANE_DIRECT_MAX;
  return input.kind === "frame" || isRequest(input) ? LANE_OTHERS_MAX : Number.POSITIVE_INFINITY;
}

/** What a person asks for is answered with the reason and asked again by them. */
const isRequest = ({ kind }: Input): boolean =>
  kind === "send-text" ||
  kind.startsWith("group-") ||
  kind === "mark-read" ||
  kind === "devices-seen" ||
  kind === "mark-verified" ||
  kind === "remove-device" ||
  kind === "answer-fork";

/** The conversation's own queue, as long as it is read. */
function keptIn(entry: Entry): RelayQueue | undefined {
  const peer = entry.slice.conversation?.peer;
  const queueId = queueOf(entry);
  if (queueId === undefined || (peer?.state !== "open" && peer?.state !== "invited"))
    return undefined;
  const { firstUse, addresses } = peer.queue;
  return { queueId, firstUse, ttlHours: QUEUE_TTL_HOURS, addresses };
}

function queueOf(entry: Entry): ReturnType<typeof asQueueId> | undefined {
  const peer = entry.slice.conversation?.peer;
  if (peer?.state !== "open" && peer?.state !== "invited") return undefined;
  if (peer.state === "open" && peer.retired) return undefined;
  return asQueueId(peer.queue.queueId);
}

/** Ids of outbox rows are hex made by the engine. */
function bytesOf(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("not hex");
  return bytes;
}
