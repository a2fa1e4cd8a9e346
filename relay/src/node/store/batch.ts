/**
 * Store operations as one block of bytes, because one transferred block is the cheap way into a worker.
 * Both ends are the same process and version: no versioning, no validation.
 * unit: count u32 | operations. operation: code u8 | fields; rows and hours are f64, blobs u32 length + bytes.
 */
import type { StoreOperation } from "../../core/ports.ts";

const CODES = [
  "put-queue",
  "delete-queue",
  "put-message",
  "delete-message",
  "put-bundle",
  "delete-bundle",
] as const satisfies readonly StoreOperation["type"][];

export type Unit = readonly StoreOperation[];

const QUEUE_BYTES = 8 + 24 + 32 + 32 + 32 + 1 + 8 + 8;

export function sizeOf(operation: StoreOperation): number {
  switch (operation.type) {
    case "put-queue":
      return 1 + QUEUE_BYTES;
    case "put-message":
      return 1 + 24 + 16 + 4 + operation.blob.length;
    case "put-bundle":
      return 1 + 24 + 32 + 4 + operation.blob.length;
    default:
      return 1 + 8;
  }
}

export function packUnits(units: readonly Unit[]): ArrayBuffer {
  let size = 4;
  for (const unit of units) {
    size += 4;
    for (const operation of unit) size += sizeOf(operation);
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value);
    at += 4;
  };
  const f64 = (value: number): void => {
    view.setFloat64(at, value);
    at += 8;
  };
  const raw = (value: Uint8Array): void => {
    bytes.set(value, at);
    at += value.length;
  };
  const u8 = (value: number): void => {
    bytes[at++] = value;
  };
  u32(units.length);
  for (const unit of units) {
    u32(unit.length);
    for (const operation of unit) {
      u8(CODES.indexOf(operation.type));
      switch (operation.type) {
        case "put-queue": {
          const { queue } = operation;
          f64(queue.row);
          raw(queue.queueId);
          raw(queue.sendHash);
          raw(queue.readerKey);
          raw(queue.sender);
          u8(queue.bound ? 1 : 0);
          f64(queue.ttlHours);
          f64(queue.expiryHour);
          break;
        }
        case "put-message": {
          const { message, blob } = operation;
          f64(message.row);
          f64(message.queueRow);
          f64(message.expiryHour);
          raw(message.id);
          u32(blob.length);
          raw(blob);
          break;
        }
        case "put-bundle": {
          const { bundle, blob } = operation;
          f64(bundle.row);
          f64(bundle.queueRow);
          f64(bundle.expiryHour);
          raw(bundle.linkHash);
          u32(blob.length);
          raw(blob);
          break;
        }
        default:
          f64(operation.row);
      }
    }
  }
  return bytes.buffer;
}

/** The byte arrays of the result are views of `buffer`. */
export function unpackUnits(buffer: ArrayBuffer): readonly Unit[] {
  const view = new DataView(buffer);
  let at = 0;
  const u32 = (): number => {
    at += 4;
    return view.getUint32(at - 4);
  };
  const f64 = (): number => {
    at += 8;
    return view.getFloat64(at - 8);
  };
  const raw = (length: number): Uint8Array<ArrayBuffer> => {
    at += length;
    return new Uint8Array(buffer, at - length, length);
  };
  const u8 = (): number => view.getUint8(at++);
  const operation = (): StoreOperation => {
    const type = CODES[u8()];
    const row = f64();
    switch (type) {
      case "put-queue": {
        const queue = {
          row,
          queueId: raw(24),
          sendHash: raw(32),
          readerKey: raw(32),
          sender: raw(32),
          bound: u8() === 1,
          ttlHours: f64(),
          expiryHour: f64(),
        };
        return { type, queue };
      }
      case "put-message": {
        const message = { row, queueRow: f64(), expiryHour: f64(), id: raw(16) };
        return { type, message, blob: raw(u32()) };
      }
      case "put-bundle": {
        const bundle = { row, queueRow: f64(), expiryHour: f64(), linkHash: raw(32) };
        return { type, bundle, blob: raw(u32()) };
      }
      case "delete-queue":
      case "delete-message":
      case "delete-bundle":
        return { type, row };
      default:
        throw new RangeError("no such operation");
    }
  };
  return Array.from({ length: u32() }, () => Array.from({ length: u32() }, operation));
}
