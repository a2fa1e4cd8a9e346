/** The process attackers run in: `attacker.ts <name> <ours|libp2p> <port> <milliseconds> <line>`; prints its tally as JSON. */
import { ATTACKS, BEGIN, type Field, READY, type Tally } from "./attacks.ts";

const [name = "", side = "", port = "", ms = "", line = ""] = process.argv.slice(2);
const attack = ATTACKS[name]?.[side === "libp2p" ? "libp2p" : "ours"];
if (attack === undefined) throw new Error(`no attack ${name} on ${side}`);

/** As long as it takes on a machine that others use as well. */
const PREPARE_MS = 60_000;
const tally: Tally = { attempts: 0, refused: 0, missing: 0 };
const sockets = new Set<{ destroy(): void }>();
const preparedBy = performance.now() + PREPARE_MS;
let began: number | undefined;
let over: (() => void) | undefined;
const late = new Promise<void>((resolve) => (over = resolve));
/** An attack that waits for an answer that never comes ends too. */
const GRACE_MS = 2_000;
function ready(): void {
  if (began !== undefined) return;
  began = performance.now();
  setTimeout(() => over?.(), Number(ms) + GRACE_MS);
  process.stdout.write(`${READY}\n`);
}
setTimeout(ready, PREPARE_MS).unref();
const share = (): number => (began === undefined ? 0 : (performance.now() - began) / Number(ms));
const field: Field = {
  port: Number(port),
  line,
  prepares: () => began === undefined && performance.now() < preparedBy,
  ready,
  goesOn: () => share() < 1,
  share,
  begin: () => void process.stdout.write(`${BEGIN}\n`),
  tally,
  keep: (socket) => void sockets.add(socket),
};
await Promise.race([attack(field), late]);
for (const socket of sockets) socket.destroy();
process.stdout.write(`${JSON.stringify(tally)}\n`, () => process.exit(0));
