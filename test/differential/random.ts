/** Bytes and choices of one seed: the same on every run and every machine. */
import { createHash } from "node:crypto";

export interface Random {
  readonly bytes: (length: number) => Uint8Array<ArrayBuffer>;
  /** From 0 up to, not including, `limit`. */
  readonly below: (limit: number) => number;
}

export function createRandom(seed: string): Random {
  let counter = 0;
  const bytes = (length: number): Uint8Array<ArrayBuffer> => {
    const blocks: Buffer[] = [];
    for (let made = 0; made < length; made += 32) {
      blocks.push(createHash("sha256").update(`${seed}/${counter++}`).digest());
    }
    return Uint8Array.from(Buffer.concat(blocks).subarray(0, length));
  };
  return {
    bytes,
    below: (limit) => Buffer.from(bytes(6)).readUIntBE(0, 6) % limit,
  };
}
