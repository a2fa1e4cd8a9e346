/**
 * Byte arrays as map keys: one character per byte, so that a 24-byte id costs 24 bytes.
 */
export const bytesToKey = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

export function keyToBytes(key: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(key.length);
  for (let index = 0; index < key.length; index++) bytes[index] = key.charCodeAt(index);
  return bytes;
}
