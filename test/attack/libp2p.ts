/**
 * The same attacks on a default js-libp2p circuit relay, with people who talk through its circuits meanwhile.
 * It keeps no mail, so nothing can be promised and lost; who is away is not counted.
 */
import { fileURLToPath } from "node:url";
import type { Libp2p, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { type Outcome, startAttacker } from "./assault.ts";
import { p95, PATIENCE_MS } from "./honest.ts";
import { createNode } from "./libp2p-node.ts";
import { startVictim } from "./our-relay.ts";

const VICTIM = fileURLToPath(new URL("./libp2p-victim.ts", import.meta.url));
const ECHO = "/honest/echo/1";
const PAIRS = 3;
const EVERY_MS = 200;
/** Two nodes each: all of them come from one address, of which libp2p takes five a second. */
const NEWCOMERS_EVERY_MS = 2_000;
const MESSAGE_BYTES = 512;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function listen(relay: string, nodes: Libp2p[]): Promise<Libp2p> {
  const node = await createNode([`${relay}/p2p-circuit`]);
  nodes.push(node);
  await node.handle(
    ECHO,
    (stream) => {
      stream.addEventListener("message", (event) => {
        stream.send(event.data);
      });
    },
    { runOnLimitedConnection: true },
  );
  return node;
}

interface Line {
  /** As an outbox does: again until there is an answer. The milliseconds it took; Infinity: it gave up. */
  deliver(): Promise<number>;
}

/** One stream for all messages of a pair, and another when it ends. */
function createLine(relay: string, from: Libp2p, to: Libp2p): Line {
  const address = multiaddr(`${relay}/p2p-circuit/p2p/${to.peerId.toString()}`);
  let stream: Stream | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function say(patienceMs: number): Promise<void> {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(patienceMs)));
    const used = (stream ??= await from.dialProtocol(address, ECHO, {
      runOnLimitedConnection: true,
      signal,
    }));
    try {
      await new Promise<void>((resolve, reject) => {
        let left = MESSAGE_BYTES;
        used.addEventListener("message", (event) => {
          left -= event.data.byteLength;
          if (left <= 0) resolve();
        });
        const failed = (): void => reject(new Error("no answer"));
        used.addEventListener("close", failed);
        signal.addEventListener("abort", failed);
        used.send(new Uint8Array(MESSAGE_BYTES));
      });
    } catch (error) {
      stream = undefined;
      used.abort(new Error("no answer"));
      throw error;
    }
  }

  async function attempt(began: number): Promise<number> {
    const took = (): number => performance.now() - began;
    while (took() < PATIENCE_MS) {
      try {
        await say(PATIENCE_MS - took());
        return took();
      } catch {
        await wait(50);
      }
    }
    return Infinity;
  }

  return {
    deliver() {
      const began = performance.now();
      const one = last.then(() => attempt(began));
      last = one;
      return one;
    },
  };
}

export async function attackLibp2p(name: string, ms: number): Promise<Outcome> {
  const victim = await startVictim(process.execPath, [
    "--conditions=@sotto/source",
    "--disable-warning=ExperimentalWarning",
    VICTIM,
  ]);
  const relay = `/ip4/127.0.0.1/tcp/${victim.port}/ws/p2p/${victim.line.split(" ").at(-1)?.trim()}`;
  const nodes: Libp2p[] = [];
  try {
    const lines: Line[] = [];
    for (let index = 0; index < PAIRS; index++) {
      const to = await listen(relay, nodes);
      const from = await createNode();
      nodes.push(from);
      const line = createLine(relay, from, to);
      lines.push(line);
      if ((await line.deliver()) === Infinity) throw new Error("nobody could meet");
      // Of one address five a second may come.
      await wait(500);
    }
    victim.resetPeak();
    const attack = startAttacker(name, "libp2p", victim.port, ms, victim.line);
    await attack.ready;
    const time = { isOver: false };
    void attack.over.then(() => (time.isOver = true));
    const delays: Promise<number>[] = [];
    const meetings: Promise<number>[] = [];
    const writing = lines.map(async (line) => {
      while (!time.isOver) {
        delays.push(line.deliver());
        await wait(EVERY_MS);
      }
    });
    const meeting = (async () => {
      while (!time.isOver) {
        meetings.push(meet(relay, nodes));
        await wait(NEWCOMERS_EVERY_MS);
      }
    })();
    await Promise.all([...writing, meeting]);
    const took = await Promise.all(delays);
    const met = await Promise.all(meetings);
    return {
      sent: took.length,
      delivered: took.filter((one) => one <= PATIENCE_MS).length,
      sentAway: 0,
      kept: 0,
      acknowledgedLost: Number.NaN,
      recoveryMs: Number.NaN,
      p95Ms: p95(took),
      newcomerP95Ms: p95(met),
      newcomers: met.length,
      welcomed: met.filter((one) => one <= PATIENCE_MS).length,
      tally: await attack.over,
      memory: victim.peak(),
    };
  } finally {
    await victim.stop();
    await Promise.all(nodes.map((node) => Promise.race([node.stop(), wait(1_000)])));
  }
}

/** One newcomer takes a reservation, another reaches it there. */
async function meet(relay: string, nodes: Libp2p[]): Promise<number> {
  const began = performance.now();
  try {
    const to = await Promise.race([listen(relay, nodes), wait(PATIENCE_MS)]);
    if (to === undefined) return Infinity;
    const from = await createNode();
    nodes.push(from);
    const took = await createLine(relay, from, to).deliver();
    return took === Infinity ? took : performance.now() - began;
  } catch {
    return Infinity;
  }
}
