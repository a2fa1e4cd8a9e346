/** The relay as a process of its own: what it prints, how it dies, what it remembers. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { append, connect, newLinkId, pair, random } from "./client.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
let data: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "sotto-process-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(data, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["--conditions=@sotto/source", MAIN, ...args], {
    env: { ...process.env, NODE_OPTIONS: "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const output = { out: "", err: "" };
  child.stdout.on("data", (part) => (output.out += String(part)));
  child.stderr.on("data", (part) => (output.err += String(part)));
  return { child, output };
}

async function start(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Running> {
  const { child, output } = run(["--port", "0", "--data", data, "--no-circuit", ...args], env);
  while (!output.out.includes("\n")) {
    const event = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    if (child.exitCode !== null) throw new Error(`${String(event)} ${output.err}`);
  }
  const port = Number(/localhost:(\d+)/.exec(output.out)?.[1]);
  return { child, port, stdout: () => output.out, stderr: () => output.err };
}

async function kill(running: Running, signal: NodeJS.Signals): Promise<unknown> {
  const exit = once(running.child, "exit");
  running.child.kill(signal);
  return (await exit)[0];
}

test("kill -9 after OK loses nothing, and the relay comes back as itself", async () => {
  const first = await start();
  const [alice, bob] = [await connect(first.port), await connect(first.port)];
  const bound = await pair(alice, bob);
  const offered = await alice.makeQueue(random(16));
  const [linkId, blob] = [newLinkId(), random(3_000)];
  await alice.request({ type: "bundle-put", alias: offered.alias, linkId, blob });
  alice.close();
  await alice.closed;
  const messages = Array.from({ length: 50 }, () => append(bound.alias, random(1_024)));
  const answers = await Promise.all(messages.map((message) => bob.request(message)));
  expect(new Set(answers.map(({ type }) => type))).toEqual(new Set(["ok"]));
  await kill(first, "SIGKILL");

  const second = await start();
  const again = await connect(second.port, alice.readerSeed);
  expect(again.hello.relayKey).toEqual(alice.hello.relayKey);
  await again.request({ type: "queue-open", queueIds: [bound.queueId] });
  for (const message of messages) {
    const delivered = await again.next("deliver");
    expect(delivered).toMatchObject({ id: message.id, blob: message.blob });
    again.ack(delivered.alias, delivered.sequence);
  }
  await again.next("drained");
  expect(await again.request({ type: "bundle-get", linkId })).toEqual({ type: "bundle", blob });
  const sender = await connect(second.port);
  const opened = await sender.openSender(bound.sendId, bound.sendSecret);
  expect(opened.type).toBe("sender");
});

test("under random kills no answered message is lost", async () => {
  let running = await start();
  const alice = await connect(running.port);
  let bob = await connect(running.port);
  const bound = await pair(alice, bob);
  alice.close();
  let { alias } = bound;
  const promised = new Map<string, Uint8Array>();
  for (const afterAnswers of [3, 17, 40]) {
    let answers = 0;
    const enough = new Promise<void>((resolve) => {
      for (let index = 0; index < 60; index++) {
        const message = append(alias, random(4_096));
        bob.request(message).then(
          (answer) => {
            if (answer.type !== "ok") return;
            promised.set(Buffer.from(message.id).toString("hex"), message.blob);
            if (++answers === afterAnswers) resolve();
          },
          () => undefined,
        );
      }
    });
    await enough;
    await kill(running, "SIGKILL");
    await bob.closed;
    running = await start();
    bob = await connect(running.port);
    const opened = await bob.openSender(bound.sendId, bound.sendSecret);
    if (opened.type !== "sender") throw new Error("the sender was forgotten");
    ({ alias } = opened);
  }
  const again = await connect(running.port, alice.readerSeed);
  const opened = await again.request({ type: "queue-open", queueIds: [bound.queueId] });
  const backlog = opened.type === "queues" ? (opened.queues[0]?.backlog ?? 0) : 0;
  expect(backlog).toBeGreaterThanOrEqual(promised.size);
  for (let index = 0; index < backlog; index++) {
    const { alias: own, sequence, id, blob } = await again.next("deliver");
    again.ack(own, sequence);
    const key = Buffer.from(id).toString("hex");
    if (promised.has(key)) expect(blob).toEqual(promised.get(key));
    promised.delete(key);
  }
  expect(promised.size).toBe(0);
});

test("a writing thread that dies ends the process with an error, and nothing answered is lost", async () => {
  const dying = `
    import { isMainThread, parentPort } from "node:worker_threads";
    let batches = 0;
    if (!isMainThread) parentPort.on("message", () => {
      if (++batches === 12) throw new RangeError("planted");
    });
  `;
  const preload = `--import=data:text/javascript,${encodeURIComponent(dying)}`;
  const first = await start(["--log-format", "json"], { NODE_OPTIONS: preload });
  const exit = once(first.child, "exit");
  const [alice, bob] = [await connect(first.port), await connect(first.port)];
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  const kept = new Set<string>();
  const send = async (): Promise<void> => {
    for (;;) {
      const message = append(bound.alias);
      const answer = await bob.request(message).catch(() => undefined);
      if (answer?.type !== "ok") return;
      kept.add(Buffer.from(message.id).toString("hex"));
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  expect((await exit)[0]).toBe(1);
  expect(first.stderr()).toMatch(/"event":"crashed","name":"RangeError"/);
  expect(kept.size).toBeGreaterThan(0);

  const second = await start();
  const again = await connect(second.port, alice.readerSeed);
  await again.request({ type: "queue-open", queueIds: [bound.queueId] });
  while (kept.size > 0) {
    const { alias, sequence, id } = await again.next("deliver");
    kept.delete(Buffer.from(id).toString("hex"));
    again.ack(alias, sequence);
  }
  again.close();
});

test("SIGTERM says goodbye, keeps what was held, and ends well", async () => {
  const running = await start();
  const [alice, bob] = [await connect(running.port), await connect(running.port)];
  const bound = await pair(alice, bob);
  void bob.request(append(bound.alias)).catch(() => undefined);
  const held = await alice.next("deliver");
  const exit = kill(running, "SIGTERM");
  const bye = await alice.next("bye");
  expect(bye.code).toBe("draining");
  expect(bye.retryAfterMs).toBeGreaterThan(0);
  expect(await exit).toBe(0);
  expect(running.stdout()).toBe(`Sotto is ready: http://localhost:${running.port}\n`);

  const second = await start();
  const again = await connect(second.port, alice.readerSeed);
  await again.request({ type: "queue-open", queueIds: [bound.queueId] });
  expect(await again.next("deliver")).toMatchObject({ id: held.id });
});

test("the disk holds no sendId, no first-use secret, no link and no address", async () => {
  const running = await start();
  const [alice, bob] = [await connect(running.port), await connect(running.port)];
  const firstUse = random(16);
  const { alias, sendId } = await alice.makeQueue(firstUse);
  const linkId = newLinkId();
  await alice.request({ type: "bundle-put", alias, linkId, blob: random(100) });
  await bob.openSender(sendId, random(32), firstUse);
  await kill(running, "SIGKILL");
  const files = readdirSync(data).map((name) => readFileSync(join(data, name)));
  for (const secret of [sendId, firstUse, linkId]) {
    expect(files.some((file) => file.includes(Buffer.from(secret)))).toBe(false);
  }
  expect(files.some((file) => file.includes("127.0.0.1"))).toBe(false);
  for (const name of readdirSync(data)) {
    expect(statSync(join(data, name)).mode & 0o077).toBe(0);
  }
});

test("options come from flags or the environment, and wrong ones are refused", async () => {
  const running = await start(["--public-url", "https://chat.example.com"]);
  expect(running.stdout()).toBe("Sotto is ready: https://chat.example.com\n");
  await kill(running, "SIGTERM");

  const fromEnv = run(["--no-circuit"], { SOTTO_PORT: "0", SOTTO_DATA: data });
  await once(fromEnv.child.stdout, "data");
  expect(fromEnv.output.out).toMatch(/^Sotto is ready: http:\/\/localhost:\d+\n$/);
  const second = run(["--port", "0", "--data", data]);
  expect((await once(second.child, "exit"))[0]).toBe(1);
  expect(second.output.err).toContain("another relay uses this data directory");

  for (const args of [
    ["--port", "65536"],
    ["--port", "x"],
    ["--public-url", "chat"],
    ["--max-bytes", "1048575"],
    ["--max-bytes", "8T"],
    ["--max-bytes", "-1"],
    // No client can prove that it knows one.
    ["--invite-code", "x"],
  ]) {
    // A relay that starts after all must not be mistaken for a refusal of its port or its data.
    const { child } = run(["--port", "0", "--data", data, "--no-circuit", ...args]);
    expect((await once(child, "exit"))[0]).toBe(1);
  }
  const help = run(["--help"]);
  await once(help.child, "close");
  for (const flag of ["--port", "--host", "--data", "--app", "--public-url", "SOTTO_DATA"]) {
    expect(help.output.out).toContain(flag);
  }
  expect(help.output.out).not.toContain("invite-code");
});

test.each([
  ["--max-bytes", {}],
  [undefined, { SOTTO_MAX_BYTES: "1m" }],
])("room is limited by %s or the environment", async (flag, env) => {
  const { port } = await start(flag === undefined ? [] : [flag, "1M"], env);
  const [alice, bob] = [await connect(port), await connect(port)];
  const bound = await pair(alice, bob);
  alice.close();
  await alice.closed;
  // With its row, the sixteenth of them is a little too much.
  const answers: string[] = [];
  for (let index = 0; index < 16; index++) {
    const answer = await bob.request(append(bound.alias, random(65_536)));
    answers.push(answer.type === "error" ? answer.code : answer.type);
  }
  expect(answers).toEqual([...Array.from({ length: 15 }, () => "ok"), "full"]);
});

test("a damaged key file is not replaced", async () => {
  writeFileSync(join(data, "identity.key"), "short");
  const { child, output } = run(["--port", "0", "--data", data]);
  expect((await once(child, "exit"))[0]).toBe(1);
  expect(output.err).toContain("identity.key");
  expect(readFileSync(join(data, "identity.key"), "utf8")).toBe("short");
});

test("a relay that is busy for a moment keeps out nobody who comes meanwhile", async () => {
  const relay = await start();
  relay.child.kill("SIGSTOP");
  // More than Node's own 511; a connection that the kernel drops is tried again after a second at the earliest.
  const sockets = Array.from({ length: 1_000 }, () => connectTcp(relay.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => undefined);
  try {
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    relay.child.kill("SIGCONT");
    expect((await fetch(`http://localhost:${relay.port}/healthz`)).status).toBe(200);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});
