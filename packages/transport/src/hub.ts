/**
 * The one relay of an installation, kept reachable: pinned, reconnected with growing pauses, its queues
 * opened again after every gap.
 * Owns: states, pauses, what outlives a socket, the limits on waiting calls.
 * Leaves to hub-connection.ts: everything on one socket. Leaves to the caller: repeating what was lost.
 * Spec: wire/SPEC.md §9.
 */
import { type CryptoBackend, type Entropy, sha256 } from "@sotto/crypto";
import type { Token } from "@sotto/crypto/token";
import {
  bytesToHex,
  type Door,
  equalBytes,
  type ErrorCode,
  type HubFrame,
  isBucket,
  type QueueId,
} from "@sotto/wire";
import { askedPauseMs, BACKOFF_BASE_MS, nextPauseMs } from "./backoff.ts";
import { type NetworkHints, pageHints } from "./hints.ts";
import { type EndReason, type HubConnection, openConnection } from "./hub-connection.ts";
import type { AppendOutcome, Hub, HubEvents, HubState, IceAnswer, SendTarget } from "./ports.ts";
import { realTimers, type Timers } from "./timers.ts";

/** Calls without an outcome yet. One more is "lost" at once; the caller keeps its messages anyway. */
export const CALLS_MAX = 8_192;
export const CALLS_BYTES_MAX = 33_554_432;
/** A call made while connecting waits this long for the connection. */
export const PARKED_MS = 10_000;
/** `close` waits this long for the answers to what was sent. */
export const CLOSE_MS = 2_000;
/** An attempt older than this is given up for a new one when the network may just have come back. */
export const ATTEMPT_FRESH_MS = 1_000;
/** A connection that lasted so long was a good one: the next pauses start small again. */
export const STABLE_MS = 10_000;

export interface HubOptions {
  /** "wss://host/hub"; ws only where the page itself is not protected by TLS. */
  readonly url: string;
  /** Ed25519, 32 bytes; undefined: whoever answers first is pinned. */
  readonly relayKey: Uint8Array | undefined;
  /** Ed25519 seed, 32 bytes: owns this installation's queues. A function: made of the relay's key. */
  readonly readerSecret: Uint8Array | ((relayKey: Uint8Array) => Uint8Array);
  /**
   * Gets a token for a relay that lets in only whom it knows; asked once at a time, after a connection that was not
   * let in. Undefined: there is none now; asked again with the next connection.
   */
  readonly admit?: (relay: {
    readonly door: Exclude<Door, "open">;
    readonly relayKey: Uint8Array;
  }) => Promise<Token | undefined>;
  /** With each connection that is let in: no token waits to be used. */
  readonly admitted?: () => void;
  readonly crypto: CryptoBackend;
  readonly entropy: Entropy;
  readonly events: HubEvents;
  readonly WebSocket?: new (url: string) => WebSocket;
  readonly timers?: Timers;
  readonly hints?: NetworkHints;
}

interface Parked {
  run(connection: HubConnection): void;
  lose(): void;
}

export function createHub(options: HubOptions): Hub {
  const { entropy, events } = options;
  const timers = options.timers ?? realTimers;
  const hints = options.hints ?? pageHints;
  // Others name relays too, at hosts and ports that no platform takes: such a one is never online, and no error.
  if (!/^wss?:\/\//.test(options.url)) throw new RangeError("a hub is at ws or wss");

  let state: HubState = "connecting";
  let relayKey = options.relayKey;
  let offeredKey: Uint8Array | undefined;
  let connection: HubConnection | undefined;
  let online = false;
  let circuit = false;
  let pushKey: Uint8Array | undefined;
  let onlineAt = 0;
  let attemptAt = 0;
  let pauseMs = BACKOFF_BASE_MS;
  /** The relay asked not to be bothered before; a wake or a click does not shorten it. */
  let notBefore = Number.NEGATIVE_INFINITY;
  let cancelPause: (() => void) | undefined;
  let stopHints: (() => void) | undefined;
  let life: "created" | "started" | "closed" = "created";
  const wanted = new Map<string, QueueId>();
  /** Number of the latest connection: above the relay's own 64 bits in what a delivery is called here. */
  let connections = -1n;
  let roundTripMs: number | undefined;
  let door: Door = "open";
  /** To be shown with the next connection. */
  let token: Token | undefined;
  let isAsking = false;
  const parked = new Set<Parked>();
  let calls = 0;
  let callBytes = 0;

  function setState(next: HubState): void {
    if (next === state || life === "closed") return;
    state = next;
    events.state(next);
    if (next === "online" || next === "connecting") return;
    for (const call of parked) call.lose();
  }

  function connect(): void {
    cancelPause?.();
    cancelPause = undefined;
    if (connection !== undefined || life !== "started") return;
    attemptAt = timers.now();
    connections++;
    try {
      connection = openConnection(
        {
          url: options.url,
          readerSecret: options.readerSecret,
          token,
          crypto: options.crypto,
          timers,
          WebSocket: options.WebSocket ?? WebSocket,
        },
        {
          proven,
          online: onOnline,
          roundTrip: (ms) => {
            roundTripMs = ms;
            events.roundTrip?.(ms);
          },
          ended: onEnded,
          deliver: (queueId, { sequence, id, blob }) => {
            if (!isWanted(queueId)) return;
            events.deliver({ queueId, sequence: (connections << 64n) | sequence, id, blob });
          },
          signalled: (queueId, blob) => {
            if (isWanted(queueId)) events.signalled(queueId, blob);
          },
          drained: (queueId) => {
            if (isWanted(queueId)) events.drained(queueId);
          },
          missing: (queueId) => {
            if (wanted.delete(bytesToHex(queueId))) events.missing(queueId);
          },
        },
      );
    } catch {
      // The platform refuses this socket outright, for example ws from an https page.
      onEnded("closed", 0);
    }
  }

  const isWanted = (queueId: QueueId): boolean => wanted.has(bytesToHex(queueId));

  function proven(key: Uint8Array, asked: Door): boolean {
    door = asked;
    if (relayKey === undefined) {
      relayKey = key;
      events.relayKey(key);
    }
    offeredKey = equalBytes(relayKey, key) ? undefined : key;
    return offeredKey === undefined;
  }

  function onOnline(welcome: Extract<HubFrame, { type: "welcome" }>): void {
    online = true;
    token = undefined;
    if (welcome.admitted) options.admitted?.();
    else askForToken();
    ({ circuit } = welcome);
    pushKey = welcome.pushKey.length === 0 ? undefined : welcome.pushKey;
    onlineAt = timers.now();
    connection?.openQueues([...wanted.values()]);
    setState("online");
    for (const call of parked) if (connection !== undefined) call.run(connection);
  }

  /** The connection stays meanwhile: what needs no admission goes on. */
  function askForToken(): void {
    if (isAsking || door === "open" || relayKey === undefined || options.admit === undefined)
      return;
    isAsking = true;
    const answered = (got: Token | undefined): void => {
      isAsking = false;
      if (life !== "started") return;
      token = got;
      if (got !== undefined) connection?.end("closed");
      if (connection === undefined) schedule(got === undefined ? pauseMs : 0);
    };
    options.admit({ door, relayKey }).then(answered, () => answered(undefined));
  }

  function onEnded(reason: EndReason, retryAfterMs: number): void {
    const wasOnline = online;
    if (reason === "unauthorised") {
      token = undefined;
      askForToken();
    }
    connection = undefined;
    online = false;
    circuit = false;
    if (life !== "started") return;
    if (reason === "stopped") return setState("relay-changed");
    if (wasOnline && timers.now() - onlineAt >= STABLE_MS) pauseMs = BACKOFF_BASE_MS;
    pauseMs = nextPauseMs(pauseMs, entropy);
    notBefore = timers.now() + askedPauseMs(retryAfterMs, entropy);
    // Without a token the next connection would be turned away like this one.
    if (reason !== "unauthorised" || !isAsking) schedule(pauseMs);
    setState(hints.isOnline() ? (wasOnline ? "connecting" : "no-relay") : "offline");
  }

  /** Keeps trying even when the machine says it is offline: a relay on this machine answers still. */
  function schedule(delayMs: number): void {
    cancelPause?.();
    const untilAllowed = Math.max(0, notBefore - timers.now());
    cancelPause = timers.after(Math.max(delayMs, untilAllowed), connect);
  }

  function retry(): void {
    if (life !== "started") return;
    if (online) return connection?.probe();
    if (connection !== undefined) {
      if (timers.now() - attemptAt < ATTEMPT_FRESH_MS) return;
      connection.end("closed");
    }
    if (state !== "relay-changed") setState("connecting");
    schedule(0);
  }

  function hinted(kind: "back" | "gone"): void {
    if (kind === "back") return retry();
    if (online) connection?.probe();
    else if (state !== "relay-changed") setState("offline");
  }

  /** Gives every call exactly one outcome, and a place within the limits until then. */
  function call<T>(
    bytes: number,
    lost: T,
    run: (connection: HubConnection, settle: (outcome: T) => void) => void,
  ): Promise<T> {
    if (calls >= CALLS_MAX || callBytes + bytes > CALLS_BYTES_MAX) return Promise.resolve(lost);
    calls++;
    callBytes += bytes;
    return new Promise((resolve) => {
      const settle = (outcome: T): void => {
        calls--;
        callBytes -= bytes;
        resolve(outcome);
      };
      if (online && connection !== undefined) return run(connection, settle);
      if (life === "closed" || state !== "connecting") return settle(lost);
      const unpark = (): void => {
        parked.delete(entry);
        cancel();
      };
      const entry: Parked = {
        run(opened) {
          unpark();
          run(opened, settle);
        },
        lose() {
          unpark();
          settle(lost);
        },
      };
      const cancel = timers.after(PARKED_MS, () => entry.lose());
      parked.add(entry);
    });
  }

  return {
    start() {
      if (life !== "created") return;
      life = "started";
      stopHints = hints.listen(hinted);
      if (!hints.isOnline()) setState("offline");
      connect();
    },
    get state() {
      return state;
    },
    get relayKey() {
      return relayKey;
    },
    get roundTripMs() {
      return online ? roundTripMs : undefined;
    },
    get circuit() {
      return circuit;
    },
    get pushKey() {
      return pushKey;
    },
    setPush(endpoint) {
      if (!online || pushKey === undefined) return;
      // Refused or lost: said again with the next connection.
      connection?.request({ type: "push-set", endpoint }, () => undefined);
    },
    trust() {
      if (offeredKey === undefined) return;
      relayKey = offeredKey;
      offeredKey = undefined;
      setState("connecting");
      schedule(0);
    },
    retry,
    makeQueue({ queueId, firstUse, ttlHours }) {
      const firstUseHash = sha256(firstUse);
      return call<Awaited<ReturnType<Hub["makeQueue"]>>>(
        0,
        { ok: false, reason: "lost" },
        (opened, settle) => {
          // Wanted before it exists, or the first delivery would find nobody waiting for it.
          wanted.set(bytesToHex(queueId), queueId);
          opened.makeQueue({ queueId, firstUseHash, ttlHours }, (answer) => {
            if (answer?.type === "queue") {
              // Once more: asked for twice, the answer to the other may have been a refusal.
              wanted.set(bytesToHex(queueId), queueId);
              return settle({ ok: true, sendId: answer.sendId });
            }
            const reason = refusal(answer);
            if (reason !== "lost") wanted.delete(bytesToHex(queueId));
            settle({ ok: false, reason });
          });
        },
      );
    },
    openQueues(queueIds) {
      const fresh = queueIds.filter((queueId) => !isWanted(queueId));
      for (const queueId of fresh) wanted.set(bytesToHex(queueId), queueId);
      if (online) connection?.openQueues(fresh);
    },
    closeQueue(queueId) {
      wanted.delete(bytesToHex(queueId));
      return call<"ok" | "lost">(0, "lost", (opened, settle) =>
        opened.withQueue(queueId, (alias) => {
          if (alias === undefined) return settle("lost");
          if (alias === 0) return settle("ok");
          opened.request({ type: "queue-close", alias }, (answer) => {
            const gone = answer?.type === "error" && answer.code === "gone";
            if (answer?.type === "ok" || gone) opened.forgetQueue(queueId);
            settle(answer?.type === "ok" || gone ? "ok" : "lost");
          });
        }),
      );
    },
    publish: ({ queueId, linkId, blob }) =>
      call<AppendOutcome>(blob.length, "lost", (opened, settle) =>
        opened.withQueue(queueId, (alias) => {
          if (alias === undefined) return settle("lost");
          if (alias === 0) return settle("gone");
          opened.request({ type: "bundle-put", alias, linkId, blob }, (answer) =>
            settle(answer?.type === "ok" ? "ok" : refusal(answer)),
          );
        }),
      ),
    fetchOffer: (linkId) =>
      call<Awaited<ReturnType<Hub["fetchOffer"]>>>(
        0,
        { ok: false, reason: "lost" },
        (opened, settle) =>
          opened.request({ type: "bundle-get", linkId }, (answer) => {
            if (answer?.type === "bundle") return settle({ ok: true, blob: answer.blob });
            settle({ ok: false, reason: answer === undefined ? "lost" : missed(answer) });
          }),
      ),
    iceServers: () =>
      call<IceAnswer>(0, { ok: false, reason: "lost" }, (opened, settle) =>
        opened.request({ type: "turn" }, (answer) => {
          if (answer?.type === "turn-credential") {
            const { ttlSeconds, urls, username, credential } = answer;
            return settle({ ok: true, servers: { ttlSeconds, urls, username, credential } });
          }
          settle({ ok: false, reason: answer === undefined ? "lost" : missed(answer) });
        }),
      ),
    append: (target, id, blob) =>
      call<AppendOutcome>(checked(blob).length, "lost", (opened, settle) =>
        opened.send(
          target,
          (alias) => ({ type: "append", alias, id, blob }),
          (answer) => settle(answer?.type === "ok" ? "ok" : refusal(answer)),
        ),
      ),
    signal: (target: SendTarget, blob) =>
      call<"ok" | "away" | "gone" | "lost">(checked(blob).length, "lost", (opened, settle) =>
        opened.send(
          target,
          (alias) => ({ type: "signal", alias, blob }),
          (answer) => {
            if (answer?.type === "ok") return settle("ok");
            const code = answer?.type === "error" ? answer.code : "later";
            settle(code === "away" || code === "gone" ? code : "lost");
          },
        ),
      ),
    ack(queueId, sequence) {
      // A relay that started again counts from 1: an old number would confirm another message.
      if (sequence >> 64n === connections) connection?.ack(queueId, BigInt.asUintN(64, sequence));
    },
    async close() {
      if (life === "closed") return;
      stopHints?.();
      cancelPause?.();
      if (connection !== undefined) {
        let cancel: (() => void) | undefined;
        const late = new Promise<void>((resolve) => {
          cancel = timers.after(CLOSE_MS, resolve);
        });
        await Promise.race([connection.flushed(), late]);
        cancel?.();
      }
      life = "closed";
      for (const waiting of parked) waiting.lose();
      connection?.end("stopped");
    },
  };
}

/** Encoding is total; a size that is no bucket would make the relay end the connection for everybody's calls. */
function checked(blob: Uint8Array): Uint8Array {
  if (!isBucket(blob.length)) throw new RangeError(`no envelope has ${blob.length} bytes`);
  return blob;
}

const NO_ROOM: ReadonlySet<ErrorCode> = new Set(["quota", "limit", "full"]);

/** What a missing or refusing answer means to someone who wants to store something. */
function refusal(answer: HubFrame | undefined): "lost" | "gone" | "quota" {
  if (answer?.type !== "error") return "lost";
  if (answer.code === "gone") return "gone";
  return NO_ROOM.has(answer.code) ? "quota" : "lost";
}

function missed(answer: HubFrame): "gone" | "lost" | "later" {
  if (answer.type !== "error") return "lost";
  if (answer.code === "gone") return "gone";
  return answer.code === "later" || answer.code === "limit" ? "later" : "lost";
}
