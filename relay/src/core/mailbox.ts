/**
 * One queue's mail: order, quota, idempotence, expiry.
 * Owns: which messages there are and which id was seen. Leaves to exchange.ts: when they are written,
 * delivered and answered.
 * Spec: SPEC.md §2.
 */
import type { EnvelopeId } from "@sotto/wire";
import { bytesToKey } from "./keys.ts";
import { QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, RECENT_IDS_MAX, TTL_HOURS_MAX } from "./limits.ts";

/** held: only in memory, given to the owner. writing: on its way to the disk. stored: durable. gone: no longer here. */
export type MessageState = "held" | "writing" | "stored" | "gone";

export interface Message {
  /** Per queue, rising; names the message towards the owner. */
  readonly sequence: number;
  /** The id's bytes as a key. */
  readonly key: string;
  readonly sizeBytes: number;
  readonly expiryHour: number;
  /** The store's row; 0 while it was never written. */
  row: number;
  state: MessageState;
  /** Undefined once only the store has it. */
  blob: Uint8Array | undefined;
  /** Clock time at which a held message is written after all. */
  dueAt: number;
  /** Senders that wait to hear how it ended; stored messages, the many, have none. */
  waiting: ((outcome: AppendOutcome) => void)[] | undefined;
}

export type AppendOutcome = "ok" | "gone" | "quota" | "later" | "full";

export interface Mailbox {
  /** Rising by sequence; few enough to be searched by id. */
  readonly messages: Message[];
  /** Keys of the last acknowledged messages, oldest first; made when first needed. */
  recent: Set<string> | undefined;
  bytes: number;
  nextSequence: number;
}

/** What one queue may hold, and for how long at most. */
export interface MailLimits {
  readonly messages: number;
  readonly bytes: number;
  readonly ttlHours: number;
}

export const MAIL_LIMITS: MailLimits = {
  messages: QUEUE_MESSAGES_MAX,
  bytes: QUEUE_BYTES_MAX,
  ttlHours: TTL_HOURS_MAX,
};

export const createMailbox = (): Mailbox => ({
  messages: [],
  recent: undefined,
  bytes: 0,
  nextSequence: 1,
});

export type Admitted =
  | { readonly kind: "new" | "known"; readonly message: Message }
  /** Acknowledged a while ago. */
  | { readonly kind: "done" }
  | { readonly kind: "quota" | "full" };

/**
 * A repeated id names the first blob that came with it, whatever comes later.
 * `hasRoom`: whether the relay has room for a new one.
 */
export function admit(
  mailbox: Mailbox,
  id: EnvelopeId,
  blob: Uint8Array,
  expiryHour: number,
  hasRoom: boolean,
  limits: MailLimits = MAIL_LIMITS,
): Admitted {
  const key = bytesToKey(id);
  const known = mailbox.messages.find((message) => message.key === key);
  if (known !== undefined) return { kind: "known", message: known };
  if (mailbox.recent?.has(key) === true) return { kind: "done" };
  if (mailbox.messages.length >= limits.messages || mailbox.bytes + blob.length > limits.bytes) {
    return { kind: "quota" };
  }
  if (!hasRoom) return { kind: "full" };
  const message = place(mailbox, { key, sizeBytes: blob.length, expiryHour, row: 0, blob });
  return { kind: "new", message };
}

/** A message that was durable before this process began. */
export const restore = (
  mailbox: Mailbox,
  stored: { readonly key: string; readonly sizeBytes: number; expiryHour: number; row: number },
): Message => place(mailbox, { ...stored, blob: undefined });

function place(
  mailbox: Mailbox,
  given: Pick<Message, "key" | "sizeBytes" | "expiryHour" | "row" | "blob">,
): Message {
  const { key, sizeBytes, expiryHour, row, blob } = given;
  const message: Message = {
    sequence: mailbox.nextSequence++,
    key,
    sizeBytes,
    expiryHour,
    row,
    state: blob === undefined ? "stored" : "held",
    blob,
    dueAt: 0,
    waiting: undefined,
  };
  mailbox.messages.push(message);
  mailbox.bytes += message.sizeBytes;
  return message;
}

/** The first message at or after `sequence`. */
export const messageFrom = (mailbox: Mailbox, sequence: number): Message | undefined =>
  mailbox.messages[indexFrom(mailbox, sequence)];

export function messageAt(mailbox: Mailbox, sequence: number): Message | undefined {
  const message = messageFrom(mailbox, sequence);
  return message?.sequence === sequence ? message : undefined;
}

/** acknowledged: its id is remembered for a while. */
export function remove(mailbox: Mailbox, message: Message, acknowledged: boolean): void {
  const index = indexFrom(mailbox, message.sequence);
  if (mailbox.messages[index] !== message) return;
  mailbox.messages.splice(index, 1);
  mailbox.bytes -= message.sizeBytes;
  message.state = "gone";
  message.blob = undefined;
  if (!acknowledged) return;
  const recent = (mailbox.recent ??= new Set());
  recent.add(message.key);
  if (recent.size <= RECENT_IDS_MAX) return;
  for (const oldest of recent) {
    recent.delete(oldest);
    break;
  }
}

export const expired = (mailbox: Mailbox, hour: number): readonly Message[] =>
  mailbox.messages.filter((message) => message.expiryHour <= hour);

/** Index of the first message at or after `sequence`, by halving. */
function indexFrom({ messages }: Mailbox, sequence: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((messages[middle]?.sequence ?? Number.POSITIVE_INFINITY) < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
