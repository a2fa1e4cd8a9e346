/**
 * One client's connection: proof, aliases, credit, one answer for every request.
 * Owns: which frame is allowed when. Leaves to exchange.ts: queues and durability; to node/: sockets.
 * Spec: SPEC.md §1, §3.
 */
import { provesWork, sendAuthenticator, signHubHello, verifyHubAuth } from "@sotto/crypto";
import {
  asEnvelopeId,
  bytesToHex,
  decodeFrame,
  encodeFrame,
  equalBytes,
  type ErrorCode,
  type HubFrame,
  type HubFrameType,
  type IceServers,
  type QueueId,
  sendTranscript,
  workTranscript,
} from "@sotto/wire";
import { type Allowance, createAllowance } from "./allowance.ts";
import { createCredit, type Credit } from "./credit.ts";
import type { Doorkeeper } from "./doorkeeper.ts";
import { createEphemerals, type Ephemerals } from "./ephemeral.ts";
import type { Exchange, Outcome, Owner, Queue } from "./exchange.ts";
import { keyToBytes } from "./keys.ts";
import {
  APPEND_BYTES_PENDING_MAX,
  AUTH_FRAME_BYTES_MAX,
  AUTH_MS,
  BUNDLE_GET_BURST,
  BUNDLE_GET_INTERVAL_MS,
  CREDIT_MESSAGES,
  DISPLACED_RETRY_MS,
  HOUR_MS,
  LATER_MS,
  READ_PAGE,
  REFUSED_CONNECTS,
  REQUESTS_PENDING_MAX,
  SENDERS_PER_CONNECTION_MAX,
  TURN_BURST,
  TURN_INTERVAL_MS,
  WORKS_PER_CONNECTION_MAX,
} from "./limits.ts";
import { MAIL_LIMITS, type MailLimits, type Message, messageAt, messageFrom } from "./mailbox.ts";
import type { Counter, RelayEnv } from "./ports.ts";
import { createTokenBucket, type TokenBucket } from "./token-bucket.ts";
import type { Waker } from "./waker.ts";
import type { WorkPrice } from "./work.ts";

export interface RelayIdentity {
  /** Ed25519 seed and public key, 32 bytes each. */
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
}

export interface ConnectionOptions {
  readonly exchange: Exchange;
  readonly env: RelayEnv;
  readonly identity: RelayIdentity;
  /** Whether WELCOME offers circuits. */
  readonly circuit: boolean;
  /** What HELLO says of the queues; the exchange keeps to the same. */
  readonly mailLimits?: MailLimits | undefined;
  /** What a queue costs whose place has none left; undefined: it has to wait. */
  readonly workPrice?: WorkPrice | undefined;
  /** From the open socket to a valid AUTH; AUTH_MS unless given. */
  readonly authMs?: number | undefined;
  /** STUN and TURN servers with a fresh credential; undefined: this relay names none. */
  readonly iceServers?: (() => IceServers) | undefined;
  /** What all connections share; undefined: this one is alone. */
  readonly credit?: Credit | undefined;
  /** What all connections share; undefined: this one has a key of its own. */
  readonly ephemerals?: Ephemerals | undefined;
  /** Who may make queues; undefined: everybody. */
  readonly doorkeeper?: Doorkeeper | undefined;
  /** Undefined: this relay wakes nobody. */
  readonly push?: Waker | undefined;
}

/** The socket below. */
export interface ConnectionPort {
  send(frame: Uint8Array<ArrayBuffer>): void;
  /** Bytes that may still wait to be sent; 0 or less: none, until `resume` is called. */
  room(): number;
  /** The client is who it says; until then the socket may be given to another. */
  proven?(): void;
  /** After what was sent. */
  close(): void;
}

export interface HubConnection {
  /** Says HELLO and starts the clock. */
  open(): Promise<void>;
  receive(bytes: Uint8Array): void;
  resume(): void;
  /** The socket is gone. */
  closed(): void;
  /** Says goodbye and closes. */
  bye(code: ErrorCode, retryAfterMs: number): void;
}

/** What an operator wants to see of answers: that something is short, and what. */
const TOLD: Readonly<Partial<Record<ErrorCode, Counter>>> = {
  quota: "told-quota",
  limit: "told-limit",
  later: "told-later",
  full: "told-full",
};

type Frame<T extends HubFrameType> = Extract<HubFrame, { type: T }>;

/** greeting: HELLO is being signed. unproven: it is out. proving: AUTH is being checked. */
type Phase = "greeting" | "unproven" | "proving" | "ready" | "closed";

interface Subscription {
  readonly alias: number;
  readonly queue: Queue;
  /** The next sequence to deliver here. */
  cursor: number;
  /** DRAINED is said once everything before this sequence has been delivered; undefined when it was said. */
  drainAt: number | undefined;
  /** A page is being read from the store. */
  reading: boolean;
  /** Delivered here and not acknowledged: sequence to size. */
  readonly open: Map<number, number>;
}

/** `allowance`: what all connections from this one's place share, asked for at each use; undefined: its own. */
export function createConnection(
  options: ConnectionOptions,
  port: ConnectionPort,
  allowance: () => Allowance = ownAllowance(),
): HubConnection {
  const { exchange, env, identity } = options;
  const mailLimits = options.mailLimits ?? MAIL_LIMITS;
  const { crypto } = env;
  const credit = options.credit ?? createCredit();
  let phase: Phase = "greeting";
  let readerKey: Uint8Array = new Uint8Array();
  let nonce: Uint8Array = new Uint8Array();
  let ephemeralSecret: Uint8Array = new Uint8Array();
  let nextAlias = 1;
  /** May make queues. */
  let admitted = false;
  let pending = 0;
  let pendingBytes = 0;
  let unacknowledged = 0;
  let unacknowledgedBytes = 0;
  /** On the way from the disk, to be sent when it comes. */
  let readingBytes = 0;
  const own = new Map<number, Subscription>();
  const ownByQueue = new Map<Queue, Subscription>();
  const senders = new Map<number, Queue>();
  const aliasBySender = new Map<Queue, number>();
  /** Subscriptions with something to deliver, taken in turn. */
  const ready = new Set<Subscription>();
  /** Own queues without a sender that nobody can know of yet: cleared once this client writes to somebody. */
  const unknown = new Set<Queue>();
  /** What each queue was said to cost, by its id; infinite: it was paid. */
  const works = new Map<string, number>();
  const bundleGets = createTokenBucket(BUNDLE_GET_BURST, BUNDLE_GET_INTERVAL_MS);
  const turns = createTokenBucket(TURN_BURST, TURN_INTERVAL_MS);
  const cancelAuth = env.after(options.authMs ?? AUTH_MS, () => bye("unauthorised", 0));
  env.count("connected");

  const owner: Owner = { offer, signal, displaced };

  const isOver = (): boolean => phase === "closed";

  function send(request: number, frame: HubFrame): void {
    if (!isOver()) port.send(encodeFrame(request, frame));
  }
  function refuse(request: number, code: ErrorCode, retryAfterMs = 0): void {
    const counter = TOLD[code];
    if (counter !== undefined) env.count(counter);
    send(request, { type: "error", code, retryAfterMs });
  }
  const answer = (request: number, outcome: Outcome): void =>
    outcome === "ok"
      ? send(request, { type: "ok" })
      : refuse(request, outcome, outcome === "later" || outcome === "full" ? LATER_MS : 0);

  async function open(): Promise<void> {
    nonce = env.entropy(32);
    const ephemeral = await (options.ephemerals ?? createEphemerals(env))();
    ephemeralSecret = ephemeral.secret;
    const hello = {
      relayKey: identity.publicKey,
      ephemeralKey: ephemeral.publicKey,
      nonce,
      hour: Math.floor(env.now() / HOUR_MS),
      ttlHoursMax: mailLimits.ttlHours,
      queueMessagesMax: mailLimits.messages,
      door: options.doorkeeper?.door ?? "open",
    };
    const signature = await signHubHello(identity.seed, hello, crypto);
    if (phase !== "greeting") return;
    phase = "unproven";
    send(0, { type: "hello", ...hello, signature });
  }

  function receive(bytes: Uint8Array): void {
    if (isOver()) return;
    if (phase !== "ready" && bytes.length > AUTH_FRAME_BYTES_MAX) return refused("too-large");
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) return refused(decoded.reason === "too-large" ? "too-large" : "malformed");
    const { request, frame } = decoded.value;
    if (phase === "ready") return handle(request, frame);
    if (phase !== "unproven" || frame.type !== "auth") return refused("malformed");
    phase = "proving";
    prove(frame).catch(() => bye("later", LATER_MS));
  }

  function refused(code: "malformed" | "too-large"): void {
    env.count("malformed");
    bye(code, 0);
  }

  async function prove(auth: Frame<"auth">): Promise<void> {
    const { readerKey: key, signature } = auth;
    const proof = { nonce, relayKey: identity.publicKey, readerKey: key, signature };
    const proven = await verifyHubAuth(proof, crypto);
    if (isOver()) return;
    cancelAuth();
    if (!proven || !mayEnter(key, auth.admission)) {
      env.count("refused");
      allowance().connects.owe(env.now(), REFUSED_CONNECTS);
      return bye("unauthorised", 0);
    }
    readerKey = key;
    phase = "ready";
    options.push?.arrived(readerKey);
    env.count("authenticated");
    port.proven?.();
    send(0, {
      type: "welcome",
      creditMessages: CREDIT_MESSAGES,
      circuit: options.circuit,
      admitted,
      pushKey: options.push?.publicKey ?? new Uint8Array(),
    });
  }

  /**
   * Whoever was not admitted still comes in where members can be written to, and to fetch what is waiting: an admission
   * that lapsed must not cost anybody their mail.
   */
  function mayEnter(key: Uint8Array, admission: Uint8Array): boolean {
    const { doorkeeper } = options;
    const verdict = doorkeeper?.admit(key, admission, nonce) ?? "admitted";
    admitted = verdict === "admitted";
    if (verdict !== "stranger") return admitted;
    return doorkeeper?.sendersOpen === true || exchange.hasQueues(key);
  }

  const maySend = (): boolean => admitted || options.doorkeeper?.sendersOpen === true;

  function handle(request: number, frame: HubFrame): void {
    switch (frame.type) {
      case "queue-new":
        if (!admitted) return refuse(request, "unauthorised");
        return limited(request, 0, () => makeQueue(request, frame));
      case "queue-open":
        return openQueues(request, frame);
      case "queue-close":
        return limited(request, 0, () => closeQueue(request, frame));
      case "send-open":
        if (!maySend()) return refuse(request, "unauthorised");
        return limited(request, 0, () => openSender(request, frame));
      case "append":
        return append(request, frame);
      case "signal": {
        const queue = senders.get(frame.alias);
        if (queue === undefined) return refuse(request, "gone");
        // Signals cost the owner's line what mail does, so they are counted with it.
        const waitMs = allowance().appendBytes.take(env.now(), frame.blob.length);
        if (waitMs > 0) return refuse(request, "later", waitMs);
        const outcome = exchange.signal(queue, frame.blob);
        return outcome === "ok" ? send(request, { type: "ok" }) : refuse(request, outcome);
      }
      case "ack":
        return acknowledge(request, frame);
      case "bundle-put":
        return limited(request, 0, async () => {
          const queue = own.get(frame.alias)?.queue;
          if (queue === undefined) return refuse(request, "gone");
          answer(request, await exchange.putBundle(queue, frame.linkId, frame.blob));
        });
      case "bundle-get":
        if (!maySend()) return refuse(request, "unauthorised");
        return limited(request, 0, () => getBundle(request, frame));
      case "turn":
        return offerIceServers(request);
      case "push-set":
        return setPush(request, frame);
      case "ping":
        return send(request, { type: "pong" });
      case "pong":
        return;
      case "hello":
      case "auth":
      case "welcome":
      case "bye":
      case "queue":
      case "queues":
      case "sender":
      case "deliver":
      case "signalled":
      case "drained":
      case "bundle":
      case "turn-credential":
      case "work":
      case "ok":
      case "error":
        return refused("malformed");
    }
  }

  /** Bounds the requests that wait for something; what fails unexpectedly is the relay's fault, so the client may retry. */
  function limited(request: number, bytes: number, run: () => Promise<void>): void {
    if (!begin(bytes)) return refuse(request, "later", LATER_MS);
    run()
      .catch(() => refuse(request, "later", LATER_MS))
      .finally(() => end(bytes));
  }

  function begin(bytes: number): boolean {
    if (pending >= REQUESTS_PENDING_MAX || pendingBytes + bytes > APPEND_BYTES_PENDING_MAX) {
      return false;
    }
    pending++;
    pendingBytes += bytes;
    return true;
  }

  function end(bytes: number): void {
    pending--;
    pendingBytes -= bytes;
  }

  function setPush(request: number, { endpoint }: Frame<"push-set">): void {
    // A relay that wakes nobody said so in WELCOME. Mail comes only to who has queues, and these have a price.
    const mayHaveMail = endpoint === "" || exchange.hasQueues(readerKey);
    answer(request, mayHaveMail ? (options.push?.set(readerKey, endpoint) ?? "limit") : "limit");
  }

  async function makeQueue(request: number, frame: Frame<"queue-new">): Promise<void> {
    const { queueNews, scarceQueueNews } = allowance();
    // Counted also while there are plenty, so that nobody has a fresh burst left for when there are few.
    const scarceMs = exchange.isScarce() ? scarceQueueNews.waitMs(env.now()) : 0;
    const waitMs = scarceMs > 0 ? scarceMs : queueNews.take(env.now());
    if (waitMs > 0) {
      if (!hasWorked(frame)) return askForWork(request, frame.queueId, waitMs);
    } else scarceQueueNews.spend(env.now(), 1);
    const made = await exchange.create(readerKey, frame);
    if (isOver()) return;
    if (!made.ok) return answer(request, made.reason);
    const subscription = subscribe(frame.queueId);
    if (subscription === undefined) return refuse(request, "gone");
    send(request, { type: "queue", alias: subscription.alias, sendId: made.sendId });
    pump();
  }

  /** The price it was told counts, not what it is by now; one proof makes one queue, also when that is closed again. */
  function hasWorked({ queueId, proof }: Frame<"queue-new">): boolean {
    const id = bytesToHex(queueId);
    const bits = works.get(id);
    if (bits === undefined || proof.length === 0) return false;
    const transcript = workTranscript(nonce, identity.publicKey, queueId);
    if (!provesWork(transcript, proof, bits)) return false;
    works.set(id, Number.POSITIVE_INFINITY);
    options.workPrice?.sold(env.now());
    return true;
  }

  function askForWork(request: number, queueId: QueueId, waitMs: number): void {
    const id = bytesToHex(queueId);
    const bits = options.workPrice?.bits(env.now());
    const isOver = bits === undefined || (!works.has(id) && works.size >= WORKS_PER_CONNECTION_MAX);
    if (isOver || works.get(id) === Number.POSITIVE_INFINITY) {
      return refuse(request, "limit", waitMs);
    }
    env.count("told-work");
    works.set(id, bits);
    send(request, { type: "work", bits });
  }

  function openQueues(request: number, frame: Frame<"queue-open">): void {
    const queues = frame.queueIds.map((queueId) => {
      const subscription = subscribe(queueId);
      if (subscription === undefined) return { alias: 0, backlog: 0 };
      const backlog = subscription.queue.mailbox.messages.length;
      return { alias: subscription.alias, backlog };
    });
    send(request, { type: "queues", queues });
    pump();
  }

  /** Reads a queue from its first message on; one that is read here already stays where it is. */
  function subscribe(queueId: Frame<"queue-new">["queueId"]): Subscription | undefined {
    const queue = exchange.open(readerKey, queueId, owner);
    if (queue === undefined) return undefined;
    const known = ownByQueue.get(queue);
    if (known !== undefined) return known;
    const subscription: Subscription = {
      alias: nextAlias++,
      queue,
      cursor: 1,
      drainAt: queue.mailbox.nextSequence,
      reading: false,
      open: new Map(),
    };
    own.set(subscription.alias, subscription);
    ownByQueue.set(queue, subscription);
    ready.add(subscription);
    if (senders.size > 0) exchange.keepForAnswer(queue);
    else if (!queue.bound) unknown.add(queue);
    return subscription;
  }

  function unsubscribe(subscription: Subscription): void {
    own.delete(subscription.alias);
    ownByQueue.delete(subscription.queue);
    unknown.delete(subscription.queue);
    ready.delete(subscription);
    for (const sequence of subscription.open.keys()) freeCredit(subscription, sequence);
  }

  async function closeQueue(request: number, frame: Frame<"queue-close">): Promise<void> {
    const subscription = own.get(frame.alias);
    if (subscription === undefined) return refuse(request, "gone");
    unsubscribe(subscription);
    answer(request, await exchange.close(subscription.queue));
    pump();
  }

  async function openSender(request: number, frame: Frame<"send-open">): Promise<void> {
    const proven = await provesSendKey(frame);
    const { sendId, sendKey, firstUse } = frame;
    const claimed = await exchange.claim({ sendId, sendKey, firstUse, proven });
    if (isOver()) return;
    if (!claimed.ok) return answer(request, claimed.reason);
    const known = aliasBySender.get(claimed.queue);
    if (known !== undefined) return send(request, { type: "sender", alias: known });
    if (senders.size >= SENDERS_PER_CONNECTION_MAX) return refuse(request, "limit");
    const alias = nextAlias++;
    senders.set(alias, claimed.queue);
    aliasBySender.set(claimed.queue, alias);
    for (const queue of unknown) exchange.keepForAnswer(queue);
    unknown.clear();
    send(request, { type: "sender", alias });
  }

  async function provesSendKey({ sendId, sendKey, authenticator }: Frame<"send-open">) {
    const shared = await sharedWith(sendKey);
    const transcript = sendTranscript(nonce, identity.publicKey, sendId, sendKey);
    const expected = sendAuthenticator(shared ?? new Uint8Array(32), transcript);
    return equalBytes(expected, authenticator) && shared !== undefined;
  }

  async function sharedWith(sendKey: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await crypto.dh(ephemeralSecret, sendKey);
    } catch {
      return undefined;
    }
  }

  function append(request: number, { alias, id, blob }: Frame<"append">): void {
    const queue = senders.get(alias);
    if (queue === undefined) return refuse(request, "gone");
    if (!begin(blob.length)) return refuse(request, "later", LATER_MS);
    const waitMs = allowance().appendBytes.take(env.now(), blob.length);
    if (waitMs > 0) {
      end(blob.length);
      return refuse(request, "later", waitMs);
    }
    exchange.append(queue, id, blob, (outcome) => {
      end(blob.length);
      if (outcome === "ok") return send(request, { type: "ok" });
      if (outcome === "gone") forgetSender(alias, queue);
      refuse(request, outcome, outcome === "later" || outcome === "full" ? LATER_MS : 0);
    });
  }

  function forgetSender(alias: number, queue: Queue): void {
    senders.delete(alias);
    aliasBySender.delete(queue);
  }

  /** Only what was delivered on this connection can be acknowledged on it; anything else is ignored. */
  function acknowledge(request: number, { alias, sequences }: Frame<"ack">): void {
    const subscription = own.get(alias);
    const deletions = subscription === undefined ? [] : acknowledged(subscription, sequences);
    pump();
    if (request === 0) return;
    limited(request, 0, async () => {
      let failed: Outcome | undefined;
      for (const deletion of deletions) {
        const outcome = await deletion;
        if (outcome !== "ok") failed ??= outcome;
      }
      answer(request, subscription === undefined ? "gone" : (failed ?? "ok"));
    });
  }

  function acknowledged(
    subscription: Subscription,
    sequences: readonly bigint[],
  ): readonly (Outcome | Promise<Outcome>)[] {
    const deletions: (Outcome | Promise<Outcome>)[] = [];
    for (const wide of sequences) {
      const sequence = Number(wide);
      if (!freeCredit(subscription, sequence)) continue;
      const message = messageAt(subscription.queue.mailbox, sequence);
      if (message === undefined) continue;
      deletions.push(exchange.acknowledge(subscription.queue, message));
    }
    return deletions;
  }

  function freeCredit(subscription: Subscription, sequence: number): boolean {
    const sizeBytes = subscription.open.get(sequence);
    if (sizeBytes === undefined) return false;
    subscription.open.delete(sequence);
    unacknowledged--;
    unacknowledgedBytes -= sizeBytes;
    credit.add(-sizeBytes);
    return true;
  }

  /** Taken from both buckets or from neither. */
  function waitForBoth(one: TokenBucket, other: TokenBucket): number {
    const now = env.now();
    const waitMs = Math.max(one.waitMs(now), other.waitMs(now));
    if (waitMs === 0) {
      one.take(now);
      other.take(now);
    }
    return waitMs;
  }

  /** Whoever asks has proven a key; the credential does not say which. */
  function offerIceServers(request: number): void {
    const { iceServers } = options;
    if (iceServers === undefined) return refuse(request, "gone");
    const waitMs = waitForBoth(turns, allowance().turns);
    if (waitMs > 0) return refuse(request, "later", waitMs);
    env.count("credential");
    send(request, { type: "turn-credential", ...iceServers() });
  }

  async function getBundle(request: number, frame: Frame<"bundle-get">): Promise<void> {
    const waitMs = waitForBoth(bundleGets, allowance().bundleGets);
    if (waitMs > 0) return refuse(request, "later", waitMs);
    const blob = await exchange.getBundle(frame.linkId);
    if (blob === undefined) return refuse(request, "gone");
    send(request, { type: "bundle", blob });
  }

  function offer(queue: Queue, message: Message): boolean {
    const subscription = ownByQueue.get(queue);
    if (subscription === undefined) return false;
    ready.add(subscription);
    pump();
    return subscription.open.has(message.sequence);
  }

  function signal(queue: Queue, blob: Uint8Array): boolean {
    const subscription = ownByQueue.get(queue);
    if (subscription === undefined || port.room() <= 0) return false;
    send(0, { type: "signalled", alias: subscription.alias, blob });
    return true;
  }

  function displaced(): void {
    env.count("displaced");
    bye("gone", DISPLACED_RETRY_MS);
  }

  /** Delivers in turn from every queue with mail, as long as credit and socket allow. */
  function pump(): void {
    while (!isOver() && room() > 0) {
      const subscription = ready.values().next().value;
      if (subscription === undefined) return;
      ready.delete(subscription);
      if (subscription.reading) continue;
      const message = messageFrom(subscription.queue.mailbox, subscription.cursor);
      if (
        subscription.drainAt !== undefined &&
        (message === undefined || message.sequence >= subscription.drainAt)
      ) {
        subscription.drainAt = undefined;
        send(0, { type: "drained", alias: subscription.alias });
      }
      if (message === undefined) continue;
      ready.add(subscription);
      if (!hasCredit(message.sizeBytes)) return;
      if (message.blob === undefined) readPage(subscription, message);
      else deliver(subscription, message, message.blob);
    }
  }

  const room = (): number => port.room() - readingBytes;

  /** Whoever waits for credit has something to acknowledge, so nobody need be told when others leave more of it. */
  const hasCredit = (sizeBytes: number): boolean =>
    unacknowledged === 0 ||
    (unacknowledged < CREDIT_MESSAGES && unacknowledgedBytes + sizeBytes <= credit.perConnection());

  function takeCredit(subscription: Subscription, message: Message): void {
    subscription.open.set(message.sequence, message.sizeBytes);
    subscription.cursor = message.sequence + 1;
    unacknowledged++;
    unacknowledgedBytes += message.sizeBytes;
    credit.add(message.sizeBytes);
  }

  function deliver(subscription: Subscription, message: Message, blob: Uint8Array): void {
    takeCredit(subscription, message);
    transmit(subscription, message, blob);
  }

  function transmit(subscription: Subscription, message: Message, blob: Uint8Array): void {
    env.count("delivered");
    send(0, {
      type: "deliver",
      alias: subscription.alias,
      sequence: BigInt(message.sequence),
      id: asEnvelopeId(keyToBytes(message.key)),
      blob,
    });
  }

  /**
   * Takes the credit before the disk is read, so that what is read can always be sent. No more than the socket has
   * room for, or one message: a reader that takes nothing must not have a whole credit in memory.
   */
  function readPage(subscription: Subscription, first: Message): void {
    const page: Message[] = [];
    let pageBytes = 0;
    let next: Message | undefined = first;
    while (
      next !== undefined &&
      next.blob === undefined &&
      page.length < READ_PAGE &&
      (page.length === 0 || next.sizeBytes <= room() - pageBytes) &&
      hasCredit(next.sizeBytes)
    ) {
      pageBytes += next.sizeBytes;
      takeCredit(subscription, next);
      page.push(next);
      next = messageFrom(subscription.queue.mailbox, subscription.cursor);
    }
    subscription.reading = true;
    readingBytes += pageBytes;
    exchange.read(page).then(
      (blobs) => {
        subscription.reading = false;
        readingBytes -= pageBytes;
        if (isOver() || own.get(subscription.alias) !== subscription) return;
        for (const [index, message] of page.entries()) {
          const blob = blobs[index];
          if (blob === undefined || message.state === "gone") {
            freeCredit(subscription, message.sequence);
          } else {
            transmit(subscription, message, blob);
          }
        }
        ready.add(subscription);
        pump();
      },
      () => bye("later", LATER_MS),
    );
  }

  function bye(code: ErrorCode, retryAfterMs: number): void {
    if (isOver()) return;
    send(0, { type: "bye", code, retryAfterMs });
    closed();
    port.close();
  }

  function closed(): void {
    if (isOver()) return;
    phase = "closed";
    cancelAuth();
    credit.add(-unacknowledgedBytes);
    const isWaiting = [...own.values()].some(({ queue }) => queue.mailbox.messages.length > 0);
    for (const subscription of own.values()) exchange.release(subscription.queue, owner);
    if (readerKey.length > 0) options.push?.left(readerKey);
    // It was here by its socket, which may have been dead for a while: what it did not acknowledge waits for it.
    if (isWaiting) options.push?.stored(readerKey);
    own.clear();
    ownByQueue.clear();
    ready.clear();
    senders.clear();
    unknown.clear();
    aliasBySender.clear();
  }

  return { open, receive, resume: pump, closed, bye };
}

function ownAllowance(): () => Allowance {
  const allowance = createAllowance();
  return () => allowance;
}
