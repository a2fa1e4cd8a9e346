/** Deliberate bugs, switched on one at a time: the simulator has to notice each of them. */
export const PLANTED_BUGS = [
  /** The relay forgets what is not stored yet. */
  "ack-before-commit",
  /** A sealed unit leaves before its key's use is on disk: after a crash the key is used again. */
  "transmit-before-commit",
  /** Nothing is remembered as received. */
  "no-dedupe",
  /** The store writes over a message whose id is told again. */
  "overwrite-known",
  /** Commits are said to be durable but a crash takes the last one back. */
  "lazy-disk",
  /** "The relay has it" is taken for "the other device has it". */
  "delete-on-relay-ok",
  /** Receipts that were due when the device crashed are not sent. */
  "forget-owed-on-crash",
  /** A frame that was overtaken is thrown away. */
  "drop-on-reorder",
  /** What a full store refused is taken for stored. */
  "refusal-ignored",
  /** The relay says OK before the append is durable. */
  "ok-before-flush",
] as const;

export type PlantedBug = (typeof PLANTED_BUGS)[number];
