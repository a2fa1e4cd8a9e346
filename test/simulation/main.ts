/** `npm run simulate -- --seeds N --from S [--bug name]`, or `--seed X --trace` to see one run. */
import { parseArgs } from "node:util";
import { PLANTED_BUGS } from "./planted.ts";
import { simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});
const bug = PLANTED_BUGS.find((one) => one === values.bug);
if (values.bug !== undefined && bug === undefined) {
  console.error(`no such bug; there are ${PLANTED_BUGS.join(", ")}`);
  process.exit(2);
}
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const startedAt = performance.now();
let [failed, steps, accepted] = [0, 0, 0];
for (let seed = first; seed < first + count; seed++) {
  const result = await simulate(seed, {
    ...(bug === undefined ? {} : { bug }),
    ...(values.trace ? { trace: (line: string) => console.log(line) } : {}),
  });
  steps += result.steps;
  accepted += result.accepted;
  if (result.failures.length === 0) continue;
  failed++;
  const replay = `npm run simulate -- --seed ${seed}${bug === undefined ? "" : ` --bug ${bug}`} --trace`;
  console.log(`seed ${seed}: ${result.failures.join("; ")} | ${replay}`);
}
const seconds = (performance.now() - startedAt) / 1_000;
console.log(
  `${count} seeds, ${failed} failed, ${steps} steps, ${accepted} messages, ${(count / seconds).toFixed(0)} seeds/s`,
);
process.exitCode = failed === 0 ? 0 : 1;
