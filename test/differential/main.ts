/**
 * As many comparisons as wanted: `npm run differential -- --cases 10000 --from 0`. A difference ends the run with the
 * seed that shows it; `--from` with that number and `--cases 1` shows it again.
 */
import { parseArgs } from "node:util";
import { createWebCryptoEngine } from "@sotto/engines";
import { nodeEngine } from "@sotto/engines/node";
import { compareSpoilt } from "../../packages/engines/test/consensus.ts";
import { runSchedule } from "../reference/schedule.ts";
import { runOlmSchedule } from "./olm.ts";
import { type Compared, comparePrimitives } from "./primitives.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
  },
});
const [cases, from] = [Number(values.cases), Number(values.from)];
if (!Number.isSafeInteger(cases) || !Number.isSafeInteger(from)) {
  throw new RangeError("--cases and --from are whole numbers");
}
const seeds = Array.from({ length: cases }, (_, at) => from + at);

const compared: Compared = new Map();
for (const seed of seeds) await comparePrimitives(`primitives ${seed}`, compared);
for (const [primitive, count] of compared) console.log(`${primitive}: ${count} answers equal ours`);

const webCrypto = createWebCryptoEngine({ subtle: crypto.subtle, drafts: false });
for (const engine of [nodeEngine, webCrypto]) {
  const { taken, onlyByNoble, unsafe, differences } = await compareSpoilt(engine, cases, from);
  const [first] = [...unsafe, ...differences];
  if (first !== undefined) throw new Error(`a signature is judged otherwise: ${first}`);
  console.log(
    `signatures: ${cases} judged alike with ${engine.name} and without, ${taken} taken, ` +
      `of these ${onlyByNoble} by noble alone`,
  );
}

const olm = { byOlm: 0, byUs: 0, refused: 0, turns: 0 };
for (const seed of seeds) {
  const course = await runOlmSchedule(`olm ${seed}`);
  olm.byOlm += course.byOlm;
  olm.byUs += course.byUs;
  olm.refused += course.refused;
  olm.turns += course.turns;
}
console.log(
  `Olm: ${cases} schedules, ${olm.byOlm} messages opened by Olm and ${olm.byUs} by us in ${olm.turns} turns, ` +
    `${olm.refused} rightly refused`,
);

let [delivered, refused, renewed] = [0, 0, 0];
const byEngine = new Map<string, number>();
for (const seed of seeds) {
  const course = await runSchedule(`reference ${seed}`);
  delivered += course.delivered;
  refused += course.refused;
  renewed += course.epochs > 0 ? 1 : 0;
  byEngine.set(course.engine, (byEngine.get(course.engine) ?? 0) + 1);
}
console.log(
  `reference: ${cases} schedules, ${delivered} messages opened, ${refused} rightly refused, ` +
    `post-quantum secrets mixed in ${renewed}; our side on ` +
    [...byEngine].map(([engine, count]) => `${engine} ${count}`).join(", "),
);
