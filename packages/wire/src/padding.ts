/**
 * The sizes an envelope may have on the wire, so that length tells little (SPEC.md §3.2).
 */

/** Whole-envelope sizes in bytes. Anything larger is a file, not a message. */
export const BUCKETS: readonly number[] = [
  256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 49_152, 65_536,
];

export const ENVELOPE_BYTES_MAX = 65_536;

/** The smallest bucket that holds `sizeBytes`, or undefined when no bucket does. */
export const bucketFor = (sizeBytes: number): number | undefined =>
  BUCKETS.find((bucket) => bucket >= sizeBytes);

export const isBucket = (sizeBytes: number): boolean => BUCKETS.includes(sizeBytes);
