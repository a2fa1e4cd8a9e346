/**
 * What a direct connection is given by the other side before a frame is one: a stream of bytes, names of peers, and
 * the events of a data channel.
 */
import { multiaddr } from "@multiformats/multiaddr";
import { DIRECT_FRAME_BYTES_MAX, type DirectFrame } from "@sotto/wire";
import * as fc from "fast-check";
import {
  frameStream,
  initChannel,
  peerAddress,
} from "../../../packages/transport/test/decoders.ts";
import { CODECS } from "../../../packages/wire/test/codecs.ts";
import { createTape } from "../tape.ts";
import { Finding, type Target } from "../target.ts";

const { createFrameReader, packFrame } = frameStream;
const { withRepairedInitChannel } = initChannel;
const {
  directAddress,
  PEER_ID_BYTES,
  peerIdFromBytes,
  peerIdFromRelayKey,
  peerIdToBytes,
  relayAddress,
} = peerAddress;

/** Frames that were handed out, as they are packed, and whether the stream was still in its place at the end. */
function readInPieces(stream: Uint8Array, size: number) {
  const packed: Uint8Array[] = [];
  const reader = createFrameReader((frame) => packed.push(packFrame(frame)));
  let isWhole = true;
  for (let at = 0; at < stream.length; at += size) {
    const goesOn = reader.push(stream.subarray(at, at + size));
    if (goesOn && !isWhole) throw new Finding("a broken stream goes on");
    isWhole = goesOn;
  }
  return { bytes: Buffer.concat(packed), isWhole };
}

const directFrames = CODECS.find(({ name }) => name === "direct")
  ?.values as fc.Arbitrary<DirectFrame>;

/** The first byte says into what pieces the rest is cut. */
const streamTarget: Target = {
  name: "frame-stream",
  covers: ["frameStream.createFrameReader"],
  maxBytes: 4_096,
  weight: 1,
  steps: { base: 8_000, perByte: 120 },
  run(input) {
    const stream = input.subarray(1);
    const whole = readInPieces(stream, Math.max(stream.length, 1));
    const cut = readInPieces(stream, 1 + ((input[0] ?? 0) % 40));
    if (!whole.bytes.equals(cut.bytes) || whole.isWhole !== cut.isWhole) {
      throw new Finding("the pieces that a stream comes in make a difference");
    }
    if (Buffer.compare(whole.bytes, stream.subarray(0, whole.bytes.length)) !== 0) {
      throw new Finding("a frame has two forms");
    }
    if (whole.isWhole && stream.length - whole.bytes.length > 4 + DIRECT_FRAME_BYTES_MAX) {
      throw new Finding("more than a frame is held");
    }
    return { accepted: whole.bytes.length > 0, result: whole.bytes };
  },
  seeds: () =>
    fc
      .sample(fc.array(directFrames, { minLength: 1, maxLength: 3 }), { seed: 1, numRuns: 16 })
      .map((frames, at) =>
        Uint8Array.from(Buffer.concat([Buffer.of(at * 3), ...frames.map(packFrame)])),
      )
      .filter(({ length }) => length <= 2_048),
};

const RELAY = peerIdFromRelayKey(new Uint8Array(32).fill(3));

/** A peer's name after an even byte, a relay's URL after an odd one. */
const addressTarget: Target = {
  name: "peer-address",
  covers: ["peerAddress.peerIdFromBytes", "peerAddress.relayAddress", "peerAddress.directAddress"],
  maxBytes: 300,
  weight: 1,
  steps: { base: 4_000, perByte: 40 },
  run(input) {
    const rest = input.subarray(1);
    if ((input[0] ?? 0) % 2 === 0) {
      const peer = peerIdFromBytes(rest);
      if (peer === undefined) return { accepted: false };
      if (Buffer.compare(peerIdToBytes(peer), rest) !== 0) {
        throw new Finding("a peer has two names");
      }
      return { accepted: true };
    }
    const url = Buffer.from(rest).toString("latin1");
    const relay = relayAddress(url, RELAY);
    if (relay === undefined) return { accepted: false };
    const parts = multiaddr(directAddress(relay, RELAY))
      .getComponents()
      .map(({ name }) => name);
    const { protocol } = new URL(url);
    const secure = protocol === "https:" ? ["tls"] : [];
    const expected = ["tcp", ...secure, "ws", "p2p", "p2p-circuit", "webrtc", "p2p"];
    if (
      !["dns", "ip4", "ip6"].includes(parts[0] ?? "") ||
      parts.slice(1).join() !== expected.join()
    ) {
      throw new Finding("a relay's address is more than its URL says");
    }
    return { accepted: true };
  },
  seeds: () => [
    Uint8Array.of(0, ...peerIdToBytes(RELAY)),
    Uint8Array.of(0, ...new Uint8Array(PEER_ID_BYTES)),
    ...[
      "https://relay.example",
      "https://relay.example:8443",
      "http://127.0.0.1:8080",
      "http://[::1]:8080",
      "https://[2001:db8::1]",
      "https://1.2.3",
    ].map((url) => Uint8Array.of(1, ...Buffer.from(url))),
  ],
};

const EVENTS = ["open", "close", "message"] as const;
const STATES = ["connecting", "open", "closing", "closed"] as const;
const OPERATIONS_MAX = 48;
/** Of one target as many as Node does not take for a leak. */
const LISTENERS_MAX = 10;

/** As much of a data channel as the repair touches: its state goes forward only, and it says so when it listens. */
class Channel extends EventTarget {
  step = 0;
  get readyState(): (typeof STATES)[number] {
    return STATES[this.step] ?? "closed";
  }
  advance(): void {
    if (this.step === STATES.length - 1) return;
    this.step++;
    if (this.readyState === "open") this.dispatchEvent(new Event("open"));
    if (this.readyState === "closed") this.dispatchEvent(new Event("close"));
  }
}

interface Listener {
  readonly type: (typeof EVENTS)[number];
  readonly channel: Channel;
  /** The past has to be told. */
  readonly isLate: boolean;
  heard: number;
}

/** Dials that begin and end, channels that are made, move on and are listened to, in any order. */
const channelTarget: Target = {
  name: "init-channel",
  covers: ["initChannel.withRepairedInitChannel"],
  maxBytes: 2 * OPERATIONS_MAX,
  weight: 1,
  steps: { base: 4_000, perByte: 100 },
  async run(input) {
    const tape = createTape(input);
    const prototype = { createDataChannel: () => new Channel() };
    const original = prototype.createDataChannel;
    const repaired = prototype as unknown as RTCPeerConnection;
    const ends: (() => void)[] = [];
    const dials: Promise<void>[] = [];
    const channels: {
      readonly channel: Channel;
      readonly isInit: boolean;
      readonly told: boolean;
    }[] = [];
    const listeners: Listener[] = [];
    for (let count = 0; count < OPERATIONS_MAX && !tape.over(); count++) {
      const operation = tape.below(5);
      if (operation === 0) {
        const gate = Promise.withResolvers<void>();
        const fails = tape.below(2) === 1;
        ends.push(() => (fails ? gate.reject(new Error("dial failed")) : gate.resolve()));
        dials.push(withRepairedInitChannel(repaired, () => gate.promise));
      } else if (operation === 1) {
        const at = tape.below(Math.max(ends.length, 1));
        ends.splice(at, 1)[0]?.();
        const [dial] = dials.splice(at, 1);
        await dial?.catch(() => undefined);
      } else if (operation === 2) {
        const isInit = tape.below(2) === 0;
        const channel: unknown = repaired.createDataChannel(isInit ? "init" : "chat");
        channels.push({ channel: channel as Channel, isInit, told: dials.length > 0 });
      } else if (operation === 3 && channels.length > 0) {
        channels[tape.below(channels.length)]?.channel.advance();
      } else if (channels.length > 0 && listeners.length < LISTENERS_MAX) {
        const found = channels[tape.below(channels.length)];
        if (found === undefined) continue;
        const { channel, isInit, told } = found;
        const type = tape.pick(EVENTS);
        const past = type === "open" ? channel.step >= 1 : type === "close" && channel.step === 3;
        const listener: Listener = { type, channel, isLate: isInit && told && past, heard: 0 };
        listeners.push(listener);
        const hear = (): number => listener.heard++;
        channel.addEventListener(type, tape.below(2) === 0 ? hear : { handleEvent: hear });
      }
      const isRepaired = prototype.createDataChannel !== original;
      if (isRepaired !== dials.length > 0) throw new Finding("repaired without a dial");
    }
    for (const end of ends) end();
    await Promise.allSettled(dials);
    if (prototype.createDataChannel !== original) throw new Finding("the repair stays");
    // What is told late is told in a microtask; all of them have run by then.
    const before = listeners.map(({ heard }) => heard);
    for (const { channel } of channels) for (const _ of STATES) channel.advance();
    for (const [at, { type, isLate, heard }] of listeners.entries()) {
      if (isLate && before[at] !== 1) throw new Finding("the past was not told once");
      if (heard > 1) throw new Finding("an event is heard twice");
      if (type === "message" && heard > 0) throw new Finding("an event that never was is heard");
    }
    return { accepted: listeners.some(({ heard }) => heard > 0) };
  },
  seeds: () => [
    Uint8Array.of(0, 0, 2, 0, 3, 0, 3, 0, 3, 0, 4, 0, 0, 0, 4, 0, 1, 1, 1, 0),
    Uint8Array.of(2, 0, 3, 0, 4, 0, 0, 0, 3, 0),
    Uint8Array.of(0, 1, 0, 0, 2, 0, 1, 0, 4, 0, 1, 0, 3, 0, 3, 0, 3, 0, 1, 0),
  ],
};

export const linkTargets: readonly Target[] = [streamTarget, addressTarget, channelTarget];
