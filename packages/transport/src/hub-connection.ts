/**
 * One socket to a relay, from the first frame to its end: proof of both sides, requests and answers,
 * aliases, acknowledgements, and whether anybody is still there.
 * Owns: everything that ends with the socket. Leaves to hub.ts: what outlives it, states, reconnecting.
 * Spec: wire/SPEC.md §9.
 */
import {
  admissionAuthenticator,
  type CryptoBackend,
  findWork,
  sendAuthenticator,
  sha256,
  signHubAuth,
  verifyHubHello,
} from "@sotto/crypto";
import type { Token } from "@sotto/crypto/token";
import {
  ACK_SEQUENCES_MAX,
  ALIAS_NONE,
  authTranscript,
  bytesToHex,
  concatBytes,
  decodeFrame,
  type Door,
  encodeAdmission,
  encodeFrame,
  type HubFrame,
  QUEUE_OPEN_MAX,
  type QueueId,
  sendTranscript,
  workTranscript,
} from "@sotto/wire";
import type { SendTarget } from "./ports.ts";
import type { Timers } from "./timers.ts";

/** From opening the socket to WELCOME. */
export const CONNECT_MS = 8_000;
/** An answer later than this is no answer. */
export const ANSWER_MS = 10_000;
/** Nothing heard for so long and nothing asked: ask. Below the 30-60 s after which proxies cut idle sockets. */
export const QUIET_MS = 25_000;
/** Nothing heard for so long although something was asked: ask whether anybody is there. */
export const UNANSWERED_MS = 3_000;
/** A PING without any sign of life for so long: the socket is dead, whatever it says. */
export const PONG_MS = 3_000;
/** A relay holds a delivered message in memory for 250 ms before it writes it, the network's round trip included: acknowledge well within. */
export const ACK_DELAY_MS = 5;
/** Hashes of a proof of work between two pauses: some milliseconds. */
const WORK_PIECE = 1_024;
/** Requests without an answer yet; more wait their turn. Bounds what the socket buffers, too. */
export const IN_FLIGHT_MAX = 256;
export const IN_FLIGHT_BYTES_MAX = 1_048_576;
/** Deliveries without an acknowledgement: the largest credit a WELCOME can grant. */
export const UNACKNOWLEDGED_MAX = 0xffff;
/** Least pause before queues are asked for again that the relay could not open. */
const REOPEN_MS = 1_000;

type Hello = Extract<HubFrame, { type: "hello" }>;
type Answer = Extract<
  HubFrame,
  { type: "ok" | "error" | "queue" | "work" | "queues" | "sender" | "bundle" | "turn-credential" }
>;
/** Undefined: no answer came, or the connection ended. */
type Answered = (answer: Answer | undefined) => void;

/**
 * closed: by the other side. silent: no sign of life. broken: it does not speak the protocol. unauthorised: it lets in
 * only whom it knows.
 */
export type EndReason =
  | "closed"
  | "silent"
  | "broken"
  | "unproven"
  | "unauthorised"
  | "bye"
  | "stopped";

export interface ConnectionEvents {
  /** The relay proved this key. False: it is the wrong one, go no further. */
  proven(relayKey: Uint8Array, door: Door): boolean;
  online(welcome: Extract<HubFrame, { type: "welcome" }>): void;
  /** Of a PING; before the first, of AUTH and WELCOME. */
  roundTrip(ms: number): void;
  /** Once, before the open requests get their "lost". */
  ended(reason: EndReason, retryAfterMs: number): void;
  deliver(queueId: QueueId, frame: Extract<HubFrame, { type: "deliver" }>): void;
  signalled(queueId: QueueId, blob: Uint8Array): void;
  drained(queueId: QueueId): void;
  missing(queueId: QueueId): void;
}

export interface ConnectionOptions {
  readonly url: string;
  /** Ed25519 seed and public key, 32 bytes each. */
  readonly readerSecret: Uint8Array | ((relayKey: Uint8Array) => Uint8Array);
  /** Shown to a relay that is not open. */
  readonly token: Token | undefined;
  readonly crypto: CryptoBackend;
  readonly timers: Timers;
  readonly WebSocket: new (url: string) => WebSocket;
}

export interface HubConnection {
  request(frame: HubFrame, answered: Answered): void;
  /** Opens what this connection may not have open yet, in batches. */
  openQueues(queueIds: readonly QueueId[]): void;
  makeQueue(
    queue: {
      readonly queueId: QueueId;
      readonly firstUseHash: Uint8Array;
      readonly ttlHours: number;
    },
    answered: Answered,
  ): void;
  /** `use` gets the queue's alias, ALIAS_NONE when the relay has no such queue, undefined when no answer came. */
  withQueue(queueId: QueueId, use: (alias: number | undefined) => void): void;
  forgetQueue(queueId: QueueId): void;
  /** In call order per target. A refused opening answers for everything that waited on it. */
  send(
    target: SendTarget,
    frameOf: (alias: number) => Extract<HubFrame, { type: "append" | "signal" }>,
    answered: Answered,
  ): void;
  ack(queueId: QueueId, sequence: bigint): void;
  /** Asks for a sign of life now. */
  probe(): void;
  /** Resolves when every request has its answer. */
  flushed(): Promise<void>;
  end(reason: EndReason): void;
}

interface Waiting {
  readonly frame: HubFrame;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly request: number;
  readonly answered: Answered;
}
interface InFlight extends Waiting {
  readonly sentAt: number;
}
interface OwnQueue {
  readonly queueId: QueueId;
  /** Delivered here and not acknowledged: a sequence of an earlier connection is never acknowledged on this one. */
  readonly open: Set<bigint>;
  acks: bigint[];
}
type Sender =
  | { readonly state: "opening"; readonly waiting: ((answer: Answer | undefined) => void)[] }
  | { readonly state: "open"; readonly alias: number };

/** opening: no HELLO yet. proving: HELLO is being checked. admitting: AUTH is out. */
type Phase = "opening" | "proving" | "admitting" | "online" | "ended";

export function openConnection(
  options: ConnectionOptions,
  events: ConnectionEvents,
): HubConnection {
  const { crypto, timers } = options;
  const socket = new options.WebSocket(options.url);
  socket.binaryType = "arraybuffer";

  let phase: Phase = "opening";
  let hello: Hello | undefined;
  let creditMessages = 1;
  let nextRequest = 1;
  const waiting: Waiting[] = [];
  const inFlight = new Map<number, InFlight>();
  let inFlightBytes = 0;
  const flushes: (() => void)[] = [];
  const senders = new Map<string, Sender>();
  const aliasByQueue = new Map<string, number>();
  const queueByAlias = new Map<number, OwnQueue>();
  const reopening = new Set<() => void>();
  const works = new Set<() => void>();
  let unacknowledged = 0;
  let acksHeld = 0;
  let cancelAcks: (() => void) | undefined;
  let heardAt = timers.now();
  let probedAt: number | undefined;
  /** When what measures the round trip was sent: AUTH, then each PING. */
  let askedAt: number | undefined;
  let checkAt = Number.POSITIVE_INFINITY;
  let cancelCheck: (() => void) | undefined;

  const isOver = (): boolean => phase === "ended";
  const cancelConnecting = timers.after(CONNECT_MS, () => end("silent"));
  socket.addEventListener("close", () => end("closed"));
  socket.addEventListener("error", () => end("closed"));
  socket.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (isOver()) return;
    heardAt = timers.now();
    probedAt = undefined;
    const decoded =
      event.data instanceof ArrayBuffer ? decodeFrame(new Uint8Array(event.data)) : undefined;
    if (decoded?.ok !== true) return end("broken");
    receive(decoded.value.request, decoded.value.frame);
  });

  function end(reason: EndReason, retryAfterMs = 0): void {
    if (isOver()) return;
    if (phase === "online") flushAcks();
    phase = "ended";
    cancelConnecting();
    cancelCheck?.();
    cancelAcks?.();
    for (const cancel of reopening) cancel();
    for (const stop of works) stop();
    socket.close(1000);
    events.ended(reason, retryAfterMs);
    const lost = [...inFlight.values(), ...waiting];
    const opening = [...senders.values()];
    inFlight.clear();
    waiting.length = 0;
    for (const request of lost) request.answered(undefined);
    for (const sender of opening) {
      if (sender.state === "opening") for (const go of sender.waiting) go(undefined);
    }
    for (const flushed of flushes.splice(0)) flushed();
  }

  function receive(request: number, frame: HubFrame): void {
    if (frame.type === "bye") {
      return end(frame.code === "unauthorised" ? "unauthorised" : "bye", frame.retryAfterMs);
    }
    switch (phase) {
      case "opening":
        if (frame.type !== "hello") return end("broken");
        phase = "proving";
        proveBoth(frame).catch(() => end("unproven"));
        return;
      case "admitting":
        if (frame.type !== "welcome") return end("broken");
        phase = "online";
        cancelConnecting();
        creditMessages = frame.creditMessages;
        measure();
        events.online(frame);
        return watch();
      case "online":
        return receiveOnline(request, frame);
      case "proving":
      case "ended":
        return end("broken");
    }
  }

  async function proveBoth(offered: Hello): Promise<void> {
    if (!(await verifyHubHello(offered, crypto))) return end("unproven");
    if (isOver() || !events.proven(offered.relayKey, offered.door)) return end("stopped");
    hello = offered;
    const { nonce, relayKey } = offered;
    const { readerSecret } = options;
    const secret = typeof readerSecret === "function" ? readerSecret(relayKey) : readerSecret;
    const readerKey = await crypto.signPublic(secret);
    const signature = await signHubAuth(secret, nonce, relayKey, readerKey, crypto);
    if (isOver()) return;
    phase = "admitting";
    askedAt = timers.now();
    const transcript = authTranscript(nonce, relayKey, readerKey);
    const admission =
      offered.door === "open" ? new Uint8Array() : showToken(options.token, transcript);
    transmit(0, { type: "auth", readerKey, signature, admission });
  }

  function measure(): void {
    if (askedAt === undefined) return;
    const ms = timers.now() - askedAt;
    askedAt = undefined;
    events.roundTrip(ms);
  }

  function receiveOnline(request: number, frame: HubFrame): void {
    switch (frame.type) {
      case "ok":
      case "error":
      case "queue":
      case "work":
      case "queues":
      case "sender":
      case "bundle":
      case "turn-credential":
        return settle(request, frame);
      case "deliver": {
        const queue = queueByAlias.get(frame.alias);
        if (queue === undefined) return;
        if (!queue.open.has(frame.sequence)) {
          if (unacknowledged >= UNACKNOWLEDGED_MAX) return end("broken");
          unacknowledged++;
          queue.open.add(frame.sequence);
        }
        return events.deliver(queue.queueId, frame);
      }
      case "signalled": {
        const queue = queueByAlias.get(frame.alias);
        return queue === undefined ? undefined : events.signalled(queue.queueId, frame.blob);
      }
      case "drained": {
        const queue = queueByAlias.get(frame.alias);
        return queue === undefined ? undefined : events.drained(queue.queueId);
      }
      case "ping":
        return transmit(request, { type: "pong" });
      case "pong":
        return measure();
      default:
        return end("broken");
    }
  }

  const transmit = (request: number, frame: HubFrame): void =>
    socket.send(encodeFrame(request, frame));

  /** An answer to nobody is a late one: its request has been called lost already. */
  function settle(request: number, answer: Answer): void {
    const asked = inFlight.get(request);
    if (asked === undefined) return;
    if (!fits(asked.frame, answer)) return end("broken");
    release(asked);
    asked.answered(answer);
    pump();
    if (isIdle()) for (const flushed of flushes.splice(0)) flushed();
  }

  function release(asked: InFlight): void {
    inFlight.delete(asked.request);
    inFlightBytes -= asked.bytes.length;
  }

  const isIdle = (): boolean =>
    inFlight.size + waiting.length === 0 &&
    ![...senders.values()].some((sender) => sender.state === "opening");

  function request(frame: HubFrame, answered: Answered): void {
    if (isOver()) return answered(undefined);
    const id = nextRequest;
    nextRequest = nextRequest === 0xffff_ffff ? 1 : nextRequest + 1;
    waiting.push({ frame, bytes: encodeFrame(id, frame), request: id, answered });
    pump();
  }

  function pump(): void {
    while (inFlight.size < IN_FLIGHT_MAX && inFlightBytes < IN_FLIGHT_BYTES_MAX) {
      const next = waiting.shift();
      if (next === undefined) return;
      inFlight.set(next.request, { ...next, sentAt: timers.now() });
      inFlightBytes += next.bytes.length;
      socket.send(next.bytes);
      watch();
    }
  }

  /** The next moment at which silence means something. */
  function nextCheckAt(): number {
    if (probedAt !== undefined) return probedAt + PONG_MS;
    const [oldest] = inFlight.values();
    if (oldest === undefined) return heardAt + QUIET_MS;
    return Math.min(oldest.sentAt + ANSWER_MS, Math.max(heardAt, oldest.sentAt) + UNANSWERED_MS);
  }

  /** One timer for all of it, set anew only when the next moment comes nearer. */
  function watch(): void {
    const at = nextCheckAt();
    if (phase !== "online" || at >= checkAt) return;
    cancelCheck?.();
    checkAt = at;
    cancelCheck = timers.after(Math.max(0, at - timers.now()), check);
  }

  function check(): void {
    checkAt = Number.POSITIVE_INFINITY;
    const now = timers.now();
    if (probedAt !== undefined && now >= probedAt + PONG_MS) return end("silent");
    for (const asked of inFlight.values()) {
      if (asked.sentAt + ANSWER_MS > now) break;
      release(asked);
      asked.answered(undefined);
    }
    if (isOver()) return;
    pump();
    if (probedAt === undefined && now >= nextCheckAt()) probe();
    watch();
  }

  function probe(): void {
    if (phase !== "online" || probedAt !== undefined) return;
    probedAt = timers.now();
    askedAt = probedAt;
    transmit(0, { type: "ping" });
    watch();
  }

  function keepQueue(queueId: QueueId, alias: number): void {
    aliasByQueue.set(bytesToHex(queueId), alias);
    if (!queueByAlias.has(alias)) queueByAlias.set(alias, { queueId, open: new Set(), acks: [] });
  }

  function openQueues(queueIds: readonly QueueId[]): void {
    for (let at = 0; at < queueIds.length; at += QUEUE_OPEN_MAX) {
      openBatch(queueIds.slice(at, at + QUEUE_OPEN_MAX));
    }
  }

  function openBatch(queueIds: readonly QueueId[]): void {
    request({ type: "queue-open", queueIds }, (answer) => {
      if (answer === undefined) return end("silent");
      if (answer.type === "queues") {
        keepQueues(queueIds, answer.queues);
      } else if (answer.type === "error") {
        const pause = Math.max(REOPEN_MS, answer.retryAfterMs);
        const cancel = timers.after(pause, () => {
          reopening.delete(cancel);
          openBatch(queueIds);
        });
        reopening.add(cancel);
      }
    });
  }

  function keepQueues(
    queueIds: readonly QueueId[],
    queues: readonly { readonly alias: number }[],
  ): void {
    if (queues.length !== queueIds.length) return end("broken");
    for (const [index, queueId] of queueIds.entries()) {
      const alias = queues[index]?.alias ?? ALIAS_NONE;
      if (alias === ALIAS_NONE) events.missing(queueId);
      else keepQueue(queueId, alias);
    }
  }

  function makeQueue(
    { queueId, firstUseHash, ttlHours }: Parameters<HubConnection["makeQueue"]>[0],
    answered: Answered,
    proof: Uint8Array = new Uint8Array(),
  ): void {
    const ttl = Math.min(ttlHours, hello?.ttlHoursMax ?? ttlHours);
    const frame = { type: "queue-new", queueId, ttlHours: ttl, firstUseHash, proof } as const;
    request(frame, (answer) => {
      if (answer?.type === "queue") keepQueue(queueId, answer.alias);
      // Asked for more after a proof: the relay does not keep to what it said.
      if (answer?.type !== "work" || proof.length > 0 || hello === undefined) {
        return answered(answer?.type === "work" ? undefined : answer);
      }
      work(workTranscript(hello.nonce, hello.relayKey, queueId), answer.bits, (found) => {
        if (found === undefined) answered(undefined);
        else makeQueue({ queueId, firstUseHash, ttlHours }, answered, found);
      });
    });
  }

  /** Looks in pieces between which everything else goes on; undefined once the connection is over. */
  function work(
    transcript: Uint8Array,
    bits: number,
    done: (proof: Uint8Array | undefined) => void,
    from = 0,
  ): void {
    if (isOver()) return done(undefined);
    const proof = findWork(transcript, bits, from, WORK_PIECE);
    if (proof !== undefined) return done(proof);
    const cancel = timers.after(0, () => {
      works.delete(stop);
      work(transcript, bits, done, from + WORK_PIECE);
    });
    const stop = (): void => {
      cancel();
      done(undefined);
    };
    works.add(stop);
  }

  function withQueue(queueId: QueueId, use: (alias: number | undefined) => void): void {
    const known = aliasByQueue.get(bytesToHex(queueId));
    if (known !== undefined) return use(known);
    request({ type: "queue-open", queueIds: [queueId] }, (answer) => {
      const alias = answer?.type === "queues" ? answer.queues[0]?.alias : undefined;
      if (alias !== undefined && alias !== ALIAS_NONE) keepQueue(queueId, alias);
      use(alias);
    });
  }

  function send(
    target: SendTarget,
    frameOf: (alias: number) => Extract<HubFrame, { type: "append" | "signal" }>,
    answered: Answered,
  ): void {
    // Two keys for one queue are two senders: only the relay knows which of them may write.
    const key = bytesToHex(sha256(concatBytes(target.sendId, target.sendSecret)));
    const sender = senders.get(key);
    const go = (opened: Answer | undefined): void => {
      if (opened?.type !== "sender") return answered(opened);
      request(frameOf(opened.alias), (answer) => {
        // The relay forgets an alias with its queue; asking anew gives the same answer or the truth.
        if (answer?.type === "error" && answer.code === "gone") senders.delete(key);
        answered(answer);
      });
    };
    if (sender?.state === "open") return go({ type: "sender", alias: sender.alias });
    if (sender?.state === "opening") {
      sender.waiting.push(go);
      return;
    }
    const opening: Sender = { state: "opening", waiting: [go] };
    senders.set(key, opening);
    const opened = (answer: Answer | undefined): void => {
      if (isOver()) return;
      if (answer?.type === "sender") senders.set(key, { state: "open", alias: answer.alias });
      else senders.delete(key);
      for (const next of opening.waiting) next(answer);
    };
    openSender(target, opened).catch(() => end("broken"));
  }

  async function openSender(target: SendTarget, answered: Answered): Promise<void> {
    if (hello === undefined) return answered(undefined);
    const { sendId, sendSecret, firstUse } = target;
    const sendKey = await crypto.dhPublic(sendSecret);
    const shared = await crypto.dh(sendSecret, hello.ephemeralKey);
    const transcript = sendTranscript(hello.nonce, hello.relayKey, sendId, sendKey);
    const authenticator = sendAuthenticator(shared, transcript);
    request({ type: "send-open", sendId, sendKey, authenticator, firstUse }, answered);
  }

  function ack(queueId: QueueId, sequence: bigint): void {
    const queue = queueByAlias.get(aliasByQueue.get(bytesToHex(queueId)) ?? ALIAS_NONE);
    if (queue?.open.delete(sequence) !== true || isOver()) return;
    queue.acks.push(sequence);
    unacknowledged--;
    acksHeld++;
    // Half the credit must never sit here while the relay waits for it.
    if (acksHeld >= Math.min(ACK_SEQUENCES_MAX, creditMessages / 2)) flushAcks();
    else cancelAcks ??= timers.after(ACK_DELAY_MS, flushAcks);
  }

  function flushAcks(): void {
    cancelAcks?.();
    cancelAcks = undefined;
    if (acksHeld === 0) return;
    acksHeld = 0;
    for (const [alias, queue] of queueByAlias) {
      if (queue.acks.length === 0) continue;
      const sequences = queue.acks;
      queue.acks = [];
      transmit(0, { type: "ack", alias, sequences });
    }
  }

  return {
    request,
    openQueues,
    makeQueue,
    withQueue,
    forgetQueue(queueId) {
      const key = bytesToHex(queueId);
      const alias = aliasByQueue.get(key) ?? ALIAS_NONE;
      unacknowledged -= queueByAlias.get(alias)?.open.size ?? 0;
      queueByAlias.delete(alias);
      aliasByQueue.delete(key);
    },
    send,
    ack,
    probe,
    flushed() {
      if (isOver() || isIdle()) return Promise.resolve();
      return new Promise((resolve) => flushes.push(resolve));
    },
    end,
  };
}

function showToken(token: Token | undefined, transcript: Uint8Array): Uint8Array {
  if (token === undefined) return new Uint8Array();
  return encodeAdmission({
    epoch: token.epoch,
    tokenNonce: token.nonce,
    authenticator: admissionAuthenticator(token.output, transcript),
  });
}

/** Whether this kind of answer can answer this request; an error can answer any. */
function fits(asked: HubFrame, answer: Answer): boolean {
  if (answer.type === "error") return true;
  switch (asked.type) {
    case "queue-new":
      return answer.type === "queue" || answer.type === "work";
    case "queue-open":
      return answer.type === "queues";
    case "send-open":
      return answer.type === "sender";
    case "bundle-get":
      return answer.type === "bundle";
    case "turn":
      return answer.type === "turn-credential";
    default:
      return answer.type === "ok";
  }
}
