/** When a reader that is away is woken, and when not. */
import { describe, expect, test } from "vitest";
import {
  type Counter,
  createWaker,
  PUSH_GAP_MS,
  PUSH_KEPT_MS,
  PUSH_REPEAT_MS,
  PUSH_RETRIES_MAX,
  PUSH_RETRY_MS_MAX,
  type PushResult,
  type Waker,
} from "sotto-relay/core";
import { random } from "./client.ts";
import { createClock, turn, type VirtualClock } from "./world.ts";

const OK: PushResult = { kind: "ok" };
const ENDPOINT = "https://push.example/1";

interface Scene {
  readonly clock: VirtualClock;
  readonly waker: Waker;
  readonly sent: string[];
  readonly counted: Counter[];
  /** What the push service says; undefined: nothing yet. */
  answer: PushResult | undefined;
  /** Answers what waits. */
  settle(result?: PushResult): Promise<void>;
  advance(this: void, ms: number): Promise<void>;
}

function scene(limits: { registrationsMax?: number; openMax?: number } = {}): Scene {
  const clock = createClock();
  const counted: Counter[] = [];
  const sent: string[] = [];
  const open: ((result: PushResult) => void)[] = [];
  const made: Scene = {
    clock,
    sent,
    counted,
    answer: OK,
    waker: createWaker({
      clock,
      count: (counter) => counted.push(counter),
      service: {
        publicKey: random(65),
        allows: (endpoint) => endpoint.startsWith("https://push.example/"),
        send(endpoint) {
          sent.push(endpoint);
          return made.answer === undefined
            ? new Promise((resolve) => open.push(resolve))
            : Promise.resolve(made.answer);
        },
      },
      ...limits,
    }),
    async settle(result = OK) {
      for (const resolve of open.splice(0)) resolve(result);
      await turn();
    },
    async advance(ms) {
      clock.advance(ms);
      await turn();
    },
  };
  return made;
}

describe("mail for a reader", () => {
  test("wakes it when it is away, and never while it is here", async () => {
    const { waker, sent } = scene();
    const reader = random(32);
    waker.arrived(reader);
    waker.arrived(reader);
    expect(waker.set(reader, ENDPOINT)).toBe("ok");
    waker.left(reader);
    waker.stored(reader);
    await turn();
    expect(sent).toEqual([]);
    waker.left(reader);
    waker.stored(reader);
    await turn();
    expect(sent).toEqual([ENDPOINT]);
  });

  test("wakes nobody else, and nobody who asked for nothing or took it back", async () => {
    const { waker, sent } = scene();
    const reader = random(32);
    waker.set(reader, ENDPOINT);
    waker.stored(random(32));
    waker.set(reader, "");
    waker.stored(reader);
    await turn();
    expect(sent).toEqual([]);
  });

  test("that follows a wake-up asks for no other until the reader was here, or the repeat time is over", async () => {
    const { waker, sent, advance } = scene();
    const reader = random(32);
    waker.set(reader, ENDPOINT);
    waker.stored(reader);
    await advance(PUSH_REPEAT_MS - 1);
    waker.stored(reader);
    await turn();
    expect(sent).toHaveLength(1);
    await advance(1);
    waker.stored(reader);
    await turn();
    expect(sent).toHaveLength(2);
    waker.arrived(reader);
    waker.left(reader);
    waker.stored(reader);
    await advance(PUSH_GAP_MS - 1);
    expect(sent).toHaveLength(2);
    await advance(1);
    expect(sent).toHaveLength(3);
  });

  test("waits for the gap once, and not at all when the reader comes meanwhile", async () => {
    const { waker, sent, advance } = scene();
    const reader = random(32);
    waker.set(reader, ENDPOINT);
    for (let round = 0; round < 3; round++) {
      waker.stored(reader);
      await turn();
      waker.arrived(reader);
      waker.left(reader);
    }
    expect(sent).toHaveLength(1);
    waker.arrived(reader);
    await advance(PUSH_GAP_MS);
    expect(sent).toHaveLength(1);
  });

  test("keeps the gap also for an endpoint that was exchanged", async () => {
    const { waker, sent, advance } = scene();
    const reader = random(32);
    waker.set(reader, ENDPOINT);
    waker.stored(reader);
    await turn();
    waker.set(reader, `${ENDPOINT}2`);
    waker.stored(reader);
    await advance(PUSH_GAP_MS - 1);
    expect(sent).toEqual([ENDPOINT]);
    await advance(1);
    expect(sent).toEqual([ENDPOINT, `${ENDPOINT}2`]);
  });
});

test("an endpoint is called until its reader was away for PUSH_KEPT_MS, and makes room then", async () => {
  const { waker, sent, advance } = scene({ registrationsMax: 2 });
  const [here, away] = [random(32), random(32)];
  waker.arrived(here);
  waker.set(away, `${ENDPOINT}away`);
  waker.set(here, `${ENDPOINT}here`);
  await advance(PUSH_KEPT_MS - 1);
  expect(waker.set(random(32), ENDPOINT)).toBe("limit");
  await advance(1);
  // Who is here keeps theirs, however long ago it was said.
  expect(waker.set(random(32), ENDPOINT)).toBe("ok");
  expect(waker.set(random(32), ENDPOINT)).toBe("limit");
  waker.left(here);
  await advance(PUSH_KEPT_MS - 1);
  waker.stored(away);
  waker.stored(here);
  await turn();
  expect(sent).toEqual([`${ENDPOINT}here`]);
});

test("nobody is called who was away for PUSH_KEPT_MS, whether or not anybody else came since", async () => {
  const { waker, sent, advance } = scene();
  const reader = random(32);
  waker.set(reader, ENDPOINT);
  await advance(PUSH_KEPT_MS);
  waker.stored(reader);
  await turn();
  expect(sent).toEqual([]);
});

describe("a push service", () => {
  test("that knows the endpoint no longer is not called again", async () => {
    const made = scene();
    const reader = random(32);
    made.answer = { kind: "gone" };
    made.waker.set(reader, ENDPOINT);
    made.waker.stored(reader);
    await made.advance(PUSH_REPEAT_MS);
    made.waker.stored(reader);
    await turn();
    expect(made.sent).toHaveLength(1);
    expect(made.counted).toEqual(["push-gone"]);
  });

  test("is asked again when it says, at most PUSH_RETRIES_MAX times", async () => {
    const made = scene();
    const reader = random(32);
    made.answer = { kind: "later", retryAfterMs: 90_000 };
    made.waker.set(reader, ENDPOINT);
    made.waker.stored(reader);
    await turn();
    await made.advance(89_999);
    expect(made.sent).toHaveLength(1);
    await made.advance(1);
    expect(made.sent).toHaveLength(2);
    for (let more = 0; more < 5; more++) await made.advance(90_000);
    expect(made.sent).toHaveLength(1 + PUSH_RETRIES_MAX);
    expect(made.counted).toEqual(["push-failed"]);
  });

  test("cannot put off a wake-up for longer than PUSH_RETRY_MS_MAX, nor hurry one", async () => {
    const made = scene();
    const [slow, fast] = [random(32), random(32)];
    made.answer = { kind: "later", retryAfterMs: 10 * PUSH_RETRY_MS_MAX };
    made.waker.set(slow, ENDPOINT);
    made.waker.stored(slow);
    await turn();
    await made.advance(PUSH_RETRY_MS_MAX - 1);
    expect(made.sent).toHaveLength(1);
    await made.advance(1);
    expect(made.sent).toHaveLength(2);
    made.answer = { kind: "later", retryAfterMs: 0 };
    made.waker.set(fast, `${ENDPOINT}fast`);
    made.waker.stored(fast);
    await turn();
    await made.advance(PUSH_GAP_MS - 1);
    expect(made.sent).toHaveLength(3);
    await made.advance(1);
    expect(made.sent).toHaveLength(4);
  });

  test("that never answers holds up as many as may be called at once, and they are called later", async () => {
    const made = scene({ openMax: 2 });
    made.answer = undefined;
    for (const name of ["a", "b", "c"]) {
      const reader = random(32);
      made.waker.set(reader, ENDPOINT + name);
      made.waker.stored(reader);
    }
    expect(made.sent).toHaveLength(2);
    await made.settle();
    expect(made.sent).toHaveLength(3);
  });
});

test("one reader above the limit is refused, and one that is known is not; an endpoint elsewhere never goes in", () => {
  const { waker } = scene({ registrationsMax: 2 });
  const known = random(32);
  expect(waker.set(known, ENDPOINT)).toBe("ok");
  expect(waker.set(random(32), "https://elsewhere.example/1")).toBe("limit");
  expect(waker.set(random(32), ENDPOINT)).toBe("ok");
  expect(waker.set(random(32), ENDPOINT)).toBe("limit");
  expect(waker.set(known, `${ENDPOINT}2`)).toBe("ok");
  expect(waker.set(known, "")).toBe("ok");
  expect(waker.set(random(32), ENDPOINT)).toBe("ok");
});
