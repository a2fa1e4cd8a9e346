import type { Direct, DirectEvents, Timers } from "@sotto/transport";
import type { Input } from "@sotto/protocol";
import { createDirectLinks, type DirectLinks, RESERVATION_IDLE_MS } from "#src/direct-links.ts";
import { describe, expect, it } from "vitest";

const OWN = Uint8Array.of(1);
const REMOTE = Uint8Array.of(2);
const ID = "00".repeat(16);

interface World {
  readonly links: DirectLinks;
  readonly fed: Input[];
  readonly calls: string[];
  events(): DirectEvents;
  wanted: boolean;
  dials: boolean;
  /** Time passes. */
  advance(ms: number): void;
  /** Everything under way has happened. */
  settle(): Promise<void>;
}

function world(options: { readonly webrtc?: boolean } = {}): World {
  const fed: Input[] = [];
  const calls: string[] = [];
  let events: DirectEvents | undefined;
  const due: { at: number; run: () => void }[] = [];
  let now = 0;
  const timers: Timers = {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run };
      due.push(timer);
      return () => {
        due.splice(due.indexOf(timer), 1);
      };
    },
  };
  const made = {
    fed,
    calls,
    wanted: true,
    dials: true,
    advance(ms: number) {
      now += ms;
      for (const timer of due.filter((one) => one.at <= now)) {
        due.splice(due.indexOf(timer), 1);
        timer.run();
      }
    },
    async settle() {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    },
  };
  const direct: Direct = {
    ownPeerId: OWN,
    prepare: () => {
      calls.push("prepare");
      return Promise.resolve();
    },
    release: () => void calls.push("release"),
    expect: () => void calls.push("expect"),
    forget: () => void calls.push("forget"),
    dial: () => Promise.resolve(made.dials),
    send: () => true,
    close: () => Promise.resolve(),
  };
  const links = createDirectLinks({
    load:
      options.webrtc === false
        ? undefined
        : (given) => {
            events = given;
            return Promise.resolve(direct);
          },
    feed: (_, input) => void fed.push(input),
    roundTrip: () => undefined,
    isWanted: () => made.wanted,
    timers,
  });
  return Object.assign(made, {
    links,
    events() {
      if (events === undefined) throw new Error("not loaded");
      return events;
    },
  });
}

describe("direct links", () => {
  it("hold a reservation while one is wanted and give it back when nobody has for a while", async () => {
    const one = world();
    one.links.prepare(ID);
    await one.settle();
    expect(one.fed).toEqual([{ kind: "reservation", peerId: OWN }]);
    one.advance(RESERVATION_IDLE_MS);
    expect(one.calls).toEqual(["prepare"]);
    one.wanted = false;
    one.advance(RESERVATION_IDLE_MS - 1);
    expect(one.calls).toEqual(["prepare"]);
    one.advance(1);
    expect(one.calls).toEqual(["prepare", "release"]);
    expect(one.fed.at(-1)).toEqual({ kind: "reservation", peerId: undefined });
  });

  it("report a failed dial only when no link is open", async () => {
    const one = world();
    one.links.expect(ID, REMOTE);
    await one.settle();
    one.dials = false;
    one.links.dial(ID, REMOTE);
    await one.settle();
    expect(one.fed).toEqual([{ kind: "direct", up: false }]);
    one.fed.length = 0;
    one.links.dial(ID, REMOTE);
    // The other side's link opens before this dial is known to have failed.
    one.events().link(REMOTE, true);
    await one.settle();
    expect(one.fed).toEqual([{ kind: "direct", up: true }]);
    expect(one.links.count).toBe(1);
  });

  it("do nothing without WebRTC", async () => {
    const one = world({ webrtc: false });
    one.links.prepare(ID);
    await one.settle();
    expect(one.fed).toEqual([]);
    expect(one.links.send(ID, "00".repeat(16), new Uint8Array(256))).toBe(false);
  });
});
