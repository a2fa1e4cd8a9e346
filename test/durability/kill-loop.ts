/**
 * Many senders and owners against one relay that is killed again and again, each time at a moment that is
 * drawn: while it starts to serve, while it is handed mail, while it writes, while owners read.
 * Owns: what clients do, and the record of it. Leaves to history.ts: the verdict.
 */
import { createHash } from "node:crypto";
import { type Client, Ended, greet, type Heard, random, SENT } from "../conformance/client.ts";
import { type RelayProcess, startRelayProcess } from "../conformance/relay-process.ts";
import { createDraw } from "./draw.ts";
import { findBytes, findForeign } from "./residue.ts";
import { judge, type Step, type Verdict } from "./history.ts";

export interface KillLoopOptions {
  readonly data: string;
  readonly kills: number;
  readonly writers: number;
  /** Draws moments, sizes and what owners do; the machine's timing is not repeated by it. */
  readonly seed: number;
  readonly log?: (line: string) => void;
}

export interface KillLoopResult extends Verdict {
  readonly kills: number;
  /** APPENDs without an answer when the relay died. */
  readonly unanswered: number;
  readonly deleted: number;
  /** Errors that senders heard, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** From the start of the process until it listens: the longest. */
  readonly startMsMax: number;
  /** What was left in the queues after every deletion was answered and the relay was killed once more. */
  readonly leftOver: number;
  /** What the files and the output hold after that and should not. */
  readonly residue: readonly string[];
}

/** APPENDs of one sender without an answer. */
const WINDOW = 8;
/** Answers and deliveries of one life, at most: enough to fill queues and to start checkpoints. */
const LIFE_STEPS_MAX = 1_200;
/** A life that makes no progress for so long has failed. */
const STUCK_MS = 20_000;
const SIZES = [256, 256, 512, 512, 1_024, 1_024, 2_048, 4_096, 16_384, 65_536];
const QUEUES_PER_OWNER = 4;

/** reading: acknowledges. silent: takes deliveries and says nothing. away: not connected. */
type Mood = "reading" | "silent" | "away";

interface Writer {
  readonly queue: number;
  readonly queueId: Uint8Array;
  readonly firstUse: Uint8Array;
  readonly sendSecret: Uint8Array;
  sendId: Uint8Array;
  /** Sent without an answer: goes again first. */
  readonly open: Map<string, Uint8Array>;
}

interface Owner {
  readonly seed: Uint8Array;
  readonly writers: readonly Writer[];
}

interface Reader {
  readonly client: Client;
  /** Acknowledgements without an answer. */
  readonly acks: Set<Promise<void>>;
}

export async function runKillLoop(options: KillLoopOptions): Promise<KillLoopResult> {
  const { data, kills } = options;
  const draw = createDraw(options.seed);
  const steps: Step[] = [];
  const writers = Array.from({ length: options.writers }, (_, queue) => newWriter(queue));
  const owners: Owner[] = [];
  for (let at = 0; at < writers.length; at += QUEUES_PER_OWNER) {
    owners.push({ seed: random(32), writers: writers.slice(at, at + QUEUES_PER_OWNER) });
  }
  /** Begins every blob: mail that is gone must not be found. */
  const mark = random(16);
  let output = "";
  let connections = 0;
  let unanswered = 0;
  let startMsMax = 0;
  /** Called at every step. */
  let onStep = (): void => undefined;
  const note = (step: Step): void => {
    steps.push(step);
    onStep();
  };

  async function start(): Promise<RelayProcess> {
    const from = performance.now();
    const relay = await startRelayProcess({ data });
    startMsMax = Math.max(startMsMax, performance.now() - from);
    return relay;
  }

  async function end(relay: RelayProcess, signal: NodeJS.Signals): Promise<void> {
    await relay.end(signal);
    output += relay.output();
  }

  async function connect(relay: RelayProcess, seed: Uint8Array): Promise<Client> {
    const client = await greet(relay.url);
    await client.prove(seed);
    return client;
  }

  async function own(relay: RelayProcess, owner: Owner, mood: Mood): Promise<Reader> {
    const client = await connect(relay, owner.seed);
    const reader: Reader = { client, acks: new Set() };
    const connection = connections++;
    const answer = await client.openQueues(...owner.writers.map(({ queueId }) => queueId));
    if (answer.name !== "queues") throw new Error(`no queues: ${answer.name}`);
    const writerByAlias = new Map<number, Writer>();
    for (const [index, { alias }] of answer.queues.entries()) {
      const writer = owner.writers[index];
      if (alias === 0 || writer === undefined) throw new Error("a queue was lost");
      writerByAlias.set(alias, writer);
    }
    take(reader, mood, connection, writerByAlias).catch(() => undefined);
    return reader;
  }

  async function take(
    { client, acks }: Reader,
    mood: Mood,
    connection: number,
    writerByAlias: ReadonlyMap<number, Writer>,
  ): Promise<never> {
    for (;;) {
      const { alias, sequence, id, envelope } = await client.next("deliver");
      const message = hex(id);
      const queue = writerByAlias.get(alias)?.queue ?? -1;
      note({ at: "delivered", message, queue, blob: hash(envelope), connection, sequence });
      if (mood !== "reading") continue;
      const ack = client.ack(alias, [sequence]).then(
        () => note({ at: "deleted", message }),
        () => undefined,
      );
      acks.add(ack);
      void ack.finally(() => acks.delete(ack));
    }
  }

  /** Sends until the connection ends or `isOver` says so; what was open goes first. */
  async function write(relay: RelayProcess, writer: Writer, isOver: () => boolean): Promise<void> {
    const client = await connect(relay, random(32));
    const opened = await client.openSender(writer.sendId, writer.sendSecret, writer.firstUse);
    if (opened.name !== "sender") throw new Error(`the sender was forgotten: ${opened.name}`);
    const send = async (message: string, blob: Uint8Array): Promise<Heard> => {
      note({ at: "append", message, queue: writer.queue, blob: hash(blob) });
      const answer = await client.append(opened.alias, Buffer.from(message, "hex"), blob);
      writer.open.delete(message);
      if (answer.name === "ok") note({ at: "kept", message });
      else note({ at: "refused", message, code: answer.name === "error" ? answer.code : "" });
      return answer;
    };
    await Promise.all([...writer.open].map(([message, blob]) => send(message, blob)));
    const lane = async (): Promise<void> => {
      while (!isOver()) {
        const [message, blob] = [hex(random(16)), random(draw.of(SIZES))];
        blob.set(mark);
        writer.open.set(message, blob);
        // A full queue stays full until its owner reads, which may be in another life.
        if ((await send(message, blob)).name !== "ok") return;
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, lane));
    client.cut();
  }

  async function live(life: number): Promise<void> {
    const relay = await start();
    const moods = owners.map(() => draw.of<Mood>(["reading", "reading", "silent", "away"]));
    const lifeSteps = draw.below(LIFE_STEPS_MAX);
    let left = lifeSteps;
    let stuck: NodeJS.Timeout | undefined;
    const moment = new Promise<void>((resolve, reject) => {
      stuck = setTimeout(() => reject(new Error("no progress")), STUCK_MS);
      onStep = () => {
        if (--left <= 0) resolve();
      };
      onStep();
    });
    const clients: Promise<unknown>[] = writers.map((writer) => write(relay, writer, () => false));
    for (const [index, owner] of owners.entries()) {
      const mood = moods[index] ?? "away";
      if (mood !== "away") clients.push(own(relay, owner, mood));
    }
    const ends = Promise.allSettled(clients);
    try {
      await moment;
    } finally {
      clearTimeout(stuck);
      await end(relay, "SIGKILL");
    }
    for (const end of await ends) {
      // A connection that the kill ended is what this is about; anything else is a finding.
      if (end.status === "rejected" && !(end.reason instanceof Ended)) throw end.reason;
    }
    onStep = () => undefined;
    unanswered += writers.reduce((sum, { open }) => sum + open.size, 0);
    options.log?.(`life ${life + 1}: ${lifeSteps} steps, ${moods.join(" ")}`);
  }

  async function makeQueues(): Promise<void> {
    const relay = await start();
    for (const owner of owners) {
      const client = await connect(relay, owner.seed);
      for (const writer of owner.writers) {
        const made = await client.makeQueue(writer.queueId, writer.firstUse);
        if (made.name !== "queue") throw new Error(`no queue: ${made.name}`);
        writer.sendId = made.sendId;
      }
      client.cut();
    }
    await end(relay, "SIGKILL");
  }

  /** Everything that is open is sent to its end, everything that is kept is read and deleted. */
  async function settle(): Promise<void> {
    const relay = await start();
    await readAll(relay);
    await Promise.all(writers.map((writer) => write(relay, writer, () => true)));
    await readAll(relay);
    await end(relay, "SIGKILL");
  }

  async function readAll(relay: RelayProcess): Promise<void> {
    for (const owner of owners) {
      const { client, acks } = await own(relay, owner, "reading");
      for (const _ of owner.writers) await client.next("drained");
      // Whatever came before the answer has been taken by now.
      await client.ask(SENT.ping);
      await Promise.all(acks);
      client.cut();
    }
  }

  async function countLeftOver(): Promise<number> {
    const relay = await start();
    let backlog = 0;
    for (const owner of owners) {
      const client = await connect(relay, owner.seed);
      const answer = await client.openQueues(...owner.writers.map(({ queueId }) => queueId));
      if (answer.name === "queues") for (const queue of answer.queues) backlog += queue.backlog;
      client.cut();
    }
    await end(relay, "SIGTERM");
    return backlog;
  }

  await makeQueues();
  for (let life = 0; life < kills; life++) await live(life);
  await settle();
  const leftOver = await countLeftOver();
  const secrets = writers.map(({ queue, sendId, firstUse, sendSecret }) => [
    [`send id ${queue}`, sendId],
    [`first use ${queue}`, firstUse],
    [`send secret ${queue}`, sendSecret],
  ]);
  const seeds = owners.map(({ seed }, index) => [`reader seed ${index}`, seed]);
  const hidden = { ...Object.fromEntries([...secrets.flat(), ...seeds]), mail: mark };
  const residue = [
    ...findForeign(data),
    ...findBytes(data, output, { ...hidden, address: "127.0.0.1" }),
  ];
  const deleted = steps.filter(({ at }) => at === "deleted").length;
  const refused: Record<string, number> = {};
  for (const step of steps) {
    if (step.at === "refused") refused[step.code] = (refused[step.code] ?? 0) + 1;
  }
  return { ...judge(steps), kills, unanswered, deleted, refused, startMsMax, leftOver, residue };
}

const newWriter = (queue: number): Writer => ({
  queue,
  queueId: random(24),
  firstUse: random(16),
  sendSecret: random(32),
  sendId: new Uint8Array(),
  open: new Map(),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const hash = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("base64").slice(0, 22);
