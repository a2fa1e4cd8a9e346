/** A group of twenty who do not know each other, on real cryptography (protocol/SPEC.md §11). */
import { nodeBackend } from "@sotto/engines/node";
import { bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import { accountOf, circle, read, say, seconds } from "../../packages/protocol/test/circle.ts";
import { createFleet } from "../../packages/protocol/test/fleet.ts";

it("twenty people talk", { timeout: 60_000 }, async () => {
  const names = Array.from({ length: 20 }, (_, index) => `person ${index}`);
  const { fleet, people } = await circle(names, createFleet(nodeBackend));
  for (const one of people) expect(one.membersIn(one.groupOf())).toHaveLength(20);
  const [first, , , , last] = people;
  if (first === undefined || last === undefined) throw new Error("too few");
  const said = await say(first, "hello all");
  await seconds(fleet, 1);
  await say(last, "hello");
  await seconds(fleet, 1);
  for (const one of people) expect(read(one)).toEqual(["hello all", "hello"]);
  expect(first.status(first.groupOf(), said)).toBe("delivered");
  // The same chain goes on; another one begins after a removal.
  const chainOf = (): readonly [string, number] => {
    const chains = [...(first.slices.get(first.groupOf())?.group?.senders.values() ?? [])];
    const chain = chains.flatMap((row) => (row.chain === undefined ? [] : [row.chain]))[0];
    if (chain === undefined) throw new Error("no chain");
    return [bytesToHex(chain.chainId), chain.next];
  };
  const [chain] = chainOf();
  await say(first, "again");
  expect(chainOf()).toEqual([chain, 2]);
  await seconds(fleet, 1);
  // One whose store lost the chains asks for them.
  const [, forgetful] = people;
  forgetful?.forgetChains(forgetful.groupOf());
  await say(first, "lost");
  await seconds(fleet, 2);
  await first.feed(first.groupOf(), { kind: "group-remove", account: accountOf(last) });
  await say(first, "without the last one");
  expect(chainOf()[0]).not.toBe(chain);
  await seconds(fleet, 1);
  expect(read(last)).toEqual(["hello all", "hello", "again", "lost"]);
  for (const one of people) {
    if (one === last) continue;
    expect(read(one)).toEqual(["hello all", "hello", "again", "lost", "without the last one"]);
  }
});
