/** `npm run attack`: every attack on our relay, and the same on a default libp2p circuit relay, as a table. */
import { attackOurs } from "./assault.ts";
import { ATTACKS, NO_ATTACK } from "./attacks.ts";
import { attackLibp2p } from "./libp2p.ts";
import { limiterMemory } from "./limiter.ts";

const MS = 8_000;
const MIB = 1_048_576;
const only = process.argv[2];

const percent = (part: number, whole: number): string =>
  whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`;
const milliseconds = (ms: number): string => (ms === Infinity ? "never" : ms.toFixed(0));
const mib = (bytes: number): string => `${Math.round(bytes / MIB)}`;

/** What the newcomers of each side needed with nobody attacking: the machine has other work as well. */
const calm = new Map<string, number>();
/** Rows whose attack was not the one meant: they show nothing. */
let unmeant = 0;

const rows: string[][] = [
  [
    "attack",
    "relay",
    "honest delivered",
    "kept for the away",
    "newcomers met",
    "acknowledged lost",
    "all of it seen after ms",
    "p95 ms",
    "newcomers p95",
    "of no attack",
    "memory MiB",
    "tries",
    "refused",
    "",
  ],
];
for (const [name, { libp2p }] of Object.entries(ATTACKS)) {
  const isCalm = name === NO_ATTACK;
  if (only !== undefined && !name.includes(only) && !isCalm) continue;
  for (const [side, run] of [
    ["ours", attackOurs],
    ["libp2p", libp2p === undefined ? undefined : attackLibp2p],
  ] as const) {
    if (run === undefined) continue;
    const { tally, memory, ...honest } = await run(name, MS);
    if (isCalm) calm.set(side, honest.newcomerP95Ms);
    const isMeant = tally.missing === 0;
    if (!isMeant) unmeant++;
    const slower = honest.newcomerP95Ms / (calm.get(side) ?? Number.NaN);
    rows.push([
      name,
      side,
      percent(honest.delivered, honest.sent),
      percent(honest.kept, honest.sentAway),
      percent(honest.welcomed, honest.newcomers),
      side === "ours" ? String(honest.acknowledgedLost) : "–",
      side === "ours" ? milliseconds(honest.recoveryMs) : "–",
      milliseconds(honest.p95Ms),
      milliseconds(honest.newcomerP95Ms),
      Number.isFinite(slower) ? `${slower.toFixed(1)}x` : "–",
      `${mib(memory.before)} → ${mib(memory.peak)}`,
      String(tally.attempts),
      String(tally.refused),
      isMeant ? (tally.note ?? "") : `shows nothing: ${tally.missing} attackers never got ready`,
    ]);
    process.stderr.write(`${rows.at(-1)!.join(" | ")}\n`);
  }
}

const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
for (const row of rows) {
  console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join("  "));
}
if (only === undefined || "limiter memory".includes(only)) {
  const { keys, remembered, early, bytes } = limiterMemory();
  console.log(
    `\nlimiter memory: ${keys} places seen, ${remembered} remembered, ${mib(bytes)} MiB kept (${mib(early)} MiB when it was full)`,
  );
}
// What is left of sockets of the platform's WebSocket would keep the process for a while.
process.exit(unmeant === 0 ? 0 : 1);
