/** Durable messages through a real relay: appended, on disk, delivered, acknowledged, deleted. */
import { mkdtemp, open, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nobleBackend } from "@sotto/crypto";
import { createHub, type Hub, type HubEvents } from "@sotto/transport";
import { asEnvelopeId, asQueueId, asSendId, type SendId } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import type { Measure } from "./main.ts";

const MESSAGES = 4_000;
const ENVELOPE_BYTES = 512;
/** Appends without an answer at any time, as several conversations together have. */
const WINDOW = 64;
const SYNCS = 200;
const MS_PER_SECOND = 1_000;

export async function benchRelay(): Promise<readonly Measure[]> {
  const data = await mkdtemp(join(tmpdir(), "sotto-bench-relay-"));
  const relay = await startRelay({ port: 0, data, circuit: false });
  const url = `ws://127.0.0.1:${relay.port}/hub`;
  const received = counter();
  let reader: Hub | undefined;
  const readerUp = await connect(url, {
    deliver: ({ queueId, sequence }) => {
      reader?.ack(queueId, sequence);
      received.add();
    },
  });
  reader = readerUp;
  const sender = await connect(url, {});
  try {
    const online = await sendAll(reader, sender, received);
    const offline = await appendAll(reader, sender);
    const syncs = await syncsPerSecond(data);
    return [
      { name: "delivered to a connected device", value: online, unit: "messages/s" },
      { name: "kept for an absent device, on disk before OK", value: offline, unit: "messages/s" },
      { name: "yardstick: fsync of one page on this disk", value: syncs, unit: "syncs/s" },
      { name: "kept messages per fsync of the yardstick", value: offline / syncs, unit: "×" },
    ];
  } finally {
    await Promise.all([reader.close(), sender.close()]);
    await relay.close();
    await rm(data, { recursive: true });
  }
}

const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(randomBytes(length));

async function connect(url: string, events: Partial<HubEvents>): Promise<Hub> {
  const hub = await new Promise<Hub>((resolve) => {
    const made: Hub = createHub({
      url,
      relayKey: undefined,
      readerSecret: bytes(32),
      crypto: nobleBackend,
      entropy: bytes,
      events: {
        state: (state) => {
          if (state === "online") resolve(made);
        },
        relayKey: () => undefined,
        deliver: () => undefined,
        signalled: () => undefined,
        drained: () => undefined,
        missing: () => undefined,
        ...events,
      },
    });
    made.start();
  });
  return hub;
}

interface Target {
  readonly sendId: SendId;
  readonly sendSecret: Uint8Array;
  readonly firstUse: Uint8Array;
}

async function makeTarget(owner: Hub): Promise<Target> {
  const firstUse = bytes(16);
  const made = await owner.makeQueue({ queueId: asQueueId(bytes(24)), firstUse, ttlHours: 24 });
  if (!made.ok) throw new Error(made.reason);
  return { sendId: asSendId(made.sendId), sendSecret: bytes(32), firstUse };
}

async function sendAll(
  reader: Hub,
  sender: Hub,
  received: ReturnType<typeof counter>,
): Promise<number> {
  const target = await makeTarget(reader);
  const from = performance.now();
  const all = received.reaches(MESSAGES);
  await inWindow(MESSAGES, () => sender.append(target, asEnvelopeId(bytes(16)), envelope()));
  await all;
  return perSecond(MESSAGES, from);
}

/** The owner is not connected, so every message goes to the disk before its OK. */
async function appendAll(owner: Hub, sender: Hub): Promise<number> {
  const queues = await Promise.all(Array.from({ length: MESSAGES / 200 }, () => makeTarget(owner)));
  await owner.close();
  const from = performance.now();
  let at = 0;
  await inWindow(MESSAGES, () => {
    const target = queues[at++ % queues.length];
    if (target === undefined) throw new Error("no queue");
    return sender.append(target, asEnvelopeId(bytes(16)), envelope());
  });
  return perSecond(MESSAGES, from);
}

async function inWindow(count: number, run: () => Promise<string>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const outcome = await run();
      if (outcome !== "ok") throw new Error(outcome);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, worker));
}

function envelope(): Uint8Array<ArrayBuffer> {
  const blob = bytes(ENVELOPE_BYTES);
  blob[0] = 2;
  return blob;
}

async function syncsPerSecond(folder: string): Promise<number> {
  const file = await open(join(folder, "yardstick"), "w");
  const page = bytes(4_096);
  const from = performance.now();
  for (let count = 0; count < SYNCS; count++) {
    await file.write(page, 0, page.length, count * page.length);
    await file.sync();
  }
  await file.close();
  return perSecond(SYNCS, from);
}

const perSecond = (count: number, from: number): number =>
  (count * MS_PER_SECOND) / (performance.now() - from);

function counter(): { add(): void; reaches(target: number): Promise<void> } {
  let count = 0;
  let reached: (() => void) | undefined;
  let wanted = Infinity;
  return {
    add() {
      count++;
      if (count >= wanted) reached?.();
    },
    reaches: (target) =>
      new Promise((resolve) => {
        wanted = target;
        reached = resolve;
        if (count >= wanted) resolve();
      }),
  };
}
