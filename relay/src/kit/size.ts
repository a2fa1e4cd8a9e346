/**
 * From people to limits, memory and disk.
 * Spec: OPERATING.md has the arithmetic and where its numbers come from.
 */

/** At the busiest time, of all people. */
const CONNECTED_SHARE = 0.2;
/** Room for a peak that is twice the usual one. */
const HEADROOM = 2;
/** One for each contact and device. */
const QUEUES_PER_PERSON = 20;
/** Undelivered mail of a person on average: most of it belongs to the few who are away for weeks. */
const STORED_BYTES_PER_PERSON = 288_000;
const CONNECTION_BYTES = 24_576;
const QUEUE_BYTES = 4_096;
const BASE_BYTES = 268_435_456;
const MIB = 1_048_576;
const GIB = 1_073_741_824;
const CONNECTIONS_MIN = 1_000;
const QUEUES_MIN = 50_000;

/** Twice their queues are two million, which is what V8's usual four gigabytes hold. */
export const PEOPLE_MAX = 50_000;

export interface Size {
  readonly connections: number;
  readonly queues: number;
  readonly storeGiB: number;
  readonly memoryMiB: number;
}

/** For one process; more people need several relays. */
export function sizeFor(people: number): Size {
  const connections = Math.max(CONNECTIONS_MIN, Math.ceil(people * CONNECTED_SHARE * HEADROOM));
  const queues = Math.max(QUEUES_MIN, people * QUEUES_PER_PERSON * HEADROOM);
  const memory = BASE_BYTES + connections * CONNECTION_BYTES + queues * QUEUE_BYTES;
  return {
    connections,
    queues,
    storeGiB: Math.max(4, Math.ceil((people * STORED_BYTES_PER_PERSON * HEADROOM) / GIB)),
    memoryMiB: Math.ceil(memory / MIB / 64) * 64,
  };
}
