/** Links through a real TURN server: what browsers then tell each other of their addresses, and what they use. */
import { type Direct, createIce, type IceAnswer, realTimers } from "@sotto/transport";
import { createDirect } from "@sotto/transport/libp2p";
import { bytesToHex, hexToBytes } from "@sotto/wire";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { commands } from "vitest/browser";
import { watchedHub } from "./hub-fixture.ts";
import type { RelayPlace } from "./relay-commands.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Everything that one side of a connection learns about the other's addresses, and every connection. */
let told: string[];
let connections: Set<RTCPeerConnection>;
beforeEach(() => {
  told = [];
  connections = new Set();
  const { prototype } = RTCPeerConnection;
  // oxlint-disable-next-line typescript/unbound-method -- called on what they belong to
  const { addIceCandidate, setRemoteDescription } = prototype;
  vi.spyOn(prototype, "addIceCandidate").mockImplementation(function (
    this: RTCPeerConnection,
    candidate?: RTCIceCandidateInit | null,
  ) {
    if (candidate?.candidate !== undefined && candidate.candidate !== "") {
      told.push(candidate.candidate);
    }
    return Reflect.apply(addIceCandidate, this, [candidate]) as Promise<void>;
  });
  vi.spyOn(prototype, "setRemoteDescription").mockImplementation(function (
    this: RTCPeerConnection,
    description: RTCSessionDescriptionInit,
  ) {
    connections.add(this);
    told.push(...(description.sdp?.match(/^(?:a=candidate|c=|o=).*$/gm) ?? []));
    return Reflect.apply(setRemoteDescription, this, [description]) as Promise<void>;
  });
});

async function relayPlace(turnUrl?: string): Promise<RelayPlace> {
  const place = await commands.startRelay(turnUrl === undefined ? {} : { turnUrl });
  cleanups.push(() => commands.killRelay(place.pid));
  return place;
}

interface Peer {
  readonly direct: Direct;
  readonly answers: IceAnswer[];
  readonly isPossible: () => Promise<boolean>;
  readonly hidden: boolean;
  /** Connections that were not made. */
  refused: number;
}

async function peer(place: RelayPlace, hidden: boolean): Promise<Peer> {
  const { hub } = watchedHub(`${place.origin.replace(/^http/, "ws")}/hub`);
  cleanups.push(() => hub.close());
  hub.start();
  const answers: IceAnswer[] = [];
  const made = { answers, hidden, refused: 0 };
  const ice = createIce({
    ask: async () => {
      const answer = await hub.iceServers();
      answers.push(answer);
      return answer;
    },
    isAddressHidden: () => made.hidden,
    timers: realTimers,
  });
  await vi.waitUntil(() => hub.state === "online", { timeout: 20_000 });
  const direct = await createDirect({
    relayUrl: place.origin,
    relayKey: hexToBytes(place.relayKey)!,
    events: {
      link: () => undefined,
      frame: () => undefined,
      roundTrip: () => undefined,
      reservationLost: () => undefined,
    },
    async rtcConfiguration() {
      const configuration = await ice.configuration();
      if (configuration === undefined) made.refused++;
      return configuration;
    },
  });
  cleanups.push(() => direct.close());
  return Object.assign(made, { direct, isPossible: () => ice.isPossible() });
}

async function pair(place: RelayPlace, hidden: readonly [boolean, boolean]): Promise<[Peer, Peer]> {
  const peers = await Promise.all([peer(place, hidden[0]), peer(place, hidden[1])]);
  const [one, other] = peers;
  one.direct.expect(other.direct.ownPeerId);
  other.direct.expect(one.direct.ownPeerId);
  await Promise.all(peers.map(({ direct }) => direct.prepare()));
  expect(bytesToHex(one.direct.ownPeerId)).not.toBe(bytesToHex(other.direct.ownPeerId));
  return peers;
}

/** Kinds of the candidates in use, own and other: "relay/relay". */
async function pathsInUse(): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const connection of connections) {
    const stats: ReadonlyMap<string, Record<string, unknown>> = new Map(
      await connection.getStats(),
    );
    const transport = [...stats.values()].find(({ type }) => type === "transport");
    const used = stats.get(String(transport?.["selectedCandidatePairId"]));
    if (used === undefined) continue;
    const kind = (id: string) => stats.get(String(used[id]))?.["candidateType"];
    paths.push(`${String(kind("localCandidateId"))}/${String(kind("remoteCandidateId"))}`);
  }
  return paths;
}

const kindOf = (candidate: string): string | undefined => / typ (\w+)/.exec(candidate)?.[1];
const candidates = (): readonly string[] => told.filter((line) => line.includes("candidate:"));

it("two who hide their address meet through the TURN server, and neither learns of the other's", async ({
  skip,
}) => {
  const turnUrl = await commands.startTurn();
  if (turnUrl === undefined) return skip("no coturn here");
  cleanups.push(() => commands.stopTurn());
  const [one, other] = await pair(await relayPlace(turnUrl), [true, true]);
  // As the loop does before it says that it can be reached.
  await vi.waitUntil(() => one.isPossible(), { timeout: 15_000 });
  await vi.waitUntil(() => other.isPossible(), { timeout: 15_000 });
  expect(await one.direct.dial(other.direct.ownPeerId)).toBe(true);
  expect(await pathsInUse()).toEqual(["relay/relay", "relay/relay"]);
  expect(candidates().length).toBeGreaterThanOrEqual(2);
  expect(new Set(candidates().map(kindOf))).toEqual(new Set(["relay"]));
  // Where the relayed packets come from is left out as well, and so is the default of the description.
  for (const candidate of candidates()) expect(candidate).toMatch(/ raddr 0\.0\.0\.0 rport 0\b/);
  expect(
    told.filter((line) => line.startsWith("c=")).map((line) => line.split(" ").at(-1)),
  ).toEqual(expect.arrayContaining(["0.0.0.0"]));
  expect([one.answers, other.answers].map(({ length }) => length)).toEqual([1, 1]);
});

it("whoever hides the address makes no connection where nobody relays, dialling or answering", async () => {
  const [open, hidden] = await pair(await relayPlace(), [false, true]);
  const described = vi.spyOn(RTCPeerConnection.prototype, "setLocalDescription");
  expect(await hidden.isPossible()).toBe(false);
  expect(await hidden.direct.dial(open.direct.ownPeerId)).toBe(false);
  expect(hidden.refused).toBeGreaterThan(0);
  expect(described).not.toHaveBeenCalled();

  const before = hidden.refused;
  void open.direct.dial(hidden.direct.ownPeerId);
  await vi.waitUntil(() => hidden.refused > before, { timeout: 20_000 });
  // The open one has made its offer, and nobody described anything else.
  await vi.waitUntil(() => described.mock.calls.length > 0, { timeout: 20_000 });
  for (const connection of described.mock.contexts as readonly RTCPeerConnection[]) {
    expect(connection.getConfiguration().iceTransportPolicy).toBe("all");
    expect(connection.remoteDescription).toBeNull();
  }
  expect(candidates()).toEqual([]);
});

it("a browser learns its address from the relay's own STUN", async () => {
  const { hub } = watchedHub(`${(await relayPlace()).origin.replace(/^http/, "ws")}/hub`);
  cleanups.push(() => hub.close());
  hub.start();
  const answer = await hub.iceServers();
  const urls = answer.ok ? answer.servers.urls : [];
  expect(urls).toEqual([expect.stringMatching(/^stun:localhost:\d+$/)]);
  const connection = new RTCPeerConnection({ iceServers: [{ urls: [...urls] }] });
  cleanups.push(() => connection.close());
  const gathered: string[] = [];
  connection.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate !== null) gathered.push(candidate.candidate);
  });
  connection.createDataChannel("any");
  await connection.setLocalDescription();
  await vi.waitUntil(() => gathered.some((one) => kindOf(one) === "srflx"), { timeout: 20_000 });
  expect(gathered.find((one) => kindOf(one) === "srflx")).toMatch(
    / (?:127\.0\.0\.1|::1) \d+ typ srflx/,
  );
});
