/** One attack on one relay while honest people go on, and what came of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openAdmissionStore } from "sotto-relay";
import { CODE_LETTERS, CODE_USES_MAX, DAY_MS, hashOfCode, makeCode } from "sotto-relay/core";
import { BEGIN, READY, type Tally } from "./attacks.ts";
import { gather, type Honest } from "./honest.ts";
import { bytes } from "./mallory.ts";
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
  "queues for work": ["--max-queues", "8000", "--queue-burst", "8"],
  "queues without a code": ["--door", "invite"],
  "disk full": ["--min-free", "8M", "--max-bytes", "1G"],
};

export async function attackOurs(name: string, ms: number): Promise<Outcome> {
  const data = mkdtempSync(join(tmpdir(), "sotto-attack-"));
  const victim = await startOurs(OPTIONS[name], name === "disk full", data);
  try {
    const isAsked = OPTIONS[name]?.includes("invite") === true;
    const crowd = await gather(victim.port, isAsked ? addCode(data) : undefined);
    victim.resetPeak();
    const attack = startAttacker(name, "ours", victim.port, ms, "", () => victim.resetPeak());
    await attack.ready;
    const honest = await crowd.run(attack.over);
    return { ...honest, tally: await attack.over, memory: victim.peak() };
  } finally {
    await victim.stop();
  }
}

/** `begin`: the relay's memory is to be watched from now on. */
export function startAttacker(
  name: string,
  side: "ours" | "libp2p",
  port: number,
  ms: number,
  line = "",
  begin: () => void = () => undefined,
): { readonly ready: Promise<void>; readonly over: Promise<Tally> } {
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
  let tally: Tally | undefined;
  const said = createInterface(child.stdout);
  const ready = new Promise<void>((resolve) => {
    said.on("line", (heard) => {
      if (heard === READY) resolve();
      else if (heard === BEGIN) begin();
      else tally = JSON.parse(heard) as Tally;
    });
    said.once("close", resolve);
  });
  const over = once(said, "close").then(() => {
    if (tally === undefined) throw new Error(`the attackers of "${name}" ended without a word`);
    return tally;
  });
  return { ready, over };
}

/** As `sotto-relay invite` does, for everybody honest. */
function addCode(data: string): string {
  const code = makeCode(bytes(CODE_LETTERS));
  const hash = hashOfCode(code);
  const store = openAdmissionStore(data);
  if (hash !== undefined) store.addCode(hash, CODE_USES_MAX, Math.floor(Date.now() / DAY_MS) + 1);
  store.close();
  return code;
}
