/**
 * What of a membership log others are told: pages of operations with the certificates they need.
 * Owns: choosing and packing. Leaves to membership.ts: the log itself, and taking pages in.
 * Spec: SPEC.md §11.1 to §11.6.
 */
import {
  bytesToHex,
  type DeviceCert,
  encodeDeviceCert,
  encodeGroupOp,
  GROUP_PAGE_BYTES_MAX,
  type GroupPage,
  type OpId,
  PAGE_OPS_MAX,
} from "@sotto/wire";
import type { GroupLog } from "./membership.ts";

/** Version and two counts. */
const PAGE_FRAME_BYTES = 3;

/** All that someone who has `heads` and what is behind them lacks, in pages; with no heads, everything. */
export function pagesSince(log: GroupLog, heads: readonly OpId[]): readonly GroupPage[] {
  const known = ancestorsOf(log, heads.map(bytesToHex));
  return pagesWith(log, (id) => !known.has(id));
}

/** `ids` of operations and all behind them, but for `heads` and what is behind those. */
export function pagesUpTo(
  log: GroupLog,
  ids: readonly OpId[],
  heads: readonly OpId[],
): readonly GroupPage[] {
  const wanted = ancestorsOf(log, ids.map(bytesToHex));
  const known = ancestorsOf(log, heads.map(bytesToHex));
  return pagesWith(log, (id) => wanted.has(id) && !known.has(id));
}

function pagesWith(log: GroupLog, isWanted: (id: string) => boolean): readonly GroupPage[] {
  const pages: GroupPage[] = [];
  let certs = new Map<string, DeviceCert>();
  let ops: Uint8Array[] = [];
  let sizeBytes = PAGE_FRAME_BYTES;
  const finish = (): void => {
    if (ops.length > 0) pages.push({ certs: [...certs.values()], ops });
    certs = new Map();
    ops = [];
    sizeBytes = PAGE_FRAME_BYTES;
  };
  for (const [id, { op }] of log.ops) {
    if (!isWanted(id)) continue;
    const bytes = encodeGroupOp(op);
    const signer = bytesToHex(op.signer);
    const cert = log.certs.get(signer);
    if (cert === undefined) throw new RangeError("an operation without its certificate");
    const addedBytes = (): number =>
      2 + bytes.length + (certs.has(signer) ? 0 : encodeDeviceCert(cert).length);
    if (ops.length >= PAGE_OPS_MAX || sizeBytes + addedBytes() > GROUP_PAGE_BYTES_MAX) finish();
    sizeBytes += addedBytes();
    certs.set(signer, cert);
    ops.push(bytes);
  }
  finish();
  return pages;
}

/** The operations named, and all behind those that are here. */
export function ancestorsOf(log: GroupLog, ids: readonly string[]): ReadonlySet<string> {
  const found = new Set(ids);
  for (const id of found) {
    // A set grows while it is walked: each is visited once.
    for (const parent of log.ops.get(id)?.parents ?? []) found.add(parent);
  }
  return found;
}
