/**
 * Tells whoever asks from which address the question came (STUN Binding over UDP), and nothing else.
 * Owns: the socket, how often a place is answered. Everything that is no Binding request is dropped.
 * Spec: SPEC.md §8; RFC 8489 §5, §6.3, §14.2.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIPv4 } from "node:net";
import { createTokenBucket, type TokenBucket } from "../core/token-bucket.ts";
import { placeOf } from "./places.ts";

/** A device asks a few times per dial; loopback and an IPv6 /64 are places like any other here. */
export const STUN_BURST = 32;
export const STUN_INTERVAL_MS = 200;
/** For all places together: what a flood from forged addresses may cost and send elsewhere. */
export const STUN_TOTAL_BURST = 2_000;
export const STUN_TOTAL_INTERVAL_MS = 0.5;
/** Places whose buckets are remembered; of more, the one that asked first goes. Full ones are forgotten so often. */
export const STUN_PLACES_MAX = 4_096;
const SWEEP_MS = 10_000;
/** Longer than any Binding request of a browser. */
export const STUN_REQUEST_BYTES_MAX = 548;

const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const XOR_MAPPED_ADDRESS = 0x0020;

export interface StunServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface StunLimits {
  /** Whether anything more is read. */
  mayRead(): boolean;
  /** Whether this address is answered once more. */
  mayAnswer(address: string): boolean;
  /** Forgets the places that may ask as much as a new one. */
  sweep(): void;
  /** Places that are remembered. */
  readonly size: number;
}

/** `now`: milliseconds that only go forward. */
export function createStunLimits(now: () => number): StunLimits {
  const total = createTokenBucket(STUN_TOTAL_BURST, STUN_TOTAL_INTERVAL_MS);
  const places = new Map<string, TokenBucket>();
  return {
    mayRead: () => total.take(now()) === 0,
    mayAnswer(address) {
      const { name } = placeOf(address);
      const known = places.get(name);
      const bucket = known ?? createTokenBucket(STUN_BURST, STUN_INTERVAL_MS);
      if (known === undefined) {
        const [oldest] = places.keys();
        if (places.size >= STUN_PLACES_MAX && oldest !== undefined) places.delete(oldest);
        places.set(name, bucket);
      }
      return bucket.take(now()) === 0;
    },
    sweep() {
      for (const [name, bucket] of places) if (bucket.isFull(now())) places.delete(name);
    },
    get size() {
      return places.size;
    },
  };
}

/** 0: any free port. Rejects when the port is taken. */
export async function startStun(port: number, now: () => number): Promise<StunServer> {
  const socket = await bind(port);
  const limits = createStunLimits(now);
  const sweep = setInterval(() => limits.sweep(), SWEEP_MS).unref();
  socket.on("message", (request, { address, port: from }: RemoteInfo) => {
    // Port 0 is no client's: an answer there could only go astray.
    if (from === 0 || !limits.mayRead()) return;
    const answer = stunAnswer(request, address, from);
    if (answer !== undefined && limits.mayAnswer(address)) socket.send(answer, from, address);
  });
  // One datagram that cannot be sent is one answer less.
  socket.on("error", () => undefined);
  return {
    port: socket.address().port,
    close() {
      clearInterval(sweep);
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}

/** Undefined for anything but a Binding request. At most 24 bytes longer than the shortest request. */
export function stunAnswer(
  request: Buffer,
  address: string,
  port: number,
): Buffer<ArrayBuffer> | undefined {
  const isBinding =
    request.length >= HEADER_BYTES &&
    request.length <= STUN_REQUEST_BYTES_MAX &&
    request.readUInt16BE(0) === BINDING_REQUEST &&
    request.readUInt16BE(2) === request.length - HEADER_BYTES &&
    request.readUInt32BE(4) === COOKIE;
  const bytes = isBinding ? toBytes(address) : undefined;
  if (bytes === undefined) return undefined;
  const answer = Buffer.alloc(HEADER_BYTES + 8 + bytes.length);
  answer.writeUInt16BE(BINDING_SUCCESS, 0);
  answer.writeUInt16BE(8 + bytes.length, 2);
  // Cookie and transaction, which is also what the address is hidden behind.
  request.copy(answer, 4, 4, HEADER_BYTES);
  answer.writeUInt16BE(XOR_MAPPED_ADDRESS, HEADER_BYTES);
  answer.writeUInt16BE(4 + bytes.length, HEADER_BYTES + 2);
  answer[HEADER_BYTES + 5] = bytes.length === 4 ? 1 : 2;
  answer.writeUInt16BE(port ^ (COOKIE >>> 16), HEADER_BYTES + 6);
  for (const [at, byte] of bytes.entries()) {
    answer[HEADER_BYTES + 8 + at] = byte ^ (request[4 + at] ?? 0);
  }
  return answer;
}

/** 4 or 16 bytes. */
function toBytes(address: string): Uint8Array | undefined {
  const plain = address.replace(/^::ffff:/i, "").replace(/%.*$/, "");
  if (isIPv4(plain)) return Uint8Array.from(plain.split(".").map(Number));
  const [head = "", tail] = plain.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** On all addresses, of both families where there are two. */
async function bind(port: number): Promise<Socket> {
  try {
    return await bindTo("udp6", "::", port);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    return bindTo("udp4", "0.0.0.0", port);
  }
}

function bindTo(type: "udp4" | "udp6", host: string, port: number): Promise<Socket> {
  const socket = createSocket(type);
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
