/**
 * The frozen vectors of events and reconciliation: today's code makes them as before, and hashes, places, symbols and
 * fingerprints are made once more from the specification alone, with Node's own primitives and whole 64-bit numbers.
 */
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { makeSyncVectors, SYNC_VECTORS } from "../../../test/vectors/make-sync.ts";
import { halfSipHash } from "@sotto/sync";

const vectors = JSON.parse(readFileSync(SYNC_VECTORS, "utf8")) as ReturnType<
  typeof makeSyncVectors
>;

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const keysOf = (salt: Buffer): Buffer =>
  Buffer.from(hkdfSync("sha256", bytes(vectors.secret), salt, "sotto/1 set keys", 72));
const keys = keysOf(Buffer.alloc(0));

const itemHash = (key: Buffer, id: Buffer, content: Buffer): string =>
  createHmac("sha256", key.subarray(0, 32)).update(id).update(content).digest("hex").slice(0, 16);

/** Both words; the first is the check word. */
function tagOf(hash: Buffer): readonly [number, number] {
  const out = { low: 0, high: 0 };
  const words = [keys.readUInt32LE(64), keys.readUInt32LE(68)] as const;
  halfSipHash(...words, hash.readUInt32LE(0), hash.readUInt32LE(4), out);
  return [out.low, out.high];
}

function placesOf(hash: Buffer, limit: number): readonly number[] {
  const places: number[] = [];
  let state = hash.readBigUInt64LE(0);
  for (let index = 0; index < limit;) {
    places.push(index);
    state = (state * 0xda942042e4dd58b5n) % 2n ** 64n;
    const jump = Math.ceil((index + 1.5) * (2 ** 32 / Math.sqrt(Number(state) + 1) - 1));
    index += Math.max(1, jump);
  }
  return places;
}

it("today's code makes the frozen bytes", () => {
  expect(JSON.parse(JSON.stringify(makeSyncVectors()))).toEqual(vectors);
});

it("events have the hashes of the specification", () => {
  for (const event of vectors.events) {
    const body = bytes(event.bytes);
    const isErased = body[0] === 9;
    const hash = createHash("sha256").update("sotto/1 event\0").update(body).digest("hex");
    expect(event.contentHash).toBe(isErased ? event.bytes.slice(-64) : hash);
    const id = body.subarray(1, 17);
    const content = bytes(event.contentHash);
    expect(event.itemHash).toBe(itemHash(keys, id, content));
    expect(event.saltedItemHash).toBe(itemHash(keysOf(bytes(vectors.salt)), id, content));
  }
});

it("a set has the fingerprint, estimators and symbols of the specification", () => {
  const { set } = vectors;
  const hashes = set.hashes.map(bytes);
  let sum = 0n;
  const estimators = Array.from({ length: 64 }, () => 0);
  const symbols = Array.from({ length: 40 }, () => ({ hash: 0n, check: 0, count: 0 }));
  for (const hash of hashes) {
    const [check, upper] = tagOf(hash);
    sum += hash.readBigUInt64LE(0) + (BigInt(check) << 64n) + (BigInt(upper) << 96n);
    for (let bit = 0; bit < 64; bit++) {
      estimators[bit]! += ((bit < 32 ? check : upper) >>> (bit % 32)) & 1 ? 1 : -1;
    }
    for (const index of placesOf(hash, 40)) {
      const symbol = symbols[index]!;
      symbol.hash ^= hash.readBigUInt64LE(0);
      symbol.check ^= check;
      symbol.count++;
    }
  }
  const summed = Buffer.alloc(20);
  summed.writeUInt32BE(hashes.length);
  summed.writeBigUInt64LE(sum & (2n ** 64n - 1n), 4);
  summed.writeBigUInt64LE((sum >> 64n) & (2n ** 64n - 1n), 12);
  const fingerprint = createHmac("sha256", keys.subarray(32, 64)).update(summed).digest("hex");
  expect(set.fingerprint).toBe(fingerprint.slice(0, 32));
  expect(set.estimators).toEqual(estimators);
  expect(set.indicesOfFirst).toEqual(placesOf(hashes[0]!, 1_000_000));
  const written = symbols.map(({ hash, check, count }) => {
    const symbol = Buffer.alloc(13);
    symbol.writeBigUInt64LE(hash);
    symbol.writeUInt32LE(check >>> 0, 8);
    symbol.writeUInt8(count % 256, 12);
    return symbol.toString("hex");
  });
  expect(set.symbols).toBe(written.join(""));
});

it("the sides of a talk give each other what the other lacks", () => {
  const { hashes } = vectors.set;
  const { symbols, ownList, theirList, behind, ahead, equal } = vectors.talks;
  expect(equal.gives).toEqual({ a: [], b: [] });
  expect(behind.gives).toEqual({ a: [], b: hashes.slice(200) });
  expect(ahead.gives).toEqual({ a: hashes.slice(200), b: [] });
  expect(symbols.gives.a).toEqual([hashes[55]]);
  expect(symbols.gives.b).toEqual([hashes[10], hashes[100], hashes[200], hashes[299]]);
  expect(ownList.gives).toEqual({ a: [hashes[19]], b: hashes.slice(20) });
  expect(theirList.gives).toEqual({ a: hashes.slice(0, 200), b: [hashes[299]] });
  expect(vectors.without_7_150_299.gives).toEqual([]);
  const wanted = vectors.without_7_150_299.wants.join("").slice(4);
  expect(new Set(wanted.match(/.{16}/g))).toEqual(new Set([hashes[7], hashes[150], hashes[299]]));
});

it("talks take every way there is", () => {
  const kinds = (said: readonly string[]): string =>
    said.map((one) => Number.parseInt(one.slice(3, 5), 16)).join(" ");
  const { talks } = vectors;
  expect(kinds(talks.equal.said)).toBe("1 2");
  expect(kinds(talks.behind.said)).toBe("1 3");
  expect(kinds(talks.ahead.said)).toBe("1 4 11");
  expect(kinds(talks.symbols.said)).toMatch(/^1 4 5 6 6 7 [67 ]+ 11$/);
  expect(kinds(talks.ownList.said)).toBe("1 4 10 11");
  expect(kinds(talks.theirList.said)).toBe("1 4 8 9 11");
});
