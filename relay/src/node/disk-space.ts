/**
 * Whether the disk below the data directory still has room. A full disk is survived by the store; this keeps it from
 * getting there, because whatever else lives on that disk may not survive it.
 * Spec: SPEC.md §5.
 */
import { statfsSync } from "node:fs";

/** How long one look counts. */
const LOOK_MS = 1_000;

/** `now`: milliseconds. A disk that cannot be asked counts as one with room: the store will say. */
export function createDiskSpace(
  directory: string,
  minFree: number,
  now: () => number,
  freeBytes: (directory: string) => number = freeBytesOf,
): () => boolean {
  let lookedAt: number | undefined;
  let hasRoom = true;
  return () => {
    const at = now();
    if (lookedAt !== undefined && Math.abs(at - lookedAt) < LOOK_MS) return hasRoom;
    lookedAt = at;
    try {
      hasRoom = freeBytes(directory) >= minFree;
    } catch {
      hasRoom = true;
    }
    return hasRoom;
  };
}

function freeBytesOf(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}
