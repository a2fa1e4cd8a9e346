/** Our relay, a process of its own over its real store as the kit runs it, spoken to frame by frame. */
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asEnvelopeId, encodeFrame, type QueueId } from "@sotto/wire";
import { NODE_OPTIONS } from "sotto-relay";
import { WebSocket } from "ws";
import { type Client, connectTo, newQueueId, random } from "../../../relay/test/client.ts";
import { startProcess } from "../../../relay/test/relay-process.ts";
import { MESSAGE_BYTES, nothing, type Pair, type Side } from "./side.ts";

const DELIVER = 0x0e;
const OK = 0x19;
const ERROR = 0x1a;
/** header 5 | alias 4. */
const ID_AT = 9;

export async function startSotto(): Promise<Side> {
  const data = mkdtempSync(join(tmpdir(), "sotto-bench-"));
  // Room for the load of one place; nothing else differs from what an operator gets.
  const room = ["--queue-messages", "100000", "--queue-bytes", "1G", "--append-burst", "64G"];
  const relay = await startProcess(["--data", data, ...room], { NODE_OPTIONS });
  const url = `ws://127.0.0.1:${relay.port}/hub`;
  const open: WebSocket[] = [];

  const enter = async (seed?: Uint8Array): Promise<{ socket: WebSocket; client: Client }> => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    open.push(socket);
    return { socket, client: await connectTo(socket, seed) };
  };

  async function pair(): Promise<Pair> {
    let receiver = await enter();
    const { readerSeed } = receiver.client;
    const sender = await enter();
    const firstUse = random(16);
    const queueId: QueueId = newQueueId();
    const queue = await receiver.client.makeQueue(firstUse, queueId);
    const opened = await sender.client.openSender(queue.sendId, random(32), firstUse);
    if (opened.type !== "sender") throw new Error(`no sender: ${opened.type}`);
    const made: Pair = {
      arrived: nothing,
      accepted: nothing,
      send() {
        sender.socket.send(message(opened.alias));
      },
      async leave() {
        receiver.socket.close();
        await once(receiver.socket, "close");
      },
      async come() {
        receiver = await enter(readerSeed);
        receive();
      },
      fetch() {
        receiver.socket.send(encodeFrame(1, { type: "queue-open", queueIds: [queueId] }));
      },
    };
    // From here on only these few bytes are looked at, so that the generator costs little.
    const receive = (): void => {
      const { socket } = receiver;
      socket.removeAllListeners("message");
      socket.on("message", (bytes: Buffer) => {
        if (bytes[0] !== DELIVER) return;
        socket.send(acknowledgement(bytes));
        made.arrived();
      });
    };
    receive();
    sender.socket.removeAllListeners("message");
    sender.socket.on("message", (bytes: Buffer) => {
      if (bytes[0] === ERROR) throw new Error(`refused: code ${bytes[5]}`);
      if (bytes[0] === OK) made.accepted();
    });
    return made;
  }

  return {
    name: "sotto",
    pid: relay.child.pid!,
    keeps: true,
    pair,
    async idle() {
      const { client } = await enter();
      await client.makeQueue(random(16));
    },
    prepareIdle: () => Promise.resolve(),
    async stop() {
      for (const socket of open) socket.terminate();
      relay.child.kill("SIGTERM");
      await relay.ended;
      rmSync(data, { recursive: true });
    },
  };
}

const template = Buffer.from(
  encodeFrame(1, {
    type: "append",
    alias: 1,
    id: asEnvelopeId(random(16)),
    blob: random(MESSAGE_BYTES),
  }),
);

function message(alias: number): Buffer {
  const frame = Buffer.from(template);
  frame.writeUInt32BE(alias, ID_AT - 4);
  randomBytes(16).copy(frame, ID_AT);
  return frame;
}

/** DELIVER: header 5 | alias 4 | sequence 8. ACK: header 5 | alias 4 | count 2 | sequences. */
function acknowledgement(deliver: Buffer): Buffer {
  const frame = Buffer.alloc(19);
  frame[0] = 0x11;
  deliver.copy(frame, 5, 5, 9);
  frame.writeUInt16BE(1, 9);
  deliver.copy(frame, 11, 9, 17);
  return frame;
}
