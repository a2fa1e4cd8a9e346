/** What one place may use up: buckets that outlive connections, and never too many of them. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { LOOPBACK_SHARES, NETWORK_SHARES } from "sotto-relay";
import {
  ALLOWANCES_SWEEP_MS,
  APPEND_BYTE_INTERVAL_MS,
  APPEND_BYTES_BURST,
  CONNECT_BURST,
  CONNECT_INTERVAL_MS,
  createAllowance,
  createAllowances,
  HOUR_MS,
  QUEUE_IDLE_HOURS,
  QUEUE_NEW_BURST,
  QUEUE_NEW_INTERVAL_MS,
  QUEUES_MAX,
} from "sotto-relay/core";

const START = 1_000 * HOUR_MS;

describe("an allowance", () => {
  test("queues: a burst, then one per interval", () => {
    const { queueNews } = createAllowance();
    for (let index = 0; index < QUEUE_NEW_BURST; index++) expect(queueNews.take(START)).toBe(0);
    expect(queueNews.take(START)).toBe(QUEUE_NEW_INTERVAL_MS);
    expect(queueNews.take(START + QUEUE_NEW_INTERVAL_MS - 1)).toBe(1);
    expect(queueNews.take(START + QUEUE_NEW_INTERVAL_MS)).toBe(0);
    expect(queueNews.take(START + QUEUE_NEW_INTERVAL_MS)).toBe(QUEUE_NEW_INTERVAL_MS);
  });

  test("what is owed comes in before anything is given, and is never more than was asked for last", () => {
    const { connects } = createAllowance();
    for (let index = 0; index < CONNECT_BURST; index++) connects.take(START);
    for (let times = 0; times < 3; times++) connects.owe(START, 10);
    expect(connects.take(START)).toBe(11 * CONNECT_INTERVAL_MS);
    expect(connects.take(START + 11 * CONNECT_INTERVAL_MS - 1)).toBe(1);
    expect(connects.take(START + 11 * CONNECT_INTERVAL_MS)).toBe(0);
  });

  test("bytes: a burst to the byte, then as many as time gives", () => {
    const { appendBytes } = createAllowance();
    expect(appendBytes.take(START, APPEND_BYTES_BURST + 1)).toBeGreaterThan(0);
    expect(appendBytes.take(START, APPEND_BYTES_BURST)).toBe(0);
    const waitMs = 65_536 * APPEND_BYTE_INTERVAL_MS;
    expect(appendBytes.take(START, 65_536)).toBe(waitMs);
    expect(appendBytes.take(START + waitMs - 1, 65_536)).toBe(1);
    expect(appendBytes.take(START + waitMs, 65_536)).toBe(0);
  });

  test("a clock set back gives nothing and takes nothing", () => {
    const { queueNews } = createAllowance();
    for (let index = 1; index < QUEUE_NEW_BURST; index++) queueNews.take(START);
    expect(queueNews.take(START - 24 * HOUR_MS)).toBe(0);
    expect(queueNews.take(START - 24 * HOUR_MS)).toBe(QUEUE_NEW_INTERVAL_MS);
    expect(queueNews.take(START - 24 * HOUR_MS + QUEUE_NEW_INTERVAL_MS)).toBe(0);
  });

  test("shares: loopback has as much as so many places, a local crowd fits", () => {
    const { queueNews } = createAllowance(LOOPBACK_SHARES);
    const burst = LOOPBACK_SHARES * QUEUE_NEW_BURST;
    expect(burst).toBeGreaterThan(100 * 50);
    for (let index = 0; index < burst; index++) expect(queueNews.take(START)).toBe(0);
    expect(queueNews.take(START)).toBe(QUEUE_NEW_INTERVAL_MS / LOOPBACK_SHARES);
  });

  test("one place cannot fill the relay, even if it uses every queue until the last hour", () => {
    const refills = (QUEUE_IDLE_HOURS * HOUR_MS) / QUEUE_NEW_INTERVAL_MS;
    expect(QUEUE_NEW_BURST + refills).toBeLessThan(QUEUES_MAX * 0.6);
  });
});

describe("allowances", () => {
  test("a place has the same until it is full again, and others have their own", () => {
    let now = START;
    const allowances = createAllowances(() => now);
    const spend = (place: string): number =>
      allowances.of({ name: place, shares: 1 }).queueNews.take(now);
    for (let index = 0; index < QUEUE_NEW_BURST; index++) expect(spend("a")).toBe(0);
    expect(spend("a")).toBeGreaterThan(0);
    expect(spend("b")).toBe(0);
    // b is full again, a is not.
    now += Math.max(ALLOWANCES_SWEEP_MS, QUEUE_NEW_INTERVAL_MS);
    expect(spend("a")).toBe(0);
    expect(spend("a")).toBeGreaterThan(0);
    expect(allowances.size).toBe(1);
  });

  test("one that used only bytes is not forgotten before those are back", () => {
    let now = START;
    const allowances = createAllowances(() => now);
    expect(allowances.of({ name: "a", shares: 1 }).appendBytes.take(now, APPEND_BYTES_BURST)).toBe(
      0,
    );
    now += 2 * ALLOWANCES_SWEEP_MS;
    expect(
      allowances.of({ name: "a", shares: 1 }).appendBytes.take(now, APPEND_BYTES_BURST),
    ).toBeGreaterThan(0);
  });

  test("a network has as much as so many places, whichever of its places ask", () => {
    const allowances = createAllowances(() => START);
    const network = { name: "network", shares: NETWORK_SHARES };
    const spend = (name: string): number =>
      allowances.of({ name, shares: 1, network }).queueNews.take(START);
    for (let place = 0; place < NETWORK_SHARES; place++) {
      for (let index = 0; index < QUEUE_NEW_BURST; index++) expect(spend(`p${place}`)).toBe(0);
      expect(spend(`p${place}`)).toBeGreaterThan(0);
    }
    expect(spend("another")).toBeGreaterThan(0);
    // What the network refused was not taken from the place.
    const place = { name: "another", shares: 1 };
    const { queueNews } = allowances.of(place);
    for (let index = 0; index < QUEUE_NEW_BURST; index++) expect(queueNews.take(START)).toBe(0);
  });

  test("a crowd seen once pushes out one another, and not who used up much", () => {
    const allowances = createAllowances(() => START, 100);
    const of = (name: string) => allowances.of({ name, shares: 1 });
    for (let index = 0; index < QUEUE_NEW_BURST; index++) of("spent").queueNews.take(START);
    for (let index = 0; index < 10_000; index++) {
      of(`stranger ${index}`).queueNews.take(START);
      expect(allowances.size).toBeLessThanOrEqual(100);
    }
    expect(of("spent").queueNews.take(START)).toBeGreaterThan(0);
  });

  test("connections: a burst, then one per interval; what is spent on refusals may be all there is", () => {
    const { connects } = createAllowance();
    for (let index = 0; index < CONNECT_BURST; index++) expect(connects.take(START)).toBe(0);
    expect(connects.take(START)).toBe(CONNECT_INTERVAL_MS);
    const soon = START + CONNECT_INTERVAL_MS;
    connects.spend(soon, CONNECT_BURST + 1);
    expect(connects.take(soon)).toBe(CONNECT_INTERVAL_MS);
  });

  test("are never more than so many: the one not asked for the longest goes", () => {
    const allowances = createAllowances(() => START, 3);
    const spend = (place: string): number =>
      allowances.of({ name: place, shares: 1 }).appendBytes.take(START, APPEND_BYTES_BURST);
    for (const place of ["a", "b", "c"]) expect(spend(place)).toBe(0);
    expect(spend("a")).toBeGreaterThan(0);
    expect(spend("d")).toBe(0);
    expect(allowances.size).toBe(3);
    expect([spend("a"), spend("c")].every((waitMs) => waitMs > 0)).toBe(true);
    expect(spend("b")).toBe(0);
    expect(allowances.size).toBe(3);
  });
});

test("a crowd of places that are seen once costs little memory each", () => {
  const [count, bytesEach] = [20_000, 600];
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const allowances = createAllowances(Date.now);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < count; index++) {
    allowances.of({ name: `198.51.${index >> 8}.${index & 255}`, shares: 1 }).connects.take(0);
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(count * bytesEach);
  expect(allowances.size).toBe(count);
});
