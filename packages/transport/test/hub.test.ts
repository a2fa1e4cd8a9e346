import { nobleBackend } from "@sotto/crypto";
import { asLinkId, asSendId, type ErrorCode, type HubFrame } from "@sotto/wire";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  ACK_DELAY_MS,
  ANSWER_MS,
  ATTEMPT_FRESH_MS,
  BACKOFF_CAP_MS,
  CALLS_BYTES_MAX,
  CALLS_MAX,
  CONNECT_MS,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_MAX,
  type NetworkHints,
  PARKED_MS,
  PONG_MS,
  QUIET_MS,
  RETRY_AFTER_MS_MAX,
  UNACKNOWLEDGED_MAX,
  UNANSWERED_MS,
} from "@sotto/transport";
import {
  blob,
  entropy,
  envelopeId,
  manualTimers,
  numberOf,
  queueId,
  target,
  type Watched,
  watchedHub,
} from "./hub-fixture.ts";
import { provesSendKey, type Script, scriptedRelay, type Visit } from "./scripted-relay.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  // The relay first: a hub does not wait for answers from a relay that is gone.
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** Answers as a relay without storage would: every queue exists, every append is fine. */
const agreeable = (visit: Visit, request: number, frame: HubFrame): void => {
  const answer = agreement(frame);
  if (answer !== undefined) visit.send(request, answer);
};
function agreement(frame: HubFrame): HubFrame | undefined {
  switch (frame.type) {
    case "queue-new":
      return { type: "queue", alias: numberOf(frame.queueId) + 1, sendId: asSendId(entropy(24)) };
    case "queue-open": {
      const queues = frame.queueIds.map((id) => ({ alias: numberOf(id) + 1, backlog: 0 }));
      return { type: "queues", queues };
    }
    case "send-open":
      return { type: "sender", alias: 77 };
    case "ping":
      return { type: "pong" };
    case "append":
    case "signal":
    case "bundle-put":
    case "queue-close":
      return { type: "ok" };
    default:
      return undefined;
  }
}

async function relayFor(script: Script): ReturnType<typeof scriptedRelay> {
  const relay = await scriptedRelay(script);
  cleanups.push(() => relay.close());
  return relay;
}

function start(url: string, options: Parameters<typeof watchedHub>[1] = {}): Watched {
  const watched = watchedHub(url, options);
  cleanups.push(() => watched.hub.close());
  watched.hub.start();
  return watched;
}

const until = (condition: () => boolean): Promise<unknown> =>
  vi.waitUntil(condition, { timeout: 20_000, interval: 5 });
const isOnline = ({ hub }: Watched) => until(() => hub.state === "online");

async function online(script: Script = {}, options: Parameters<typeof watchedHub>[1] = {}) {
  const relay = await relayFor({ onFrame: agreeable, ...script });
  const watched = start(relay.url, options);
  await isOnline(watched);
  return { relay, ...watched, visit: relay.visits[0]! };
}

describe("proof of the relay", () => {
  it("pins the key of the first contact and is then online", async () => {
    const relay = await relayFor({});
    const { hub, states, keys } = start(relay.url);
    await until(() => hub.state === "online");
    const key = await nobleBackend.signPublic(new Uint8Array(32).fill(7));
    expect(keys).toEqual([key]);
    expect(hub.relayKey).toEqual(key);
    expect(hub.circuit).toBe(true);
    expect(states).toEqual(["online"]);
  });

  it("says nothing to a relay whose signature is wrong, and pins nothing", async () => {
    const relay = await relayFor({
      forge: (hello) => ({ ...hello, ephemeralKey: new Uint8Array(32).fill(3) }),
    });
    const { hub, keys } = start(relay.url);
    await until(() => hub.state === "no-relay");
    expect(keys).toEqual([]);
    expect(hub.relayKey).toBeUndefined();
    expect(relay.visits[0]?.frames).toEqual([]);
  });

  it("sends nothing to a relay with another key until it is trusted", async () => {
    const relay = await relayFor({ onFrame: agreeable });
    const watched = start(relay.url, { relayKey: new Uint8Array(32).fill(1) });
    await until(() => watched.hub.state === "relay-changed");
    expect(await watched.hub.append(target(), envelopeId(), blob(1))).toBe("lost");
    expect(relay.visits.flatMap((visit) => visit.frames)).toEqual([]);
    expect(watched.keys).toEqual([]);

    watched.hub.trust();
    await isOnline(watched);
    expect(watched.hub.relayKey).toEqual(await nobleBackend.signPublic(new Uint8Array(32).fill(7)));
    expect(await watched.hub.append(target(), envelopeId(), blob(1))).toBe("ok");
    expect(watched.states).toEqual(["relay-changed", "connecting", "online"]);
  });

  it("a restarted relay with another key is noticed as changed", async () => {
    const { relay, hub } = await online();
    relay.script = { ...relay.script, seed: new Uint8Array(32).fill(8) };
    relay.visits[0]?.cut();
    await until(() => hub.state === "relay-changed");
  });

  it.each<[string, (visit: Visit) => void]>([
    ["bytes that are no frame", (visit) => visit.raw(new Uint8Array([99, 0, 0, 0, 0]))],
    ["text", (visit) => visit.raw("hello")],
    [
      "WELCOME before HELLO",
      (v) =>
        v.send(0, {
          type: "welcome",
          creditMessages: 1,
          circuit: false,
          admitted: true,
          pushKey: new Uint8Array(),
        }),
    ],
  ])("gives up a connection that opens with %s", async (_, say) => {
    const relay = await relayFor({ greets: false });
    const { hub } = start(relay.url);
    await until(() => relay.visits.length === 1);
    say(relay.visits[0]!);
    await until(() => hub.state === "no-relay");
  });

  it("gives up a relay that is silent, at the limit and not before", async () => {
    const relay = await relayFor({ greets: false });
    const timers = manualTimers();
    const { hub } = start(relay.url, { timers });
    await until(() => relay.visits.length === 1);
    timers.advance(CONNECT_MS - 1);
    expect(hub.state).toBe("connecting");
    timers.advance(1);
    expect(hub.state).toBe("no-relay");
  });

  it("refuses an address that is no socket", () => {
    expect(() => watchedHub("https://example.com/hub")).toThrow(RangeError);
  });

  it.each(["wss://relay.example:65536/hub", "wss://256.1.1.1/hub", "wss://xn--a/hub"])(
    "never reaches what a contact called a relay and no platform can: %s",
    async (url) => {
      const { hub } = start(url);
      await until(() => hub.state === "no-relay");
      expect(await hub.append(target(), envelopeId(), blob(1))).toBe("lost");
    },
  );
});

describe("requests", () => {
  it("opens a sender once, proves its key, and appends in call order", async () => {
    const hellos: { nonce: Uint8Array; relayKey: Uint8Array }[] = [];
    const { hub, visit } = await online({ forge: (hello) => (hellos.push(hello), hello) });
    const to = target();
    const outcomes = await Promise.all([1, 2, 3].map((n) => hub.append(to, envelopeId(), blob(n))));
    outcomes.push(await hub.append(to, envelopeId(), blob(4)));
    expect(outcomes).toEqual(["ok", "ok", "ok", "ok"]);
    expect(visit.of("append").map((frame) => numberOf(frame.blob))).toEqual([1, 2, 3, 4]);
    const opens = visit.of("send-open");
    expect(opens).toHaveLength(1);
    expect(opens[0]?.firstUse).toEqual(to.firstUse);
    expect(await provesSendKey(hellos[0]!, opens[0]!)).toBe(true);
  });

  it("opens a sender anew after its queue was gone", async () => {
    let refusals = 1;
    const { hub, visit } = await online({
      onFrame: (visit, request, frame) => {
        if (frame.type === "append" && refusals-- > 0) {
          return visit.send(request, { type: "error", code: "gone", retryAfterMs: 0 });
        }
        agreeable(visit, request, frame);
      },
    });
    const to = target();
    expect(await hub.append(to, envelopeId(), blob(1))).toBe("gone");
    expect(await hub.append(to, envelopeId(), blob(1))).toBe("ok");
    expect(visit.of("send-open")).toHaveLength(2);
  });

  it("asks for servers, and hands over what it is told", async () => {
    const servers = { ttlSeconds: 9, urls: ["turn:a"], username: "1:b", credential: "c" };
    const { hub } = await online({
      onFrame: (visit, request, frame) =>
        visit.send(
          request,
          frame.type === "turn" ? { type: "turn-credential", ...servers } : { type: "ok" },
        ),
    });
    expect(await hub.iceServers()).toEqual({ ok: true, servers });
  });

  it("takes nothing else for servers, and leaves whoever says it", async () => {
    const { hub, relay } = await online({
      onFrame: (visit, request) => visit.send(request, { type: "ok" }),
    });
    expect(await hub.iceServers()).toEqual({ ok: false, reason: "lost" });
    await until(() => relay.visits.length > 1);
  });

  it.each<[ErrorCode, string, string, string, string]>([
    ["gone", "gone", "gone", "gone", "gone"],
    ["quota", "quota", "lost", "lost", "quota"],
    ["limit", "quota", "lost", "later", "quota"],
    ["full", "quota", "lost", "lost", "quota"],
    ["later", "lost", "lost", "later", "lost"],
    ["away", "lost", "away", "lost", "lost"],
  ])("%s: append %s, signal %s, offer %s, queue %s", async (code, append, signal, offer, queue) => {
    const { hub } = await online({
      onFrame: (visit, request, frame) =>
        frame.type === "send-open"
          ? agreeable(visit, request, frame)
          : visit.send(request, { type: "error", code, retryAfterMs: 0 }),
    });
    expect(await hub.append(target(), envelopeId(), blob(1))).toBe(append);
    expect(await hub.signal(target(), blob(1))).toBe(signal);
    expect(await hub.fetchOffer(asLinkId(entropy(24)))).toEqual({ ok: false, reason: offer });
    expect(await hub.iceServers()).toEqual({ ok: false, reason: offer });
    expect(
      await hub.makeQueue({ queueId: queueId(), firstUse: entropy(16), ttlHours: 24 }),
    ).toEqual({ ok: false, reason: queue });
  });

  it("a refused opening answers everything that waited on it", async () => {
    const { hub, visit } = await online({
      onFrame: (visit, request) =>
        visit.send(request, { type: "error", code: "gone", retryAfterMs: 0 }),
    });
    const to = target();
    expect(
      await Promise.all([
        hub.append(to, envelopeId(), blob(1)),
        hub.append(to, envelopeId(), blob(2)),
        hub.signal(to, blob(3)),
      ]),
    ).toEqual(["gone", "gone", "gone"]);
    expect(visit.of("append")).toEqual([]);
  });

  it("asks for no longer life than the relay grants, and shows only the hash of the secret", async () => {
    const { hub, visit } = await online();
    const firstUse = entropy(16);
    const made = await hub.makeQueue({ queueId: queueId(), firstUse, ttlHours: 9_000 });
    expect(made.ok).toBe(true);
    const [frame] = visit.of("queue-new");
    expect(frame?.ttlHours).toBe(504);
    const digest = await crypto.subtle.digest("SHA-256", firstUse);
    expect(frame?.firstUseHash).toEqual(new Uint8Array(digest));
  });

  it("ends a connection that answers with the wrong kind of frame", async () => {
    const { hub } = await online({
      onFrame: (visit, request) => visit.send(request, { type: "ok" }),
    });
    expect(await hub.append(target(), envelopeId(), blob(1))).toBe("lost");
    expect(hub.state).toBe("connecting");
  });

  it("refuses a blob that is no bucket, as a bug of the caller", async () => {
    const { hub } = await online();
    expect(() => hub.append(target(), envelopeId(), blob(1, 255))).toThrow(RangeError);
  });

  it("calls made while connecting are sent once connected", async () => {
    const relay = await relayFor({ onFrame: agreeable });
    const { hub } = start(relay.url);
    expect(hub.state).toBe("connecting");
    expect(await hub.append(target(), envelopeId(), blob(1))).toBe("ok");
  });

  it("calls made while connecting are lost at the limit", async () => {
    const relay = await relayFor({ greets: false });
    const timers = manualTimers();
    const { hub } = start(relay.url, { timers });
    timers.advance(CONNECT_MS - 1);
    const early = hub.append(target(), envelopeId(), blob(1));
    timers.advance(1);
    expect(hub.state).toBe("no-relay");
    expect(await early).toBe("lost");
    expect(await hub.append(target(), envelopeId(), blob(1))).toBe("lost");
  });

  it("before start, calls wait no longer than the limit", async () => {
    const timers = manualTimers();
    const { hub } = watchedHub("ws://127.0.0.1:9/hub", { timers });
    const call = hub.append(target(), envelopeId(), blob(1));
    timers.advance(PARKED_MS - 1);
    expect(timers.pending).toBe(1);
    timers.advance(1);
    expect(await call).toBe("lost");
  });
});

describe("limits", () => {
  const silentAboutAppends: Script = {
    onFrame: (visit, request, frame) => {
      if (frame.type !== "append") agreeable(visit, request, frame);
    },
  };

  it("keeps as many requests in flight as allowed, the next waits for an answer", async () => {
    const { hub, visit } = await online(silentAboutAppends);
    const to = target();
    for (let n = 0; n <= IN_FLIGHT_MAX; n++) void hub.append(to, envelopeId(), blob(n));
    await until(() => visit.of("append").length === IN_FLIGHT_MAX);
    hub.retry();
    await until(() => visit.of("ping").length === 1);
    expect(visit.of("append")).toHaveLength(IN_FLIGHT_MAX);
    visit.send(visit.of("append")[0]!.request, { type: "ok" });
    await until(() => visit.of("append").length === IN_FLIGHT_MAX + 1);
  });

  it("keeps as many bytes in flight as allowed", async () => {
    const { hub, visit } = await online(silentAboutAppends);
    const to = target();
    const size = 65_536;
    const fitting = Math.ceil(IN_FLIGHT_BYTES_MAX / (size + 25));
    for (let n = 0; n <= fitting; n++) void hub.append(to, envelopeId(), blob(n, size));
    await until(() => visit.of("append").length === fitting);
    hub.retry();
    await until(() => visit.of("ping").length === 1);
    expect(visit.of("append")).toHaveLength(fitting);
  });

  it("holds as many calls as allowed, one more is lost at once", async () => {
    const { hub } = await online(silentAboutAppends);
    const to = target();
    let settled = 0;
    for (let n = 0; n < CALLS_MAX; n++) {
      void hub.append(to, envelopeId(), blob(n)).then(() => settled++);
    }
    expect(await hub.append(to, envelopeId(), blob(0))).toBe("lost");
    expect(settled).toBe(0);
    await hub.close();
    await until(() => settled === CALLS_MAX);
  });
});

describe("limits of bytes and deliveries", () => {
  it("holds as many bytes in calls as allowed, one more call is lost at once", async () => {
    const { hub, relay } = await online({
      onFrame: (visit, request, frame) => {
        if (frame.type !== "append") agreeable(visit, request, frame);
      },
    });
    const to = target();
    const big = blob(0, 65_536);
    let settled = 0;
    for (let n = 0; n < CALLS_BYTES_MAX / big.length; n++) {
      void hub.append(to, envelopeId(), big).then(() => settled++);
    }
    expect(await hub.append(to, envelopeId(), blob(0))).toBe("lost");
    expect(settled).toBe(0);
    await relay.close();
    await until(() => settled === CALLS_BYTES_MAX / big.length);
  });

  it("of a queue that was asked for twice arrive, though one of the two was refused", async () => {
    let asked = 0;
    const { hub, visit, deliveries } = await online({
      onFrame(visit, request, frame) {
        const isFirst = frame.type === "queue-new" && asked++ === 0;
        if (isFirst) visit.send(request, { type: "error", code: "full", retryAfterMs: 0 });
        else agreeable(visit, request, frame);
      },
    });
    const asking = { queueId: queueId(5), firstUse: entropy(16), ttlHours: 24 };
    const answers = await Promise.all([hub.makeQueue(asking), hub.makeQueue(asking)]);
    expect(answers.map(({ ok }) => ok)).toEqual([false, true]);
    const mail = { sequence: 1n, id: envelopeId(), blob: blob(1) };
    visit.send(0, { type: "deliver", alias: 6, ...mail });
    await until(() => deliveries.length === 1);
  });

  it("keeps book of as many deliveries as a WELCOME can credit, one more breaks the protocol", async () => {
    const { hub, visit, deliveries } = await online({ creditMessages: UNACKNOWLEDGED_MAX });
    hub.openQueues([queueId(5)]);
    await until(() => visit.of("queue-open").length === 1);
    const bytes = blob(1);
    const id = envelopeId();
    const deliver = (n: number): void =>
      visit.send(0, { type: "deliver", alias: 6, sequence: BigInt(n), id, blob: bytes });
    for (let n = 1; n <= UNACKNOWLEDGED_MAX; n++) deliver(n);
    await until(() => deliveries.length === UNACKNOWLEDGED_MAX);
    deliver(1);
    await until(() => deliveries.length === UNACKNOWLEDGED_MAX + 1);
    expect(hub.state).toBe("online");
    deliver(UNACKNOWLEDGED_MAX + 1);
    await until(() => hub.state === "connecting");
  });
});

describe("signs of life", () => {
  it("asks after silence and lets go when nothing comes back", async () => {
    const timers = manualTimers();
    const { hub, visit } = await online({ onFrame: () => undefined }, { timers });
    timers.advance(QUIET_MS - 1);
    hub.ack(queueId(), 1n);
    expect(timers.pending).toBe(1);
    timers.advance(1);
    await until(() => visit.of("ping").length === 1);
    timers.advance(PONG_MS - 1);
    expect(hub.state).toBe("online");
    timers.advance(1);
    expect(hub.state).toBe("connecting");
  });

  it("any frame is a sign of life", async () => {
    const timers = manualTimers();
    const { hub, visit } = await online({}, { timers });
    for (let round = 0; round < 3; round++) {
      timers.advance(QUIET_MS);
      await until(() => visit.of("ping").length === round + 1);
      visit.send(0, { type: "ping" });
      await until(() => visit.of("pong").length === round + 1);
    }
    expect(hub.state).toBe("online");
  });

  it("asks soon when an answer is due", async () => {
    const timers = manualTimers();
    const { hub, visit } = await online({ onFrame: () => undefined }, { timers });
    const call = hub.append(target(), envelopeId(), blob(1));
    await until(() => visit.of("send-open").length === 1);
    timers.advance(UNANSWERED_MS);
    await until(() => visit.of("ping").length === 1);
    timers.advance(PONG_MS);
    expect(await call).toBe("lost");
    expect(hub.state).toBe("connecting");
  });

  it("an answer that does not come in time is lost, on a connection that lives", async () => {
    const timers = manualTimers();
    const { hub, visit } = await online(
      {
        onFrame: (visit, request, frame) => {
          if (frame.type !== "append") agreeable(visit, request, frame);
        },
      },
      { timers },
    );
    let outcome: string | undefined;
    void hub.append(target(), envelopeId(), blob(1)).then((result) => (outcome = result));
    await until(() => visit.of("append").length === 1);
    for (let round = 1; round * UNANSWERED_MS < ANSWER_MS; round++) {
      timers.advance(UNANSWERED_MS);
      await until(() => visit.of("ping").length === round);
      visit.send(0, { type: "pong" });
      // A request answered after the pong shows that the pong was heard.
      await hub.signal(target(), blob(1));
    }
    expect(outcome).toBeUndefined();
    timers.advance(ANSWER_MS % UNANSWERED_MS);
    await until(() => outcome === "lost");
    expect(hub.state).toBe("online");
    // The late answer belongs to nobody and harms nobody.
    visit.send(visit.of("append")[0]!.request, { type: "ok" });
    expect(await hub.signal(target(), blob(1))).toBe("ok");
  });

  it("retry while online asks for a sign of life", async () => {
    const { hub, visit } = await online();
    hub.retry();
    await until(() => visit.of("ping").length === 1);
  });
});

describe("reconnecting", () => {
  const hinted = () => {
    let hint: ((kind: "back" | "gone") => void) | undefined;
    let up = true;
    const hints: NetworkHints = {
      isOnline: () => up,
      listen: (listener) => {
        hint = listener;
        return () => (hint = undefined);
      },
    };
    return {
      hints,
      say: (kind: "back" | "gone") => hint?.(kind),
      set: (value: boolean) => (up = value),
      listening: () => hint !== undefined,
    };
  };

  it("comes back with its queues after a cut, and reports those the relay has lost", async () => {
    const { relay, hub, missing, states } = await online();
    const ids = Array.from({ length: 257 }, (_, n) => queueId(n));
    hub.openQueues(ids);
    await until(() => relay.visits[0]!.of("queue-open").length === 2);
    relay.script = {
      onFrame: (visit, request, frame) => {
        const answer = agreement(frame);
        if (answer?.type !== "queues") return agreeable(visit, request, frame);
        const queues = answer.queues.map(({ alias }) => ({
          alias: alias === 1 ? 0 : alias,
          backlog: 0,
        }));
        visit.send(request, { type: "queues", queues });
      },
    };
    relay.visits[0]!.cut();
    await until(() => missing.length === 1);
    expect(missing).toEqual([ids[0]]);
    await until(() => relay.visits[1]!.of("queue-open").length === 2);
    expect(relay.visits[1]!.of("queue-open").map((frame) => frame.queueIds.length)).toEqual([
      256, 1,
    ]);
    expect(states).toEqual(["online", "connecting", "online"]);

    relay.visits[1]!.cut();
    await until(() => relay.visits[2]?.of("queue-open").length === 1);
    expect(relay.visits[2]!.of("queue-open")[0]!.queueIds).toHaveLength(256);
  });

  it("asks again for queues the relay could not open yet", async () => {
    let refusals = 1;
    const { hub, visit } = await online({
      onFrame: (visit, request, frame) => {
        if (frame.type === "queue-open" && refusals-- > 0) {
          return visit.send(request, { type: "error", code: "later", retryAfterMs: 1_100 });
        }
        agreeable(visit, request, frame);
      },
    });
    hub.openQueues([queueId(1)]);
    await until(() => visit.of("queue-open").length === 2);
    expect(hub.state).toBe("online");
  });

  it("what was asked on the old connection is lost, and the same call works on the new one", async () => {
    const relay = await relayFor({
      onFrame: (visit, request, frame) => {
        if (frame.type === "append") visit.cut();
        else agreeable(visit, request, frame);
      },
    });
    const watched = start(relay.url);
    await isOnline(watched);
    const to = target();
    const id = envelopeId();
    expect(await watched.hub.append(to, id, blob(1))).toBe("lost");
    relay.script = { onFrame: agreeable };
    expect(await watched.hub.append(to, id, blob(1))).toBe("ok");
    expect(relay.visits[1]!.of("send-open")).toHaveLength(1);
  });

  /** No jitter: every pause is the shortest allowed. */
  const still = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length);

  it.each([
    [60_000, 60_000],
    [0xffff_ffff, RETRY_AFTER_MS_MAX],
  ])("a BYE that asks for %i ms gets %i, whatever wakes the hub", async (asked, kept) => {
    const timers = manualTimers();
    const { hints, say } = hinted();
    const attempts: number[] = [];
    class Counted extends WebSocket {
      constructor(url: string) {
        super(url);
        attempts.push(timers.now());
      }
    }
    const options = { timers, hints, entropy: still, WebSocket: Counted };
    const { hub, visit } = await online({}, options);
    visit.send(0, { type: "bye", code: "draining", retryAfterMs: asked });
    await until(() => hub.state === "connecting");
    hub.retry();
    say("back");
    timers.advance(kept - 1);
    expect(attempts).toEqual([0]);
    timers.advance(1);
    expect(attempts).toEqual([0, kept]);
    await until(() => hub.state === "online");
  });

  it("pauses grow to the cap and no further, and retry cuts them short", async () => {
    const timers = manualTimers();
    const attempts: number[] = [];
    class Refused extends EventTarget {
      constructor() {
        super();
        attempts.push(timers.now());
        throw new Error("no socket");
      }
    }
    const { hub } = start("ws://127.0.0.1:9/hub", {
      timers,
      WebSocket: Refused as unknown as new (url: string) => WebSocket,
      entropy: (length) => new Uint8Array(length).fill(0xff),
    });
    timers.advance(100_000);
    const pauses = attempts.slice(1).map((at, index) => Math.round(at - attempts[index]!));
    expect(pauses.slice(0, 4)).toEqual([750, 2_250, 6_750, BACKOFF_CAP_MS]);
    expect(new Set(pauses.slice(3))).toEqual(new Set([BACKOFF_CAP_MS]));
    expect(hub.state).toBe("no-relay");
    const before = attempts.length;
    hub.retry();
    expect(hub.state).toBe("connecting");
    timers.advance(0);
    expect(attempts).toHaveLength(before + 1);
  });

  it("gives up an attempt that hangs when the network may have come back, but not a fresh one", async () => {
    const timers = manualTimers();
    const { hints, say } = hinted();
    const relay = await relayFor({ greets: false });
    const { hub } = start(relay.url, { timers, hints });
    await until(() => relay.visits.length === 1);
    relay.script = {};
    timers.advance(ATTEMPT_FRESH_MS - 1);
    say("back");
    timers.advance(0);
    expect(hub.state).toBe("connecting");
    expect(relay.visits[0]!.socket.readyState).toBe(WebSocket.OPEN);
    timers.advance(1);
    say("back");
    timers.advance(0);
    await until(() => hub.state === "online");
    expect(relay.visits).toHaveLength(2);
  });

  it("names the missing network, keeps trying, and comes back at once with it", async () => {
    const timers = manualTimers();
    const { hints, say, set, listening } = hinted();
    const { relay, hub, visit, states } = await online({}, { timers, hints });
    set(false);
    say("gone");
    await until(() => visit.of("ping").length === 1);
    visit.cut();
    await until(() => hub.state === "offline");
    set(true);
    say("back");
    expect(hub.state).toBe("connecting");
    timers.advance(0);
    await until(() => relay.visits.length === 2 && hub.state === "online");
    expect(states).toEqual(["online", "offline", "connecting", "online"]);
    await hub.close();
    expect(listening()).toBe(false);
  });
});

describe("deliveries", () => {
  const delivering = async (creditMessages: number) => {
    const timers = manualTimers();
    const id = queueId(5);
    const setUp = await online({ creditMessages }, { timers });
    setUp.hub.openQueues([id]);
    await until(() => setUp.visit.of("queue-open").length === 1);
    const deliver = (sequence: bigint): void =>
      setUp.visit.send(0, {
        type: "deliver",
        alias: 6,
        sequence,
        id: envelopeId(),
        blob: blob(Number(sequence)),
      });
    return { ...setUp, timers, id, deliver };
  };

  it("hands over what comes, in order, with the queue's name", async () => {
    const { visit, deliveries, signals, drained, id, deliver } = await delivering(64);
    for (const sequence of [1n, 2n, 3n]) deliver(sequence);
    visit.send(0, { type: "drained", alias: 6 });
    visit.send(0, { type: "signalled", alias: 6, blob: blob(9) });
    await until(() => signals.length === 1);
    expect(deliveries.map((delivery) => delivery.sequence)).toEqual([1n, 2n, 3n]);
    expect(deliveries[0]?.queueId).toEqual(id);
    expect(drained).toEqual([id]);
  });

  it("acknowledges in one frame what is acknowledged together", async () => {
    const { hub, visit, timers, deliveries, id, deliver } = await delivering(64);
    for (const sequence of [1n, 2n, 3n]) deliver(sequence);
    await until(() => deliveries.length === 3);
    for (const sequence of [1n, 2n, 3n, 3n, 4n]) hub.ack(id, sequence);
    timers.advance(ACK_DELAY_MS);
    await until(() => visit.of("ack").length === 1);
    expect(visit.of("ack")[0]).toMatchObject({ alias: 6, sequences: [1n, 2n, 3n] });
  });

  it("does not let half the relay's credit wait", async () => {
    const { hub, visit, deliveries, id, deliver } = await delivering(4);
    deliver(1n);
    deliver(2n);
    await until(() => deliveries.length === 2);
    hub.ack(id, 1n);
    hub.ack(id, 2n);
    await until(() => visit.of("ack").length === 1);
  });

  it("never acknowledges on a new connection what an old one delivered", async () => {
    const { relay, hub, visit, timers, deliveries, id, deliver } = await delivering(64);
    deliver(1n);
    await until(() => deliveries.length === 1);
    visit.cut();
    await until(() => hub.state === "connecting");
    timers.advance(1_000);
    await until(() => relay.visits[1]?.of("queue-open").length === 1);
    hub.ack(id, 1n);
    timers.advance(ACK_DELAY_MS);
    hub.retry();
    await until(() => relay.visits[1]!.of("ping").length === 1);
    expect(relay.visits[1]!.of("ack")).toEqual([]);
  });

  it("hands over nothing of a queue that was closed", async () => {
    const { hub, visit, deliveries, drained, id, deliver } = await delivering(64);
    expect(await hub.closeQueue(id)).toBe("ok");
    deliver(1n);
    visit.send(0, { type: "drained", alias: 6 });
    expect(await hub.signal(target(), blob(1))).toBe("ok");
    expect(deliveries).toEqual([]);
    expect(drained).toEqual([]);
  });
});

describe("closing", () => {
  it("sends what is waiting first", async () => {
    const { hub, visit } = await online();
    const sent = hub.append(target(), envelopeId(), blob(1));
    await hub.close();
    expect(await sent).toBe("ok");
    expect(visit.of("append")).toHaveLength(1);
    await until(() => visit.socket.readyState === visit.socket.CLOSED);
  });

  it("everything asked later is lost at once", async () => {
    const { hub } = await online();
    await hub.close();
    expect(await hub.append(target(), envelopeId(), blob(1))).toBe("lost");
    expect(await hub.closeQueue(queueId())).toBe("lost");
  });
});
