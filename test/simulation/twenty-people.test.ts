/** A group of twenty who do not know each other, on real cryptography (protocol/SPEC.md §11). */
import { nodeBackend } from "@sotto/engines/node";
import { expect, it } from "vitest";
import { circle, read, say, seconds } from "../../packages/protocol/test/circle.ts";
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
});
