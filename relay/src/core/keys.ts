/**
 * Byte arrays as map keys: two bytes per character, so that a key costs what its bytes cost.
 * Lengths are multiples of eight, as every id and hash here.
 */
export function bytesToKey(bytes: Uint8Array): string {
  const at = (index: number): number => ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  const eight = (i: number): string => String.fromCharCode(at(i), at(i + 2), at(i + 4), at(i + 6));
  // A message id in one call: a string put together keeps its parts until it is read.
  if (bytes.length === 16) {
    return String.fromCharCode(at(0), at(2), at(4), at(6), at(8), at(10), at(12), at(14));
  }
  let key = "";
  for (let i = 0; i < bytes.length; i += 8) key += eight(i);
  return key;
}

export function keyToBytes(key: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * key.length);
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    bytes[2 * index] = unit >> 8;
    bytes[2 * index + 1] = unit & 0xff;
  }
  return bytes;
}
