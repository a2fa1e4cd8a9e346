/**
 * A second client of the relay, written from the specifications alone (relay/SPEC.md; wire/SPEC.md §9;
 * crypto/SPEC.md §1.3, §9), so that what they leave unsaid shows. Shares no code with the packages.
 * Owns: one connection and its frames. Leaves to its caller: repeating, reconnecting, sealing.
 */
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { equalBytes } from "@noble/curves/utils.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, randomBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { WebSocket } from "ws";

/** What a client sends (wire/SPEC.md §9). */
export const SENT = {
  auth: 0x02,
  queueNew: 0x05,
  queueOpen: 0x07,
  queueClose: 0x09,
  sendOpen: 0x0a,
  append: 0x0c,
  signal: 0x0d,
  ack: 0x11,
  bundlePut: 0x12,
  bundleGet: 0x13,
  ping: 0x15,
  pong: 0x16,
} as const;

const CODES = [
  "malformed",
  "too-large",
  "unauthorised",
  "gone",
  "quota",
  "later",
  "away",
  "limit",
  "full",
  "draining",
] as const;
export type Code = (typeof CODES)[number];

export interface Hello {
  readonly name: "hello";
  /** The body without its signature: what is signed. */
  readonly transcript: Uint8Array;
  readonly relayKey: Uint8Array;
  readonly ephemeralKey: Uint8Array;
  readonly nonce: Uint8Array;
  readonly hour: number;
  readonly ttlHoursMax: number;
  readonly queueMessagesMax: number;
  readonly door: number;
  readonly signature: Uint8Array;
}

export type Heard =
  | Hello
  | {
      readonly name: "welcome";
      readonly creditMessages: number;
      readonly circuit: boolean;
      readonly admitted: boolean;
    }
  | { readonly name: "bye"; readonly code: Code; readonly retryAfterMs: number }
  | { readonly name: "error"; readonly code: Code; readonly retryAfterMs: number }
  | { readonly name: "queue"; readonly alias: number; readonly sendId: Uint8Array }
  | {
      readonly name: "queues";
      readonly queues: readonly { readonly alias: number; readonly backlog: number }[];
    }
  | { readonly name: "sender"; readonly alias: number }
  | { readonly name: "drained"; readonly alias: number }
  | {
      readonly name: "deliver";
      readonly alias: number;
      readonly sequence: bigint;
      readonly id: Uint8Array;
      readonly envelope: Uint8Array;
    }
  | { readonly name: "signalled"; readonly alias: number; readonly envelope: Uint8Array }
  | { readonly name: "bundle"; readonly offer: Uint8Array }
  | { readonly name: "ok" }
  | { readonly name: "ping" }
  | { readonly name: "pong" };
export type Named<N extends Heard["name"]> = Extract<Heard, { name: N }>;

export const u8 = (value: number): Uint8Array => Uint8Array.of(value);
export const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value);
export const u32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
const u64 = (value: bigint): Uint8Array =>
  concatBytes(u32(Number(value >> 32n)), u32(Number(value & 0xffffffffn)));
const labelled = (label: string, ...parts: Uint8Array[]): Uint8Array =>
  concatBytes(utf8ToBytes(label), u8(0), ...parts);

/** Throws for what no relay may send: this client is there to find that out. */
function parse(bytes: Uint8Array): { readonly request: number; readonly heard: Heard } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const skip = (length: number): number => {
    at += length;
    if (at > bytes.length) throw new Error("a frame ends too early");
    return at - length;
  };
  const n8 = (): number => view.getUint8(skip(1));
  const n16 = (): number => view.getUint16(skip(2));
  const n32 = (): number => view.getUint32(skip(4));
  const raw = (length: number): Uint8Array => bytes.slice(skip(length), at);
  const rest = (): Uint8Array => raw(bytes.length - at);
  const body = (type: number): Heard => {
    switch (type) {
      case 0x01: {
        if (n8() !== 1) throw new Error("another version");
        const relayKey = raw(32);
        const [ephemeralKey, nonce, hour] = [raw(32), raw(32), n32()];
        const limits = { ttlHoursMax: n16(), queueMessagesMax: n32(), door: n8() };
        const transcript = bytes.slice(5, at);
        const fields = { transcript, relayKey, ephemeralKey, nonce, hour, ...limits };
        return { name: "hello", ...fields, signature: raw(64) };
      }
      case 0x03:
        return { name: "welcome", creditMessages: n16(), ...flags(n8()) };
      case 0x04:
      case 0x1a: {
        const code = CODES[n8()];
        if (code === undefined) throw new Error("no such code");
        return { name: type === 0x04 ? "bye" : "error", code, retryAfterMs: n32() };
      }
      case 0x06:
        return { name: "queue", alias: n32(), sendId: raw(24) };
      case 0x08: {
        const queues = Array.from({ length: n16() }, () => ({ alias: n32(), backlog: n32() }));
        return { name: "queues", queues };
      }
      case 0x0b:
        return { name: "sender", alias: n32() };
      case 0x0e: {
        const [alias, sequence] = [n32(), view.getBigUint64(skip(8))];
        return { name: "deliver", alias, sequence, id: raw(16), envelope: rest() };
      }
      case 0x0f:
        return { name: "signalled", alias: n32(), envelope: rest() };
      case 0x10:
        return { name: "drained", alias: n32() };
      case 0x14:
        return { name: "bundle", offer: rest() };
      case 0x15:
        return { name: "ping" };
      case 0x16:
        return { name: "pong" };
      case 0x19:
        return { name: "ok" };
      default:
        throw new Error(`no relay says ${type}`);
    }
  };
  const [type, request] = [n8(), n32()];
  const heard = body(type);
  if (at !== bytes.length) throw new Error("a frame has bytes left over");
  return { request, heard };
}

const flags = (bits: number): { readonly circuit: boolean; readonly admitted: boolean } => {
  if (bits > 3) throw new Error("a flag that there is not");
  return { circuit: (bits & 1) !== 0, admitted: (bits & 2) !== 0 };
};

/** The connection is over. `bye`: what the relay said last, if it said it. */
export class Ended extends Error {
  readonly bye: Named<"bye"> | undefined;
  constructor(bye: Named<"bye"> | undefined) {
    super(bye === undefined ? "the connection ended" : `the connection ended: ${bye.code}`);
    this.name = "Ended";
    this.bye = bye;
  }
}

export interface Client {
  readonly hello: Hello;
  /** Sends AUTH; resolves with the relay's WELCOME. */
  prove(seed: Uint8Array, admission?: Uint8Array): Promise<Named<"welcome">>;
  /** One request, one answer. Rejects with Ended. */
  ask(type: number, ...fields: readonly Uint8Array[]): Promise<Heard>;
  /** The number of the last request. */
  lastRequest(): number;
  /** The last frame as it was sent. */
  lastSaid(): Uint8Array | string;
  /** Frames of that name that came and nobody took. */
  waiting(name: Heard["name"]): number;
  /** Any bytes at all. */
  say(bytes: Uint8Array | string): void;
  makeQueue(queueId: Uint8Array, firstUse: Uint8Array, ttlHours?: number): Promise<Heard>;
  openQueues(...queueIds: readonly Uint8Array[]): Promise<Heard>;
  openSender(
    sendId: Uint8Array,
    sendSecret: Uint8Array,
    firstUse?: Uint8Array,
    sendKey?: Uint8Array,
  ): Promise<Heard>;
  append(alias: number, id: Uint8Array, envelope: Uint8Array): Promise<Heard>;
  /** `isAnswered`: whether to wait until the deletions are durable. */
  ack(alias: number, sequences: readonly bigint[], isAnswered?: boolean): Promise<Heard>;
  /** The next frame of that name with request number 0. */
  next<N extends Heard["name"]>(name: N): Promise<Named<N>>;
  /** Ends the socket without a word. */
  cut(): void;
  readonly ended: Promise<Ended>;
}

const LENGTH_MAX = 65_569;

/** Resolves after HELLO. Rejects when its signature does not hold or its key is not `relayKey`. */
export async function greet(url: string, relayKey?: Uint8Array): Promise<Client> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: LENGTH_MAX });
  const answers = new Map<number, (heard: Heard | Ended) => void>();
  const heardOf = new Map<string, Heard[]>();
  const takers = new Map<string, ((heard: Heard | Ended) => void)[]>();
  let bye: Named<"bye"> | undefined;
  let over: Ended | undefined;
  let fault: Error | undefined;
  let lastRequest = 0;
  let lastSaid: Uint8Array | string = "";
  socket.on("error", () => undefined);
  const ended = new Promise<Ended>((resolve, reject) => {
    socket.on("close", () => {
      over = new Ended(bye);
      for (const take of [...answers.values(), ...[...takers.values()].flat()]) take(over);
      if (fault === undefined) resolve(over);
      else reject(fault);
    });
  });
  ended.catch(() => undefined);
  socket.on("message", (data: Buffer) => {
    try {
      hear(new Uint8Array(data));
    } catch (error) {
      fault = error instanceof Error ? error : new Error(String(error));
      socket.terminate();
    }
  });

  function hear(bytes: Uint8Array): void {
    const { request, heard } = parse(bytes);
    if (heard.name === "ping") return say(concatBytes(u8(SENT.pong), u32(request)));
    if (request !== 0) {
      const answer = answers.get(request);
      if (answer === undefined) throw new Error("an answer that nobody asked for");
      answers.delete(request);
      return answer(heard);
    }
    if (heard.name === "bye") bye = heard;
    const taker = takers.get(heard.name)?.shift();
    if (taker !== undefined) return taker(heard);
    entry(heardOf, heard.name).push(heard);
  }

  function say(bytes: Uint8Array | string): void {
    lastSaid = bytes;
    socket.send(bytes);
  }

  const waitFor = (register: (take: (heard: Heard | Ended) => void) => void): Promise<Heard> =>
    new Promise((resolve, reject) => {
      if (over !== undefined) return reject(over);
      register((heard) => (heard instanceof Ended ? reject(heard) : resolve(heard)));
    });

  async function next<N extends Heard["name"]>(name: N): Promise<Named<N>> {
    const known = heardOf.get(name)?.shift();
    const wait = (): Promise<Heard> => waitFor((take) => entry(takers, name).push(take));
    return (known ?? (await wait())) as Named<N>;
  }

  function ask(type: number, ...fields: readonly Uint8Array[]): Promise<Heard> {
    const request = ++lastRequest;
    const answer = waitFor((take) => answers.set(request, take));
    say(concatBytes(u8(type), u32(request), ...fields));
    return answer;
  }

  const hello = await next("hello");
  const isSigned = ed25519.verify(
    hello.signature,
    labelled("sotto/1 hub hello", hello.transcript),
    hello.relayKey,
    { zip215: false },
  );
  if (!isSigned || (relayKey !== undefined && !equalBytes(relayKey, hello.relayKey))) {
    socket.terminate();
    throw new Error("not the relay that was meant");
  }

  return {
    hello,
    ask,
    say,
    next,
    ended,
    lastRequest: () => lastRequest,
    lastSaid: () => lastSaid,
    waiting: (name) => heardOf.get(name)?.length ?? 0,
    cut: () => socket.terminate(),
    prove(seed, admission = new Uint8Array()) {
      const readerKey = ed25519.getPublicKey(seed);
      const proof = labelled("sotto/1 hub auth", hello.nonce, hello.relayKey, readerKey);
      const block = concatBytes(u16(admission.length), admission);
      const head = concatBytes(u8(SENT.auth), u32(0), u8(1), readerKey);
      say(concatBytes(head, ed25519.sign(proof, seed), block));
      return next("welcome");
    },
    makeQueue: (queueId, firstUse, ttlHours = 24) =>
      ask(SENT.queueNew, queueId, u16(ttlHours), sha256(firstUse), u16(0)),
    openQueues: (...queueIds) => ask(SENT.queueOpen, u16(queueIds.length), ...queueIds),
    openSender(sendId, sendSecret, firstUse = new Uint8Array(16), sendKey) {
      const key = sendKey ?? x25519.getPublicKey(sendSecret);
      const shared = x25519.getSharedSecret(sendSecret, hello.ephemeralKey);
      const macKey = hkdf(sha256, shared, new Uint8Array(32), utf8ToBytes("sotto/1 hub send"), 32);
      const transcript = concatBytes(hello.nonce, hello.relayKey, sendId, key);
      return ask(SENT.sendOpen, sendId, key, hmac(sha256, macKey, transcript), firstUse);
    },
    append: (alias, id, envelope) => ask(SENT.append, u32(alias), id, envelope),
    ack(alias, sequences, isAnswered = true) {
      const fields = [u32(alias), u16(sequences.length), ...sequences.map(u64)];
      if (isAnswered) return ask(SENT.ack, ...fields);
      say(concatBytes(u8(SENT.ack), u32(0), ...fields));
      return Promise.resolve({ name: "ok" });
    },
  };
}

function entry<T>(lists: Map<string, T[]>, name: string): T[] {
  const list = lists.get(name) ?? [];
  lists.set(name, list);
  return list;
}

export const random = (length: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(randomBytes(length));
