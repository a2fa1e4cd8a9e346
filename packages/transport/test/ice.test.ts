/** Which servers a connection gets: how long a credential is kept, how long nobody waits, and hiding the address. */
import { createIce, CREDENTIAL_USES_MAX, ICE_ANSWER_MS, ICE_NONE_MS } from "@sotto/transport";
import type { IceAnswer, Timers } from "@sotto/transport";
import { describe, expect, it } from "vitest";

const STUN = "stun:chat.example.com:3478";
const TURN = "turn:chat.example.com:3478?transport=udp";
const given = (username: string, urls: readonly string[] = [STUN, TURN]): IceAnswer => ({
  ok: true,
  servers: { ttlSeconds: 600, urls, username, credential: "c" },
});
const NONE: IceAnswer = { ok: false, reason: "gone" };
const LOST: IceAnswer = { ok: false, reason: "lost" };
const credentialOf = (username: string) => ({ urls: TURN, username, credential: "c" });

function world() {
  let now = 0;
  let due: { readonly at: number; readonly run: () => void }[] = [];
  const timers: Timers = {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run };
      due.push(timer);
      return () => {
        due = due.filter((one) => one !== timer);
      };
    },
  };
  const made = {
    hidden: false,
    asked: 0,
    /** What the relay says next; undefined: nothing before `answer`. */
    next: given("1") as IceAnswer | undefined,
    answer: undefined as ((answer: IceAnswer) => void) | undefined,
    timersLeft: () => due.length,
    advance(ms: number) {
      now += ms;
      for (const timer of due.filter(({ at }) => at <= now)) {
        due = due.filter((one) => one !== timer);
        timer.run();
      }
    },
  };
  const ice = createIce({
    ask() {
      made.asked++;
      return made.next === undefined
        ? new Promise((resolve) => (made.answer = resolve))
        : Promise.resolve(made.next);
    },
    isAddressHidden: () => made.hidden,
    timers,
  });
  return Object.assign(made, { ice });
}

describe("an address that may be seen", () => {
  it("gets every server, with the credential where it belongs", async () => {
    const { ice } = world();
    expect(await ice.configuration()).toEqual({
      iceServers: [{ urls: STUN }, credentialOf("1")],
    });
  });

  it("keeps a credential for three quarters of its life, not longer", async () => {
    const one = world();
    await one.ice.configuration();
    one.next = given("2");
    one.advance(450_000 - 1);
    expect((await one.ice.configuration())?.iceServers).toContainEqual(credentialOf("1"));
    one.advance(1);
    expect((await one.ice.configuration())?.iceServers).toContainEqual(credentialOf("2"));
    expect(one.asked).toBe(2);
  });

  it(`uses one for ${CREDENTIAL_USES_MAX} connections, and again when there is no other`, async () => {
    const one = world();
    const use = async () => (await one.ice.configuration())?.iceServers?.at(-1)?.username;
    for (let used = 0; used < CREDENTIAL_USES_MAX; used++) {
      one.next = given(used === 0 ? "1" : "2");
      expect(await use()).toBe("1");
    }
    expect(await use()).toBe("2");
    for (let used = 1; used < CREDENTIAL_USES_MAX; used++) await use();
    one.next = { ok: false, reason: "later" };
    expect(await use()).toBe("2");
  });

  it("goes on without servers when the relay says nothing in time, and has them the next time", async () => {
    const one = world();
    one.next = undefined;
    let settled = false;
    const asked = one.ice.configuration().then((configuration) => {
      settled = true;
      return configuration;
    });
    one.advance(ICE_ANSWER_MS - 1);
    await Promise.resolve();
    expect(settled).toBe(false);
    one.advance(1);
    expect(await asked).toEqual({ iceServers: [] });
    one.answer?.(given("late"));
    await new Promise((resolve) => setImmediate(resolve));
    expect((await one.ice.configuration())?.iceServers).toContainEqual(credentialOf("late"));
    expect(one.asked).toBe(1);
    expect(one.timersLeft()).toBe(0);
  });

  it("goes on with what is left of a credential when no answer comes, to its end and not beyond", async () => {
    const one = world();
    await one.ice.configuration();
    one.next = LOST;
    one.advance(600_000 - 1);
    expect((await one.ice.configuration())?.iceServers).toContainEqual(credentialOf("1"));
    one.advance(1);
    expect(await one.ice.configuration()).toEqual({ iceServers: [] });
  });

  it("believes for a while that there are none", async () => {
    const one = world();
    one.next = NONE;
    expect(await one.ice.configuration()).toEqual({ iceServers: [] });
    one.next = given("1");
    one.advance(ICE_NONE_MS - 1);
    expect(await one.ice.configuration()).toEqual({ iceServers: [] });
    one.advance(1);
    expect((await one.ice.configuration())?.iceServers).toHaveLength(2);
  });

  it("asks once for connections that begin together", async () => {
    const one = world();
    await Promise.all([one.ice.configuration(), one.ice.configuration()]);
    expect(one.asked).toBe(1);
  });

  it("knows nothing of another relay's servers, not even from an answer on its way", async () => {
    const one = world();
    one.next = undefined;
    const asked = one.ice.configuration();
    const { answer } = one;
    one.ice.reset();
    answer?.(given("old"));
    expect(await asked).toEqual({ iceServers: [] });
    one.next = given("new");
    expect((await one.ice.configuration())?.iceServers).toContainEqual(credentialOf("new"));
  });
});

describe("an address that is hidden", () => {
  it("is told to relays alone", async () => {
    const one = world();
    one.hidden = true;
    expect(await one.ice.configuration()).toEqual({
      iceServers: [credentialOf("1")],
      iceTransportPolicy: "relay",
    });
    expect(await one.ice.isPossible()).toBe(true);
  });

  it.each([
    ["there is no server", NONE],
    ["the relay does not answer", LOST],
    ["there is only STUN", given("", [STUN])],
  ])("makes no connection when %s", async (_, answer) => {
    const one = world();
    one.next = answer;
    one.hidden = true;
    expect(await one.ice.configuration()).toBeUndefined();
    expect(await one.ice.isPossible()).toBe(false);
    one.hidden = false;
    expect(await one.ice.isPossible()).toBe(true);
    expect(await one.ice.configuration()).toHaveProperty("iceServers");
  });

  it("is hidden also when that was said while the relay was asked", async () => {
    const one = world();
    one.next = undefined;
    const asked = one.ice.configuration();
    one.hidden = true;
    one.answer?.(given("1"));
    expect(await asked).toMatchObject({ iceTransportPolicy: "relay" });
  });
});
