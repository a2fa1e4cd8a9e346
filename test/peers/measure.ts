/**
 * How fast several peers do the same work, in one run.
 * Owns: the work, and taking turns so that a slow second of the machine hits everybody. Leaves to test/bench: which
 * peers, where, and what the figures are compared with.
 */
import type { Conversation, End, Peer } from "./peer.ts";

/** Each figure is the best of this many windows: what the code can do, not what else the machine did. */
const ROUNDS = 7;
const WINDOW_MS = 150;
const MS_PER_SECOND = 1_000;

export const SIZES: readonly (readonly [string, number])[] = [
  ["32 B", 32],
  ["1 KB", 1_024],
  ["16 KB", 16_384],
  ["64 KB", 65_536],
];

export const oneWayAt = (size: string): string => `one-way ${size}`;
export const FIRST_MESSAGE = "bytes before a first text of 32 B";
export const overheadAt = (size: string): string => `bytes beyond a content of ${size}`;

export interface Figure {
  readonly work: string;
  readonly peer: string;
  /** Operations per second, or bytes. Undefined: the peer refuses. */
  readonly value: number | undefined;
}

/** Set-ups, messages of every size in turns and in rows, and bytes, of all `peers`. */
export async function measurePeers(peers: readonly Peer[]): Promise<readonly Figure[]> {
  const figures: Figure[] = await race(peers, "set-up", (peer) => setUpsOf(peer));
  for (const [name, bytes] of SIZES) {
    const takers = peers.filter((peer) => bytes <= (peer.contentBytesMax ?? Infinity));
    const works = [`ping-pong ${name}`, oneWayAt(name), overheadAt(name)];
    const [pingPong = "", oneWay = "", overhead = ""] = works;
    const senders = peers.filter((peer) => takers.includes(peer) || peer.carryChunk !== undefined);
    for (const peer of peers.filter((one) => !takers.includes(one))) {
      const refused = senders.includes(peer) ? [pingPong, overhead] : works;
      figures.push(...refused.map((work) => ({ work, peer: peer.name, value: undefined })));
    }
    figures.push(...(await race(takers, pingPong, (peer) => pingPongOf(peer, bytes))));
    figures.push(
      ...(await race(senders, oneWay, (peer) =>
        takers.includes(peer) ? oneWayOf(peer, bytes) : Promise.resolve(chunksOf(peer, bytes)),
      )),
    );
    for (const peer of takers) {
      figures.push({ work: overhead, peer: peer.name, value: await overheadOf(peer, bytes) });
    }
  }
  for (const peer of peers) {
    figures.push({ work: FIRST_MESSAGE, peer: peer.name, value: await firstBytesOf(peer, 32) });
  }
  return figures;
}

interface Runner {
  /** Does the work this many times. */
  readonly run: () => Promise<void>;
  readonly operations: number;
  readonly end: () => void;
}

async function race(
  peers: readonly Peer[],
  work: string,
  create: (peer: Peer) => Promise<Runner>,
): Promise<Figure[]> {
  const runners = await Promise.all(peers.map(create));
  const best = runners.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, runner] of runners.entries()) {
      best[at] = Math.max(best[at] ?? 0, await perSecond(runner));
    }
  }
  for (const runner of runners) runner.end();
  return peers.map(({ name }, at) => ({ work, peer: name, value: best[at] }));
}

async function perSecond({ run, operations }: Runner): Promise<number> {
  const start = performance.now();
  let calls = 0;
  let elapsed = 0;
  do {
    await run();
    calls++;
    elapsed = performance.now() - start;
  } while (elapsed < WINDOW_MS);
  return (calls * operations * MS_PER_SECOND) / elapsed;
}

async function setUpsOf(peer: Peer): Promise<Runner> {
  const acquaintance = await peer.acquaint();
  const first = contentOf(32);
  return {
    operations: 1,
    async run() {
      (await acquaintance.setUp(first)).conversation.end();
    },
    end: () => undefined,
  };
}

/** One message each way: every one of them starts a turn. */
async function pingPongOf(peer: Peer, bytes: number): Promise<Runner> {
  const { initiator, responder, end } = await settled(peer);
  const content = contentOf(bytes);
  return {
    operations: 2,
    async run() {
      await carry(initiator, responder, content);
      await carry(responder, initiator, content);
    },
    end,
  };
}

/** Messages in a row from one side: no turn. */
async function oneWayOf(peer: Peer, bytes: number): Promise<Runner> {
  const { initiator, responder, end } = await settled(peer);
  const content = contentOf(bytes);
  const operations = 10;
  return {
    operations,
    async run() {
      for (let count = 0; count < operations; count++) await carry(initiator, responder, content);
    },
    end,
  };
}

/** Each a file of its own. */
function chunksOf(peer: Peer, bytes: number): Runner {
  const content = contentOf(bytes);
  return {
    operations: 1,
    async run() {
      const opened = await peer.carryChunk?.(content);
      if (opened?.length !== bytes) throw new Error("another content");
    },
    end: () => undefined,
  };
}

async function overheadOf(peer: Peer, bytes: number): Promise<number> {
  const { initiator, responder, end } = await settled(peer);
  const sealed = await initiator.seal(contentOf(bytes));
  await responder.open(sealed);
  end();
  return sealed.bytes - bytes;
}

async function firstBytesOf(peer: Peer, bytes: number): Promise<number> {
  const { conversation, firstBytes } = await (await peer.acquaint()).setUp(contentOf(bytes));
  conversation.end();
  return firstBytes - bytes;
}

/** Both sides after a first message and its answer. */
async function settled(peer: Peer): Promise<Conversation> {
  const { conversation } = await (await peer.acquaint()).setUp(contentOf(1));
  await carry(conversation.responder, conversation.initiator, contentOf(1));
  return conversation;
}

async function carry(from: End, to: End, content: Uint8Array<ArrayBuffer>): Promise<void> {
  const opened = await to.open(await from.seal(content));
  if (opened.length !== content.length) throw new Error("another content");
}

/** ASCII, for the peers that take text only. */
const contentOf = (bytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(bytes).fill(0x61);
