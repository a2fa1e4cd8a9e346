/** A relay whose signed HELLO holds a key with which every exchange is zero: a proof made with it proves nothing. */
import { readFile } from "node:fs/promises";
import type { HubFrame } from "@sotto/wire";
import { expect, it, vi } from "vitest";
import { zeroOutputKeys } from "../../crypto/test/wycheproof.ts";
import { blob, envelopeId, target, watchedHub } from "./hub-fixture.ts";
import { scriptedRelay, type Visit } from "./scripted-relay.ts";

const zeroKeys = await zeroOutputKeys((file) =>
  readFile(new URL(`../../../test/vectors/${file}`, import.meta.url), "utf8"),
);

const answer = (visit: Visit, request: number, frame: HubFrame): void => {
  visit.send(request, frame.type === "send-open" ? { type: "sender", alias: 1 } : { type: "ok" });
};

it("is told no send key, gets no message, and the same message goes to an honest relay", async () => {
  expect(zeroKeys).toHaveLength(14);
  const to = target();
  for (const ephemeralKey of [...zeroKeys, undefined]) {
    const honest = ephemeralKey === undefined;
    const relay = await scriptedRelay({
      onFrame: answer,
      ...(honest ? {} : { ephemeralKey }),
    });
    const { hub } = watchedHub(relay.url);
    try {
      hub.start();
      await vi.waitUntil(() => hub.state === "online", { timeout: 20_000, interval: 5 });
      expect(await hub.append(to, envelopeId(), blob(1))).toBe(honest ? "ok" : "lost");
      const sent = relay.visits.flatMap(({ frames }) => frames.map(({ frame }) => frame.type));
      expect(sent).toEqual(honest ? ["auth", "send-open", "append"] : ["auth"]);
    } finally {
      await relay.close();
      await hub.close();
    }
  }
});
