/** The process attackers run in: `attacker.ts <name> <ours|libp2p> <port> <milliseconds> <line>`; prints its tally as JSON. */
import { ATTACKS, type Field, type Tally } from "./attacks.ts";

const [name = "", side = "", port = "", ms = "", line = ""] = process.argv.slice(2);
const attack = ATTACKS[name]?.[side === "libp2p" ? "libp2p" : "ours"];
if (attack === undefined) throw new Error(`no attack ${name} on ${side}`);

const tally: Tally = { attempts: 0, refused: 0 };
const sockets = new Set<{ destroy(): void }>();
const end = performance.now() + Number(ms);
const field: Field = {
  port: Number(port),
  line,
  goesOn: () => performance.now() < end,
  tally,
  keep: (socket) => void sockets.add(socket),
};
/** An attack that waits for an answer that never comes ends too. */
const GRACE_MS = 2_000;
const late = new Promise((resolve) => setTimeout(resolve, Number(ms) + GRACE_MS));
await Promise.race([attack(field), late]);
for (const socket of sockets) socket.destroy();
process.stdout.write(`${JSON.stringify(tally)}\n`, () => process.exit(0));
