/**
 * What sessions and messages cost, against the primitives they are made of, in the same run.
 * The yardstick of a set-up and of a turn is one X25519 exchange; of a one-way message, one SHA-256 of 64 bytes.
 */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  createTurns,
  type CryptoEnv,
  decrypt,
  encrypt,
  initiate,
  nobleBackend,
  type Session,
  sha256,
} from "@sotto/crypto";
import { kernelBackend } from "@sotto/engines";
import { nodeBackend } from "@sotto/engines/node";
import { decodeEnvelope, type HelloEnvelope, type MessageEnvelope } from "@sotto/wire";
import type { Measure } from "./main.ts";

/** Each figure is the best of this many windows: what the code can do, not what else the machine did. */
const WINDOWS = 5;
const WINDOW_MS = 300;
/** Of each kind. */
const AHEAD_TURNS = 400;

/** Rates of this machine and this run, and their ratios to a yardstick, which may be compared. */
export async function benchCrypto(): Promise<readonly Measure[]> {
  const env: CryptoEnv = {
    entropy: (length) => crypto.getRandomValues(new Uint8Array(length)),
    crypto: nobleBackend,
    now: Date.now(),
  };
  const own = env.entropy(32);
  const remote = await nobleBackend.dhPublic(env.entropy(32));
  const block = env.entropy(64);
  const exchange = await rate(async () => void (await nobleBackend.dh(own, remote)));
  const hash = await rate(async () => {
    for (let index = 0; index < 100; index++) sha256(block);
  }, 100);
  const setUps = await rate(await setUp(env));
  const pingPong = await rate(await pingPongOf(env), 2);
  const small = await rate(await oneWayOf(env, 32, 100), 100);
  const large = await rate(await oneWayOf(env, 16_000, 20), 20);
  // The kernel answers at once only after it has been loaded.
  await kernelBackend.dhPublic(own);
  const ahead: Measure[] = [];
  for (const backend of [nobleBackend, kernelBackend, nodeBackend]) {
    ahead.push({
      name: `sealing what begins a turn, key pair made ahead: ${backend.name}`,
      value: await madeAhead({ ...env, crypto: backend }),
      unit: "× in line",
    });
  }
  return [
    { name: "X25519 exchange (yardstick)", value: exchange, unit: "/s" },
    { name: "SHA-256 of 64 bytes (yardstick)", value: hash, unit: "/s" },
    { name: "session set-up: bundle, HELLO and accept", value: setUps, unit: "/s" },
    { name: "  costs as much as", value: exchange / setUps, unit: "exchanges" },
    {
      name: "ping-pong message of 32 B: encrypt and decrypt, a turn each",
      value: pingPong,
      unit: "/s",
    },
    { name: "  costs as much as", value: exchange / pingPong, unit: "exchanges" },
    { name: "one-way message of 32 B: encrypt and decrypt", value: small, unit: "/s" },
    { name: "  costs as much as", value: hash / small, unit: "hashes" },
    { name: "one-way message of 16,000 B: encrypt and decrypt", value: large, unit: "/s" },
    { name: "  throughput", value: (large * 16_000) / 1e6, unit: "MB/s" },
    ...ahead,
  ];
}

/**
 * Time to seal a message that begins a turn with a key pair that is ready, beside making it then: the medians of turns
 * that alternate between both. Making pairs in a pause is not counted.
 */
async function madeAhead(inLine: CryptoEnv): Promise<number> {
  const turns = createTurns(inLine.crypto, inLine.entropy);
  const [made, prepared]: [number[], number[]] = [[], []];
  let [from, to] = await conversation(inLine);
  const content = new Uint8Array(32);
  for (let at = 0; at < 2 * AHEAD_TURNS; at++) {
    // Two turns each, so that both sides take both: one of them also has symbols to send.
    const isAhead = at % 4 < 2;
    if (isAhead) await turns.fill();
    const start = performance.now();
    const sealed = await encrypt(from, content, isAhead ? { ...inLine, turns } : inLine);
    (isAhead ? prepared : made).push(performance.now() - start);
    [from, to] = [await opened(to, sealed.envelope, inLine), sealed.session];
  }
  return median(prepared) / median(made);
}

const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

/** Operations per second, best of WINDOWS; one call of `run` does `operations` of them. */
export async function rate(run: () => Promise<void>, operations = 1): Promise<number> {
  await run();
  let best = 0;
  for (let window = 0; window < WINDOWS; window++) {
    const start = performance.now();
    let calls = 0;
    let elapsed = 0;
    while (elapsed < WINDOW_MS) {
      await run();
      calls++;
      elapsed = performance.now() - start;
    }
    best = Math.max(best, (calls * operations * 1_000) / elapsed);
  }
  return best;
}

async function setUp(env: CryptoEnv): Promise<() => Promise<void>> {
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  return async () => {
    const { bundle, secrets } = await createInviteBundle(bob, env);
    const initiated = await initiate(alice, bundle, env);
    if (initiated === undefined) throw new Error("bundle refused");
    const { envelope } = await encrypt(initiated.session, new Uint8Array(32), env);
    const accepted = await accept(bob, secrets, helloOf(envelope), env);
    if (!accepted.ok) throw new Error(accepted.reason);
  };
}

/** Both sides after a first message and its answer. */
export async function conversation(env: CryptoEnv): Promise<readonly [Session, Session]> {
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  const { bundle, secrets } = await createInviteBundle(bob, env);
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("bundle refused");
  const first = await encrypt(initiated.session, new Uint8Array(1), env);
  const accepted = await accept(bob, secrets, helloOf(first.envelope), env);
  if (!accepted.ok) throw new Error(accepted.reason);
  const answer = await encrypt(accepted.session, new Uint8Array(1), env);
  return [await opened(first.session, answer.envelope, env), answer.session];
}

/** One message each way: every one of them starts a turn. */
async function pingPongOf(env: CryptoEnv): Promise<() => Promise<void>> {
  let [from, to] = await conversation(env);
  const content = new Uint8Array(32);
  return async () => {
    for (let turn = 0; turn < 2; turn++) {
      const sealed = await encrypt(from, content, env);
      [from, to] = [await opened(to, sealed.envelope, env), sealed.session];
    }
  };
}

/** `count` messages in a row from one side: no turn. */
async function oneWayOf(
  env: CryptoEnv,
  bytes: number,
  count: number,
): Promise<() => Promise<void>> {
  let [from, to] = await conversation(env);
  const content = new Uint8Array(bytes);
  return async () => {
    for (let index = 0; index < count; index++) {
      const sealed = await encrypt(from, content, env);
      from = sealed.session;
      to = await opened(to, sealed.envelope, env);
    }
  };
}

async function opened(session: Session, envelope: Uint8Array, env: CryptoEnv): Promise<Session> {
  const result = await decrypt(session, messageOf(envelope), env);
  if (!result.ok) throw new Error(result.reason);
  return result.session;
}

function helloOf(bytes: Uint8Array): HelloEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "hello") throw new Error("not a hello");
  return decoded.value;
}

export function messageOf(bytes: Uint8Array): MessageEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok || decoded.value.type !== "message") throw new Error("not a message");
  return decoded.value;
}
