/** Who may do what at a relay that is not open to everybody: the core, over a clock that is turned by hand. */
import { evaluateTokens } from "@sotto/crypto/issuer";
import { blindTokens, finishTokens, type Token } from "@sotto/crypto/token";
import { openAdmissionStore } from "sotto-relay";
import {
  ANSWERED_DAYS,
  ADMISSION_ROUND_DAYS,
  DAY_MS,
  hashOfCode,
  makeCode,
  TOKEN_EPOCH_DAYS,
} from "sotto-relay/core";
import { describe, expect, test } from "vitest";
import { append, authenticate, newLinkId, newQueueId, pair, random } from "./client.ts";
import { authenticateWith } from "./tokens.ts";
import { createWorld, type Socket, type World } from "./world.ts";

function tokenOf(world: World): Token {
  const issuer = world.doorkeeper.issuer();
  const blinds = blindTokens(1, random);
  const answer = evaluateTokens(issuer, [blinds[0]!.blinded], random)!;
  return finishTokens(issuer, blinds, answer)![0]!;
}

/** WELCOME or BYE. */
async function enter(world: World, token?: Token, seed?: Uint8Array) {
  const socket = await world.socket(seed);
  const { client } = socket;
  const auth = token === undefined ? authenticate(client) : authenticateWith(client, token);
  client.send(await auth);
  const welcome = await client.next("welcome").catch(() => undefined);
  if (welcome === undefined) return (await client.next("bye")).code;
  return { ...socket, client, admitted: welcome.admitted };
}

async function member(world: World, seed: Uint8Array = random(32)) {
  const entered = await enter(world, tokenOf(world), seed);
  if (typeof entered === "string") throw new Error(entered);
  return entered;
}

const queueNew = () =>
  ({
    type: "queue-new",
    queueId: newQueueId(),
    ttlHours: 0,
    firstUseHash: random(32),
    proof: new Uint8Array(),
  }) as const;

describe.each(["invite", "oidc"] as const)("a relay that asks for %s", (door) => {
  test("says so in HELLO, and lets in with a token of its own, once", async () => {
    const world = createWorld({ door });
    const token = tokenOf(world);
    const first = await enter(world, token);
    expect(first).toMatchObject({ admitted: true });
    expect((first as Socket).client.hello.door).toBe(door);
    expect(await (first as Socket).client.request(queueNew())).toMatchObject({ type: "queue" });
    expect(await enter(world, token)).toBe("unauthorised");
  });

  test("knows the reader afterwards, and spends nothing it shows again", async () => {
    const world = createWorld({ door });
    const seed = random(32);
    await member(world, seed);
    expect(await enter(world, undefined, seed)).toMatchObject({ admitted: true });
    const second = tokenOf(world);
    expect(await enter(world, second, seed)).toMatchObject({ admitted: true });
    expect(await enter(world, second)).toMatchObject({ admitted: true });
  });

  test("refuses a token of another relay, epoch or connection, and what is none", async () => {
    const world = createWorld({ door });
    const token = tokenOf(world);
    expect(await enter(world, tokenOf(createWorld({ door })))).toBe("unauthorised");
    expect(await enter(world, { ...token, epoch: token.epoch - 1 })).toBe("unauthorised");
    expect(await enter(world, { ...token, epoch: token.epoch + 1 })).toBe("unauthorised");
    expect(await enter(world, { ...token, output: random(64) })).toBe("unauthorised");
    const [one, other] = [await world.socket(), await world.socket()];
    const { admission } = await authenticateWith(one.client, token);
    other.client.send({ ...(await authenticate(other.client)), admission });
    expect(await other.client.next("bye")).toMatchObject({ code: "unauthorised" });
    const odd = await world.socket();
    odd.client.send({ ...(await authenticate(odd.client)), admission: random(7) });
    expect(await odd.client.next("bye")).toMatchObject({ code: "unauthorised" });
    // None of that spent it.
    expect(await enter(world, token)).toMatchObject({ admitted: true });
  });

  test("does not spend a token that came with a false signature", async () => {
    const world = createWorld({ door });
    const token = tokenOf(world);
    const thief = await world.socket();
    const auth = await authenticateWith(thief.client, token);
    thief.client.send({ ...auth, signature: random(64) });
    expect(await thief.client.next("bye")).toMatchObject({ code: "unauthorised" });
    expect(await enter(world, token)).toMatchObject({ admitted: true });
  });

  test("takes a token in the epoch after its own, and not in the next but one", async () => {
    const world = createWorld({ door });
    const [early, late] = [tokenOf(world), tokenOf(world)];
    world.clock.set(world.clock.now() + TOKEN_EPOCH_DAYS * DAY_MS);
    expect(await enter(world, early)).toMatchObject({ admitted: true });
    expect(await enter(world, early)).toBe("unauthorised");
    world.clock.set(world.clock.now() + TOKEN_EPOCH_DAYS * DAY_MS);
    expect(await enter(world, late)).toBe("unauthorised");
  });

  test("lets strangers write to members, and do nothing else", async () => {
    const world = createWorld({ door });
    const owner = await member(world);
    const stranger = await enter(world);
    if (typeof stranger === "string") throw new Error(stranger);
    expect(stranger.admitted).toBe(false);
    const { alias } = await pair(owner.client, stranger.client);
    owner.client.close();
    expect(await stranger.client.request(append(alias))).toEqual({ type: "ok" });
    expect(await stranger.client.request({ type: "bundle-get", linkId: newLinkId() })).toEqual({
      type: "error",
      code: "gone",
      retryAfterMs: 0,
    });
    expect(await stranger.client.request(queueNew())).toEqual({
      type: "error",
      code: "unauthorised",
      retryAfterMs: 0,
    });
  });

  test("lets nobody else write where only members may", async () => {
    const world = createWorld({ door, senders: "members" });
    const [owner, sender] = [await member(world), await member(world)];
    expect(await enter(world)).toBe("unauthorised");
    const { alias } = await pair(owner.client, sender.client);
    owner.client.close();
    expect(await sender.client.request(append(alias))).toEqual({ type: "ok" });
  });

  test.each(["open", "members"] as const)(
    "whose writers are %s gives mail also to a reader whose admission lapsed, and no new queues",
    async (senders) => {
      const world = createWorld({ door, senders, admissionDays: 2 });
      const [seed, other] = [random(32), await member(world)];
      const owner = await member(world, seed);
      const { queueId, alias } = await pair(owner.client, other.client);
      owner.client.close();
      world.clock.set(world.clock.now() + (2 + ADMISSION_ROUND_DAYS) * DAY_MS);
      await other.client.request(append(alias));
      const lapsed = await enter(world, undefined, seed);
      if (typeof lapsed === "string") throw new Error(lapsed);
      expect(lapsed.admitted).toBe(false);
      await lapsed.client.request({ type: "queue-open", queueIds: [queueId] });
      const { alias: own, sequence } = await lapsed.client.next("deliver");
      expect(
        await lapsed.client.request({ type: "ack", alias: own, sequences: [sequence] }),
      ).toEqual({ type: "ok" });
      const refused = { type: "error", code: "unauthorised" };
      expect(await lapsed.client.request(queueNew())).toMatchObject(refused);
      expect(await lapsed.client.request({ type: "queue-close", alias: own })).toEqual({
        type: "ok",
      });
    },
  );
});

test("an invite is good as long as one comes back, a token of an organisation has to be got again", async () => {
  for (const door of ["invite", "oidc"] as const) {
    const world = createWorld({ door, admissionDays: 10 });
    const seed = random(32);
    await member(world, seed);
    let admitted = true;
    for (let times = 0; times < 6; times++) {
      world.clock.set(world.clock.now() + 8 * DAY_MS);
      const entered = await enter(world, undefined, seed);
      admitted = typeof entered !== "string" && entered.admitted;
    }
    expect(admitted).toBe(door === "invite");
  }
});

describe("what is kept of a door", () => {
  const reader = { epoch: 5, tokenHash: random(32), readerHash: random(32), untilDay: 100 };

  test("has a limit of spent tokens in each epoch", () => {
    const store = openAdmissionStore(undefined, { codes: 1, spent: 2 });
    const spend = (epoch: number) =>
      store.spend({ ...reader, epoch, tokenHash: random(32), readerHash: random(32) });
    expect([spend(5), spend(5), spend(5), spend(6)]).toEqual(["ok", "ok", "full", "ok"]);
  });

  test("admits nobody by a token that is spent or has no room", () => {
    const store = openAdmissionStore(undefined, { codes: 1, spent: 1 });
    store.spend(reader);
    const [again, beyond] = [random(32), random(32)];
    expect(store.spend({ ...reader, readerHash: again })).toBe("full");
    expect(store.spend({ ...reader, readerHash: beyond, tokenHash: random(32) })).toBe("full");
    expect([again, beyond].map((hash) => store.readerUntil(hash))).toEqual([undefined, undefined]);
  });

  test("has a limit of codes, and takes each use once and none after its day", () => {
    const store = openAdmissionStore(undefined, { codes: 2, spent: 1 });
    const [code, late] = [random(32), random(32)];
    expect(store.addCode(code, 2, 50)).toBe("ok");
    expect(store.addCode(late, 2, 40)).toBe("ok");
    expect(store.addCode(random(32), 2, 50)).toBe("full");
    expect([1, 2, 3].map(() => store.takeCode(code, 50, random(32)))).toEqual([true, true, false]);
    expect(store.hasCode(late, 40)).toBe(true);
    expect(store.takeCode(late, 41, random(32))).toBe(false);
    store.sweep(41, 0);
    expect(store.addCode(random(32), 2, 50)).toBe("ok");
  });

  test("has a limit of requests that were answered, and forgets first what ends first", () => {
    const store = openAdmissionStore(undefined, { answered: 2 });
    const [code, unknown] = [random(32), random(32)];
    store.addCode(code, 1, 60);
    const [taken, first, second, third] = [random(32), random(32), random(32), random(32)];
    expect(store.takeCode(unknown, 51, taken)).toBe(false);
    expect(store.hasAnswered(taken, 51)).toBe(false);
    expect(store.takeCode(code, 51, taken)).toBe(true);
    expect(store.hasAnswered(taken, 51 + ANSWERED_DAYS)).toBe(true);
    expect(store.hasAnswered(taken, 52 + ANSWERED_DAYS)).toBe(false);
    store.putAnswered(first, 50);
    expect([taken, first].map((hash) => store.hasAnswered(hash, 51))).toEqual([true, true]);
    store.putAnswered(second, 52);
    expect([taken, first].map((hash) => store.hasAnswered(hash, 51))).toEqual([true, false]);
    store.sweep(52 + ANSWERED_DAYS, 0);
    store.putAnswered(third, 52);
    expect([second, third].map((hash) => store.hasAnswered(hash, 52))).toEqual([true, true]);
  });

  test("is forgotten when its time is over", () => {
    const store = openAdmissionStore(undefined);
    store.spend(reader);
    store.sweep(100, 5);
    expect(store.readerUntil(reader.readerHash)).toBe(100);
    expect(store.spend(reader)).toBe("spent");
    store.sweep(101, 6);
    expect(store.readerUntil(reader.readerHash)).toBeUndefined();
    expect(store.spend(reader)).toBe("ok");
  });
});

test("a code is read however it was typed", () => {
  const code = makeCode(Uint8Array.from({ length: 16 }, (_, index) => index + 16));
  expect(code).toBe("GHJK-MNPQ-RSTV-WXYZ");
  const hash = hashOfCode(code);
  expect(hash).toBeDefined();
  expect(hashOfCode(" ghjk mnpq rstv wxyz ")).toEqual(hash);
  expect(hashOfCode("OIL0-0000-0000-0000")).toEqual(hashOfCode("0110-0000-0000-0000"));
  for (const none of ["", "GHJK", `${code}0`, code.replace("G", "U"), "0".repeat(65)]) {
    expect(hashOfCode(none)).toBeUndefined();
  }
});
