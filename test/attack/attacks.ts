/**
 * What attackers do to a relay, each for so long as they are let. All on loopback, all bounded: so many sockets, so
 * many tries per second, and an end.
 * Leaves to attacker.ts: the process they run in; to honest.ts: what others notice of it.
 */
import { asLinkId, asQueueId, encodeFrame, HUB_PATH } from "@sotto/wire";
import { bytes, enter, envelope, knock, type Mallory } from "./mallory.ts";
import { type From, headOf, openRaw, openTcp } from "./raw-socket.ts";

export interface Tally {
  attempts: number;
  /** Tries that the relay did not take: refused, answered with an error, or cut off. */
  refused: number;
  /** What else is worth printing. */
  note?: string;
}

export interface Field {
  readonly port: number;
  /** What the relay said when it was ready; libp2p's peer id is the last word of it. */
  readonly line: string;
  /** False once the time is over. */
  goesOn(): boolean;
  readonly tally: Tally;
  /** Called with the other end of every socket, so that all of them are closed at the end. */
  keep(socket: { destroy(): void }): void;
}

/** Ours goes by the forwarded address; libp2p by the address of the socket, which loopback has sixteen million of. */
export const PLACES = 64;
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
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      while (field.goesOn() && (await run(index))) await rest(0);
    }),
  );
}

const untilOver = async (field: Field): Promise<void> => {
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
  for (let index = 0; index < count && field.goesOn(); index++) {
    const mallory = await enter(field.port, forwarded(index));
    if (mallory === undefined) continue;
    field.keep(mallory.raw.socket);
    entered.push(mallory);
  }
  return entered;
}

/** Half a megabyte waits for each of them, and they read nothing. */
async function slowReader(field: Field): Promise<void> {
  const writers = await enterAll(field, 16);
  let readers = 0;
  await crowd(field, writers.length, async (index) => {
    if (readers++ >= 300) return false;
    const from = forwarded(readers);
    const seed = bytes(32);
    const reader = await enter(field.port, from, seed);
    const queue = await reader?.makeQueue();
    const alias =
      queue === undefined
        ? undefined
        : await writers[index]!.openSender(queue.sendId, queue.firstUse);
    field.tally.attempts++;
    if (reader === undefined || queue === undefined || alias === undefined) {
      field.tally.refused++;
      return true;
    }
    reader.raw.socket.destroy();
    const answers = Array.from({ length: 16 }, () => writers[index]!.ask(envelope(alias, 32_768)));
    await Promise.all(answers);
    const again = await enter(field.port, from, seed);
    if (again === undefined) return true;
    field.keep(again.raw.socket);
    again.say({ type: "queue-open", queueIds: [queue.queueId] });
    again.raw.socket.pause();
    return true;
  });
  field.tally.note = `${readers - 1} readers`;
  await untilOver(field);
}

async function queueExhaustion(field: Field): Promise<void> {
  const all = await enterAll(field, 48);
  await crowd(field, all.length * 8, async (index) => {
    field.tally.attempts++;
    if ((await all[index % all.length]!.makeQueue()) === undefined) field.tally.refused++;
    return true;
  });
}

/** A thousand messages a second, into queues of their own whose owner is away. */
async function mailboxFlood(field: Field): Promise<void> {
  const pairs: { sender: Mallory; alias: number }[] = [];
  for (let index = 0; index < 8; index++) {
    const owner = await enter(field.port, forwarded(index));
    const sender = await enter(field.port, forwarded(index));
    const queue = await owner?.makeQueue();
    if (queue === undefined || sender === undefined) continue;
    const alias = await sender.openSender(queue.sendId, queue.firstUse);
    owner?.raw.socket.destroy();
    field.keep(sender.raw.socket);
    if (alias !== undefined) pairs.push({ sender, alias });
  }
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

/** By the names in the table. */
export const ATTACKS: Readonly<
  Record<string, { readonly ours: Attack; readonly libp2p?: Attack }>
> = {
  // What the figures of the others are to be compared with.
  "no attack": { ours: untilOver, libp2p: untilOver },
  "connection flood": { ours: flood(HUB_PATH, forwarded), libp2p: flood("/", local) },
  "slow handshake": {
    ours: slowHandshake(HUB_PATH, forwarded),
    libp2p: slowHandshake("/", local),
  },
  "slow readers": { ours: slowReader },
  "huge and unfinished frames": {
    ours: hugeFrames(HUB_PATH, forwarded),
    libp2p: hugeFrames("/", local),
  },
  "queue / reservation exhaustion": { ours: queueExhaustion, libp2p: reservationExhaustion },
  "mailbox flood": { ours: mailboxFlood },
  "prekey drain": { ours: prekeyDrain },
  "disk full": { ours: diskFill },
  enumeration: { ours: enumeration },
  "bad-auth CPU burn": { ours: badAuth, libp2p: badNoise },
};
