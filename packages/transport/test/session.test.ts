import { multiaddr } from "@multiformats/multiaddr";
import {
  createDirect,
  createFrameReader,
  directAddress,
  DIRECT_OPEN_MS,
  DIRECT_PONG_MS,
  DIRECT_QUIET_MS,
  DIRECT_UNANSWERED_MS,
  openSession,
  packFrame,
  peerIdFromBytes,
  peerIdFromRelayKey,
  peerIdToBytes,
  relayAddress,
  type Session,
  type SessionEnd,
  type SessionStream,
} from "@sotto/transport/libp2p";
import {
  asEnvelopeId,
  concatBytes,
  DIRECT_FRAME_BYTES_MAX,
  type DirectFrame,
  encodeDirectFrame,
} from "@sotto/wire";
import { array, assert, constantFrom, integer, property, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { entropy, manualTimers } from "./hub-fixture.ts";

const envelope = (size = 256): DirectFrame => ({
  type: "envelope",
  id: asEnvelopeId(entropy(16)),
  blob: new Uint8Array(size).fill(1),
});

describe("frames on a stream", () => {
  const read = (...chunks: readonly Uint8Array[]) => {
    const frames: DirectFrame[] = [];
    const reader = createFrameReader((frame) => frames.push(frame));
    return { frames, results: chunks.map((chunk) => reader.push(chunk)) };
  };

  it("come out as they went in, however the stream is cut", () => {
    const frames: DirectFrame[] = [
      envelope(),
      { type: "ping", nonce: new Uint8Array(8).fill(1) },
      envelope(65_536),
      { type: "pong", nonce: new Uint8Array(8).fill(2) },
    ];
    const bytes = concatBytes(...frames.map(packFrame));
    assert(
      property(array(integer({ min: 0, max: bytes.length }), { maxLength: 12 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const chunks = edges.slice(1).map((edge, index) => bytes.slice(edges[index], edge));
        expect(read(...chunks).frames).toEqual(frames);
      }),
    );
  });

  it("may be as long as the longest, and not a byte longer", () => {
    const longest = packFrame(envelope(65_536));
    expect(longest).toHaveLength(4 + DIRECT_FRAME_BYTES_MAX);
    expect(read(longest).frames).toHaveLength(1);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, DIRECT_FRAME_BYTES_MAX + 1);
    expect(read(length)).toEqual({ frames: [], results: [false] });
  });

  it.each([
    ["a length of nothing", new Uint8Array(4)],
    ["an unknown type", Uint8Array.from([0, 0, 0, 1, 9])],
    ["a ping cut short", Uint8Array.from([0, 0, 0, 2, 2, 0])],
  ])("after %s nothing is believed any more", (_, bytes) => {
    const good = packFrame(envelope());
    const { frames, results } = read(good, concatBytes(bytes, good), good);
    expect(frames).toHaveLength(1);
    expect(results).toEqual([true, false, false]);
  });

  it("any bytes are frames or malformed, never an exception", () => {
    assert(property(uint8Array({ maxLength: 64 }), (bytes) => void read(bytes)));
  });
});

/** One end of a stream whose other end is the test. */
function scriptedStream() {
  const sent: DirectFrame[] = [];
  const reader = createFrameReader((frame) => sent.push(frame));
  const target = new EventTarget();
  const stream = {
    writableNeedsDrain: false,
    isAborted: false,
    send(data: Uint8Array) {
      if (stream.isAborted) throw new Error("closed");
      reader.push(data);
      return true;
    },
    abort() {
      stream.isAborted = true;
      target.dispatchEvent(new Event("close"));
    },
    addEventListener: target.addEventListener.bind(target),
  };
  return {
    stream: stream as unknown as SessionStream & {
      writableNeedsDrain: boolean;
      isAborted: boolean;
    },
    sent,
    says: (bytes: Uint8Array) =>
      target.dispatchEvent(Object.assign(new Event("message"), { data: bytes })),
    closes: (how: "close" | "remoteCloseWrite") => target.dispatchEvent(new Event(how)),
  };
}

function scriptedSession() {
  const timers = manualTimers();
  const end = scriptedStream();
  const seen = {
    opened: 0,
    frames: [] as DirectFrame[],
    roundTrips: [] as number[],
    ends: [] as SessionEnd[],
  };
  const session: Session = openSession(
    end.stream,
    { timers, entropy },
    {
      open: () => seen.opened++,
      frame: (frame) => seen.frames.push(frame),
      roundTrip: (ms) => seen.roundTrips.push(ms),
      ended: (reason) => seen.ends.push(reason),
    },
  );
  session.begin();
  const pongs = (): void => {
    const ping = end.sent.findLast((frame) => frame.type === "ping");
    end.says(packFrame({ type: "pong", nonce: ping!.nonce }));
  };
  return { ...end, timers, session, seen, pongs };
}

describe("a session", () => {
  it("is open once the other side has spoken, and not before", () => {
    const { session, seen, pongs, sent, timers } = scriptedSession();
    expect(sent.map((frame) => frame.type)).toEqual(["ping"]);
    expect(session.send(envelope())).toBe(false);
    timers.advance(3);
    pongs();
    expect(seen).toMatchObject({ opened: 1, roundTrips: [3] });
    expect(session.send(envelope())).toBe(true);
  });

  it("measures the round trip although the other side's own ping comes first", () => {
    const { seen, says, pongs, sent, timers } = scriptedSession();
    timers.advance(2);
    says(packFrame({ type: "ping", nonce: new Uint8Array(8) }));
    expect(sent.at(-1)).toEqual({ type: "pong", nonce: new Uint8Array(8) });
    timers.advance(2);
    pongs();
    expect(seen).toMatchObject({ opened: 1, roundTrips: [4] });
  });

  it("that begins on a stream that is over ends at once", () => {
    const { stream } = scriptedStream();
    stream.abort(new Error("over"));
    const ends: SessionEnd[] = [];
    const ended = (reason: SessionEnd): void => void ends.push(reason);
    const events = { open: () => {}, frame: () => {}, roundTrip: () => {}, ended };
    const session = openSession(stream, { timers: manualTimers(), entropy }, events);
    expect(ends).toEqual([]);
    session.begin();
    expect(ends).toEqual(["closed"]);
  });

  it("ends when nothing is heard at all, at the limit", () => {
    const { seen, timers, stream } = scriptedSession();
    timers.advance(DIRECT_OPEN_MS - 1);
    expect(seen.ends).toEqual([]);
    timers.advance(1);
    expect(seen).toMatchObject({ opened: 0, ends: ["silent"] });
    expect(stream.isAborted).toBe(true);
    expect(timers.pending).toBe(0);
  });

  it("notices a peer that went silent", () => {
    const { seen, timers, pongs, sent } = scriptedSession();
    pongs();
    timers.advance(DIRECT_QUIET_MS);
    expect(sent.map((frame) => frame.type)).toEqual(["ping", "ping"]);
    timers.advance(DIRECT_PONG_MS - 1);
    expect(seen.ends).toEqual([]);
    timers.advance(1);
    expect(seen.ends).toEqual(["silent"]);
  });

  it("notices it soon when something is on its way", () => {
    const { seen, timers, pongs, session } = scriptedSession();
    pongs();
    session.send(envelope());
    timers.advance(DIRECT_UNANSWERED_MS + DIRECT_PONG_MS - 1);
    expect(seen.ends).toEqual([]);
    timers.advance(1);
    expect(seen.ends).toEqual(["silent"]);
  });

  it("any frame is a sign of life", () => {
    const { seen, timers, pongs, session, says } = scriptedSession();
    pongs();
    for (let round = 0; round < 10; round++) {
      session.send(envelope());
      timers.advance(DIRECT_UNANSWERED_MS + DIRECT_PONG_MS - 1);
      says(packFrame(envelope()));
    }
    expect(seen.ends).toEqual([]);
    expect(seen.frames).toHaveLength(10);
  });

  it("does not blame the peer when this machine was held up", () => {
    const { seen, timers, pongs, sent } = scriptedSession();
    pongs();
    timers.advance(DIRECT_QUIET_MS);
    timers.sleep(60_000);
    expect(seen.ends).toEqual([]);
    expect(sent.filter((frame) => frame.type === "ping")).toHaveLength(3);
    timers.advance(DIRECT_PONG_MS);
    expect(seen.ends).toEqual(["silent"]);
  });

  it("asks when told to, once", () => {
    const { session, pongs, sent } = scriptedSession();
    pongs();
    session.probe();
    session.probe();
    expect(sent).toHaveLength(2);
  });

  it("ends on the first malformed byte", () => {
    const { seen, says, pongs, stream } = scriptedSession();
    pongs();
    says(Uint8Array.from([0xff, 0xff, 0xff, 0xff]));
    says(packFrame(envelope()));
    expect(seen).toMatchObject({ ends: ["malformed"], frames: [] });
    expect(stream.isAborted).toBe(true);
  });

  it.each(["close", "remoteCloseWrite"] as const)("ends once with the stream's %s", (how) => {
    const { seen, closes, pongs, session, timers } = scriptedSession();
    pongs();
    closes(how);
    closes("close");
    expect(seen.ends).toEqual(["closed"]);
    expect(session.send(envelope())).toBe(false);
    expect(timers.pending).toBe(0);
  });

  it("takes nothing while the stream is full", () => {
    const { session, pongs, stream } = scriptedSession();
    pongs();
    stream.writableNeedsDrain = true;
    expect(session.send(envelope())).toBe(false);
    stream.writableNeedsDrain = false;
    expect(session.send(envelope())).toBe(true);
  });
});

describe("names and addresses", () => {
  // RFC 8032 §7.1, test 1: a point of the curve.
  const key = Uint8Array.from(
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".match(/../g)!,
    (pair) => Number.parseInt(pair, 16),
  );

  it("a peer id is its bytes and back", () => {
    const peerId = peerIdFromRelayKey(key);
    const bytes = peerIdToBytes(peerId);
    expect(bytes.slice(-32)).toEqual(key);
    expect(peerIdFromBytes(bytes)?.toString()).toBe(peerId.toString());
  });

  it("no other bytes are a peer id", () => {
    const bytes = peerIdToBytes(peerIdFromRelayKey(key));
    expect(peerIdFromBytes(bytes.slice(1))).toBeUndefined();
    expect(peerIdFromBytes(concatBytes(bytes, new Uint8Array(1)))).toBeUndefined();
    expect(peerIdFromBytes(bytes.with(3, 2))).toBeUndefined();
    expect(peerIdFromBytes(new Uint8Array())).toBeUndefined();
  });

  it.each([
    ["https://chat.example.com", "/dns/chat.example.com/tcp/443/tls/ws/p2p/"],
    ["https://chat.example.com:8443", "/dns/chat.example.com/tcp/8443/tls/ws/p2p/"],
    ["http://127.0.0.1:8080", "/ip4/127.0.0.1/tcp/8080/ws/p2p/"],
    ["http://localhost", "/dns/localhost/tcp/80/ws/p2p/"],
    ["http://[::1]:9", "/ip6/::1/tcp/9/ws/p2p/"],
  ])("%s is at %s…", (origin, address) => {
    const peerId = peerIdFromRelayKey(key);
    expect(relayAddress(origin, peerId)).toBe(address + peerId.toString());
  });

  it.each([
    "",
    "https://",
    "https://a:99999",
    "http://[::1]:65536",
    "https://a.1",
    "https://1.2.3.256",
    "https://user:word@chat.example.com",
    "https://CHAT.example.com",
    "https://chat.example.com/dns/other",
    "https://[::1]",
    "wss://chat.example.com",
    "data:text/plain,a",
  ])("%j is no relay's origin", (origin) => {
    expect(relayAddress(origin, peerIdFromRelayKey(key))).toBeUndefined();
  });

  it("an address is one, and nothing but that of its relay, whatever it is made of", () => {
    const relay = peerIdFromRelayKey(key);
    const part = constantFrom(
      ..."https:// http:// a B 1 0x xn-- . - : [ ] ::1 @ / \\ ? # %2f _ é 。 localhost 127.0.0.1 443 65536".split(
        " ",
      ),
    );
    const odd = array(part, { maxLength: 8 }).map((parts) => parts.join(""));
    assert(
      property(constantFrom("", "https://", "http://"), odd, (scheme, rest) => {
        const address = relayAddress(scheme + rest, relay);
        if (address === undefined) return;
        const names = multiaddr(directAddress(address, relay))
          .getComponents()
          .map(({ name }) => name);
        const secure = (scheme + rest).startsWith("https") ? ["tls"] : [];
        const expected = ["tcp", ...secure, "ws", "p2p", "p2p-circuit", "webrtc", "p2p"];
        expect(names.slice(1)).toEqual(expected);
        expect(["dns", "ip4", "ip6"]).toContain(names[0]);
      }),
      { numRuns: 5_000 },
    );
  });

  it("nothing is begun with a relay at no port that there is", async () => {
    const events = { link() {}, frame() {}, roundTrip() {}, reservationLost() {} };
    const options = { relayUrl: "https://relay.example:65536", relayKey: key, events };
    await expect(createDirect(options)).rejects.toThrow("not a relay address");
  });

  it("frames keep the layout of the wire", () => {
    const frame = envelope();
    expect(packFrame(frame).slice(4)).toEqual(encodeDirectFrame(frame));
  });
});
