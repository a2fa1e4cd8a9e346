/**
 * Reconciliation against negentropy in the same run, on the same sets: bytes both ways, messages, processor time of both sides.
 * `SOTTO_SYNC_ITEMS=1000000` takes sets of that size instead of 100,000.
 */
import { runNegentropy, type NegentropyItem } from "@sotto/peers/negentropy";
import {
  createEncoder,
  createSummary,
  deriveSetKeys,
  encodeEvent,
  eventId,
  foldContributions,
  contributionOf,
  type Item,
  itemHash,
  logEvent,
  timeOf,
} from "@sotto/sync";
import { asAccountId, concatBytes } from "@sotto/wire";
import { createHash } from "node:crypto";
import {
  drawItems,
  drawPair,
  KEYS,
  reconcile,
  setOf,
  type Shape,
} from "../../packages/sync/test/shapes.ts";
import { createRandom } from "../simulation/random.ts";
import type { Measure } from "./main.ts";

const ITEMS = Number(process.env["SOTTO_SYNC_ITEMS"] ?? 100_000);

const CASES: readonly (readonly [shape: Shape, items: number, differences: number])[] = [
  ["uniform", ITEMS, 0],
  ["uniform", ITEMS, 10],
  ["uniform", ITEMS, 1_000],
  ["uniform", ITEMS, ITEMS / 10],
  ["tail", ITEMS, 1_000],
  ["behind", ITEMS, 1_000],
  ["window", ITEMS, 1_000],
  ["uniform", 10_000, 10_000],
  ["uniform", ITEMS, ITEMS],
];

/** The ids of negentropy are hashes of events, 32 bytes; its times are seconds. */
const forNegentropy = ({ id, hash }: Item): NegentropyItem => ({
  seconds: Math.floor(timeOf(id) / 1_000),
  id: Uint8Array.from(createHash("sha256").update(concatBytes(id, hash)).digest()),
});

export async function benchSync(): Promise<readonly Measure[]> {
  const measures: Measure[] = [];
  for (const [shape, items, differences] of CASES) {
    const { a, b, onlyA, onlyB } = drawPair(shape, items, differences, 1);
    const name = `${shape}, ${differences} of ${items}`;
    const begun = process.cpuUsage();
    const sets = [setOf(a), setOf(b)] as const;
    const built = process.cpuUsage(begun);
    const run = reconcile(...sets);
    const own = process.cpuUsage(begun);
    if (run.gives.a.length !== onlyA.length || run.gives.b.length !== onlyB.length) {
      throw new Error(`${name}: not the difference`);
    }
    const [theirA, theirB] = [a.map(forNegentropy), b.map(forNegentropy)];
    const begunThere = process.cpuUsage();
    const peer = await runNegentropy(theirA, theirB);
    const theirs = process.cpuUsage(begunThere).user;
    if (peer.have.length !== onlyA.length || peer.need.length !== onlyB.length) {
      throw new Error(`${name}: negentropy found another difference`);
    }
    measures.push(
      { name: `${name}: bytes`, value: run.bytes, unit: `B, ${run.flights} flights` },
      { name: "  negentropy (yardstick)", value: peer.bytes, unit: `B, ${peer.flights} flights` },
      { name: "  bytes to negentropy's", value: run.bytes / peer.bytes, unit: "x" },
      { name: "  with the hashes asked for", value: run.bytesWithWants / peer.bytes, unit: "x" },
      { name: "  processor time to negentropy's", value: own.user / theirs, unit: "x" },
      { name: "  the same, with sets at hand", value: (own.user - built.user) / theirs, unit: "x" },
    );
  }
  return [...measures, ...upkeep()];
}

/** What an event costs its device as it is stored, against the HMAC that its hash is anyway. */
function upkeep(): readonly Measure[] {
  const items = drawItems(20_000, createRandom(2));
  const perSecond = (count: number, act: () => void): number => {
    const begun = performance.now();
    act();
    return (1_000 * count) / (performance.now() - begun);
  };
  const keys = deriveSetKeys(new Uint8Array(32));
  const content = new Uint8Array(32);
  const hashed = perSecond(items.length, () => {
    for (const { id } of items) itemHash(keys, id, content);
  });
  const summary = createSummary(KEYS);
  const kept = perSecond(items.length, () => {
    for (const item of items) summary.add(item);
  });
  const set = setOf(items);
  const encoded = perSecond(items.length, () => {
    createEncoder(set, { from: 0, to: set.size }).extend(256);
  });
  const [ada, bob] = [1, 2].map((byte) => asAccountId(new Uint8Array(20).fill(byte)));
  if (ada === undefined || bob === undefined) throw new Error("nobody");
  const events = items.map(({ id }, at) => ({
    id: eventId(timeOf(id), 0, new Uint8Array(8)),
    author: at % 2 === 0 ? ada : bob,
    place: { kind: "notes", account: ada } as const,
    body: { kind: "text", text: `text ${at}`, replyTo: undefined, lifetimeS: 0 } as const,
  }));
  const written = perSecond(events.length, () => {
    for (const event of events) encodeEvent(event);
  });
  const folded = perSecond(events.length, () => {
    foldContributions(events.map((event) => contributionOf(logEvent(event), ada)));
  });
  return [
    { name: "hash of an item (yardstick)", value: hashed, unit: "/s" },
    {
      name: "event added to what is kept of a set",
      value: kept / hashed,
      unit: "x the hash's rate",
    },
    { name: "item in 256 symbols", value: encoded / hashed, unit: "x the hash's rate" },
    { name: "event encoded", value: written / hashed, unit: "x the hash's rate" },
    { name: "event hashed and folded", value: folded / hashed, unit: "x the hash's rate" },
  ];
}
