/** An upgrade as clients see it: the relay goes, another takes its place, and real clients come over by themselves. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nobleBackend } from "@sotto/crypto";
import { createHub, type Hub, type HubEvents } from "@sotto/transport";
import { asEnvelopeId, asQueueId, asSendId } from "@sotto/wire";
import { afterEach, expect, test } from "vitest";
import { killAll, type RunningRelay, startProcess } from "../../relay/test/relay-process.ts";

const MESSAGES = 400;
/** Messages on their way at any time. */
const WINDOW = 16;
/** Between two tries of a message that was not answered. */
const RETRY_MS = 50;

let data: string | undefined;
const hubs: Hub[] = [];
afterEach(async () => {
  await Promise.all(hubs.splice(0).map((hub) => hub.close()));
  await killAll();
  if (data !== undefined) rmSync(data, { recursive: true });
});

const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(randomBytes(length));

function connect(port: number, events: Partial<HubEvents>): Promise<Hub> {
  return new Promise((resolve) => {
    const hub: Hub = createHub({
      url: `ws://127.0.0.1:${port}/hub`,
      relayKey: undefined,
      readerSecret: bytes(32),
      crypto: nobleBackend,
      entropy: bytes,
      events: {
        relayKey: () => undefined,
        deliver: () => undefined,
        signalled: () => undefined,
        drained: () => undefined,
        missing: () => undefined,
        ...events,
        state(state) {
          events.state?.(state);
          if (state === "online") resolve(hub);
        },
      },
    });
    hubs.push(hub);
    hub.start();
  });
}

test("clients come over to the next relay by themselves, and nothing that was answered is lost", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-drain-"));
  data = folder;
  const start = (port: number): Promise<RunningRelay> =>
    startProcess(["--data", folder, "--port", String(port), "--operations-port", "0"]);
  const first = await start(0);
  const { port } = first;

  const received = new Set<string>();
  let readers = 0;
  let enough = (): void => undefined;
  const reader: Hub = await connect(port, {
    state: (state) => (readers += state === "online" ? 1 : 0),
    deliver({ queueId, sequence, id }) {
      received.add(Buffer.from(id).toString("hex"));
      reader.ack(queueId, sequence);
      if (received.size === MESSAGES) enough();
    },
  });
  const firstUse = bytes(16);
  const made = await reader.makeQueue({ queueId: asQueueId(bytes(24)), firstUse, ttlHours: 24 });
  if (!made.ok) throw new Error(made.reason);
  const target = { sendId: asSendId(made.sendId), sendSecret: bytes(32), firstUse };
  const sender = await connect(port, {});

  const promised = new Set<string>();
  let left = MESSAGES;
  let half = (): void => undefined;
  const halfway = new Promise<void>((resolve) => (half = resolve));
  async function send(): Promise<void> {
    while (left-- > 0) {
      const id = asEnvelopeId(bytes(16));
      const blob = bytes(512);
      while ((await sender.append(target, id, blob).catch(() => "failed")) !== "ok") {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
      promised.add(Buffer.from(id).toString("hex"));
      if (promised.size === MESSAGES / 2) half();
    }
  }
  const sending = Promise.all(Array.from({ length: WINDOW }, send));
  await halfway;
  first.child.kill("SIGTERM");
  expect(await first.ended).toBe(0);
  await start(port);
  await sending;
  await new Promise<void>((resolve) => {
    enough = resolve;
    if (received.size === MESSAGES) resolve();
  });
  expect(promised).toEqual(received);
  expect(readers).toBe(2);
});
