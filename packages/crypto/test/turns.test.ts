import {
  createTurns,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  nobleBackend,
  PREPARED_PAIRS_MAX,
  PREPARED_TURNS_MAX,
  type Session,
} from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import { beforeAll, expect, it } from "vitest";
import {
  asMessage,
  asyncBackend,
  must,
  type Pair,
  seededEntropy,
  seededEnv,
  settledPair,
  text,
} from "./support.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("turns");
});

/** Notes how many exchanges run at the same time; each waits until the test lets it go. */
function slowEngine() {
  const waiting: (() => void)[] = [];
  let most = 0;
  const crypto: CryptoBackend = {
    ...nobleBackend,
    async dh(secret, remote) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        most = Math.max(most, waiting.length);
      });
      return nobleBackend.dh(secret, remote);
    },
  };
  return { crypto, most: () => most, release: () => waiting.splice(0).forEach((go) => go()) };
}

async function talk(a: Session, b: Session, env: CryptoEnv, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const out = await encrypt(a, text(`${round} out`), env);
    const there = must(await decrypt(b, asMessage(out.envelope), env));
    expect(there.content).toEqual(text(`${round} out`));
    const back = await encrypt(there.session, text(`${round} back`), env);
    const here = must(await decrypt(out.session, asMessage(back.envelope), env));
    expect(here.content).toEqual(text(`${round} back`));
    a = here.session;
    b = back.session;
  }
}

it("computes the answer's exchange beside the one that opens", async () => {
  const engine = slowEngine();
  const turns = createTurns(engine.crypto, seededEntropy("turns"));
  const env = { ...seededEnv("beside", engine.crypto), turns };
  const sealing = encrypt(pair.a, text("turn"), { ...env, crypto: nobleBackend });
  const opening = decrypt(pair.b, asMessage((await sealing).envelope), env);
  await expect.poll(engine.most).toBe(2);
  engine.release();
  const opened = must(await opening);
  let exchanges = 0;
  const counting: CryptoBackend = {
    ...nobleBackend,
    dh(secret, remote) {
      exchanges++;
      return nobleBackend.dh(secret, remote);
    },
  };
  await encrypt(opened.session, text("answer"), { ...env, crypto: counting });
  expect(exchanges).toBe(0);
});

it("keeps nothing of it in the session before its use", async () => {
  const turns = createTurns(asyncBackend, seededEntropy("turns"));
  const env = { ...seededEnv("stored", asyncBackend), turns };
  const sealed = await encrypt(pair.a, text("turn"), env);
  const without = must(await decrypt(pair.b, asMessage(sealed.envelope), seededEnv("stored")));
  const withTurns = must(await decrypt(pair.b, asMessage(sealed.envelope), env));
  expect(withTurns.session).toEqual(without.session);
});

it("begins nothing where the engine has answered at once: the message would wait for it", async () => {
  const begun: Uint8Array[] = [];
  for (const [engine, turnsBegun] of [
    [nobleBackend, 0],
    [asyncBackend, 1],
  ] as const) {
    const turns = createTurns(engine, seededEntropy("at once"));
    const noting = {
      ...turns,
      begin(key: Uint8Array) {
        begun.push(key);
        turns.begin(key);
      },
    };
    const sealed = await encrypt(pair.a, text("turn"), seededEnv("at once"));
    must(
      await decrypt(pair.b, asMessage(sealed.envelope), {
        ...seededEnv("at once", engine),
        turns: noting,
      }),
    );
    expect(begun).toHaveLength(turnsBegun);
  }
});

it("both sides may use it or not", async () => {
  const turns = createTurns(asyncBackend, seededEntropy("turns"));
  await talk(pair.a, pair.b, { ...seededEnv("both", asyncBackend), turns }, 4);
  await talk(pair.a, pair.b, seededEnv("none"), 4);
});

it("takes key pairs made in idle time, each once", async () => {
  let made = 0;
  const counting: CryptoBackend = {
    ...nobleBackend,
    dhPublic(secret) {
      made++;
      return nobleBackend.dhPublic(secret);
    },
  };
  const turns = createTurns(counting, seededEntropy("idle"));
  await turns.fill();
  await turns.fill();
  expect(made).toBe(PREPARED_PAIRS_MAX);
  const remote = pair.b.ownRatchetKey!;
  turns.begin(remote);
  turns.begin(remote);
  const first = await turns.take(remote);
  expect(made).toBe(PREPARED_PAIRS_MAX);
  expect(await turns.take(remote)).toBeUndefined();
  turns.begin(remote);
  const second = await turns.take(remote);
  expect(second?.secret).toHaveLength(32);
  expect(second?.secret).not.toEqual(first?.secret);
});

/** An engine that answers at once, and how often it was asked for a public key. */
function countingEngine(dh: CryptoBackend["dh"] = (...call) => nobleBackend.dh(...call)) {
  let made = 0;
  const crypto: CryptoBackend = {
    ...nobleBackend,
    dh,
    dhPublic(secret) {
      made++;
      return nobleBackend.dhPublic(secret);
    },
  };
  return { crypto, made: () => made };
}

/** Of Bob, who has just opened the message that makes the next turn his. */
async function beforeHisTurn(env: CryptoEnv): Promise<Session> {
  const sealed = await encrypt(pair.a, text("yours"), seededEnv("his turn"));
  return must(await decrypt(pair.b, asMessage(sealed.envelope), env)).session;
}

it("holds 4 key pairs, also when it is filled by two at the same time", async () => {
  const turns = createTurns(asyncBackend, seededEntropy("pairs"));
  await Promise.all([turns.fill(), turns.fill()]);
  const held = new Set<string>();
  for (let pair = turns.pair(); pair !== undefined; pair = turns.pair()) {
    expect(pair.key).toEqual(await nobleBackend.dhPublic(pair.secret));
    held.add(bytesToHex(pair.secret));
  }
  expect(held.size).toBe(PREPARED_PAIRS_MAX);
});

it("makes no key pair within a turn where one is ready, with an engine that answers at once", async () => {
  const engine = countingEngine();
  const turns = createTurns(engine.crypto, seededEntropy("pairs"));
  const env = { ...seededEnv("ready", engine.crypto), turns };
  await turns.fill();
  const before = await beforeHisTurn(env);
  const keys = new Set<string>();
  // One state sealed with again and again, as after a commit that the store refused: each time another pair.
  for (let at = 1; at <= PREPARED_PAIRS_MAX + 1; at++) {
    const { session } = await encrypt(before, text("answer"), env);
    const secret = session.ownRatchetSecret;
    expect(session.ownRatchetKey).toEqual(await nobleBackend.dhPublic(secret));
    keys.add(bytesToHex(secret));
    // The last one finds none and is made in line.
    expect(engine.made()).toBe(Math.max(PREPARED_PAIRS_MAX, at));
  }
  expect(keys.size).toBe(PREPARED_PAIRS_MAX + 1);
});

it("a pair that an exchange failed with is gone; the state is as it was and takes another one", async () => {
  let failing = true;
  const seen: string[] = [];
  const engine = countingEngine((secret, remote) => {
    seen.push(bytesToHex(secret));
    if (failing) throw new Error("engine failed");
    return nobleBackend.dh(secret, remote);
  });
  const turns = createTurns(engine.crypto, seededEntropy("pairs"));
  await turns.fill();
  const before = await beforeHisTurn(seededEnv("gone"));
  const copy = structuredClone(before);
  const env = { ...seededEnv("gone", engine.crypto), turns };
  await expect(encrypt(before, text("answer"), env)).rejects.toThrow("engine failed");
  expect(before).toEqual(copy);
  failing = false;
  const { session } = await encrypt(before, text("answer"), env);
  expect(engine.made()).toBe(PREPARED_PAIRS_MAX);
  expect(seen).toHaveLength(2);
  expect(bytesToHex(session.ownRatchetSecret)).toBe(seen[1]);
  expect(seen[1]).not.toBe(seen[0]);
});

it("holds no pair in a session before its use", async () => {
  const made: Uint8Array[] = [];
  const entropy = seededEntropy("pairs");
  const turns = createTurns(nobleBackend, (length) => {
    const secret = entropy(length);
    made.push(secret);
    return secret;
  });
  await turns.fill();
  const env = { ...seededEnv("held"), turns };
  const before = await beforeHisTurn(env);
  const after = (await encrypt(before, text("answer"), env)).session;
  const held = (session: Session): number => {
    const all = JSON.stringify(session, (_, value: unknown) =>
      value instanceof Uint8Array ? bytesToHex(value) : value,
    );
    return made.filter((secret) => all.includes(bytesToHex(secret))).length;
  };
  expect(made).toHaveLength(PREPARED_PAIRS_MAX);
  expect(held(before)).toBe(0);
  expect(held(after)).toBe(1);
});

it("begins the turn towards a key once, whoever asks again", async () => {
  let exchanges = 0;
  const counting: CryptoBackend = {
    ...nobleBackend,
    dh(secret) {
      exchanges++;
      return secret;
    },
  };
  const turns = createTurns(counting, seededEntropy("again"));
  const remote = new Uint8Array(32).fill(9);
  turns.begin(remote);
  turns.begin(remote);
  expect(await turns.take(remote)).toBeDefined();
  expect(exchanges).toBe(1);
});

it("prepares nothing when the engine fails, and the turn is made in line", async () => {
  const failing: CryptoBackend = {
    ...nobleBackend,
    dh() {
      throw new Error("engine failed");
    },
  };
  const turns = createTurns(failing, seededEntropy("failing"));
  const remote = pair.b.ownRatchetKey!;
  turns.begin(remote);
  expect(await turns.take(remote)).toBeUndefined();
  await talk(pair.a, pair.b, { ...seededEnv("failing"), turns }, 2);
});

it("holds 64 turns and lets the oldest go with the 65th", async () => {
  const turns = createTurns({ ...nobleBackend, dh: (secret) => secret }, seededEntropy("many"));
  const keys = Array.from({ length: PREPARED_TURNS_MAX + 1 }, (_, at) =>
    new Uint8Array(32).fill(at),
  );
  for (const key of keys.slice(0, PREPARED_TURNS_MAX)) turns.begin(key);
  const [first, second, last] = [keys[0]!, keys[1]!, keys[PREPARED_TURNS_MAX]!];
  turns.begin(last);
  expect(await turns.take(first)).toBeUndefined();
  expect(await turns.take(second)).toBeDefined();
  expect(await turns.take(last)).toBeDefined();
});
