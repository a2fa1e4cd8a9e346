/** A client at a relay that asks who comes: tokens over HTTP, shown over the hub, both against the real relay. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nobleBackend } from "@sotto/crypto";
import { fetchToken, type KeptRequest, type TokenAnswer } from "@sotto/transport/admission";
import { type Relay, type RelayOptions, openAdmissionStore, startRelay } from "sotto-relay";
import { DAY_MS, hashOfCode } from "sotto-relay/core";
import { afterEach, expect, it, vi } from "vitest";
import { ANSWER_CHARACTERS_MAX, readAnswer } from "#src/admission-answer.ts";
import { entropy, queueId, watchedHub } from "./hub-fixture.ts";

const CODE = "GHJK-MNPQ-RSTV-WXYZ";
const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** With one use of CODE. */
async function closedRelay(options: RelayOptions = {}): Promise<Relay> {
  const data = await mkdtemp(join(tmpdir(), "sotto-admission-"));
  cleanups.push(() => rm(data, { recursive: true, force: true }));
  const relay = await startRelay({ port: 0, circuit: false, data, door: "invite", ...options });
  cleanups.push(() => relay.close());
  const store = openAdmissionStore(data);
  store.addCode(hashOfCode(CODE)!, 1, Math.floor(Date.now() / DAY_MS) + 1);
  store.close();
  return relay;
}

const ask = (
  relay: Pick<Relay, "url" | "relayKey">,
  code = CODE,
  keep?: KeptRequest,
): Promise<TokenAnswer> =>
  fetchToken({
    ...(keep === undefined ? {} : { keep }),
    relayUrl: relay.url,
    relayKey: relay.relayKey,
    credential: { code },
    crypto: nobleBackend,
    entropy,
  });

const until = (condition: () => boolean): Promise<unknown> =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

const make = () => ({ queueId: queueId(), firstUse: entropy(16), ttlHours: 1 });

it.each(["open", "members"] as const)(
  "gets in with a token where %s may write, and is known when it comes back",
  async (senders) => {
    const relay = await closedRelay({ senders });
    const asked: string[] = [];
    const answers: TokenAnswer[] = [];
    const admitted = vi.fn();
    const { hub } = watchedHub(`ws://127.0.0.1:${relay.port}/hub`, {
      admitted,
      admit: async ({ door, relayKey }) => {
        asked.push(door);
        const answer = await ask({ url: relay.url, relayKey });
        answers.push(answer);
        return answer.ok ? answer.token : undefined;
      },
    });
    cleanups.push(() => hub.close());
    hub.start();
    await vi.waitUntil(async () => (await hub.makeQueue(make())).ok, { timeout: 10_000 });
    expect(asked).toEqual(["invite"]);
    expect(admitted).toHaveBeenCalledOnce();
    expect(answers).toMatchObject([{ ok: true }]);
    expect(relay.counters()).toMatchObject({ refused: senders === "open" ? 0 : 1 });
  },
);

it("stays with what needs no admission while nobody has a code, and asks once at a time", async () => {
  const relay = await closedRelay();
  const admit = vi.fn(async () => new Promise<undefined>(() => undefined));
  const { hub } = watchedHub(`ws://127.0.0.1:${relay.port}/hub`, { admit });
  cleanups.push(() => hub.close());
  hub.start();
  await until(() => hub.state === "online");
  expect(await hub.makeQueue(make())).toEqual({ ok: false, reason: "lost" });
  expect(admit).toHaveBeenCalledOnce();
  expect(hub.state).toBe("online");
});

it("is refused with a wrong code and with one that is used up", async () => {
  const relay = await closedRelay();
  const refused = { ok: false, reason: "refused" };
  expect(await ask(relay, "0000-0000-0000-0000")).toEqual(refused);
  expect(await ask(relay, "")).toEqual(refused);
  expect(await ask(relay)).toMatchObject({ ok: true });
  expect(await ask(relay)).toEqual(refused);
});

it("gets the same token again for what it kept, and another once that was used", async () => {
  const relay = await closedRelay();
  let kept: string | undefined = "what somebody else left";
  const keep: KeptRequest = { load: () => kept, save: (text) => (kept = text) };
  const first = await ask(relay, CODE, keep);
  expect(first).toMatchObject({ ok: true });
  expect(await ask(relay, CODE, keep)).toEqual(first);
  kept = undefined;
  expect(await ask(relay, CODE, keep)).toEqual({ ok: false, reason: "refused" });
});

it("takes no key that another relay signed, and shows it no code", async () => {
  const relay = await closedRelay();
  const later = { ok: false, reason: "later" };
  expect(await ask({ url: relay.url, relayKey: entropy(32) })).toEqual(later);
  expect(await ask(relay)).toMatchObject({ ok: true });
});

it("takes nothing from what is no relay, or says more than one has to say", async () => {
  const bodies = [
    "{}",
    "null",
    "[",
    `"${"x".repeat(20_000)}"`,
    '{"admission":{"issuer":{"epoch":-1}}}',
  ];
  const served = createServer((_, response) => response.end(bodies.shift()));
  await once(served.listen(0, "127.0.0.1"), "listening");
  cleanups.push(() => {
    served.close();
    served.closeAllConnections();
  });
  const address = served.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  while (bodies.length > 0) {
    expect(await ask({ url, relayKey: entropy(32) })).toEqual({ ok: false, reason: "later" });
  }
});

it("stops reading an answer without an end where it has more than one has to say", async () => {
  const piece = Buffer.alloc(65_536, " ");
  let sent = 0;
  const ended = Promise.withResolvers<void>();
  // No length in front: it goes on for as long as somebody takes it.
  const served = createServer((_, response) => {
    const fill = (): void => {
      do sent += piece.length;
      while (response.write(piece));
    };
    response.on("drain", fill).on("close", ended.resolve);
    fill();
  });
  await once(served.listen(0, "127.0.0.1"), "listening");
  cleanups.push(() => {
    served.close();
    served.closeAllConnections();
  });
  const address = served.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  expect(await ask({ url, relayKey: entropy(32) })).toEqual({ ok: false, reason: "later" });
  await ended.promise;
  // What fits into the buffers of two sockets, and far below what ten seconds bring.
  expect(sent).toBeLessThan(32 * 1_048_576);
});

it(`reads an answer of ${ANSWER_CHARACTERS_MAX} characters, and none with one more`, () => {
  const longest = JSON.stringify("x".repeat(ANSWER_CHARACTERS_MAX - 2));
  expect(readAnswer(longest)).toHaveLength(ANSWER_CHARACTERS_MAX - 2);
  expect(readAnswer(`${longest} `)).toBeUndefined();
});
