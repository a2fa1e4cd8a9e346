/**
 * Several relays as one: every queue is kept at each own relay, and what is for somebody goes to the first of their
 * relays that takes it.
 * Owns: which relay gets what, names that are of one relay each, making queues where they are missing.
 * Leaves to hub.ts: one relay; to foreign-relays.ts: how long others' relays stay connected.
 * Spec: crypto/SPEC.md §9.4.
 */
import { deriveOwnAtRelay, type Entropy, type OwnAtRelay, sha256 } from "@sotto/crypto";
import {
  asQueueId,
  bytesToBase64Url,
  bytesToHex,
  type EnvelopeId,
  equalBytes,
  type LinkId,
  type QueueAddress,
  type QueueId,
  RELAY_PIN_BYTES,
} from "@sotto/wire";
import { failOver } from "./fail-over.ts";
import { createForeignRelays } from "./foreign-relays.ts";
import type { AppendOutcome, Hub, HubEvents, HubState, IceAnswer, SendTarget } from "./ports.ts";
import type { Timers } from "./timers.ts";

/** Relays that one installation keeps its queues at: as many as an address list has places (ADDRESSES_MAX, wire). */
export const RELAYS_MAX = 3;
/** Envelopes whose relay is remembered, so that a copy goes to another one. Beyond it the oldest are forgotten. */
export const TAKEN_MAX = 4_096;
/** Relays that make a queue within so long of the first are told of together. */
export const TOGETHER_MS = 1_000;
/** Before a relay is asked again for a queue that it did not answer about, or had no room for. */
export const REMAKE_MS = 5_000;
export const REMAKE_REFUSED_MS = 60_000;

export interface RelayPlace {
  /** Origin, for example "https://chat.example.com". */
  readonly url: string;
  /** Ed25519, 32 bytes: pinned at first contact; undefined before it. */
  readonly key: Uint8Array | undefined;
  /** False for the relay that the installation began at: it has the stored queue ids and reader key themselves. */
  readonly derived: boolean;
}

export interface RelayState {
  readonly url: string;
  readonly state: HubState;
  /** ms; undefined while not online. */
  readonly roundTripMs: number | undefined;
  /** Its VAPID key, base64url, as PushManager.subscribe takes it. Absent: it wakes nobody, or never answered yet. */
  readonly pushKey?: string;
}

/** A browser's Web Push subscription, which is called with one key only. */
export interface PushSubscriptionAt {
  /** `isPushEndpoint` (wire). */
  readonly endpoint: string;
  /** As in RelayState. */
  readonly pushKey: string;
}

export interface RelayQueue {
  readonly queueId: QueueId;
  /** 16 bytes. */
  readonly firstUse: Uint8Array;
  readonly ttlHours: number;
  /** Where it was made before: there it is only opened. */
  readonly addresses: readonly QueueAddress[];
}

/** A queue of someone else, at one relay or several, in their order. */
export interface Recipient {
  readonly addresses: readonly QueueAddress[];
  /** X25519 secret, 32 bytes. */
  readonly sendSecret: Uint8Array;
}

/** Of all own relays together. Calls may come at any time after `start`; they never throw and must not. */
export interface RelaysEvents extends Pick<HubEvents, "deliver" | "signalled"> {
  /** Something about `state` or `relays` is different. */
  changed(): void;
  /** Another relay was pinned, added or removed: to be stored. */
  places(places: readonly RelayPlace[]): void;
  /**
   * Where the queue is read, in the order of the own relays; at least one. Again with every change, and after a relay
   * had lost the queue: what was published under it is lost there, too.
   */
  made(queueId: QueueId, addresses: readonly QueueAddress[]): void;
}

export interface OpenRelay {
  readonly url: string;
  readonly relayKey: Uint8Array | undefined;
  readonly readerSecret: Uint8Array | ((relayKey: Uint8Array) => Uint8Array);
}

export interface RelaysOptions {
  /** The first is home: invites name it. 1 to RELAYS_MAX. */
  readonly places: readonly RelayPlace[];
  /** Ed25519 seed, 32 bytes: the installation's. */
  readonly readerSecret: Uint8Array;
  readonly openRelay: (relay: OpenRelay, events: HubEvents) => Hub;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly events: RelaysEvents;
}

export type OfferOutcome =
  | { readonly ok: true; readonly blob: Uint8Array }
  | { readonly ok: false; readonly reason: "gone" | "lost" | "later" | "other-relay" };

export interface Relays {
  start(): void;
  /** online: at least one own relay is. Otherwise what the relays have in common, the first of them first. */
  readonly state: HubState;
  readonly places: readonly RelayPlace[];
  readonly relays: readonly RelayState[];
  /** For the first relay that proved another key than the pinned one, or the one at `url`: pins what it proved. */
  trust(url?: string): void;
  retry(): void;
  /** False when there is one at that origin, or RELAYS_MAX of them. */
  add(url: string): boolean;
  /** False for the last one, and for none of them. Its queues are closed, so that what comes goes to the others. */
  remove(url: string): boolean;
  /** Made at every own relay, read from then on. Asked again for a queue that is kept, it tells of it again. */
  keepQueues(queues: readonly RelayQueue[]): void;
  closeQueue(queueId: QueueId): void;
  /** At home. */
  publish(offer: {
    readonly queueId: QueueId;
    readonly linkId: LinkId;
    readonly blob: Uint8Array;
  }): Promise<AppendOutcome>;
  /** At the own relay of that pin (wire's `relayPin`), else at the relay at `origin`, if that has this pin. */
  fetchOffer(offer: {
    readonly linkId: LinkId;
    readonly relayPin: Uint8Array;
    readonly origin: string | undefined;
  }): Promise<OfferOutcome>;
  /** Whether one of them may be connected although no own relay is online; not while the machine has no network. */
  reaches(to: Recipient): boolean;
  /**
   * To the first of the addresses whose relay takes it; those that are connected first. gone: all of them say so.
   * `copy`: to another relay than the one that took this id, and to both when it is not remembered which did; "ok" as
   * well when there is no other, or none that knows the queue.
   */
  append(
    to: Recipient,
    envelope: { readonly id: EnvelopeId; readonly blob: Uint8Array; readonly copy: boolean },
  ): Promise<AppendOutcome>;
  /** away: nobody reads at any of them. */
  signal(to: Recipient, blob: Uint8Array): Promise<"ok" | "away" | "gone" | "lost">;
  ack(queueId: QueueId, sequence: bigint): void;
  /**
   * Told, with every connection, to each own relay that has this key; the others that wake people forget what they were
   * told, as all do for null. Before the first call nobody is told anything.
   */
  setPush(subscription: PushSubscriptionAt | null): void;
  /** Of home, or of the first own relay that is online. */
  iceServers(): Promise<IceAnswer>;
  close(): Promise<void>;
}

interface Kept extends RelayQueue {
  readonly name: string;
  /** What `made` last said. */
  told: string;
  cancelTold: (() => void) | undefined;
}

interface Own {
  /** Of this connection object, never used twice: above the sequence in what a delivery is called. */
  readonly number: bigint;
  place: RelayPlace;
  readonly hub: Hub;
  derived: OwnAtRelay | undefined;
  /** Kept queues by their id at this relay. */
  readonly byIdThere: Map<string, Kept>;
  /** By the name of the kept queue. */
  readonly made: Map<string, QueueAddress>;
  readonly making: Set<string>;
  slow: boolean;
}

/** One of the places that a recipient reads at. */
interface Route {
  readonly address: QueueAddress;
  readonly own: Own | undefined;
}

const SEQUENCE_BITS = 128;

export function createRelays(options: RelaysOptions): Relays {
  const { events, timers } = options;
  if (options.places.length === 0 || options.places.length > RELAYS_MAX) {
    throw new RangeError(`${options.places.length} relays, 1 to ${RELAYS_MAX}`);
  }
  const own: Own[] = [];
  const queues = new Map<string, Kept>();
  /** Key of the relay that took an envelope, by its id; the oldest first. */
  const taken = new Map<string, string>();
  const pauses = new Set<() => void>();
  let life: "created" | "started" | "closed" = "created";
  let numbers = 0n;
  let push: PushSubscriptionAt | null | undefined;

  const foreign = createForeignRelays(
    ({ url, key }) =>
      options.openRelay(
        // A name of this connection alone: nothing is kept there that a lasting one would be good for.
        { url, relayKey: key, readerSecret: options.entropy(32) },
        {
          state: () => undefined,
          relayKey: () => undefined,
          deliver: () => undefined,
          signalled: () => undefined,
          drained: () => undefined,
          missing: () => undefined,
        },
      ),
    timers,
  );

  function open(place: RelayPlace): Own {
    const byIdThere = new Map<string, Kept>();
    const number = numbers++;
    const readerSecret = place.derived
      ? (key: Uint8Array) => deriveOwnAtRelay(options.readerSecret, key).readerSecret
      : options.readerSecret;
    const queueOf = (idThere: QueueId): QueueId | undefined =>
      isOwn(relay) ? byIdThere.get(bytesToHex(idThere))?.queueId : undefined;
    const hub = options.openRelay(
      { url: place.url, relayKey: place.key, readerSecret },
      {
        state(state) {
          if (!isOwn(relay)) return;
          relay.slow = false;
          if (state === "online") {
            makeMissing(relay);
            tellPush(relay);
          } else tellWaiting();
          events.changed();
        },
        relayKey: (key) => {
          if (isOwn(relay)) pin(relay, key);
        },
        roundTrip: () => {
          if (isOwn(relay)) events.changed();
        },
        deliver({ queueId: idThere, sequence, id, blob }) {
          const queueId = queueOf(idThere);
          if (queueId === undefined) return;
          const everywhere = (number << BigInt(SEQUENCE_BITS)) | sequence;
          events.deliver({ queueId, sequence: everywhere, id, blob });
        },
        signalled(idThere, blob) {
          const queueId = queueOf(idThere);
          if (queueId !== undefined) events.signalled(queueId, blob);
        },
        drained: () => undefined,
        missing(idThere) {
          const queue = byIdThere.get(bytesToHex(idThere));
          if (queue === undefined || !isOwn(relay)) return;
          relay.made.delete(queue.name);
          // The same name as before, perhaps, but nothing of what was stored under it.
          queue.told = "";
          void make(relay, queue);
        },
      },
    );
    const relay: Own = {
      number,
      place,
      hub,
      derived: undefined,
      byIdThere,
      made: new Map(),
      making: new Set(),
      slow: false,
    };
    return relay;
  }

  const isOwn = (relay: Own): boolean => life !== "closed" && own.includes(relay);

  const placesNow = (): readonly RelayPlace[] => own.map(({ place }) => place);

  function pin(relay: Own, key: Uint8Array): void {
    relay.place = { ...relay.place, key };
    events.places(placesNow());
    events.changed();
  }

  /** What the queue is called at this relay; undefined while the relay's key is not known. */
  function namesAt(
    relay: Own,
    { queueId, firstUse }: RelayQueue,
  ): Pick<RelayQueue, "queueId" | "firstUse"> | undefined {
    const { key, derived } = relay.place;
    if (!derived) return { queueId, firstUse };
    if (key === undefined) return undefined;
    relay.derived ??= deriveOwnAtRelay(options.readerSecret, key);
    return {
      queueId: asQueueId(relay.derived.queueIdOf(queueId)),
      firstUse: relay.derived.firstUseOf(queueId, firstUse),
    };
  }

  /** Reads the queues that the relay is known to have; the others it makes as soon as it is there. */
  function keepAt(relay: Own, kept: readonly Kept[]): void {
    const { key, url } = relay.place;
    const opened: QueueId[] = [];
    for (const queue of kept) {
      if (relay.made.has(queue.name)) continue;
      const known = queue.addresses.find(
        ({ relayKey }) => key !== undefined && equalBytes(relayKey, key),
      );
      const names = namesAt(relay, queue);
      if (names === undefined || known === undefined) continue;
      relay.byIdThere.set(bytesToHex(names.queueId), queue);
      relay.made.set(queue.name, { ...known, relayUrl: url });
      opened.push(names.queueId);
    }
    relay.hub.openQueues(opened);
    if (relay.hub.state === "online") makeMissing(relay);
  }

  function makeMissing(relay: Own): void {
    for (const queue of queues.values()) void make(relay, queue);
  }

  /** Only where there is a queue: a relay wakes nobody else. */
  function tellPush({ hub, made }: Own): void {
    if (push === undefined || made.size === 0) return;
    hub.setPush(push !== null && push.pushKey === pushKeyOf(hub) ? push.endpoint : "");
  }

  async function make(relay: Own, queue: Kept): Promise<void> {
    const names = namesAt(relay, queue);
    const { name } = queue;
    if (names === undefined || relay.made.has(name) || relay.making.has(name)) return;
    relay.making.add(name);
    relay.byIdThere.set(bytesToHex(names.queueId), queue);
    const { ttlHours } = queue;
    const made = await relay.hub.makeQueue({ ...names, ttlHours });
    relay.making.delete(name);
    if (!isOwn(relay)) return;
    if (queues.get(name) !== queue) {
      void relay.hub.closeQueue(names.queueId);
      return;
    }
    const { url, key } = relay.place;
    if (made.ok && key !== undefined) {
      const { sendId } = made;
      relay.made.set(name, { relayUrl: url, relayKey: key, sendId, firstUse: names.firstUse });
      if (relay.made.size === 1) tellPush(relay);
    } else if (relay.hub.state === "online") {
      const pauseMs = !made.ok && made.reason !== "lost" ? REMAKE_REFUSED_MS : REMAKE_MS;
      later(pauseMs, () => {
        const isWanted = isOwn(relay) && queues.get(name) === queue;
        if (isWanted && relay.hub.state === "online") void make(relay, queue);
      });
    }
    tell(queue);
  }

  /** A relay that was waited for is not there. */
  function tellWaiting(): void {
    for (const queue of queues.values()) if (queue.cancelTold !== undefined) tell(queue);
  }

  /** Says where a queue is read, once the relays that will answer soon have answered. */
  function tell(queue: Kept, isLate = false): void {
    const addresses = own
      .map(({ made }) => made.get(queue.name))
      .filter((address) => address !== undefined);
    if (addresses.length === 0 || queues.get(queue.name) !== queue) return;
    const told = digest(addresses);
    if (told === queue.told) return;
    const isOpen = own.some(
      ({ hub, made, making }) =>
        !made.has(queue.name) && (hub.state === "connecting" || making.has(queue.name)),
    );
    if (isOpen && !isLate) {
      queue.cancelTold ??= later(TOGETHER_MS, () => {
        queue.cancelTold = undefined;
        tell(queue, true);
      });
      return;
    }
    queue.cancelTold?.();
    queue.cancelTold = undefined;
    queue.told = told;
    events.made(queue.queueId, addresses);
  }

  function later(ms: number, run: () => void): () => void {
    const cancel = timers.after(ms, () => {
      pauses.delete(cancel);
      if (life !== "closed") run();
    });
    pauses.add(cancel);
    return () => {
      pauses.delete(cancel);
      cancel();
    };
  }

  /** Own relays are known by their key: a contact may have the address from when the relay had another name. */
  function routesTo({ addresses }: Recipient): Route[] {
    const routes = addresses
      .map((address) => ({
        address,
        own: own.find(
          ({ place: { key } }) => key !== undefined && equalBytes(key, address.relayKey),
        ),
      }))
      .filter((route) => route.own !== undefined || mayConnect(route.address.relayUrl));
    return [...routes.filter(isReady), ...routes.filter((route) => !isReady(route))];
  }

  /** A contact must not make this device knock at its own machine's doors. */
  const mayConnect = (url: string): boolean =>
    !isLoopback(url) || own.some(({ place }) => isLoopback(place.url));

  const placeOf = ({ relayUrl, relayKey }: QueueAddress): { url: string; key: Uint8Array } => ({
    url: relayUrl,
    key: relayKey,
  });

  function isReady(route: Route): boolean {
    const { own: relay, address } = route;
    if (relay === undefined) return foreign.isReady(placeOf(address));
    return relay.hub.state === "online" && !relay.slow;
  }

  function setSlow(route: Route, isSlow: boolean): void {
    if (route.own === undefined) foreign.setSlow(placeOf(route.address), isSlow);
    else route.own.slow = isSlow;
  }

  async function callAt<T>(
    route: Route,
    sendSecret: Uint8Array,
    call: (hub: Hub, target: SendTarget) => Promise<T | "lost">,
  ): Promise<T | "lost"> {
    const { sendId, firstUse } = route.address;
    const target = { sendId, sendSecret, firstUse };
    const outcome =
      route.own === undefined
        ? await foreign.use(placeOf(route.address), "lost" as const, (hub) => call(hub, target))
        : await call(route.own.hub, target);
    if (outcome !== "lost") setSlow(route, false);
    return outcome;
  }

  /** Of several relays, any that has room or may answer later is a reason to try again. */
  function combined(outcomes: readonly AppendOutcome[]): AppendOutcome {
    if (outcomes.length > 0 && outcomes.every((one) => one === "gone")) return "gone";
    return outcomes.includes("lost") || outcomes.length === 0 ? "lost" : "quota";
  }

  function remember(id: string, address: QueueAddress): void {
    taken.delete(id);
    taken.set(id, keyOf(address));
    const [oldest] = taken.keys();
    if (taken.size > TAKEN_MAX && oldest !== undefined) taken.delete(oldest);
  }

  for (const place of options.places) own.push(open(place));

  return {
    start() {
      if (life !== "created") return;
      life = "started";
      for (const { hub } of own) hub.start();
    },
    get state() {
      return summary(own.map(({ hub }) => hub.state));
    },
    get places() {
      return placesNow();
    },
    get relays() {
      return own.map(({ place: { url }, hub }) => {
        const { state, roundTripMs } = hub;
        const pushKey = pushKeyOf(hub);
        return { url, state, roundTripMs, ...(pushKey === undefined ? {} : { pushKey }) };
      });
    },
    trust(url) {
      const at = own.findIndex(
        ({ place, hub }) =>
          hub.state === "relay-changed" && (url === undefined || place.url === url),
      );
      const before = own[at];
      if (before === undefined) return;
      before.hub.trust();
      const { relayKey } = before.hub;
      if (relayKey === undefined) return;
      // Names there are made of its key: nothing of the old ones is any good.
      const relay = open({ ...before.place, key: relayKey });
      own[at] = relay;
      void before.hub.close();
      if (life === "started") relay.hub.start();
      keepAt(relay, [...queues.values()]);
      events.places(placesNow());
      events.changed();
    },
    retry() {
      for (const { hub } of own) hub.retry();
    },
    add(url) {
      if (own.length >= RELAYS_MAX || own.some(({ place }) => place.url === url)) return false;
      const relay = open({ url, key: undefined, derived: true });
      own.push(relay);
      if (life === "started") relay.hub.start();
      events.places(placesNow());
      events.changed();
      return true;
    },
    remove(url) {
      const at = own.findIndex(({ place }) => place.url === url);
      const relay = own[at];
      if (relay === undefined || own.length === 1) return false;
      own.splice(at, 1);
      for (const queue of queues.values()) {
        const names = namesAt(relay, queue);
        if (names !== undefined) void relay.hub.closeQueue(names.queueId);
      }
      void relay.hub.close();
      events.places(placesNow());
      for (const queue of queues.values()) tell(queue);
      events.changed();
      return true;
    },
    keepQueues(asked) {
      const fresh: Kept[] = [];
      for (const queue of asked) {
        const name = bytesToHex(queue.queueId);
        const known = queues.get(name);
        if (known !== undefined) {
          known.told = "";
          tell(known);
          continue;
        }
        // What was stored may be of other relays than those of now.
        const told = digest(queue.addresses);
        const kept: Kept = { ...queue, name, told, cancelTold: undefined };
        queues.set(name, kept);
        fresh.push(kept);
      }
      for (const relay of own) keepAt(relay, fresh);
      for (const queue of fresh) tell(queue);
    },
    closeQueue(queueId) {
      const name = bytesToHex(queueId);
      const queue = queues.get(name);
      if (queue === undefined) return;
      queues.delete(name);
      queue.cancelTold?.();
      for (const relay of own) {
        const names = namesAt(relay, queue);
        relay.made.delete(name);
        if (names === undefined) continue;
        relay.byIdThere.delete(bytesToHex(names.queueId));
        void relay.hub.closeQueue(names.queueId);
      }
    },
    async publish({ queueId, linkId, blob }) {
      const [home] = own;
      const queue = queues.get(bytesToHex(queueId));
      const names = home === undefined || queue === undefined ? undefined : namesAt(home, queue);
      if (home === undefined || names === undefined) return "lost";
      return home.hub.publish({ queueId: names.queueId, linkId, blob });
    },
    async fetchOffer({ linkId, relayPin, origin }) {
      const lost: OfferOutcome = { ok: false, reason: "lost" };
      const isMeant = (key: Uint8Array | undefined): boolean =>
        key !== undefined && equalBytes(sha256(key).slice(0, RELAY_PIN_BYTES), relayPin);
      const relay = own.find(({ place }) => isMeant(place.key));
      if (relay !== undefined) return relay.hub.fetchOffer(linkId);
      if (origin === undefined || !mayConnect(origin)) return { ok: false, reason: "other-relay" };
      return foreign.use<OfferOutcome>({ url: origin, key: undefined }, lost, async (hub) => {
        const offer = await hub.fetchOffer(linkId);
        if (hub.relayKey === undefined) return lost;
        return isMeant(hub.relayKey) ? offer : { ok: false, reason: "other-relay" };
      });
    },
    reaches: (to) =>
      summary(own.map(({ hub }) => hub.state)) !== "offline" &&
      routesTo(to).some((route) => route.own === undefined),
    async append(to, { id, blob, copy }) {
      const name = bytesToHex(id);
      const give = async (places: readonly Route[]): Promise<AppendOutcome> => {
        const { by, outcomes } = await failOver({
          places,
          call: (route) =>
            callAt<AppendOutcome>(route, to.sendSecret, (hub, target) =>
              hub.append(target, id, blob),
            ),
          isGood: (outcome) => outcome === "ok",
          slow: (route) => setSlow(route, true),
          timers,
        });
        if (by === undefined) return combined(outcomes);
        remember(name, by.address);
        return "ok";
      };
      if (!copy) return give(routesTo(to));
      // An earlier process may have given it to any of them: given once more, this one knows to which.
      let outcome = taken.has(name) ? "ok" : await give(routesTo(to));
      const takenBy = taken.get(name);
      const others = routesTo(to).filter(({ address }) => keyOf(address) !== takenBy);
      if (outcome === "ok" && others.length > 0) {
        outcome = await give(others);
        if (outcome === "ok") taken.delete(name);
      }
      return outcome === "gone" ? "ok" : outcome;
    },
    async signal(to, blob) {
      const { by, outcomes } = await failOver({
        places: routesTo(to),
        call: (route) =>
          callAt<"ok" | "away" | "gone">(route, to.sendSecret, (hub, target) =>
            hub.signal(target, blob),
          ),
        isGood: (outcome) => outcome === "ok",
        slow: (route) => setSlow(route, true),
        timers,
      });
      if (by !== undefined) return "ok";
      if (outcomes.length === 0 || outcomes.includes("lost")) return "lost";
      return outcomes.includes("away") ? "away" : "gone";
    },
    setPush(subscription) {
      push = subscription;
      for (const relay of own) tellPush(relay);
    },
    iceServers() {
      const relay = own.find(({ hub }) => hub.state === "online") ?? own[0];
      return relay?.hub.iceServers() ?? Promise.resolve({ ok: false, reason: "lost" });
    },
    ack(queueId, sequence) {
      const number = sequence >> BigInt(SEQUENCE_BITS);
      const relay = own.find((one) => one.number === number);
      const queue = queues.get(bytesToHex(queueId));
      if (relay === undefined || queue === undefined) return;
      const names = namesAt(relay, queue);
      if (names !== undefined) {
        relay.hub.ack(names.queueId, BigInt.asUintN(SEQUENCE_BITS, sequence));
      }
    },
    async close() {
      for (const cancel of pauses) cancel();
      await Promise.all([...own.map(({ hub }) => hub.close()), foreign.close()]);
      life = "closed";
    },
  };
}

const digest = (addresses: readonly QueueAddress[]): string =>
  JSON.stringify(
    addresses.map(({ relayUrl, relayKey, sendId }) => [
      relayUrl,
      bytesToHex(relayKey),
      bytesToHex(sendId),
    ]),
  );

function summary(states: readonly HubState[]): HubState {
  const [first = "no-relay"] = states;
  if (states.includes("online")) return "online";
  if (first === "relay-changed") return first;
  if (states.includes("connecting")) return "connecting";
  return first;
}

const pushKeyOf = ({ pushKey }: Hub): string | undefined => pushKey && bytesToBase64Url(pushKey);

const keyOf = ({ relayKey }: QueueAddress): string => bytesToHex(relayKey);

const isLoopback = (url: string): boolean =>
  /^\w+:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|$|\/)/.test(url);
