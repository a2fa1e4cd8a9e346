/**
 * Where to write to someone: one queue at one relay. Travels only inside sealed envelopes and invites.
 * Spec: SPEC.md §5.1.
 */
import { asSendId, SEND_ID_BYTES, type SendId } from "./brand.ts";
import {
  type ByteReader,
  type ByteWriter,
  createWriter,
  decodeWith,
  type Decoded,
  refuse,
} from "./bytes.ts";

export const RELAY_URL_BYTES_MAX = 128;
export const FIRST_USE_BYTES = 16;
/** Up to three independent relays may hold a mailbox for the same contact. */
export const ADDRESSES_MAX = 3;
export const ADDRESS_BYTES_MAX = 2 + RELAY_URL_BYTES_MAX + 32 + SEND_ID_BYTES + FIRST_USE_BYTES;
export const ADDRESS_LIST_BYTES_MAX = 1 + ADDRESSES_MAX * ADDRESS_BYTES_MAX;

export interface QueueAddress {
  /** Origin of the relay, for example "https://chat.example.com"; http only on loopback. */
  readonly relayUrl: string;
  /** Ed25519, 32 bytes: the relay's identity, pinned by the client. */
  readonly relayKey: Uint8Array;
  readonly sendId: SendId;
  /** 16 bytes: whoever presents it first becomes the queue's only sender. */
  readonly firstUse: Uint8Array;
}

export const encodeAddress = (address: QueueAddress): Uint8Array<ArrayBuffer> =>
  writeAddress(createWriter(), address).done();

export const decodeAddress = (bytes: Uint8Array): Decoded<QueueAddress> =>
  decodeWith(bytes, ADDRESS_BYTES_MAX, readAddress);

export const encodeAddresses = (addresses: readonly QueueAddress[]): Uint8Array<ArrayBuffer> =>
  writeAddresses(createWriter(), addresses).done();

export const decodeAddresses = (bytes: Uint8Array): Decoded<readonly QueueAddress[]> =>
  decodeWith(bytes, ADDRESS_LIST_BYTES_MAX, readAddresses);

/** count 1 | addresses; 1 to ADDRESSES_MAX of them, ordered by preference. */
export function writeAddresses(writer: ByteWriter, addresses: readonly QueueAddress[]): ByteWriter {
  writer.u8(addresses.length);
  for (const address of addresses) writeAddress(writer, address);
  return writer;
}

export function readAddresses(reader: ByteReader): readonly QueueAddress[] {
  const count = reader.u8();
  if (count === 0 || count > ADDRESSES_MAX) refuse("malformed");
  return Array.from({ length: count }, () => readAddress(reader));
}

export const writeAddress = (writer: ByteWriter, address: QueueAddress): ByteWriter =>
  writer.text(address.relayUrl).raw(address.relayKey).raw(address.sendId).raw(address.firstUse);

export function readAddress(reader: ByteReader): QueueAddress {
  const relayUrl = reader.text(RELAY_URL_BYTES_MAX);
  if (!isRelayUrl(relayUrl)) refuse("malformed");
  return {
    relayUrl,
    relayKey: reader.take(32),
    sendId: asSendId(reader.take(SEND_ID_BYTES)),
    firstUse: reader.take(FIRST_USE_BYTES),
  };
}

/** An origin without path, query or credentials that fits an address; plain http only towards this machine. */
export const isRelayUrl = (url: string): boolean =>
  url.length <= RELAY_URL_BYTES_MAX &&
  (/^https:\/\/[a-z0-9.-]+(:\d{1,5})?$/.test(url) ||
    /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(url));
