/**
 * `npm run durability -- --kills 100`: the kill loop for as long as wanted. Ends with 1 when a promise was broken.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runKillLoop } from "./kill-loop.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "100" },
    writers: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    quiet: { type: "boolean", default: false },
  },
});
const data = mkdtempSync(join(tmpdir(), "sotto-durability-"));
const from = performance.now();
try {
  const seed = Number(values.seed);
  process.stdout.write(`seed ${seed}\n`);
  const result = await runKillLoop({
    data,
    kills: Number(values.kills),
    writers: Number(values.writers),
    seed,
    ...(values.quiet ? {} : { log: (line) => process.stdout.write(`${line}\n`) }),
  });
  const { lost, forged, resurrected, disordered, residue } = result;
  const broken = [lost, forged, resurrected, disordered, residue];
  process.stdout.write(
    [
      `${result.kills} kills in ${((performance.now() - from) / 1_000).toFixed(0)} s`,
      `kept ${result.kept}, lost ${lost.length}`,
      `deleted ${result.deleted}, resurrected ${resurrected.length}, left over ${result.leftOver}`,
      `forged ${forged.length}, out of order ${disordered.length}`,
      `without an answer when killed ${result.unanswered}, delivered again ${result.duplicates}`,
      `refused ${JSON.stringify(result.refused)}`,
      `on the disk and in the output beside queues, sizes and hours: ${residue.join(", ") || "nothing"}`,
      `slowest start ${result.startMsMax.toFixed(0)} ms`,
      "",
    ].join("\n"),
  );
  if (broken.some(({ length }) => length > 0) || result.leftOver > 0) process.exitCode = 1;
} finally {
  rmSync(data, { recursive: true });
}
