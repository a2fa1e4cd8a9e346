/**
 * Every limit of the relay that the protocol or a stranger can reach, by name.
 * Leaves to @sotto/wire: sizes of frames and fields. Leaves to node/: sockets and files.
 * Spec: SPEC.md §4.
 */
import { ADMISSION_BYTES_MAX, FRAME_HEADER_BYTES } from "@sotto/wire";

/** From the open socket to a valid AUTH. */
export const AUTH_MS = 5_000;
/** header | version 1 | reader key 32 | signature 64 | length 2 | admission. Anything longer is refused unread. */
export const AUTH_FRAME_BYTES_MAX = FRAME_HEADER_BYTES + 99 + ADMISSION_BYTES_MAX;

/** Connections of so long share one X25519 key in HELLO. */
export const EPHEMERAL_MS = 60_000;

/** Deliveries without an acknowledgement per connection; at least one is always allowed. */
export const CREDIT_MESSAGES = 64;
export const CREDIT_BYTES = 1_048_576;
/**
 * Delivered and not acknowledged on all connections together: what readers that take nothing leave in this process and in
 * the kernel's buffers, which hold a whole CREDIT_BYTES each. Beyond it a connection has SCARCE_CREDIT_BYTES.
 */
export const UNACKNOWLEDGED_BYTES_MAX = 268_435_456;
export const SCARCE_CREDIT_BYTES = 65_536;
/** Stored messages fetched from disk at once for one queue. */
export const READ_PAGE = 32;

/**
 * A message whose owner is connected waits this long for the acknowledgement before it is written: a round trip over
 * a poor mobile network, and whatever queues before it on a busy relay. With 25 ms a relay under load wrote most of
 * what its clients took from hand to hand.
 */
export const HOLD_MS = 250;
/** Held for all queues together; beyond it messages are written at once. */
export const HELD_BYTES_MAX = 67_108_864;
/** What an operator sees of how long mail waits: how much of it at least so many hours. */
export const AGE_HOURS = [1, 6, 24, 72, 168, 336] as const;
/** Handed to the store and not durable yet; beyond it a sender hears "later". */
export const COMMIT_BYTES_MAX = 67_108_864;
export const LATER_MS = 1_000;

export const QUEUE_MESSAGES_MAX = 256;
export const QUEUE_BYTES_MAX = 4_194_304;
export const TTL_HOURS_DEFAULT = 14 * 24;
export const TTL_HOURS_MAX = 21 * 24;
/** A queue with a sender that nobody opened for so long is gone, with everything in it. */
export const QUEUE_IDLE_HOURS = 90 * 24;
/**
 * The same for a queue without a sender whose owner writes to somebody: its address may wait in
 * undelivered mail for as long as mail lives.
 */
export const QUEUE_AWAITED_HOURS = 21 * 24;
/** The same for any other queue without a sender; never shorter than its offers. */
export const QUEUE_UNUSED_HOURS = 24;
/**
 * An opened queue is written again only when its remaining life shrank by so much, and by a twelfth
 * of shorter lives: less disk, coarser traces.
 */
export const QUEUE_RENEW_HOURS = 7 * 24;
/** An offer is gone after so long, whatever its queue's mail lives. */
export const OFFER_HOURS = 7 * 24;
/** Ids of acknowledged messages a queue remembers (memory only), so that a late resend is not delivered again. */
export const RECENT_IDS_MAX = 32;
/** Per relay: half a KB of memory each; a stored message costs 0.3 KB. */
export const QUEUES_MAX = 250_000;
/** A group needs a queue for every device of every member: twenty groups of a hundred devices, and half as much again. */
export const QUEUES_PER_READER_MAX = 4_096;
/** Of QUEUES_MAX: beyond it new queues are scarce, and places get no more than SCARCE_QUEUE_BURST at once. */
export const SCARCE_SHARE = 0.8;
/** Of the room for everything: beyond it there are no new queues and offers; the rest is for mail that has an address. */
export const NEW_SHARE = 0.9;
export const BUNDLES_PER_QUEUE_MAX = 4;
/** Mail, offers and rows of a relay together, unless its operator says otherwise. */
export const BYTES_MAX_DEFAULT = 4_294_967_296;
/** What a queue, a message or an offer counts beside its blob. */
export const ROW_BYTES = 256;

export const SENDERS_PER_CONNECTION_MAX = 4_096;
/** Requests of one connection without an answer; beyond it the answer is "later". */
export const REQUESTS_PENDING_MAX = 1_024;
export const APPEND_BYTES_PENDING_MAX = 4_194_304;

/**
 * Token buckets per place (core/allowance.ts): this many at once, then one per interval.
 * One place alone, even one that uses every queue it makes, stays far below QUEUES_MAX.
 * The burst lets a device join a large group, or several devices behind one address; while queues are scarce
 * a place has SCARCE_QUEUE_BURST, so that many places together do not take what is left.
 */
export const QUEUE_NEW_BURST = 512;
export const QUEUE_NEW_INTERVAL_MS = 60_000;
export const SCARCE_QUEUE_BURST = 10;
/**
 * Queues that all places together may make by work, beyond their own: as many as one more place. More would give whoever
 * has a fast machine and one address what many addresses are needed for.
 */
export const WORK_QUEUES_MAX = 512;
export const WORK_QUEUE_INTERVAL_MS = 60_000;
/** 2^18 hashes: most of a second in a browser. */
export const WORK_BITS_MIN = 18;
/** Queues that one connection may ask the price of. */
export const WORKS_PER_CONNECTION_MAX = 64;
/** New connections: 50 at once, then 20 per second. */
export const CONNECT_BURST = 50;
export const CONNECT_INTERVAL_MS = 50;
/**
 * A proof that fails costs its place as much as so many connections: checking one is dear. They are owed if they are not
 * there, or a place that has used up its burst would have every connection that it gets checked.
 */
export const REFUSED_CONNECTS = 10;
export const APPEND_BYTES_BURST = 67_108_864;
/** 16 KiB per second. */
export const APPEND_BYTE_INTERVAL_MS = 1_000 / 16_384;
/** Places whose buckets are remembered; those that are full again are looked for so often. */
export const ALLOWANCES_MAX = 100_000;
export const ALLOWANCES_SWEEP_MS = 60_000;
/** Token bucket per connection. */
export const BUNDLE_GET_BURST = 32;
export const BUNDLE_GET_INTERVAL_MS = 1_000;
/** Token bucket per place: an office that opens its invites together, and no more guesses for many connections. */
export const PLACE_BUNDLE_GET_BURST = 256;
/**
 * TURN credentials per connection: one serves ten minutes of dials, so this many at once and one per minute are for
 * clients that dial much. Per place: an office, and yet less than what a TURN server has ports for.
 */
export const TURN_BURST = 8;
export const TURN_INTERVAL_MS = 60_000;
export const PLACE_TURN_BURST = 32;
export const PLACE_TURN_INTERVAL_MS = 15_000;

/** What the older of two connections for one queue is told to wait, so that two owners do not chase each other. */
export const DISPLACED_RETRY_MS = 5_000;
/** How often expiry is looked at; expiry itself has the grain of an hour. */
export const SWEEP_MS = 600_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** The issuer's key changes so often; a token is good in its own epoch and the next. */
export const TOKEN_EPOCH_DAYS = 28;
export const TOKEN_EPOCHS_GOOD = 2;
/** 32 bytes each: beyond it nobody is let in before the next epoch. */
export const SPENT_PER_EPOCH_MAX = 1_000_000;
export const ADMISSION_DAYS_DEFAULT = 30;
/** The day on which an admission ends is a multiple of it. */
export const ADMISSION_ROUND_DAYS = 7;
/** Invite codes at once; what one is good for. */
export const CODES_MAX = 10_000;
export const CODE_USES_MAX = 10_000;
export const CODE_DAYS_MAX = 365;
/** Of one subject of an organisation. */
export const TOKENS_PER_DAY_DEFAULT = 8;
/** Subjects whose tokens of today are counted. */
export const SUBJECTS_MAX = 100_000;
/** POST /admission: a JWT of 4 KiB and 32 elements take less. */
export const ADMISSION_BODY_BYTES_MAX = 8_192;
export const JWT_BYTES_MAX = 4_096;
/**
 * Requests for tokens that were answered: the same one again is answered again and uses up nothing, for this many days
 * after the day of the first. At most so many; beyond it those that end first are forgotten.
 */
export const ANSWERED_DAYS = 2;
export const ANSWERED_MAX = 65_536;
/**
 * A clock that went so much faster or slower than the time between two sweeps was set. Nothing expires by it
 * until it was steady for so many sweeps: an hour to set it right again before mail is gone.
 */
export const CLOCK_STEP_MS = 3_600_000;
export const STEADY_SWEEPS = 6;
/** Deletions that the disk did not take and that are tried again; those beyond it wait for the next start. */
export const DELETIONS_OWED_MAX = 65_536;

/** Wake-ups: between two of one reader. */
export const PUSH_GAP_MS = 30_000;
/** Mail that comes so long after a wake-up that nobody followed asks for another one. */
export const PUSH_REPEAT_MS = 3_600_000;
/** Tries of one wake-up after the first, and the longest wait between two, whatever Retry-After says. */
export const PUSH_RETRIES_MAX = 3;
export const PUSH_RETRY_MS_MAX = 3_600_000;
/** Requests to push services at a time; the other readers wait for their turn. */
export const PUSH_OPEN_MAX = 16;
/** An endpoint whose reader was not here for so long is forgotten: no mail waits longer. */
export const PUSH_KEPT_MS = 30 * 24 * HOUR_MS;
/** Readers with an endpoint: at 1,024 bytes each, 100 MB. */
export const PUSH_REGISTRATIONS_MAX = 100_000;
