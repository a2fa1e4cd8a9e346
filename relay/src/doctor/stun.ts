/**
 * STUN messages with long-term credentials, as much as asking a TURN server for an allocation needs.
 * Spec: RFC 8489 (messages, integrity), RFC 8656 (allocations).
 */
import { createHash, createHmac } from "node:crypto";

const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const INTEGRITY_BYTES = 20;

export const METHODS = {
  binding: 0x0001,
  allocate: 0x0003,
  refresh: 0x0004,
  createPermission: 0x0008,
} as const;

export const ATTRIBUTES = {
  username: 0x0006,
  integrity: 0x0008,
  errorCode: 0x0009,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedTransport: 0x0019,
  xorMappedAddress: 0x0020,
} as const;

export interface StunMessage {
  readonly type: number;
  /** 12 bytes. */
  readonly transaction: Uint8Array;
  readonly attributes: readonly (readonly [number, Uint8Array])[];
}

/** With a key, MESSAGE-INTEGRITY is added as the last attribute. */
export function encodeStun(message: StunMessage, key?: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  for (const [type, value] of message.attributes) parts.push(toAttribute(type, value));
  const body = Buffer.concat(parts);
  const sealed = key === undefined ? body.length : body.length + 4 + INTEGRITY_BYTES;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(message.type, 0);
  // The length that the integrity is computed over already counts the integrity itself.
  header.writeUInt16BE(sealed, 2);
  header.writeUInt32BE(COOKIE, 4);
  header.set(message.transaction, 8);
  const open = Buffer.concat([header, body]);
  if (key === undefined) return open;
  const mac = createHmac("sha1", key).update(open).digest();
  return Buffer.concat([open, toAttribute(ATTRIBUTES.integrity, mac)]);
}

function toAttribute(type: number, value: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  out.writeUInt16BE(type, 0);
  out.writeUInt16BE(value.length, 2);
  out.set(value, 4);
  return out;
}

/** Undefined for anything that is no whole STUN message. */
export function decodeStun(bytes: Buffer): StunMessage | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(4) !== COOKIE) return undefined;
  if (bytes.readUInt16BE(2) !== bytes.length - HEADER_BYTES) return undefined;
  const attributes: (readonly [number, Uint8Array])[] = [];
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt16BE(at + 2);
    if (at + 4 + length > bytes.length) return undefined;
    attributes.push([bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length)]);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { type: bytes.readUInt16BE(0), transaction: bytes.subarray(8, HEADER_BYTES), attributes };
}

export const attributeOf = (message: StunMessage, type: number): Uint8Array | undefined =>
  message.attributes.find(([found]) => found === type)?.[1];

/** Of an error answer, for example 401; undefined for a success. */
export function errorOf(message: StunMessage): number | undefined {
  const value = attributeOf(message, ATTRIBUTES.errorCode);
  return value === undefined ? undefined : (value[2] ?? 0) * 100 + (value[3] ?? 0);
}

/** RFC 8489 §9.2.2: MD5(username ":" realm ":" password). */
export const longTermKey = (username: string, realm: string, password: string): Buffer =>
  createHash("md5").update(`${username}:${realm}:${password}`).digest();

/** coturn's `use-auth-secret`: the name carries its end, the password proves that whoever made it knows the secret. */
export function timedCredential(
  secret: string,
  expirySeconds: number,
): { readonly username: string; readonly credential: string } {
  const username = `${expirySeconds}:doctor`;
  return { username, credential: createHmac("sha1", secret).update(username).digest("base64") };
}

/** XOR-PEER-ADDRESS of an IPv4 address. */
export function xorAddress(address: string, port: number): Uint8Array {
  const out = Buffer.alloc(8);
  out[1] = 1;
  out.writeUInt16BE(port ^ (COOKIE >>> 16), 2);
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  out.writeUInt32BE((number ^ COOKIE) >>> 0, 4);
  return out;
}
