import type { Direct, DirectEvents, Timers } from "@sotto/transport";
import type { Input } from "@sotto/protocol";
import { asEnvelopeId } from "@sotto/wire";
import {
  CLAIMANTS_MAX,
  createDirectLinks,
  type DirectLinks,
  EXPECTED_MAX,
  RESERVATION_IDLE_MS,
} from "#src/direct-links.ts";
import { describe, expect, it } from "vitest";

const OWN = Uint8Array.of(1);
const REMOTE = Uint8Array.of(2);
const ID = "00".repeat(16);
const OTHER = "11".repeat(16);
const ENVELOPE = asEnvelopeId(new Uint8Array(16));

interface World {
  readonly links: DirectLinks;
  readonly fed: Input[];
  /** Conversations fed with a frame. */
  readonly to: string[];
  readonly calls: string[];
  events(): DirectEvents;
  wanted: boolean;
  dials: boolean;
  /** Whether the address may be seen, or somebody relays. */
  possible: boolean;
  /** Time passes. */
  advance(ms: number): void;
  /** Everything under way has happened. */
  settle(): Promise<void>;
}

function world(options: { readonly webrtc?: boolean } = {}): World {
  const fed: Input[] = [];
  const to: string[] = [];
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
    to,
    calls,
    wanted: true,
    dials: true,
    possible: true,
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
    ice: {
      isPossible: () => Promise.resolve(made.possible),
      reset: () => void calls.push("ice reset"),
    },
    feed(id, input) {
      fed.push(input);
      if (input.kind === "frame") to.push(id);
    },
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

  it("are not offered where there may be none", async () => {
    const one = world();
    one.possible = false;
    one.links.prepare(ID);
    await one.settle();
    expect(one.fed).toEqual([{ kind: "reservation", peerId: undefined }]);
    expect(one.calls).toEqual([]);
    one.possible = true;
    one.links.prepare(ID);
    await one.settle();
    expect(one.fed.at(-1)).toEqual({ kind: "reservation", peerId: OWN });
    one.links.reset();
    expect(one.calls).toContain("ice reset");
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

  it("cannot be taken from a conversation by another contact that claims its peer", async () => {
    const one = world();
    one.links.expect(ID, REMOTE);
    await one.settle();
    one.events().link(REMOTE, true);
    one.links.expect(OTHER, REMOTE);
    await one.settle();
    one.fed.length = 0;
    one.events().frame(REMOTE, { type: "envelope", id: ENVELOPE, blob: new Uint8Array(256) });
    // Both get it; only the session it was sealed in opens it.
    expect(one.to).toEqual([ID, OTHER]);
    one.links.expect(OTHER, OWN);
    await one.settle();
    expect(one.links.isOpen(ID)).toBe(true);
    expect(one.links.isOpen(OTHER)).toBe(false);
    expect(one.calls).not.toContain("forget");
    one.events().link(REMOTE, false);
    expect(one.fed.at(-1)).toEqual({ kind: "direct", up: false });
  });

  it("belong to so many claimants and no more", async () => {
    const one = world();
    for (let count = 0; count <= CLAIMANTS_MAX; count++) one.links.expect(`${count}`, REMOTE);
    await one.settle();
    one.events().link(REMOTE, true);
    expect(one.links.isOpen(`${CLAIMANTS_MAX - 1}`)).toBe(true);
    expect(one.links.isOpen(`${CLAIMANTS_MAX}`)).toBe(false);
  });

  it("make room for a new peer where nobody is connected", async () => {
    const one = world();
    for (let peer = 0; peer < EXPECTED_MAX; peer++) {
      one.links.expect(`${peer}`, Uint8Array.of(9, peer));
      await one.settle();
      if (peer > 0) one.events().link(Uint8Array.of(9, peer), true);
    }
    expect(one.calls).not.toContain("forget");
    one.links.expect("new", REMOTE);
    await one.settle();
    expect(one.calls).toContain("forget");
    one.events().link(REMOTE, true);
    expect(one.links.isOpen("new")).toBe(true);
    expect(one.links.count).toBe(EXPECTED_MAX);
    // Every place has a link now: one more stays on the relay.
    one.links.expect("late", Uint8Array.of(8));
    one.events().link(Uint8Array.of(8), true);
    expect(one.links.isOpen("late")).toBe(false);
  });

  it("expect after beginning anew whoever was expected before", async () => {
    const one = world();
    one.links.expect(ID, REMOTE);
    await one.settle();
    one.events().link(REMOTE, true);
    one.links.reset();
    one.calls.length = 0;
    one.links.prepare(ID);
    await one.settle();
    expect(one.calls).toEqual(["expect", "prepare"]);
    one.events().link(REMOTE, true);
    expect(one.links.isOpen(ID)).toBe(true);
  });

  it("begin anew with another relay", async () => {
    const one = world();
    one.links.prepare(ID);
    one.links.expect(ID, REMOTE);
    await one.settle();
    one.events().link(REMOTE, true);
    one.links.reset();
    expect(one.fed.slice(-2)).toEqual([
      { kind: "direct", up: false },
      { kind: "reservation", peerId: undefined },
    ]);
    expect(one.links.count).toBe(0);
  });

  it("do nothing without WebRTC", async () => {
    const one = world({ webrtc: false });
    one.links.prepare(ID);
    await one.settle();
    expect(one.fed).toEqual([]);
    expect(one.links.send(ID, "00".repeat(16), new Uint8Array(256))).toBe(false);
  });
});
