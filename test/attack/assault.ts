/** One attack on one relay while honest people go on, and what came of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Tally } from "./attacks.ts";
import { gather, type Honest } from "./honest.ts";
import { startOurs, type Victim } from "./our-relay.ts";

const ATTACKER = fileURLToPath(new URL("./attacker.ts", import.meta.url));

export interface Outcome extends Honest {
  readonly tally: Tally;
  /** Bytes in memory before the attack, and at most during it. */
  readonly memory: ReturnType<Victim["peak"]>;
}

/** What an attack needs of a relay to have an end in some seconds: small rooms are full sooner. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  "queue / reservation exhaustion": ["--max-queues", "8000"],
  "disk full": ["--min-free", "8M", "--max-bytes", "1G"],
};

export async function attackOurs(name: string, ms: number): Promise<Outcome> {
  const victim = await startOurs(OPTIONS[name], name === "disk full");
  try {
    const crowd = await gather(victim.port);
    victim.resetPeak();
    const attack = startAttacker(name, "ours", victim.port, ms);
    const honest = await crowd.run(attack);
    return { ...honest, tally: await attack, memory: victim.peak() };
  } finally {
    await victim.stop();
  }
}

export async function startAttacker(
  name: string,
  side: "ours" | "libp2p",
  port: number,
  ms: number,
  line = "",
): Promise<Tally> {
  const child = spawn(
    process.execPath,
    [
      "--conditions=@sotto/source",
      "--disable-warning=ExperimentalWarning",
      ATTACKER,
      name,
      side,
      String(port),
      String(ms),
      line,
    ],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NODE_OPTIONS: "" } },
  );
  let said = "";
  child.stdout.on("data", (part) => (said += String(part)));
  await once(child, "exit");
  return JSON.parse(said) as Tally;
}
