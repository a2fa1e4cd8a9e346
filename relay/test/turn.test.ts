/**
 * STUN and TURN: what clients are told, and that a real coturn takes a credential of a real relay and no other.
 * The relay's own STUN is asked over real UDP.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { assert, boolean, property, uint8Array } from "fast-check";
import { type IceServers, isIceServers, TURN_URLS_MAX } from "@sotto/wire";
import { afterEach, describe, expect, test } from "vitest";
import {
  checkTurn,
  createIceServers,
  createStunLimits,
  type Relay,
  type RelayOptions,
  startRelay,
  STUN_BURST,
  STUN_INTERVAL_MS,
  STUN_PLACES_MAX,
  STUN_REQUEST_BYTES_MAX,
  STUN_TOTAL_BURST,
  STUN_TOTAL_INTERVAL_MS,
  stun,
  stunAnswer,
} from "sotto-relay";
import { connect } from "./client.ts";
import { hasTurnserver, startTurnserver, TURN_SECRET } from "./turnserver.ts";

const endings: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

async function start(options: RelayOptions): Promise<Relay> {
  const relay = await startRelay({ port: 0, circuit: false, ...options });
  endings.push(() => relay.close());
  return relay;
}

async function credentialOf(relay: Relay) {
  const client = await connect(relay.port);
  endings.push(() => client.close());
  const answer = await client.request({ type: "turn" });
  if (answer.type !== "turn-credential") throw new Error(answer.type);
  return answer;
}

test("a relay without servers says so", async () => {
  const client = await connect((await start({})).port);
  endings.push(() => client.close());
  expect(await client.request({ type: "turn" })).toEqual({
    type: "error",
    code: "gone",
    retryAfterMs: 0,
  });
});

test("settings that no client would take keep a relay from starting", async () => {
  const turnUrls = ["turn:127.0.0.1"];
  await expect(start({ turnUrls })).rejects.toThrow("turn.urls needs turn.secret");
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => `stun:127.0.0.1:${index + 1}`);
  await start({ turnUrls: many(TURN_URLS_MAX) });
  await expect(start({ turnUrls: many(TURN_URLS_MAX + 1) })).rejects.toThrow("at most 8");
  await expect(start({ turnUrls: many(TURN_URLS_MAX), stunPort: 0 })).rejects.toThrow("at most 8");
  await expect(start({ turnUrls: ["https://a"] })).rejects.toThrow("addresses of STUN and TURN");
});

test("no two credentials share anything but their end, and each ends when it should", () => {
  const options = { urls: ["turn:a"], secret: TURN_SECRET, ttlSeconds: 600 };
  const make = createIceServers(options, () => 1_800_000_000_999);
  const all = Array.from({ length: 50 }, () => make?.());
  const tags = all.map((one) => /^1800000600:([\w-]{16})$/.exec(one?.username ?? "")?.[1]);
  expect(tags).not.toContain(undefined);
  expect(new Set(tags).size).toBe(50);
  expect(new Set(all.map((one) => one?.credential)).size).toBe(50);
  expect(all.every((one) => one !== undefined && isIceServers(one))).toBe(true);
});

describe.skipIf(!hasTurnserver)("a real coturn", () => {
  test("takes a relay's credential, and none after its end, of another secret or for another name", async () => {
    const turn = await startTurnserver();
    endings.push(() => turn.stop());
    const url = `turn:127.0.0.1:${turn.port}?transport=udp`;
    const turnUrls = [url];
    const allocation = async (credential: IceServers | undefined): Promise<string> => {
      const checks = credential === undefined ? [] : await checkTurn(url, credential);
      return checks.find(({ name }) => name === "turn")?.words ?? "";
    };
    const good = await credentialOf(await start({ turnUrls, turnSecret: TURN_SECRET }));
    expect(good).toMatchObject({ ttlSeconds: 600, urls: turnUrls });
    expect(await allocation(good)).toMatch(/^allocates with a credential/);

    const other = await credentialOf(await start({ turnUrls, turnSecret: `${TURN_SECRET}!` }));
    expect(await allocation(other)).toContain("(401)");
    expect(await allocation({ ...good, username: `9${good.username}` })).toContain("(401)");

    const hourAgo = (): number => Date.now() - 3_600_000;
    const options = { urls: turnUrls, secret: TURN_SECRET, ttlSeconds: 600 };
    const old = createIceServers(options, hourAgo)?.();
    expect(await allocation(old)).toContain("(401)");
  });
});

describe("the relay's own STUN", () => {
  const transaction = new Uint8Array(12).fill(7);
  const binding = (padding = 0): Buffer =>
    stun.encodeStun({
      type: 0x0001,
      transaction,
      attributes: padding === 0 ? [] : [[0x8022, new Uint8Array(padding - 4)]],
    });

  test("is named first, and says where a request came from", async () => {
    const relay = await start({ stunPort: 0, turnUrls: ["stun:127.0.0.1:9"] });
    const { urls, username } = await credentialOf(relay);
    expect({ urls, username }).toEqual({
      urls: [`stun:localhost:${relay.stunPort}`, "stun:127.0.0.1:9"],
      username: "",
    });
    const socket = createSocket("udp4");
    endings.push(() => void socket.close());
    socket.send(binding(), relay.stunPort, "127.0.0.1");
    const [bytes] = (await once(socket, "message")) as [Buffer];
    const answer = stun.decodeStun(bytes);
    expect(answer?.type).toBe(0x0101);
    expect(Buffer.from(answer?.transaction ?? [])).toEqual(Buffer.from(transaction));
    expect(answer === undefined ? undefined : stun.attributeOf(answer, 0x0020)).toEqual(
      Buffer.from(stun.xorAddress("127.0.0.1", socket.address().port)),
    );
    // 12 bytes more than the shortest request.
    expect(bytes.length).toBe(32);
  });

  test("answers nothing but Binding requests", () => {
    const answer = (request: Buffer) => stunAnswer(request, "192.0.2.1", 1)?.length;
    expect(answer(binding())).toBe(32);
    expect(answer(binding(STUN_REQUEST_BYTES_MAX - 20))).toBe(32);
    expect(answer(binding(STUN_REQUEST_BYTES_MAX - 16))).toBeUndefined();
    expect(answer(binding().subarray(0, 19))).toBeUndefined();
    expect(answer(Buffer.concat([binding(), Buffer.alloc(4)]))).toBeUndefined();
    for (const at of [0, 1, 4, 7]) {
      const wrong = binding();
      wrong[at] = (wrong[at] ?? 0) ^ 0x03;
      expect(answer(wrong)).toBeUndefined();
    }
    // An answer is no request: two such servers never talk to each other.
    expect(answer(stunAnswer(binding(), "192.0.2.1", 1) ?? Buffer.alloc(0))).toBeUndefined();
  });

  test("any bytes have an answer of its size or none, and never throw", () => {
    assert(
      property(uint8Array({ maxLength: 60 }), boolean(), (bytes, isHeaded) => {
        const request = Buffer.from(isHeaded ? [...binding(), ...bytes] : bytes);
        if (isHeaded) request.writeUInt16BE(bytes.length, 2);
        const length = stunAnswer(request, "2001:db8::1", 1)?.length;
        expect(length).toBe(isHeaded ? 44 : undefined);
      }),
    );
  });

  test("writes addresses of both families as RFC 5769 does", () => {
    const request = Buffer.from("000100002112a442b7e7a701bc34d686fa87dfae", "hex");
    const mapped = (address: string) =>
      stunAnswer(request, address, 32_853)?.subarray(20).toString("hex");
    expect(mapped("192.0.2.1")).toBe("002000080001a147e112a643");
    expect(mapped("::ffff:192.0.2.1")).toBe("002000080001a147e112a643");
    expect(mapped("2001:db8:1234:5678:11:2233:4455:6677")).toBe(
      "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
    );
    expect(mapped("2001:db8::1")).toHaveLength(48);
  });

  test(`answers a place ${STUN_BURST} times at once, then one per interval`, () => {
    let now = 0;
    const limits = createStunLimits(() => now);
    const answers = (address: string, count: number): number =>
      Array.from({ length: count }, () => limits.mayAnswer(address)).filter(Boolean).length;
    expect(answers("192.0.2.1", STUN_BURST + 1)).toBe(STUN_BURST);
    expect(answers("192.0.2.2", 1)).toBe(1);
    // One place has many addresses.
    expect(answers("2001:db8::1", STUN_BURST)).toBe(STUN_BURST);
    expect(answers("2001:db8::2", 1)).toBe(0);
    now += STUN_INTERVAL_MS;
    expect(answers("192.0.2.1", 2)).toBe(1);
  });

  test(`reads ${STUN_TOTAL_BURST} requests at once, whoever they are of`, () => {
    let now = 0;
    const limits = createStunLimits(() => now);
    for (let read = 0; read < STUN_TOTAL_BURST; read++) expect(limits.mayRead()).toBe(true);
    expect(limits.mayRead()).toBe(false);
    now += STUN_TOTAL_INTERVAL_MS;
    expect(limits.mayRead()).toBe(true);
    expect(limits.mayRead()).toBe(false);
  });

  test(`remembers ${STUN_PLACES_MAX} places, and those only that it owes a rest`, () => {
    let now = 0;
    const limits = createStunLimits(() => now);
    const address = (index: number): string => `10.1.${index >> 8}.${index & 0xff}`;
    for (let index = 0; index < STUN_PLACES_MAX; index++) limits.mayAnswer(address(index));
    expect(limits.size).toBe(STUN_PLACES_MAX);
    limits.mayAnswer("192.0.2.1");
    expect(limits.size).toBe(STUN_PLACES_MAX);
    now += STUN_INTERVAL_MS - 1;
    limits.sweep();
    expect(limits.size).toBe(STUN_PLACES_MAX);
    now++;
    limits.sweep();
    expect(limits.size).toBe(0);
  });
});
