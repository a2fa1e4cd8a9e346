/** A client of the hub over a raw socket: proves itself, asks, and hears answers by number. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { sendAuthenticator, sha256, signHubAuth } from "@sotto/crypto";
import { blindTokens } from "@sotto/crypto/token";
import {
  asEnvelopeId,
  asQueueId,
  decodeFrame,
  encodeFrame,
  HUB_PATH,
  type HubFrame,
  type QueueId,
  type SendId,
  sendTranscript,
} from "@sotto/wire";
import { nodeBackend } from "sotto-relay";
import { makeCode } from "sotto-relay/core";
import { type From, openRaw, type RawSocket } from "./raw-socket.ts";

export const bytes = (length: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(randomBytes(length));

type Hello = Extract<HubFrame, { type: "hello" }>;

export interface Made {
  readonly queueId: QueueId;
  readonly sendId: SendId;
  readonly firstUse: Uint8Array;
  readonly alias: number;
}

export interface Mallory {
  readonly raw: RawSocket;
  readonly hello: Hello;
  /** Undefined: the connection ended. */
  ask(frame: HubFrame): Promise<HubFrame | undefined>;
  /** Nobody waits for an answer. */
  say(frame: HubFrame): void;
  makeQueue(): Promise<Made | undefined>;
  openSender(sendId: SendId, firstUse: Uint8Array): Promise<number | undefined>;
}

/** Before the proof. Undefined: refused. */
export async function knock(
  port: number,
  from: From,
): Promise<{ raw: RawSocket; hello: Hello } | undefined> {
  const raw = await openRaw(port, HUB_PATH, from);
  if (raw === undefined) return undefined;
  return new Promise((resolve) => {
    raw.socket.once("close", () => resolve(undefined));
    raw.onFrame = (payload) => {
      const decoded = decodeFrame(new Uint8Array(payload));
      const frame = decoded.ok ? decoded.value.frame : undefined;
      if (frame?.type === "hello") resolve({ raw, hello: frame });
    };
  });
}

/** Proven. Undefined: refused. */
export async function enter(
  port: number,
  from: From,
  readerSeed: Uint8Array = bytes(32),
): Promise<Mallory | undefined> {
  const knocked = await knock(port, from);
  if (knocked === undefined) return undefined;
  const { raw, hello } = knocked;
  const waiting = new Map<number, (frame: HubFrame | undefined) => void>();
  let nextRequest = 1;
  const isWelcome = new Promise<boolean>((resolve) => {
    raw.socket.once("close", () => {
      resolve(false);
      for (const settle of waiting.values()) settle(undefined);
      waiting.clear();
    });
    raw.onFrame = (payload) => {
      const decoded = decodeFrame(new Uint8Array(payload));
      if (!decoded.ok) return;
      const { request, frame } = decoded.value;
      if (frame.type === "welcome") resolve(true);
      waiting.get(request)?.(frame);
      waiting.delete(request);
    };
  });
  const readerKey = await nodeBackend.signPublic(readerSeed);
  const { nonce, relayKey, ephemeralKey } = hello;
  const signature = await signHubAuth(readerSeed, nonce, relayKey, readerKey, nodeBackend);
  raw.send(encodeFrame(0, { type: "auth", readerKey, signature, admission: new Uint8Array() }));
  if (!(await isWelcome)) return undefined;
  const ask = (frame: HubFrame): Promise<HubFrame | undefined> =>
    new Promise((resolve) => {
      if (raw.socket.destroyed) return resolve(undefined);
      const request = nextRequest++;
      waiting.set(request, resolve);
      raw.send(encodeFrame(request, frame));
    });
  return {
    raw,
    hello,
    ask,
    say: (frame) => raw.send(encodeFrame(nextRequest++, frame)),
    async makeQueue() {
      const [queueId, firstUse] = [asQueueId(bytes(24)), bytes(16)];
      const firstUseHash = sha256(firstUse);
      const made = await ask({
        type: "queue-new",
        queueId,
        ttlHours: 1,
        firstUseHash,
        proof: new Uint8Array(),
      });
      if (made?.type !== "queue") return undefined;
      return { queueId, sendId: made.sendId, firstUse, alias: made.alias };
    },
    async openSender(sendId, firstUse) {
      const secret = bytes(32);
      const sendKey = await nodeBackend.dhPublic(secret);
      const shared = await nodeBackend.dh(secret, ephemeralKey);
      const transcript = sendTranscript(nonce, relayKey, sendId, sendKey);
      const authenticator = sendAuthenticator(shared, transcript);
      const opened = await ask({ type: "send-open", sendId, sendKey, authenticator, firstUse });
      return opened?.type === "sender" ? opened.alias : undefined;
    },
  };
}

export const envelope = (alias: number, size: number): HubFrame => ({
  type: "append",
  alias,
  id: asEnvelopeId(bytes(16)),
  blob: bytes(size),
});

/** As good as any other, and made once: it is the relay that is to work. */
const BLINDED = blindTokens(1, bytes).map(({ blinded }) => Buffer.from(blinded).toString("hex"));

/** The status of an answer to a code that nobody gave out; undefined: none. */
export function guessCode(
  port: number,
  from: From,
  random: Uint8Array,
): Promise<number | undefined> {
  const code = makeCode(random);
  return new Promise((resolve) => {
    const asked = request({
      port,
      host: "127.0.0.1",
      path: "/admission",
      method: "POST",
      agent: false,
      headers: { "x-forwarded-for": from.forwarded ?? "" },
    });
    asked.once("error", () => resolve(undefined));
    asked.once("response", (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode));
      response.once("error", () => resolve(undefined));
    });
    asked.end(JSON.stringify({ code, blinded: BLINDED }));
  });
}
