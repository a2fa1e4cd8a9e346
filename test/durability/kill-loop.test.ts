/** No acknowledged message is lost, whenever the relay dies; and the judge that says so is not blind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { judge, type Step } from "./history.ts";
import { runKillLoop } from "./kill-loop.ts";

test("10 kills, 20 senders: what was kept is delivered, what was deleted is gone", async () => {
  const data = mkdtempSync(join(tmpdir(), "sotto-durability-"));
  try {
    const result = await runKillLoop({ data, kills: 10, writers: 20, seed: 7 });
    expect(result).toMatchObject({ lost: [], forged: [], resurrected: [], disordered: [] });
    expect(result.leftOver).toBe(0);
    expect(result.residue).toEqual([]);
    // Only a full queue refuses mail: anything else would hide losses as refusals.
    expect(Object.keys(result.refused).filter((code) => code !== "quota")).toEqual([]);
    // The kills hit a relay at work.
    expect(result.kept).toBeGreaterThan(200);
    expect(result.deleted).toBeGreaterThan(200);
    expect(result.unanswered).toBeGreaterThan(10);
  } finally {
    rmSync(data, { recursive: true });
  }
}, 120_000);

const append = (message: string): Step => ({ at: "append", message, queue: 1, blob: "b" });
const delivered = (message: string, sequence = 1n, changes: Partial<Step> = {}): Step =>
  ({ at: "delivered", message, queue: 1, blob: "b", connection: 1, sequence, ...changes }) as Step;
const kept = (message: string): Step => ({ at: "kept", message });
const deleted = (message: string): Step => ({ at: "deleted", message });

test.each<[string, readonly Step[], object]>([
  ["lost", [append("m"), kept("m")], { lost: ["m"] }],
  ["never answered", [append("m")], { lost: [], kept: 0 }],
  ["delivered", [append("m"), delivered("m"), kept("m")], { lost: [], kept: 1, duplicates: 0 }],
  ["other bytes", [append("m"), delivered("m", 1n, { blob: "c" })], { forged: ["m"] }],
  ["another queue", [append("m"), delivered("m", 1n, { queue: 2 })], { forged: ["m"] }],
  ["never sent", [delivered("m")], { forged: ["m"] }],
  [
    "back after its deletion",
    [append("m"), delivered("m"), deleted("m"), delivered("m", 1n, { connection: 2 })],
    { resurrected: ["m"], duplicates: 1 },
  ],
  [
    "sent again after its deletion",
    [append("m"), delivered("m"), deleted("m"), append("m"), delivered("m", 1n, { connection: 2 })],
    { resurrected: [], duplicates: 1 },
  ],
  [
    "twice on one connection",
    [append("m"), delivered("m"), delivered("m", 2n)],
    { disordered: ["m"] },
  ],
  [
    "out of order",
    [append("m"), append("n"), delivered("n", 2n), delivered("m", 1n)],
    { disordered: ["m"] },
  ],
])("the judge knows a message that is %s", (_, steps, verdict) => {
  const nothing = { lost: [], forged: [], resurrected: [], disordered: [] };
  expect(judge(steps)).toMatchObject({ ...nothing, ...verdict });
});
