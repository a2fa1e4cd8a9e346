/**
 * Whole installations around the real engine and the real cipher suite: several records each, posts between them, and
 * a relay that carries what was handed to it when it is asked to.
 */
import {
  accountIdOf,
  createDeviceList,
  createOwnDevice,
  nobleBackend,
  restoreDevice,
} from "@sotto/crypto";
import {
  accountAddress,
  asKnown,
  asTaken,
  type ConversationId,
  type ConversationRecord,
  type CryptoBackend,
  type Effect,
  INITIAL_LIVE,
  type Input,
  isSameMessage,
  type MessageRow,
  type OutboxRow,
  type GroupRow,
  type PostRow,
  routeOf,
  type SelfRecord,
  type SenderRow,
  type Slice,
  step,
} from "@sotto/protocol";
import { bytesToHex, PAST_ROWS_MAX, type QueueAddress } from "@sotto/wire";
import { expect } from "vitest";
import { addressOf, entropy, messageId, START } from "./fixture.ts";

type Open = Extract<ConversationRecord["peer"], { state: "open" }>;

export interface Blob {
  readonly to: Machine;
  readonly conversation: ConversationId;
  readonly bytes: Uint8Array;
  readonly from: Machine;
  readonly outbox: string;
  readonly sender: ConversationId;
}

export interface Machine {
  readonly name: string;
  self: SelfRecord;
  readonly slices: Map<ConversationId, Slice>;
  readonly messages: Map<string, MessageRow>;
  readonly posts: Map<string, PostRow>;
  /** Reasons of everything refused. */
  readonly dropped: string[];
  readonly notes: ConversationId;
  begin(input: Extract<Input, { id: ConversationId }>): Promise<boolean>;
  feed(id: ConversationId, input: Input): Promise<readonly Effect[]>;
  /** The conversation shown for that account. */
  chatWith(other: Machine): ConversationId;
  peerIn(id: ConversationId): Open;
  /** Pairs beyond the one in the record. */
  pairsOf(id: ConversationId): readonly ConversationId[];
  write(id: ConversationId, text: string): Promise<string>;
  shown(id: ConversationId): readonly string[];
  status(id: ConversationId, message: string): string | undefined;
  /** Rows of the outbox as the store has them. */
  stored(id: ConversationId): readonly OutboxRow[];
  /** The group's record: with this id, or the only one. */
  groupOf(group?: string): ConversationId;
  /** Accounts in the group, as this device knows it. */
  membersIn(id: ConversationId): readonly string[];
  /** The store has lost what it had of a group beside its record. */
  forget(id: ConversationId): void;
  /** Only the chains. */
  forgetChains(id: ConversationId): void;
  /** A new process: only what was stored is left. */
  restart(): void;
}

export interface Fleet {
  now: number;
  readonly machines: Machine[];
  /** What lies at the relay. */
  readonly waiting: Blob[];
  /** Devices whose hub is down. */
  readonly offline: Set<Machine>;
  /** A new account with its first device. */
  person(name: string): Promise<Machine>;
  /** Another device of the account, from its phrase: it knows the root secret and nothing else. */
  sibling(of: Machine, name: string): Promise<Machine>;
  /** Invite and accept. */
  connect(inviter: Machine, invitee: Machine): Promise<void>;
  /** `fresh` becomes another device of `old`'s account. */
  link(old: Machine, fresh: Machine): Promise<void>;
  /** Every frame arrives twice. */
  doubled: boolean;
  /** Frames that never arrive, though the relay said it has them. */
  lost: ((blob: Blob) => boolean) | undefined;
  /** Asked after every commit: the process fails before anything that follows it. */
  crash: ((machine: Machine) => boolean) | undefined;
  /** False: nobody's store can be read. */
  reads: boolean;
  /** Told of every reading of history. */
  read: ((machine: Machine, effect: Extract<Effect, { kind: "read-past" }>) => void) | undefined;
  /** Carries everything until nothing moves. */
  settle(): Promise<void>;
  /** The same for those frames alone. */
  settleFor(isDue: (blob: Blob) => boolean): Promise<void>;
  /** Lets time pass, waking everybody, and settles. */
  pass(ms: number): Promise<void>;
  /** Everything released by a machine since the last call, newest last. */
  released(machine: Machine): readonly { readonly to: Machine | undefined }[];
}

/** `crypto`: the reference, unless many people would take it too long. */
export function createFleet(crypto: CryptoBackend = nobleBackend): Fleet {
  const machines: Machine[] = [];
  const waiting: Blob[] = [];
  const offline = new Set<Machine>();
  const readers = new Map<string, { machine: Machine; conversation: ConversationId }>();
  const offers = new Map<string, Uint8Array>();
  /** New processes that have not heard yet that the hub is up. */
  const rebooted = new Set<Machine>();
  /** Signals: this relay carries none, and says so. */
  const unheard: { readonly machine: Machine; readonly id: ConversationId }[] = [];
  const sends = new Map<Machine, { to: Machine | undefined }[]>();

  const fleet: Fleet = {
    now: START,
    machines,
    waiting,
    offline,
    doubled: false,
    lost: undefined,
    crash: undefined,
    reads: true,
    read: undefined,
    async person(name) {
      const device = await createOwnDevice(env());
      const self = selfOf(device, name, [await createDeviceList(device, env())]);
      return add(name, self);
    },
    async sibling(of, name) {
      return add(name, selfOf(await restoreDevice(of.self.rootSecret, env()), name, []));
    },
    async connect(inviter, invitee) {
      await invite(inviter, invitee, undefined);
    },
    async link(old, fresh) {
      await invite(old, fresh, { old: old.notes, fresh: fresh.notes });
    },
    settle: () => fleet.settleFor(() => true),
    async settleFor(isDue) {
      for (let rounds = 0; ; rounds++) {
        expect(rounds).toBeLessThan(400);
        for (const machine of rebooted) {
          rebooted.delete(machine);
          for (const id of machine.slices.keys()) await machine.feed(id, { kind: "hub", up: true });
        }
        for (const { machine, id } of unheard.splice(0)) {
          if (machine.slices.has(id))
            await machine.feed(id, { kind: "signalled", outcome: "away" });
        }
        const moved = (await deliverPosts()) || (await deliverBlobs(isDue));
        if (!moved) return;
      }
    },
    async pass(ms) {
      const step = Math.max(1, Math.ceil(ms / 20));
      for (let passed = 0; passed < ms; passed += step) {
        fleet.now += step;
        for (const machine of machines) {
          for (const id of machine.slices.keys()) await machine.feed(id, { kind: "wake" });
        }
        await fleet.settle();
      }
    },
    released(machine) {
      const all = sends.get(machine) ?? [];
      sends.set(machine, []);
      return all;
    },
  };

  const env = () => ({ now: fleet.now, entropy, crypto });

  const selfOf = (
    device: Awaited<ReturnType<typeof createOwnDevice>>,
    name: string,
    lists: SelfRecord["devices"]["lists"],
  ): SelfRecord => ({
    ...device,
    name,
    readerSecret: entropy(32),
    relays: [],
    createdAt: fleet.now,
    devices: { lists, links: [], met: 0, reach: [] },
  });

  async function invite(
    inviter: Machine,
    invitee: Machine,
    parents: { old: ConversationId; fresh: ConversationId } | undefined,
  ): Promise<void> {
    const id = messageId();
    const expiresAt = fleet.now + 3_600_000;
    const old = parents === undefined ? {} : { parent: parents.old };
    await inviter.begin({ kind: "start-invite", id, expiresAt, ...old });
    await fleet.settle();
    const peer = inviter.slices.get(id)?.conversation?.peer;
    if (peer?.state !== "invited") throw new Error("no invite");
    const { seed } = peer.invite;
    const blob = offers.get(id);
    if (blob === undefined) throw new Error("no offer");
    const accountId = accountIdOf(inviter.self.cert.rootKey);
    const fresh = parents === undefined ? {} : { parent: parents.fresh };
    const accepted = await invitee.begin({
      kind: "start-accept",
      id: messageId(),
      invite: { seed, accountId, relayPin: new Uint8Array(16) },
      blob,
      ...fresh,
    });
    expect(accepted).toBe(true);
    await fleet.settle();
  }

  function add(name: string, first: SelfRecord): Machine {
    const notes = messageId();
    const outbox = new Map<string, OutboxRow>();
    const groups = new Map<ConversationId, GroupRow>();
    const senders = new Map<string, SenderRow>();
    const machine: Machine = {
      name,
      self: first,
      slices: new Map(),
      messages: new Map(),
      posts: new Map(),
      dropped: [],
      notes,
      async begin(input) {
        const slice: Slice = {
          self: machine.self,
          conversation: undefined,
          outbox: [],
          live: { ...INITIAL_LIVE, hub: !offline.has(machine) },
        };
        await run(input.id, slice, input);
        return machine.slices.has(input.id);
      },
      async feed(id, input) {
        const slice = machine.slices.get(id);
        if (slice === undefined) throw new Error("no such conversation");
        return run(id, slice, input);
      },
      chatWith(other) {
        const found = idOfAccount(accountAddress(accountIdOf(other.self.cert.rootKey)));
        if (found === undefined) throw new Error(`${name} has no conversation with ${other.name}`);
        return found;
      },
      peerIn(id) {
        const peer = machine.slices.get(id)?.conversation?.peer;
        if (peer?.state !== "open") throw new Error(`${name}: not open but ${peer?.state}`);
        return peer;
      },
      pairsOf(id) {
        const links =
          id === notes
            ? machine.self.devices.links
            : (machine.slices.get(id)?.conversation?.devices.links ?? []);
        return links.map(({ conversation }) => conversation);
      },
      async write(id, text) {
        const message = messageId();
        await machine.feed(id, { kind: "send-text", id: message, text });
        return message;
      },
      shown: (id) =>
        [...machine.messages.values()]
          .filter((row) => row.conversation === id)
          .toSorted((a, b) => (a.order < b.order ? -1 : 1))
          .map((row) => row.text),
      status: (id, message) => machine.messages.get(`${id}/${message}`)?.status,
      stored: (id) =>
        [...outbox.values()]
          .filter((row) => row.conversation === id)
          .toSorted((a, b) => a.sequence - b.sequence),
      groupOf(group) {
        for (const [id, { conversation }] of machine.slices) {
          const peer = conversation?.peer;
          if (peer?.state === "group" && (group === undefined || peer.group === group)) return id;
        }
        throw new Error(`${name} has no such group`);
      },
      membersIn: (id) =>
        [...(machine.slices.get(id)?.group?.row?.log.state.members.keys() ?? [])].toSorted(),
      forget(id) {
        groups.delete(id);
        machine.forgetChains(id);
      },
      forgetChains(id) {
        for (const [key, row] of senders) if (row.conversation === id) senders.delete(key);
        machine.restart();
      },
      restart() {
        for (const [id, slice] of machine.slices) {
          const live = { ...INITIAL_LIVE, hub: !offline.has(machine) };
          const isGroup = slice.conversation?.peer.state === "group";
          const chains = [...senders.values()].filter((row) => row.conversation === id);
          const group = {
            row: groups.get(id),
            senders: new Map(chains.map((row) => [row.device, row])),
          };
          const outbox = machine.stored(id);
          machine.slices.set(id, { ...slice, outbox, live, ...(isGroup ? { group } : {}) });
        }
      },
    };

    async function run(id: ConversationId, slice: Slice, input: Input): Promise<readonly Effect[]> {
      const before = { ...slice, self: machine.self };
      let stepped = await step(before, input, env());
      const added = stepped.effects.flatMap((one) =>
        one.kind === "commit" ? one.change.addMessages : [],
      );
      for (const row of added) {
        const stored = machine.messages.get(`${id}/${row.id}`);
        if (stored === undefined) continue;
        const told = isSameMessage(stored, row) ? asKnown(input) : asTaken(input, [row.id]);
        stepped = await step(before, told, env());
      }
      if (stepped.slice.conversation === undefined) {
        note(stepped.effects);
        return stepped.effects;
      }
      machine.slices.set(id, stepped.slice);
      const isChanged = stepped.slice.self !== before.self;
      machine.self = stepped.slice.self;
      const commit = stepped.effects.find((one) => one.kind === "commit");
      if (commit !== undefined && fleet.crash?.(machine) === true) {
        await act(id, commit);
        machine.restart();
        rebooted.add(machine);
        return [commit];
      }
      for (const effect of stepped.effects) await act(id, effect);
      note(stepped.effects);
      if (isChanged) {
        for (const one of machine.slices.keys()) await machine.feed(one, { kind: "wake" });
      }
      return stepped.effects;
    }

    function note(effects: readonly Effect[]): void {
      for (const one of effects) if (one.kind === "dropped") machine.dropped.push(one.reason);
    }

    async function act(id: ConversationId, effect: Effect): Promise<void> {
      switch (effect.kind) {
        case "commit": {
          const { change } = effect;
          for (const row of [...change.addMessages, ...change.putMessages]) {
            machine.messages.set(`${id}/${row.id}`, row);
          }
          for (const row of change.mergeMessages) {
            const key = `${id}/${row.id}`;
            if (!machine.messages.has(key)) machine.messages.set(key, row);
          }
          for (const one of change.delivered) {
            const row = machine.messages.get(`${id}/${one}`);
            if (row !== undefined) {
              machine.messages.set(`${id}/${one}`, { ...row, status: "delivered" });
            }
          }
          for (const row of change.putOutbox) outbox.set(row.id, row);
          for (const row of change.deleteOutbox) outbox.delete(row);
          for (const row of change.takePosts) machine.posts.delete(row);
          for (const row of change.addPosts) machine.posts.set(row.id, row);
          if (change.group !== undefined) groups.set(id, change.group);
          for (const row of change.putSenders) senders.set(`${id}/${row.device}`, row);
          return;
        }
        case "make-queue": {
          const address = addressOf(effect.queueId.slice(), effect.firstUse.slice());
          readers.set(bytesToHex(address.sendId), { machine, conversation: id });
          await machine.feed(id, { kind: "queue-ready", addresses: [address] });
          return;
        }
        case "close-queue":
          readers.delete(bytesToHex(effect.queueId));
          return;
        case "publish":
          offers.set(id, effect.blob);
          await machine.feed(id, { kind: "published" });
          return;
        case "transmit":
          if (effect.path === "relay") transmit(id, effect);
          return;
        case "read-past": {
          fleet.read?.(machine, effect);
          if (!fleet.reads) return;
          const { device, before, since, pages } = effect;
          const all = [...machine.messages.values()]
            .filter((row) => row.conversation === id && row.order < (before ?? "g"))
            .toSorted((a, b) => (a.order < b.order ? -1 : 1));
          const rows = all.slice(-pages * PAST_ROWS_MAX);
          const hasMore = rows.length < all.length;
          const answer = { device, before, since, pages, rows, hasMore };
          await machine.feed(id, { kind: "past-read", ...answer });
          return;
        }
        case "signal":
          unheard.push({ machine, id });
          return;
        default:
      }
    }

    function transmit(id: ConversationId, effect: Extract<Effect, { kind: "transmit" }>): void {
      const address: QueueAddress | undefined = machine.peerIn(id).contact.addresses[0];
      const reader = address === undefined ? undefined : readers.get(bytesToHex(address.sendId));
      const all = sends.get(machine) ?? [];
      sends.set(machine, [...all, { to: reader?.machine }]);
      waiting.push({
        to: reader?.machine ?? machine,
        conversation: reader?.conversation ?? "",
        bytes: effect.blob,
        from: machine,
        outbox: effect.id,
        sender: id,
      });
    }

    function idOfAccount(address: string): ConversationId | undefined {
      if (address === accountAddress(accountIdOf(machine.self.cert.rootKey))) return notes;
      for (const [id, { conversation }] of machine.slices) {
        if (conversation?.parent !== undefined || conversation?.peer.state !== "open") continue;
        if (!conversation.listed) continue;
        const { rootKey } = conversation.peer.contact.cert;
        if (accountAddress(accountIdOf(rootKey)) === address) return id;
      }
      return undefined;
    }
    deliverTo.set(machine, async (row) => {
      const route = await routeOf(row, machine.slices, crypto);
      if (route.kind === "to") await machine.feed(route.id, { kind: "post", row });
      else if (route.kind === "begins") {
        const id = row.post.kind === "begin" ? row.to : messageId();
        await machine.begin({ kind: "start-post", id, row });
      }
      return route.kind !== "waits";
    });
    machines.push(machine);
    return machine;
  }

  const deliverTo = new Map<Machine, (row: PostRow) => Promise<boolean>>();

  async function deliverPosts(): Promise<boolean> {
    let moved = false;
    for (const machine of machines) {
      for (const row of [...machine.posts.values()].toSorted((a, b) => a.sequence - b.sequence)) {
        if (!machine.posts.has(row.id)) continue;
        if ((await deliverTo.get(machine)?.(row)) === true) {
          moved = true;
          expect(machine.posts.has(row.id)).toBe(false);
        }
      }
    }
    return moved;
  }

  async function deliverBlobs(isDue: (blob: Blob) => boolean): Promise<boolean> {
    const due = waiting.filter(
      (blob) => isDue(blob) && (!offline.has(blob.to) || blob.conversation === ""),
    );
    for (const blob of due) {
      waiting.splice(waiting.indexOf(blob), 1);
      const outcome = blob.conversation === "" ? "gone" : "ok";
      if (blob.from.slices.has(blob.sender)) {
        await blob.from.feed(blob.sender, {
          kind: "transmitted",
          id: blob.outbox,
          path: "relay",
          outcome,
        });
      }
      if (outcome === "gone") continue;
      const source = { path: "relay", sequence: 1n } as const;
      if (fleet.lost?.(blob) === true) continue;
      const frame = { kind: "frame", blob: blob.bytes, source } as const;
      const effects = await blob.to.feed(blob.conversation, frame);
      // Not acknowledged: the relay delivers it again.
      const isTaken = effects.some(({ kind }) => kind === "ack");
      if (fleet.doubled || !isTaken) await blob.to.feed(blob.conversation, frame);
    }
    return due.length > 0;
  }

  return fleet;
}

export async function start(machine: Machine): Promise<void> {
  await machine.begin({ kind: "start-notes", id: machine.notes });
}
