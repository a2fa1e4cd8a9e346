/**
 * Byte arrays as map keys: two bytes per character, so that a key costs what its bytes cost.
 * Lengths are even, as those of every id and hash here.
 */
export function bytesToKey(bytes: Uint8Array): string {
  const at = (index: number): number => ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  // In one call: a string put together keeps its parts. A message's id, the most frequent, without a list.
  if (bytes.length === 16) {
    return String.fromCharCode(at(0), at(2), at(4), at(6), at(8), at(10), at(12), at(14));
  }
  const units: number[] = [];
  for (let index = 0; index < bytes.length; index += 2) units.push(at(index));
  return String.fromCharCode(...units);
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
