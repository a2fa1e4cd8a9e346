/**
 * `npm run bench:relay`: our relay beside ejabberd and prosody, with a bare `ws` server as the limit, in one run.
 * Only the ratios mean anything. `--quick` looks whether everything works, in about a minute. See README.md.
 */
import { idle, type Latency, paced, type Rate, routed, spoolAndDrain } from "./load.ts";
import { startRouteOnly } from "./route-only.ts";
import type { Pair, Side } from "./side.ts";
import { startSotto } from "./sotto.ts";
import { startEjabberd, startProsody } from "./xmpp.ts";

const quick = process.argv.includes("--quick");
const only = process.argv.find((one) => one.startsWith("--only="))?.slice("--only=".length);
const PAIRS = quick ? 20 : 100;
const ROUNDS = quick ? 1 : 3;
const LOOP_MS = quick ? 1_000 : 2_500;
const SPOOL_MS = quick ? 500 : 1_500;
const PACED_MS = quick ? 1_000 : 3_000;
const IDLE = quick ? 400 : 4_000;

type Name = "sotto" | "bare ws" | "ejabberd" | "prosody";
const STARTS: Readonly<Record<Name, () => Promise<Side | undefined>>> = {
  sotto: startSotto,
  "bare ws": startRouteOnly,
  ejabberd: startEjabberd,
  prosody: startProsody,
};
const names = (Object.keys(STARTS) as Name[]).filter((name) => only?.includes(name) ?? true);

interface Goal {
  readonly beside: Name;
  readonly ratio: number;
}
interface Row {
  readonly title: string;
  readonly unit: string;
  /** Whether more is better. */
  readonly more: boolean;
  readonly goals: readonly Goal[];
  /** At most so much, whatever others need. */
  readonly most?: number;
  readonly figures: Map<Name, number[]>;
}
const row = (
  title: string,
  unit: string,
  more: boolean,
  goals: readonly Goal[],
  most?: number,
): Row => ({
  title,
  unit,
  more,
  goals,
  ...(most === undefined ? {} : { most }),
  figures: new Map(),
});
const goal = (beside: Name, ratio: number): Goal => ({ beside, ratio });

/** The goals of the relay's design; "more" rows at least, the others at most. */
const rows = {
  online: row("online, arrived at receiver", "/s", true, [
    goal("ejabberd", 1.3),
    goal("prosody", 6),
    goal("bare ws", 0.75),
  ]),
  cpu: row("  processor of each", "µs", false, [
    goal("ejabberd", 0.5),
    goal("prosody", 0.15),
    goal("bare ws", 1.4),
  ]),
  spool: row("receiver away, server says it has it", "/s", true, [
    goal("ejabberd", 8),
    goal("prosody", 8),
  ]),
  spoolCpu: row("  processor of each", "µs", false, []),
  drain: row("receivers come back, arrived", "/s", true, [
    goal("ejabberd", 1.5),
    goal("prosody", 8),
  ]),
  drainCpu: row("  processor of each", "µs", false, []),
  slow50: row("500/s online, p50", "ms", false, []),
  slow99: row("500/s online, p99", "ms", false, []),
  fast50: row("2,000/s online, p50", "ms", false, []),
  fast99: row("2,000/s online, p99", "ms", false, [goal("ejabberd", 1.6)], 3),
  away99: row("2,000/s to who is away, p99", "ms", false, [], 8),
  memory: row(`idle connection, of ${IDLE}`, "KB", false, [goal("ejabberd", 0.5)], 20),
  connect: row("  processor to connect it", "ms", false, []),
};

function add(to: Row, name: Name, figure: number): void {
  const figures = to.figures.get(name) ?? [];
  figures.push(figure);
  to.figures.set(name, figures);
}
const addRate = (rate: Row, cpu: Row, name: Name, { perSecond, cpuMicros }: Rate): void => {
  add(rate, name, perSecond);
  add(cpu, name, cpuMicros);
};
const addLatency = (p50: Row, p99: Row, name: Name, latency: Latency): void => {
  add(p50, name, latency.p50);
  add(p99, name, latency.p99);
  if (latency.missing > 0) notes.add(`${name}: ${latency.missing} paced messages never arrived`);
};

const notes = new Set<string>();
const running = new Map<Name, Side>();
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** A server that fails loses this figure, not the others theirs. */
async function each(title: string, run: (side: Side, name: Name) => Promise<void>): Promise<void> {
  say(`${new Date().toISOString().slice(11, 19)} ${title}`);
  for (const [name, side] of running) {
    try {
      await run(side, name);
    } catch (error) {
      notes.add(`${name}, ${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

async function measure(): Promise<void> {
  for (const name of names) {
    const side = await STARTS[name]();
    if (side === undefined) notes.add(`${name} is not installed (README.md)`);
    else running.set(name, side);
  }
  const pairsOf = new Map<Name, readonly Pair[]>();
  await each("pairs", async (side, name) => {
    const pairs: Pair[] = [];
    while (pairs.length < PAIRS) pairs.push(await side.pair());
    pairsOf.set(name, pairs);
    // Warm, as a server that is measured after an hour is.
    await routed(side, pairs, LOOP_MS);
  });
  const pairs = (name: Name): readonly Pair[] => pairsOf.get(name) ?? [];
  for (let round = 1; round <= ROUNDS; round++) {
    const of = `round ${round} of ${ROUNDS}`;
    await each(`online, ${of}`, async (side, name) => {
      addRate(rows.online, rows.cpu, name, await routed(side, pairs(name), LOOP_MS));
    });
    await each(`paced, ${of}`, async (_, name) => {
      const at = (rate: number): Promise<Latency> => paced(pairs(name), rate, PACED_MS, "arrived");
      addLatency(rows.slow50, rows.slow99, name, await at(500));
      addLatency(rows.fast50, rows.fast99, name, await at(2_000));
    });
    await each(`away, ${of}`, async (side, name) => {
      if (!side.keeps) return;
      const { spool, drain } = await spoolAndDrain(side, pairs(name), SPOOL_MS);
      addRate(rows.spool, rows.spoolCpu, name, spool);
      addRate(rows.drain, rows.drainCpu, name, drain);
    });
  }
  await each("paced, away", async (side, name) => {
    if (!side.keeps) return;
    for (const pair of pairs(name)) await pair.leave();
    add(rows.away99, name, (await paced(pairs(name), 2_000, PACED_MS, "accepted")).p99);
  });
  await stopAll();
  // Fresh ones: what the load left in their memory would hide what a connection needs.
  for (const name of names) {
    const side = await STARTS[name]();
    if (side === undefined) continue;
    running.set(name, side);
    await each(`idle, ${name}`, async () => {
      const { kilobytes, cpuMs } = await idle(side, IDLE);
      add(rows.memory, name, kilobytes);
      add(rows.connect, name, cpuMs);
    });
    await stopAll();
  }
}

async function stopAll(): Promise<void> {
  for (const side of running.values()) await side.stop();
  running.clear();
}

const median = (figures: readonly number[] | undefined): number | undefined =>
  figures?.toSorted((one, other) => one - other)[Math.floor((figures.length - 1) / 2)];
const format = (figure: number | undefined): string => {
  if (figure === undefined) return "–";
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
};

function print(): void {
  const others = names.filter((name) => name !== "sotto");
  const head = ["", "", ...names, ...others.map((name) => `sotto : ${name} (goal)`)];
  const lines = Object.values(rows).map(({ title, unit, more, goals, most, figures }) => {
    const own = median(figures.get("sotto"));
    const isMissed = most !== undefined && own !== undefined && own > most;
    const limit = most === undefined ? "" : ` (≤ ${most}${isMissed ? ", missed" : ""})`;
    return [
      title,
      unit,
      ...names.map((name) => format(median(figures.get(name))) + (name === "sotto" ? limit : "")),
      ...others.map((name) => {
        const other = median(figures.get(name));
        if (own === undefined || other === undefined) return "–";
        const ratio = own / other;
        const wanted = goals.find(({ beside }) => beside === name)?.ratio;
        if (wanted === undefined) return ratio.toFixed(2);
        const isMet = more ? ratio >= wanted : ratio <= wanted;
        return `${ratio.toFixed(2)} (${more ? "≥" : "≤"} ${wanted}${isMet ? "" : ", missed"})`;
      }),
    ];
  });
  const table = [head, ...lines];
  const widths = head.map((_, column) =>
    Math.max(...table.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of table) {
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
  console.log(
    [
      "",
      `Medians of ${ROUNDS}; ${PAIRS} pairs, 8 unanswered messages each, messages of 1 KiB, load and servers on one machine.`,
      "Arrived: at the receiver, who acknowledges each to sotto (which deletes it then) and none to the others.",
      "Says it has it: OK of sotto, after the flush; XEP-0198 <a/> of the others, which flush nothing.",
    ].join("\n"),
  );
  for (const note of notes) console.log(`! ${note}`);
}

try {
  await measure();
  print();
} finally {
  await stopAll();
}
// Sockets that were cut off would keep the process for a while.
process.exit(0);
