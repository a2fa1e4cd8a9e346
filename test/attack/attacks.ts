/**
 * What attackers do to a relay, each for so long as they are let. All on loopback, all bounded: so many sockets, so
 * many tries per second, and an end.
 * Leaves to attacker.ts: the process they run in; to honest.ts: what others notice of it.
 */
import { findWork } from "@sotto/crypto";
import {
  asLinkId,
  asQueueId,
  encodeFrame,
  HUB_PATH,
  type HubFrame,
  type QueueId,
  workTranscript,
} from "@sotto/wire";
import { bytes, enter, envelope, guessCode, knock, type Mallory } from "./mallory.ts";
import { type From, headOf, openRaw, openTcp } from "./raw-socket.ts";

export interface Tally {
  attempts: number;
  /** Tries that the relay did not take: refused, answered with an error, or cut off. */
  refused: number;
  /** Attackers that were to be there when it began and could not get in: with any, the attack was not the one meant. */
  missing: number;
  /** What else is worth printing. */
  note?: string;
}

/** What the attackers' process says when all are there and the time runs. */
export const READY = "ready";
/** What it says when the relay's memory is to be watched. */
export const BEGIN = "begin";

export interface Field {
  readonly port: number;
  /** What the relay said when it was ready; libp2p's peer id is the last word of it. */
  readonly line: string;
  /** False when getting ready has taken too long. */
  prepares(): boolean;
  /** The time begins with the first call: on a busy machine getting ready may take longer than the whole attack. */
  ready(): void;
  /** False once the time is over. */
  goesOn(): boolean;
  /** Of the time, so much is over. */
  share(): number;
  /** The relay's memory is watched from here on. */
  begin(): void;
  readonly tally: Tally;
  /** Called with the other end of every socket, so that all of them are closed at the end. */
  keep(socket: { destroy(): void }): void;
}

/** Ours goes by the forwarded address; libp2p by the address of the socket, which loopback has sixteen million of. */
export const PLACES = 64;
/** Hashes in a row before others have their turn. */
const WORK_STEP = 2_048;
const forwarded = (index: number): From => ({ forwarded: `198.51.100.${(index % PLACES) + 1}` });
const local = (index: number): From => ({ localAddress: `127.66.0.${(index % PLACES) + 1}` });

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts `run` so many times a second until the time is over; each counts as an attempt. */
async function paced(
  field: Field,
  perSecond: number,
  run: (index: number) => Promise<boolean>,
): Promise<void> {
  const TICK_MS = 20;
  field.ready();
  const began = performance.now();
  const running = new Set<Promise<void>>();
  for (let index = 0; field.goesOn();) {
    const due = ((performance.now() - began) / 1_000) * perSecond;
    for (; index < due && running.size < 2_000; index++) {
      field.tally.attempts++;
      const one = run(index).then(
        (taken) => {
          if (!taken) field.tally.refused++;
        },
        () => {
          field.tally.refused++;
        },
      );
      const tracked = one.finally(() => running.delete(tracked));
      running.add(tracked);
    }
    await rest(TICK_MS);
  }
}

/** `count` workers that go on until the time is over or `run` says there is nothing left to do. */
async function crowd(
  field: Field,
  count: number,
  run: (index: number) => Promise<boolean>,
): Promise<void> {
  field.ready();
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      while (field.goesOn() && (await run(index))) await rest(0);
    }),
  );
}

const untilOver = async (field: Field): Promise<void> => {
  field.ready();
  while (field.goesOn()) await rest(100);
};

type Attack = (field: Field) => Promise<void>;

const flood =
  (path: string, from: (index: number) => From): Attack =>
  async (field) => {
    await paced(field, 500, async (index) => {
      const raw = await openRaw(field.port, path, from(index));
      if (raw === undefined) return false;
      field.keep(raw.socket);
      return true;
    });
  };

/** Half of them say nothing at all, half a byte of a request from time to time. */
const slowHandshake =
  (path: string, from: (index: number) => From): Attack =>
  async (field) => {
    const dripping = new Set<ReturnType<typeof openTcp>>();
    const drip = setInterval(() => {
      for (const socket of dripping) socket.write("X");
    }, 500);
    await paced(field, 300, async (index) => {
      const socket = openTcp(field.port, from(index));
      field.keep(socket);
      socket.resume();
      if (index % 2 === 0) {
        socket.write(headOf(path, from(index)).slice(0, 40));
        dripping.add(socket);
      }
      await new Promise((resolve) => socket.once("close", resolve));
      dripping.delete(socket);
      return false;
    });
    clearInterval(drip);
  };

/** Frames that claim more than there may be, and frames of the largest size that never end. */
const hugeFrames =
  (path: string, from: (index: number) => From): Attack =>
  async (field) => {
    const chunk = bytes(32_768);
    await paced(field, 100, async (index) => {
      const raw = await openRaw(field.port, path, from(index));
      if (raw === undefined) return false;
      field.keep(raw.socket);
      raw.sendHead(index % 2 === 0 ? 65_580n : 104_857_600n);
      for (let part = 0; part < (index % 2 === 0 ? 2 : 64); part++) {
        if (raw.socket.destroyed) break;
        if (!raw.socket.write(chunk)) {
          await new Promise((resolve) => {
            raw.socket.once("drain", resolve);
            raw.socket.once("close", resolve);
          });
        }
      }
      await new Promise((resolve) => raw.socket.once("close", resolve));
      return false;
    });
  };

async function enterAll(field: Field, count: number): Promise<readonly Mallory[]> {
  const entered: Mallory[] = [];
  for (let index = 0; entered.length < count && field.prepares(); index++) {
    const mallory = await enter(field.port, forwarded(index));
    if (mallory === undefined) continue;
    field.keep(mallory.raw.socket);
    entered.push(mallory);
  }
  field.tally.missing += count - entered.length;
  return entered;
}

/** Half a megabyte waits for each of them, and they read nothing. That it waits costs no memory; that they come may. */
async function slowReaders(field: Field): Promise<void> {
  const writers = await enterAll(field, 16);
  const readers: { from: From; seed: Uint8Array; queueId: QueueId }[] = [];
  let asked = 0;
  await crowd(field, writers.length, async (index) => {
    if (asked++ >= 300 || field.share() > 0.6) return false;
    const from = forwarded(asked);
    const seed = bytes(32);
    const reader = await enter(field.port, from, seed);
    const queue = await reader?.makeQueue();
    const alias =
      queue === undefined
        ? undefined
        : await writers[index]!.openSender(queue.sendId, queue.firstUse);
    if (reader === undefined || queue === undefined || alias === undefined) return true;
    reader.raw.socket.destroy();
    const answers = Array.from({ length: 16 }, () => writers[index]!.ask(envelope(alias, 32_768)));
    await Promise.all(answers);
    readers.push({ from, seed, queueId: queue.queueId });
    return true;
  });
  field.begin();
  for (const { from, seed, queueId } of readers) {
    if (!field.goesOn()) break;
    field.tally.attempts++;
    const again = await enter(field.port, from, seed);
    if (again === undefined) {
      field.tally.refused++;
      continue;
    }
    field.keep(again.raw.socket);
    again.say({ type: "queue-open", queueIds: [queueId] });
    again.raw.socket.pause();
  }
  field.tally.note = "memory since they read nothing";
  await untilOver(field);
}

/** Queues by the thousand from every place there is. */
async function queueExhaustion(field: Field): Promise<void> {
  const all = await enterAll(field, 48);
  await crowd(field, all.length * 8, async (index) => {
    field.tally.attempts++;
    if ((await all[index % all.length]!.makeQueue()) === undefined) field.tally.refused++;
    return true;
  });
}

/** The places have used up what is theirs, and pay with work from then on: as much as one core does. */
async function queuesForWork(field: Field): Promise<void> {
  const all = await enterAll(field, PLACES);
  let sold = 0;
  await crowd(field, all.length, async (index) => {
    const mallory = all[index]!;
    const { nonce, relayKey } = mallory.hello;
    const asked: HubFrame = {
      type: "queue-new",
      queueId: asQueueId(bytes(24)),
      ttlHours: 1,
      firstUseHash: bytes(32),
      proof: new Uint8Array(),
    };
    field.tally.attempts++;
    const price = await mallory.ask(asked);
    if (price?.type !== "work") {
      if (price?.type !== "queue") field.tally.refused++;
      return true;
    }
    const transcript = workTranscript(nonce, relayKey, asked.queueId);
    for (let from = 0; field.goesOn(); from += WORK_STEP) {
      const proof = findWork(transcript, price.bits, from, WORK_STEP);
      await rest(0);
      if (proof === undefined) continue;
      if ((await mallory.ask({ ...asked, proof }))?.type === "queue") sold++;
      break;
    }
    return true;
  });
  field.tally.note = `${sold} paid for with work`;
}

/** A relay that asks for codes: queues without one, and codes by guess. */
async function queuesWithoutCode(field: Field): Promise<void> {
  const all = await enterAll(field, 48);
  const found = { count: 0 };
  const guessing = paced(field, 500, async (index) => {
    const status = await guessCode(field.port, forwarded(index), bytes(16));
    if (status === 200) found.count++;
    return status === 200;
  });
  await crowd(field, all.length * 8, async (index) => {
    field.tally.attempts++;
    if ((await all[index % all.length]!.makeQueue()) === undefined) field.tally.refused++;
    return true;
  });
  await guessing;
  field.tally.note = `${found.count} codes guessed`;
}

const FLOODERS = 8;

/** A thousand messages a second, into queues of their own whose owner is away. */
async function mailboxFlood(field: Field): Promise<void> {
  const pairs: { sender: Mallory; alias: number }[] = [];
  for (let index = 0; index < FLOODERS; index++) {
    const owner = await enter(field.port, forwarded(index));
    const sender = await enter(field.port, forwarded(index));
    const queue = await owner?.makeQueue();
    if (queue === undefined || sender === undefined) continue;
    const alias = await sender.openSender(queue.sendId, queue.firstUse);
    owner?.raw.socket.destroy();
    field.keep(sender.raw.socket);
    if (alias !== undefined) pairs.push({ sender, alias });
  }
  field.tally.missing += FLOODERS - pairs.length;
  await paced(field, 1_000, async (index) => {
    const { sender, alias } = pairs[index % pairs.length]!;
    return (await sender.ask(envelope(alias, 1_024)))?.type === "ok";
  });
}

/** Whoever has a link fetches what it opens, again and again, and everything else that might be there. */
async function prekeyDrain(field: Field): Promise<void> {
  const [owner] = await enterAll(field, 1);
  const queue = await owner?.makeQueue();
  const linkId = asLinkId(bytes(24));
  if (queue !== undefined) {
    await owner?.ask({ type: "bundle-put", alias: queue.alias, linkId, blob: bytes(2_048) });
  }
  const thieves = await enterAll(field, PLACES);
  await paced(field, 2_000, async (index) => {
    const asked = index % 2 === 0 ? linkId : asLinkId(bytes(24));
    const answer = await thieves[index % thieves.length]!.ask({
      type: "bundle-get",
      linkId: asked,
    });
    return answer?.type === "bundle";
  });
}

/** Fills whatever room there is, from many places into many queues. */
async function diskFill(field: Field): Promise<void> {
  const all = await enterAll(field, 24);
  await crowd(field, all.length, async (index) => {
    const mallory = all[index]!;
    const queue = await mallory.makeQueue();
    const other = all[(index + 1) % all.length]!;
    const alias =
      queue === undefined ? undefined : await other.openSender(queue.sendId, queue.firstUse);
    if (alias === undefined) {
      await rest(50);
      field.tally.attempts++;
      field.tally.refused++;
      return true;
    }
    for (let count = 0; count < 64 && field.goesOn(); count++) {
      field.tally.attempts++;
      if ((await other.ask(envelope(alias, 65_536)))?.type !== "ok") field.tally.refused++;
    }
    return true;
  });
}

const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Guesses by the thousand, and how long the two kinds of no take. */
async function enumeration(field: Field): Promise<void> {
  const [owner] = await enterAll(field, 1);
  const queue = await owner?.makeQueue();
  const thieves = await enterAll(field, 32);
  const [thief] = thieves;
  const took = { missing: [] as number[], forbidden: [] as number[] };
  const time = async (kind: keyof typeof took): Promise<void> => {
    if (thief === undefined || queue === undefined) return;
    const queueId = kind === "missing" ? asQueueId(bytes(24)) : queue.queueId;
    const from = performance.now();
    await thief.ask({ type: "queue-open", queueIds: [queueId] });
    took[kind].push(performance.now() - from);
  };
  const timing = (async () => {
    while (field.goesOn()) {
      for (const kind of Math.random() < 0.5
        ? (["missing", "forbidden"] as const)
        : (["forbidden", "missing"] as const)) {
        await time(kind);
      }
    }
  })();
  let found = 0;
  await paced(field, 400, async (index) => {
    const queueIds = Array.from({ length: 256 }, () => asQueueId(bytes(24)));
    field.tally.attempts += 255;
    const answer = await thieves[(index % (thieves.length - 1)) + 1]!.ask({
      type: "queue-open",
      queueIds,
    });
    if (answer?.type === "queues") found += answer.queues.filter(({ alias }) => alias > 0).length;
    field.tally.refused += 255;
    return false;
  });
  await timing;
  const ratio = median(took.forbidden) / median(took.missing);
  field.tally.note = `${found} found; forbidden/missing time ${ratio.toFixed(2)} (${took.missing.length})`;
}

/** Proofs that fail, as fast as the relay lets them come. */
async function badAuth(field: Field): Promise<void> {
  await paced(field, 1_000, async (index) => {
    const knocked = await knock(field.port, forwarded(index));
    if (knocked === undefined) return false;
    const { raw } = knocked;
    field.keep(raw.socket);
    const signature = bytes(64);
    // A number that a verifier has to look at, not one that is out of range at a glance.
    signature[63] = 0;
    const readerKey = knocked.hello.relayKey;
    raw.send(encodeFrame(0, { type: "auth", readerKey, signature, admission: new Uint8Array() }));
    await new Promise((resolve) => raw.socket.once("close", resolve));
    return false;
  });
}

/** The same towards libp2p: a Noise handshake of which the first message is fine and the third is noise. */
async function badNoise(field: Field): Promise<void> {
  const line = (text: string): Buffer => {
    const body = Buffer.from(`${text}\n`);
    return Buffer.concat([Buffer.from([body.length]), body]);
  };
  const message = (body: Uint8Array): Buffer => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(body.length);
    return Buffer.concat([length, body]);
  };
  await paced(field, 1_000, async (index) => {
    const raw = await openRaw(field.port, "/", local(index));
    if (raw === undefined) return false;
    field.keep(raw.socket);
    raw.send(Buffer.concat([line("/multistream/1.0.0"), line("/noise")]));
    raw.send(message(bytes(32)));
    raw.send(message(bytes(64)));
    await new Promise((resolve) => raw.socket.once("close", resolve));
    return false;
  });
}

/** Sixteen peers take every one of the fifteen places there are; two a second, so that no other limit counts. */
async function reservationExhaustion(field: Field): Promise<void> {
  const { createNode } = await import("./libp2p-node.ts");
  const relay = `/ip4/127.0.0.1/tcp/${field.port}/ws/p2p/${field.line.split(" ").at(-1)}`;
  await paced(field, 2, async () => {
    const node = await createNode([`${relay}/p2p-circuit`]);
    return node.getMultiaddrs().length > 0;
  });
}

/** What the figures of the others are to be compared with. */
export const NO_ATTACK = "no attack";

/** By the names in the table. */
export const ATTACKS: Readonly<
  Record<string, { readonly ours: Attack; readonly libp2p?: Attack }>
> = {
  [NO_ATTACK]: { ours: untilOver, libp2p: untilOver },
  "connection flood": { ours: flood(HUB_PATH, forwarded), libp2p: flood("/", local) },
  "slow handshake": {
    ours: slowHandshake(HUB_PATH, forwarded),
    libp2p: slowHandshake("/", local),
  },
  "slow readers": { ours: slowReaders },
  "huge and unfinished frames": {
    ours: hugeFrames(HUB_PATH, forwarded),
    libp2p: hugeFrames("/", local),
  },
  "queue / reservation exhaustion": { ours: queueExhaustion, libp2p: reservationExhaustion },
  "queues for work": { ours: queuesForWork },
  "queues without a code": { ours: queuesWithoutCode },
  "mailbox flood": { ours: mailboxFlood },
  "prekey drain": { ours: prekeyDrain },
  "disk full": { ours: diskFill },
  enumeration: { ours: enumeration },
  "bad-auth CPU burn": { ours: badAuth, libp2p: badNoise },
};
