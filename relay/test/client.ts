/**
 * A client as bare as the protocol allows: every frame by hand, nothing retried, nothing hidden.
 */
import { randomBytes } from "node:crypto";
import { sendAuthenticator, sha256, signHubAuth } from "@sotto/crypto";
import {
  asEnvelopeId,
  asLinkId,
  asQueueId,
  decodeFrame,
  encodeFrame,
  type EnvelopeId,
  type Framed,
  HUB_PATH,
  type HubFrame,
  type HubFrameType,
  type LinkId,
  type QueueId,
  type SendId,
  sendTranscript,
} from "@sotto/wire";
import { nodeBackend } from "sotto-relay";
import { WebSocket } from "ws";

export type FrameOf<T extends HubFrameType> = Extract<HubFrame, { type: T }>;

export const random = (length: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(randomBytes(length));
export const newQueueId = (): QueueId => asQueueId(random(24));
export const newEnvelopeId = (): EnvelopeId => asEnvelopeId(random(16));
export const newLinkId = (): LinkId => asLinkId(random(24));

/** What a client needs below it: a socket, or the core itself. */
export interface Wire {
  send(bytes: Uint8Array): void;
  pause?(): void;
  close(): void;
}

export interface Client {
  readonly hello: FrameOf<"hello">;
  readonly readerSeed: Uint8Array;
  /** Sends and waits for the answer with the same request number. */
  request(frame: HubFrame): Promise<HubFrame>;
  send(frame: HubFrame, request?: number): void;
  /** The next frame of this type that nobody took yet. */
  next<T extends HubFrameType>(this: void, type: T): Promise<FrameOf<T>>;
  /** Frames of this type that came and nobody took. */
  waiting(this: void, type: HubFrameType): number;
  ack(alias: number, ...sequences: readonly bigint[]): void;
  makeQueue(firstUse: Uint8Array, queueId?: QueueId, ttlHours?: number): Promise<FrameOf<"queue">>;
  openSender(sendId: SendId, sendSecret: Uint8Array, firstUse?: Uint8Array): Promise<HubFrame>;
  /** Takes nothing more from the socket. */
  pause(): void;
  close(): void;
  readonly closed: Promise<void>;
}

/** Frames that came, by type, and who waits for them. */
export function createInbox(): {
  receive(this: void, framed: Framed): void;
  next<T extends HubFrameType>(this: void, type: T): Promise<FrameOf<T>>;
  answer(request: number): Promise<HubFrame>;
  waiting(this: void, type: HubFrameType): number;
  end(): void;
} {
  const frames: HubFrame[] = [];
  const takers: { type: HubFrameType; take: (frame: HubFrame) => void; fail: () => void }[] = [];
  const answers = new Map<number, { take: (frame: HubFrame) => void; fail: () => void }>();
  let over = false;
  const failed = (): Error => new Error("the connection ended");
  return {
    receive({ request, frame }) {
      const asked = answers.get(request);
      if (request !== 0 && asked !== undefined) {
        answers.delete(request);
        asked.take(frame);
        return;
      }
      const index = takers.findIndex((taker) => taker.type === frame.type);
      const taker = index < 0 ? undefined : takers.splice(index, 1)[0];
      if (taker === undefined) frames.push(frame);
      else taker.take(frame);
    },
    next<T extends HubFrameType>(type: T) {
      const index = frames.findIndex((frame) => frame.type === type);
      if (index >= 0) return Promise.resolve(frames.splice(index, 1)[0] as FrameOf<T>);
      if (over) return Promise.reject(failed());
      return new Promise<FrameOf<T>>((resolve, reject) => {
        takers.push({
          type,
          take: (frame) => resolve(frame as FrameOf<T>),
          fail: () => reject(failed()),
        });
      });
    },
    answer: (request) =>
      new Promise((take, reject) => {
        if (over) reject(failed());
        else answers.set(request, { take, fail: () => reject(failed()) });
      }),
    waiting: (type) => frames.filter((frame) => frame.type === type).length,
    end() {
      over = true;
      for (const taker of takers.splice(0)) taker.fail();
      for (const answer of answers.values()) answer.fail();
      answers.clear();
    },
  };
}

export function createClient(
  inbox: ReturnType<typeof createInbox>,
  wire: Wire,
  hello: FrameOf<"hello">,
  readerSeed: Uint8Array,
  closed: Promise<void>,
): Client {
  let nextRequest = 1;
  const send = (frame: HubFrame, request = 0): void => wire.send(encodeFrame(request, frame));
  const request = (frame: HubFrame): Promise<HubFrame> => {
    const id = nextRequest++;
    const answer = inbox.answer(id);
    send(frame, id);
    return answer;
  };
  return {
    hello,
    readerSeed,
    request,
    send,
    next: inbox.next,
    waiting: inbox.waiting,
    ack: (alias, ...sequences) => send({ type: "ack", alias, sequences }),
    async makeQueue(firstUse, queueId = newQueueId(), ttlHours = 24) {
      const firstUseHash = sha256(firstUse);
      const answer = await request({
        type: "queue-new",
        queueId,
        ttlHours,
        firstUseHash,
        proof: new Uint8Array(),
      });
      if (answer.type !== "queue") throw new Error(`no queue: ${JSON.stringify(answer)}`);
      return answer;
    },
    async openSender(sendId, sendSecret, firstUse = new Uint8Array(16)) {
      const sendKey = await nodeBackend.dhPublic(sendSecret);
      const shared = await nodeBackend.dh(sendSecret, hello.ephemeralKey);
      const transcript = sendTranscript(hello.nonce, hello.relayKey, sendId, sendKey);
      const authenticator = sendAuthenticator(shared, transcript);
      return request({ type: "send-open", sendId, sendKey, authenticator, firstUse });
    },
    pause: () => wire.pause?.(),
    close: () => wire.close(),
    closed,
  };
}

export async function authenticate(client: {
  readonly hello: FrameOf<"hello">;
  readonly readerSeed: Uint8Array;
}): Promise<FrameOf<"auth">> {
  const { nonce, relayKey } = client.hello;
  const readerKey = await nodeBackend.signPublic(client.readerSeed);
  const signature = await signHubAuth(client.readerSeed, nonce, relayKey, readerKey, nodeBackend);
  return { type: "auth", readerKey, signature, admission: new Uint8Array() };
}

/** A socket that has said nothing yet. */
export const connectRaw = (
  port: number,
  readerSeed: Uint8Array = random(32),
  headers: Readonly<Record<string, string>> = {},
): Promise<Client> =>
  greeted(new WebSocket(`ws://127.0.0.1:${port}${HUB_PATH}`, { headers }), readerSeed);

async function greeted(socket: WebSocket, readerSeed: Uint8Array): Promise<Client> {
  const inbox = createInbox();
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      inbox.end();
      resolve();
    });
  });
  socket.on("error", () => undefined);
  socket.on("message", (data) => {
    const decoded = decodeFrame(new Uint8Array(data as Buffer));
    if (decoded.ok) inbox.receive(decoded.value);
  });
  const hello = await inbox.next("hello");
  const wire: Wire = {
    send: (bytes) => socket.send(bytes),
    pause: () => socket.pause(),
    close: () => socket.terminate(),
  };
  return createClient(inbox, wire, hello, readerSeed, closed);
}

/** A proven client. */
export const connect = async (
  port: number,
  readerSeed: Uint8Array = random(32),
  headers: Readonly<Record<string, string>> = {},
): Promise<Client> => proven(await connectRaw(port, readerSeed, headers));

/** A proven client over a socket of any kind. */
export const connectTo = async (
  socket: WebSocket,
  readerSeed: Uint8Array = random(32),
): Promise<Client> => proven(await greeted(socket, readerSeed));

async function proven(client: Client): Promise<Client> {
  client.send(await authenticate(client));
  await client.next("welcome");
  return client;
}

/** A queue of `owner` with `sender` bound to it. */
export async function pair(
  owner: Client,
  sender: Client,
): Promise<{
  readonly queueId: QueueId;
  readonly ownAlias: number;
  readonly alias: number;
  readonly sendId: SendId;
  readonly sendSecret: Uint8Array;
}> {
  const firstUse = random(16);
  const sendSecret = random(32);
  const queueId = newQueueId();
  const queue = await owner.makeQueue(firstUse, queueId);
  const opened = await sender.openSender(queue.sendId, sendSecret, firstUse);
  if (opened.type !== "sender") throw new Error(`not a sender: ${JSON.stringify(opened)}`);
  const { sendId, alias: ownAlias } = queue;
  return { queueId, ownAlias, alias: opened.alias, sendId, sendSecret };
}

export const append = (alias: number, blob: Uint8Array = random(256)): FrameOf<"append"> => ({
  type: "append",
  alias,
  id: newEnvelopeId(),
  blob,
});
