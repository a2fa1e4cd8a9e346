/**
 * People who do nothing wrong while somebody attacks: pairs that write to each other, messages for devices that are
 * away, and newcomers that meet for the first time. All of them with the real client, each from an address of its own.
 */
import { nodeBackend } from "@sotto/engines/node";
import {
  createHub,
  type Hub,
  type HubEvents,
  type HubOptions,
  type SendTarget,
} from "@sotto/transport";
import { fetchToken } from "@sotto/transport/admission";
import { asEnvelopeId, asQueueId, bytesToHex, HUB_PATH } from "@sotto/wire";
import { bytes } from "./mallory.ts";

const PAIRS = 6;
const AWAY = 2;
const EVERY_MS = 100;
const NEWCOMERS_EVERY_MS = 500;
/** So long the relay has to come back to itself before what it promised counts as lost. */
const RECOVERY_MS = 60_000;
/** A message that takes longer counts as not delivered. */
export const PATIENCE_MS = 5_000;

export interface Honest {
  /** To people who are here. */
  readonly sent: number;
  readonly delivered: number;
  /** To people who are away: what the relay promised to keep. */
  readonly sentAway: number;
  readonly kept: number;
  /** Promised by the relay and never seen, neither during the attack nor after it. */
  readonly acknowledgedLost: number;
  /** From the end of the attack until everything promised was seen. */
  readonly recoveryMs: number;
  readonly p95Ms: number;
  readonly newcomers: number;
  readonly welcomed: number;
  /** From the first socket to the first message in hand. */
  readonly newcomerP95Ms: number;
}

interface Letter {
  readonly sentAt: number;
  deliveredAt: number | undefined;
  isPromised: boolean;
  readonly isAway: boolean;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** NaN of nothing. */
export const p95 = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * 0.95)] ?? Number.NaN;

const randomBelow = (max: number): number => Math.floor(Math.random() * max);

const admitter =
  (relayUrl: string, code: string): NonNullable<HubOptions["admit"]> =>
  async ({ relayKey }) => {
    const credential = { code };
    const asked = { relayUrl, relayKey, credential, crypto: nodeBackend, entropy: bytes };
    const answer = await fetchToken(asked);
    return answer.ok ? answer.token : undefined;
  };

/** A client behind the proxy, at an address that nobody else has. */
function createClient(
  port: number,
  address: string,
  events: Partial<HubEvents>,
  readerSecret = bytes(32),
  code?: string,
): Hub {
  // The platform's WebSocket takes headers in Node; a browser's proxy would add this one.
  const Proxied = class extends WebSocket {
    constructor(url: string) {
      const options: object = { headers: { "x-forwarded-for": address } };
      super(url, options as string[]);
    }
  };
  const hub = createHub({
    url: `ws://127.0.0.1:${port}${HUB_PATH}`,
    relayKey: undefined,
    readerSecret,
    crypto: nodeBackend,
    entropy: bytes,
    WebSocket: Proxied,
    ...(code === undefined ? {} : { admit: admitter(`http://127.0.0.1:${port}`, code) }),
    events: {
      state: () => undefined,
      relayKey: () => undefined,
      deliver: () => undefined,
      signalled: () => undefined,
      drained: () => undefined,
      missing: () => undefined,
      ...events,
    },
  });
  hub.start();
  return hub;
}

const addressOf = (index: number): string => `203.0.${113 + (index >> 8)}.${index & 255 || 1}`;

async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await wait(10);
  return condition();
}

async function address(
  owner: Hub,
): Promise<{ queueId: Uint8Array; target: SendTarget } | undefined> {
  const [queueId, firstUse] = [asQueueId(bytes(24)), bytes(16)];
  const end = performance.now() + PATIENCE_MS;
  let made = await owner.makeQueue({ queueId, firstUse, ttlHours: 24 });
  // Where a relay asks for a code, it is shown after the first no.
  while (!made.ok && performance.now() < end) {
    await wait(50);
    made = await owner.makeQueue({ queueId, firstUse, ttlHours: 24 });
  }
  if (!made.ok) return undefined;
  return { queueId, target: { sendId: made.sendId, sendSecret: bytes(32), firstUse } };
}

export interface Crowd {
  /** Goes on until `over`, then waits for what was promised. */
  run(over: Promise<unknown>): Promise<Honest>;
}

/** Everybody is connected and has met when it resolves. `code`: what the relay lets in. */
export async function gather(port: number, code?: string): Promise<Crowd> {
  const letters = new Map<string, Letter>();
  let nextAddress = 1;
  const reader = (seed = bytes(32)): Hub => {
    const hub: Hub = createClient(
      port,
      addressOf(nextAddress++),
      {
        deliver({ queueId, sequence, id }) {
          const letter = letters.get(bytesToHex(id));
          if (letter !== undefined) letter.deliveredAt ??= performance.now();
          hub.ack(queueId, sequence);
        },
      },
      seed,
      code,
    );
    return hub;
  };
  const hubs: Hub[] = [];
  const lines: { sender: Hub; target: SendTarget; isAway: boolean }[] = [];
  const away: { seed: Uint8Array<ArrayBuffer>; queueId: Uint8Array }[] = [];
  for (let index = 0; index < PAIRS + AWAY; index++) {
    const seed = bytes(32);
    const owner = reader(seed);
    const sender = createClient(port, addressOf(nextAddress++), {});
    const made = await address(owner);
    if (made === undefined) throw new Error("nobody could meet before the attack");
    const isAway = index >= PAIRS;
    if (isAway) {
      await owner.close();
      away.push({ seed, queueId: made.queueId });
    } else hubs.push(owner);
    hubs.push(sender);
    lines.push({ sender, target: made.target, isAway });
  }
  /** Infinity: they gave up. */
  const meetings: number[] = [];

  async function write({ sender, target, isAway }: (typeof lines)[number]): Promise<void> {
    const id = asEnvelopeId(bytes(16));
    const letter: Letter = {
      sentAt: performance.now(),
      deliveredAt: undefined,
      isPromised: false,
      isAway,
    };
    letters.set(bytesToHex(id), letter);
    const blob = bytes(512);
    // As an outbox does: again until there is an answer.
    while (performance.now() - letter.sentAt < PATIENCE_MS) {
      const outcome = await sender.append(target, id, blob);
      if (outcome === "ok") letter.isPromised = true;
      if (outcome !== "lost") return;
      await wait(50);
    }
  }

  /** Two strangers meet: an offer, an address, a first message. */
  async function meet(): Promise<void> {
    const began = performance.now();
    const mail = { isThere: false };
    const deliver: HubEvents["deliver"] = ({ queueId, sequence }) => {
      mail.isThere = true;
      owner.ack(queueId, sequence);
    };
    const owner: Hub = createClient(port, addressOf(nextAddress++), { deliver }, bytes(32), code);
    const sender = createClient(port, addressOf(nextAddress++), {});
    const made = await Promise.race([address(owner), wait(PATIENCE_MS)]);
    if (made !== undefined) {
      const id = asEnvelopeId(bytes(16));
      while (!mail.isThere && performance.now() - began < PATIENCE_MS) {
        if ((await sender.append(made.target, id, bytes(512))) === "ok") {
          await until(() => mail.isThere, PATIENCE_MS);
        } else await wait(50);
      }
    }
    const took = performance.now() - began;
    meetings.push(mail.isThere && took < PATIENCE_MS ? took : Infinity);
    await Promise.all([owner.close(), sender.close()]);
  }

  return {
    async run(over) {
      const time = { isOver: false };
      void over.then(() => (time.isOver = true));
      const running: Promise<void>[] = [];
      const writing = lines.map(async (line) => {
        await wait(randomBelow(EVERY_MS));
        while (!time.isOver) {
          running.push(write(line));
          await wait(EVERY_MS);
        }
      });
      const meeting = (async () => {
        while (!time.isOver) {
          running.push(meet());
          await wait(NEWCOMERS_EVERY_MS);
        }
      })();
      await Promise.all([...writing, meeting]);
      await Promise.all(running);
      const readers = away.map(({ seed, queueId }) => {
        const hub = reader(seed);
        hub.openQueues([asQueueId(new Uint8Array(queueId))]);
        return hub;
      });
      const all = [...letters.values()];
      const isLost = (letter: Letter): boolean =>
        letter.isPromised && letter.deliveredAt === undefined;
      const overAt = performance.now();
      await until(() => !all.some(isLost), RECOVERY_MS);
      const recoveryMs = performance.now() - overAt;
      const here = all.filter(({ isAway }) => !isAway);
      const delays = here.map(({ sentAt, deliveredAt }) => (deliveredAt ?? Infinity) - sentAt);
      await Promise.all([...hubs, ...readers].map((hub) => hub.close()));
      return {
        sent: here.length,
        delivered: delays.filter((ms) => ms <= PATIENCE_MS).length,
        sentAway: all.length - here.length,
        kept: all.filter(({ isAway, isPromised }) => isAway && isPromised).length,
        acknowledgedLost: all.filter(isLost).length,
        recoveryMs,
        p95Ms: p95(delays),
        newcomers: meetings.length,
        welcomed: meetings.filter((ms) => ms < PATIENCE_MS).length,
        newcomerP95Ms: p95(meetings),
      };
    },
  };
}
