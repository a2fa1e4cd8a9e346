import { pageHints } from "@sotto/transport";
import { hexToBytes } from "@sotto/wire";
import { afterEach, expect, it, vi } from "vitest";
import { commands } from "vitest/browser";
import { blob, entropy, envelopeId, numberOf, queueId, watchedHub } from "./hub-fixture.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

it("a hub in a page reaches a relay, and comes back to it after a crash", async () => {
  const data = await commands.makeFolder();
  let place = await commands.startRelay({ data });
  cleanups.push(() => commands.killRelay(place.pid));
  const url = `${place.origin.replace("http", "ws")}/hub`;
  const relayKey = hexToBytes(place.relayKey);
  const [owner, sender] = [0, 1].map(() => {
    const watched = watchedHub(url, {
      relayKey,
      onDeliver: (hub, delivery) => hub.ack(delivery.queueId, delivery.sequence),
    });
    cleanups.push(() => watched.hub.close());
    watched.hub.start();
    return watched;
  }) as [ReturnType<typeof watchedHub>, ReturnType<typeof watchedHub>];
  const firstUse = entropy(16);
  const made = await owner.hub.makeQueue({ queueId: queueId(), firstUse, ttlHours: 24 });
  if (!made.ok) throw new Error(made.reason);
  const to = { sendId: made.sendId, sendSecret: entropy(32), firstUse };
  expect(await sender.hub.append(to, envelopeId(), blob(1))).toBe("ok");

  await commands.killRelay(place.pid);
  await vi.waitUntil(() => sender.hub.state !== "online" && owner.hub.state !== "online", {
    timeout: 10_000,
  });
  place = await commands.startRelay({ data, port: Number(new URL(place.origin).port) });
  // The page hears that the network is back.
  globalThis.dispatchEvent(new Event("online"));
  await vi.waitUntil(() => sender.hub.state === "online" && owner.hub.state === "online", {
    timeout: 10_000,
  });
  expect(await sender.hub.append(to, envelopeId(), blob(2))).toBe("ok");
  await vi.waitUntil(() => owner.deliveries.length === 2, { timeout: 10_000 });
  expect(owner.deliveries.map((delivery) => numberOf(delivery.blob))).toEqual([1, 2]);
});

it("a page's hints are the browser's events, until nobody listens any more", () => {
  const hints: string[] = [];
  const stop = pageHints.listen((kind) => hints.push(kind));
  expect(pageHints.isOnline()).toBe(navigator.onLine);
  globalThis.dispatchEvent(new Event("offline"));
  globalThis.dispatchEvent(new Event("online"));
  globalThis.dispatchEvent(new Event("pageshow"));
  document.dispatchEvent(new Event("visibilitychange"));
  expect(hints).toEqual(["gone", "back", "back", "back"]);
  stop();
  for (const name of ["offline", "online", "pageshow"]) globalThis.dispatchEvent(new Event(name));
  document.dispatchEvent(new Event("visibilitychange"));
  expect(hints).toHaveLength(4);
});
