/**
 * A WebSocket by hand, for those who want to do it wrong: heads that never end, frames that never come, replies
 * that nobody reads. Everything goes to loopback.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

/** Where an attacker seems to come from: a proxied address for our relay, another loopback address for libp2p. */
export interface From {
  readonly forwarded?: string;
  readonly localAddress?: string;
}

export interface RawSocket {
  readonly socket: Socket;
  /** The binary payloads that came, whole ones only. */
  onFrame: (payload: Buffer) => void;
  /** One masked binary frame. */
  send(payload: Uint8Array): void;
  /** The beginning of a frame that claims `length` bytes. */
  sendHead(length: bigint): void;
}

const MASK = Buffer.alloc(4);

export const headOf = (path: string, from: From): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
  `${from.forwarded === undefined ? "" : `X-Forwarded-For: ${from.forwarded}\r\n`}\r\n`;

/** TCP only. Errors are part of the game. */
export function openTcp(port: number, from: From = {}): Socket {
  const { localAddress } = from;
  const socket = connect({
    port,
    host: "127.0.0.1",
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.on("error", () => undefined);
  return socket;
}

/** Undefined: refused, by whatever means. */
export function openRaw(port: number, path: string, from: From): Promise<RawSocket | undefined> {
  const socket = openTcp(port, from);
  socket.write(headOf(path, from));
  let bytes = Buffer.alloc(0);
  let isOpen = false;
  const raw: RawSocket = {
    socket,
    onFrame: () => undefined,
    send: (payload) => socket.write(Buffer.concat([frameHead(BigInt(payload.length)), payload])),
    sendHead: (length) => socket.write(frameHead(length)),
  };
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined));
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isOpen) {
        const end = bytes.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!bytes.subarray(0, end).toString().includes(" 101 ")) return void socket.destroy();
        bytes = bytes.subarray(end + 4);
        isOpen = true;
        resolve(raw);
        // After whoever waits has set its listener.
        return void setImmediate(read);
      }
      read();
    });
    function read(): void {
      for (;;) {
        const size = payloadSize(bytes);
        if (size === undefined || bytes.length < size.head + size.payload) return;
        const payload = bytes.subarray(size.head, size.head + size.payload);
        const isBinary = (bytes[0]! & 0x0f) === 2;
        bytes = bytes.subarray(size.head + size.payload);
        if (isBinary) raw.onFrame(payload);
      }
    }
  });
}

function frameHead(length: bigint): Buffer {
  const head = Buffer.alloc(10);
  head[0] = 0x82;
  if (length < 126n) {
    head[1] = 0x80 | Number(length);
    return Buffer.concat([head.subarray(0, 2), MASK]);
  }
  if (length < 65_536n) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(Number(length), 2);
    return Buffer.concat([head.subarray(0, 4), MASK]);
  }
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(length, 2);
  return Buffer.concat([head, MASK]);
}

/** Of a frame from a server, which has no mask. */
function payloadSize(bytes: Buffer): { head: number; payload: number } | undefined {
  const short = bytes.length < 2 ? undefined : bytes[1]! & 0x7f;
  if (short === undefined) return undefined;
  if (short < 126) return { head: 2, payload: short };
  if (short === 126) {
    return bytes.length < 4 ? undefined : { head: 4, payload: bytes.readUInt16BE(2) };
  }
  return bytes.length < 10 ? undefined : { head: 10, payload: Number(bytes.readBigUInt64BE(2)) };
}
