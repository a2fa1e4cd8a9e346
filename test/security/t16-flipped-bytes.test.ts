/**
 * T-16: every byte of every kind that authenticates itself, changed: refused. HELLOs and messages bit by bit:
 * packages/crypto/test/handshake.test.ts and atomicity.test.ts.
 */
import { nobleBackend } from "@sotto/crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { makeWorld } from "./t01-world.ts";

type World = Awaited<ReturnType<typeof makeWorld>>;
type KindName = keyof World["kinds"];

let world: World;
beforeAll(async () => {
  world = await makeWorld(nobleBackend);
});

/** `step`: every how many bytes one is changed; kinds whose opening costs milliseconds are sampled. */
const STEPS: Readonly<Partial<Record<KindName, number>>> = {
  message: 1,
  hello: 37,
  signal: 1,
  plea: 11,
  way: 11,
  "invite offer": 1,
  "device cert": 1,
  bundle: 13,
  "device list": 1,
  "group create": 1,
  "group operation": 1,
  "group message": 1,
  "file chunk": 1,
  "backup header": 1,
  "backup chunk": 1,
  "hub hello": 3,
  "hub auth": 3,
  "sender proof": 1,
  "admission proof": 1,
  "safety number": 1,
};

/** Bytes that nothing is to be concluded from, by kind: what they are. */
const UNAUTHENTICATED: Readonly<Partial<Record<KindName, readonly number[]>>> = {
  // The number of a request, which an answer repeats.
  "hub hello": [1, 2, 3, 4],
  "hub auth": [1, 2, 3, 4],
  // The key for the words, where the passphrase opens; no chunk opens under a header that was changed.
  "backup header": Array.from({ length: 60 }, (_, at) => 43 + at),
};

describe("a changed byte", () => {
  it.each(Object.entries(STEPS))(
    "of a %s is refused, and the genuine one opens after all",
    async (name, step) => {
      const kind = world.kinds[name as KindName];
      const free = UNAUTHENTICATED[name as KindName] ?? [];
      const accepted: number[] = [];
      for (let at = 0; at < kind.bytes.length; at += step) {
        const changed = kind.bytes.slice();
        // Another bit of each byte, so that all eight have their turn.
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        if (await kind.opens(changed)) accepted.push(at);
      }
      expect(accepted).toEqual(free.filter((at) => at % step === 0));
      expect(await kind.opens(kind.bytes)).toBe(true);
    },
  );

  it("is tried with every kind but those that are authenticated by what is around them, or whole", () => {
    const others = Object.entries(world.kinds)
      .filter(([name, { head }]) => head !== undefined && !(name in STEPS))
      .map(([name]) => name);
    // A page is as good as its operations, each of which is tried; a phrase has a checksum of eight bits (crypto/SPEC.md §13);
    // of a proof of work every counter is good that fits.
    expect(others).toEqual(["group page", "recovery phrase", "work"]);
  });
});
