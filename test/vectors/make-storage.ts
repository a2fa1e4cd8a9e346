/**
 * Frozen bytes of storage/SPEC.md §3. Run it to write them anew, after a change of the format and its version.
 */
import {
  encodeDirectory,
  encodeIdBlock,
  encodeSegment,
  type SegmentRow,
} from "@sotto/storage/segment";
import { bytesToHex } from "@sotto/wire";
import { freeze } from "./freeze.ts";

export const STORAGE_VECTORS = new URL("storage.json", import.meta.url);

const row = (ms: number, author: string, id: string, fields: Partial<SegmentRow>): SegmentRow => ({
  id,
  order: ms.toString(16).padStart(12, "0") + "0003" + author + id,
  own: false,
  author: undefined,
  text: "",
  sentAt: ms,
  receivedAt: ms,
  status: "received",
  path: "relay",
  ...fields,
});

const [ada, bob] = ["a1".repeat(20), "b2".repeat(20)];
const ROWS: readonly SegmentRow[] = [
  row(1_700_000_000_000, ada, "11".repeat(16), { own: true, status: "delivered", path: "direct" }),
  row(1_700_000_000_000, bob, "22".repeat(16), { text: "你好 👋", receivedAt: 1_700_000_000_300 }),
  row(1_700_000_100_000, ada, "33".repeat(16), {
    id: "another id",
    author: "c3".repeat(20),
    text: "Grüße",
    sentAt: 1_700_000_099_000,
    status: "queued",
    path: undefined,
  }),
];

export function makeStorageVectors() {
  const first = ROWS[0]?.order ?? "";
  const last = ROWS.at(-1)?.order ?? "";
  const directory = {
    entries: [{ n: 5, v: 300, count: 3, first }],
    last,
    blocks: [[0, 300]] as const,
  };
  const block = [[5, [1, 0xffff_ffff]]] as const;
  return {
    segment: { rows: ROWS, bytes: bytesToHex(encodeSegment(ROWS)) },
    directory: {
      ...directory,
      bytes: bytesToHex(encodeDirectory({ ...directory, blocks: new Map(directory.blocks) })),
    },
    ids: {
      block,
      bytes: bytesToHex(
        encodeIdBlock(new Map(block.map(([n, hashes]) => [n, Uint32Array.from(hashes)]))),
      ),
    },
  };
}

if (import.meta.main) await freeze(STORAGE_VECTORS, makeStorageVectors());
