/** What one relay process needs for what it carries: memory, processor and disk of each thing, beside a bare WebSocket server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { makeCertificate } from "../../relay/test/certificates.ts";
import { append, type Client, connectTo, pair, random } from "../../relay/test/client.ts";
import { killAll, startProcess } from "../../relay/test/relay-process.ts";
import type { Measure } from "./main.ts";

/** Measured between the two, so that what a process costs without any of them does not count. */
const FEW = 500;
const MANY = 2_500;
const AT_ONCE = 50;
const QUEUES = 4_000;
const MESSAGES = 8_000;
const WINDOW = 64;
const MESSAGE_BYTES = 4_096;
const KB = 1_024;
/** Linux counts processor time in hundredths. */
const TICKS_PER_SECOND = 100;

export async function benchCapacity(): Promise<readonly Measure[]> {
  const directory = mkdtempSync(join(tmpdir(), "sotto-capacity-"));
  try {
    const bare = await idle(await startBare(), (url) => open(new WebSocket(url)));
    const plain = await startProcess(["--data", join(directory, "plain")]);
    const relay = await idle(
      { child: plain.child, url: `ws://127.0.0.1:${plain.port}/hub` },
      member,
    );
    const files = makeCertificate(directory, "bench.example");
    const flags = ["--tls-certificate", files.certificate, "--tls-key", files.key];
    const secure = await startProcess(["--data", join(directory, "secure"), ...flags]);
    const tls = await idle(
      { child: secure.child, url: `wss://127.0.0.1:${secure.port}/hub` },
      member,
    );
    await killAll();
    return [
      { name: "idle client with one queue", value: relay.kilobytes, unit: "KB" },
      {
        name: "… beside a socket of a bare WebSocket server",
        value: relay.kilobytes / bare.kilobytes,
        unit: "×",
      },
      { name: "idle client over the relay's own TLS", value: tls.kilobytes, unit: "KB" },
      {
        name: "processor: client connects, proves itself, makes a queue",
        value: relay.connectMs,
        unit: "ms",
      },
      { name: "… over TLS", value: tls.connectMs, unit: "ms" },
      {
        name: "… beside a connection of a bare WebSocket server",
        value: relay.connectMs / bare.connectMs,
        unit: "×",
      },
      ...(await queues(directory)),
      ...(await messages(directory)),
    ];
  } finally {
    await killAll();
    rmSync(directory, { recursive: true });
  }
}

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

/** `ws` alone, answering what comes. */
async function startBare(): Promise<Served> {
  const source = `
    import { WebSocketServer } from "ws";
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
    server.on("listening", () => console.log(server.address().port));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: fileURLToPath(new URL("../../relay", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = await once(child.stdout, "data");
  return { child, url: `ws://127.0.0.1:${String(port).trim()}` };
}

async function open(socket: WebSocket): Promise<() => void> {
  await once(socket, "open");
  return () => socket.terminate();
}

async function member(url: string): Promise<() => void> {
  const client = await connectTo(new WebSocket(url, { rejectUnauthorized: false }));
  await client.makeQueue(random(16));
  return () => client.close();
}

async function idle(
  { child, url }: Served,
  connect: (url: string) => Promise<() => void>,
): Promise<{ readonly kilobytes: number; readonly connectMs: number }> {
  const ends: (() => void)[] = [];
  const upTo = async (count: number): Promise<void> => {
    while (ends.length < count) {
      ends.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => connect(url)))));
    }
  };
  try {
    await upTo(FEW);
    const before = { memory: residentKb(child), cpu: cpuSeconds(child) };
    await upTo(MANY);
    const count = MANY - FEW;
    return {
      kilobytes: (residentKb(child) - before.memory) / count,
      connectMs: ((cpuSeconds(child) - before.cpu) * 1_000) / count,
    };
  } finally {
    for (const end of ends) end();
    child.kill("SIGKILL");
    await once(child, "close");
  }
}

async function queues(directory: string): Promise<readonly Measure[]> {
  const { child, port } = await startProcess(["--data", join(directory, "queues")]);
  const owner = await connectTo(new WebSocket(`ws://127.0.0.1:${port}/hub`));
  const make = async (count: number): Promise<void> => {
    for (let made = 0; made < count; made += WINDOW) {
      await Promise.all(Array.from({ length: WINDOW }, () => owner.makeQueue(random(16))));
    }
  };
  await make(FEW);
  owner.close();
  const before = residentKb(child);
  const other = await connectTo(new WebSocket(`ws://127.0.0.1:${port}/hub`));
  for (let made = 0; made < QUEUES; made += WINDOW) {
    await Promise.all(Array.from({ length: WINDOW }, () => other.makeQueue(random(16))));
  }
  const each = ((residentKb(child) - before) * KB) / QUEUES;
  other.close();
  await killAll();
  return [{ name: "queue, open at its owner", value: each, unit: "bytes of memory" }];
}

async function messages(directory: string): Promise<readonly Measure[]> {
  const data = join(directory, "messages");
  const { child, port } = await startProcess([
    "--data",
    data,
    "--queue-messages",
    String(MESSAGES),
    "--queue-bytes",
    "1G",
  ]);
  const client = (): Promise<Client> => connectTo(new WebSocket(`ws://127.0.0.1:${port}/hub`));
  const [alice, bob] = [await client(), await client()];
  const bound = await pair(alice, bob);
  const online = await cpuPerMessage(child, bob, bound.alias, async (count) => {
    for (let taken = 0; taken < count; taken++) {
      const { alias, sequence } = await alice.next("deliver");
      alice.ack(alias, sequence);
    }
  });
  alice.close();
  await alice.closed;
  const away = await cpuPerMessage(child, bob, bound.alias, () => Promise.resolve());
  bob.close();
  await bob.closed;
  const stopped = once(child, "close");
  child.kill("SIGTERM");
  await stopped;
  const stored = statSync(join(data, "relay.db")).size / MESSAGES;
  return [
    {
      name: `processor: ${MESSAGE_BYTES / KB} KiB message to somebody who is here`,
      value: online,
      unit: "µs",
    },
    { name: "… to somebody who is away, on disk before OK", value: away, unit: "µs" },
    {
      name: "… file bytes of each that waits, beside its size",
      value: stored / MESSAGE_BYTES,
      unit: "×",
    },
  ];
}

async function cpuPerMessage(
  child: ChildProcess,
  sender: Client,
  alias: number,
  take: (count: number) => Promise<void>,
): Promise<number> {
  const before = cpuSeconds(child);
  const taken = take(MESSAGES);
  let left = MESSAGES;
  const send = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await sender.request(append(alias, random(MESSAGE_BYTES)));
      if (answer.type !== "ok") throw new Error(JSON.stringify(answer));
    }
  };
  await Promise.all([taken, ...Array.from({ length: WINDOW }, send)]);
  return ((cpuSeconds(child) - before) * 1_000_000) / MESSAGES;
}

const residentKb = ({ pid }: ChildProcess): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

/** All threads, in the kernel and out of it. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
