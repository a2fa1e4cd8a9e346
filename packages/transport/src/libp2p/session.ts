/**
 * One session stream between two devices: frames both ways, and whether the other one is still there.
 * libp2p learns of a dead or closed peer after 13 s and lets sends into the void succeed, so the stream
 * proves itself: it counts as open after the first frame from the other side, and as dead without one.
 * Owns: pings, liveness, the bound on what waits to be sent. Leaves to direct.ts: which stream is the link.
 * Spec: wire/SPEC.md §8.
 */
import type { Entropy } from "@sotto/crypto";
import { type DirectFrame, equalBytes, PING_BYTES } from "@sotto/wire";
import type { Timers } from "../timers.ts";
import { createFrameReader, packFrame } from "./frame-stream.ts";

/** Nothing heard for so long: ask. */
export const DIRECT_QUIET_MS = 10_000;
/** Nothing heard for so long after something was sent: ask. With the next line: a dead peer shows within 3 s. */
export const DIRECT_UNANSWERED_MS = 1_000;
export const DIRECT_PONG_MS = 2_000;
/** From the opening of the stream to the first frame from the other side. */
export const DIRECT_OPEN_MS = 5_000;
/** A check that comes later than this was held up by this machine, which says nothing about the peer. */
const HELD_UP_MS = 500;

/** What a session needs of a libp2p stream. */
export interface SessionStream {
  send(data: Uint8Array): boolean;
  abort(error: Error): void;
  readonly writableNeedsDrain: boolean;
  addEventListener(
    type: "message",
    listener: (event: { readonly data: { subarray(): Uint8Array } }) => void,
  ): void;
  addEventListener(type: "close" | "remoteCloseWrite", listener: () => void): void;
}

export type SessionEnd = "closed" | "silent" | "malformed";

export interface SessionEvents {
  /** The other side has shown that it hears and speaks. */
  open(): void;
  /** Envelopes only; pings stay here. */
  frame(frame: DirectFrame): void;
  roundTrip(ms: number): void;
  /** Once. */
  ended(reason: SessionEnd): void;
}

export interface Session {
  /** Asks the first time. Nothing happens before, so that the caller has its own book in order. */
  begin(): void;
  /** False when the stream is over or full. */
  send(frame: DirectFrame): boolean;
  /** Asks for a sign of life now. */
  probe(): void;
  close(): void;
}

export function openSession(
  stream: SessionStream,
  { timers, entropy }: { readonly timers: Timers; readonly entropy: Entropy },
  events: SessionEvents,
): Session {
  let state: "opening" | "open" | "over" = "opening";
  let heardAt = timers.now();
  /** Of the earliest frame sent since something was heard. */
  let sentAt: number | undefined;
  let probe: { readonly nonce: Uint8Array; readonly at: number } | undefined;
  /** Nothing heard since the probe. */
  let isWaiting = false;
  let checkAt = Number.POSITIVE_INFINITY;
  let cancelCheck: (() => void) | undefined;

  const reader = createFrameReader((frame) => {
    if (state === "over") return;
    const now = timers.now();
    heardAt = now;
    sentAt = undefined;
    isWaiting = false;
    if (state === "opening") {
      state = "open";
      events.open();
    }
    if (frame.type === "ping") write({ type: "pong", nonce: frame.nonce });
    else if (frame.type === "envelope") events.frame(frame);
    else if (probe !== undefined && equalBytes(probe.nonce, frame.nonce)) {
      events.roundTrip(now - probe.at);
      probe = undefined;
    }
  });
  stream.addEventListener("message", ({ data }) => {
    if (!reader.push(data.subarray())) end("malformed");
    else watch();
  });
  stream.addEventListener("close", () => end("closed"));
  stream.addEventListener("remoteCloseWrite", () => end("closed"));

  function end(reason: SessionEnd): void {
    if (state === "over") return;
    state = "over";
    cancelCheck?.();
    try {
      stream.abort(new Error(reason));
    } catch {
      // It was over before we said so.
    }
    events.ended(reason);
  }

  function write(frame: DirectFrame): void {
    try {
      stream.send(packFrame(frame));
    } catch {
      end("closed");
    }
  }

  function ask(): void {
    if (state === "over") return;
    probe = { nonce: entropy(PING_BYTES), at: timers.now() };
    isWaiting = true;
    write({ type: "ping", nonce: probe.nonce });
    watch();
  }

  function nextCheckAt(): number {
    if (probe !== undefined && isWaiting) {
      return probe.at + (state === "opening" ? DIRECT_OPEN_MS : DIRECT_PONG_MS);
    }
    return Math.min(
      heardAt + DIRECT_QUIET_MS,
      sentAt === undefined ? Number.POSITIVE_INFINITY : sentAt + DIRECT_UNANSWERED_MS,
    );
  }

  /** One timer, set anew only when the next moment comes nearer. */
  function watch(): void {
    const at = nextCheckAt();
    if (state === "over" || at >= checkAt) return;
    cancelCheck?.();
    checkAt = at;
    cancelCheck = timers.after(Math.max(0, at - timers.now()), check);
  }

  function check(): void {
    const heldUp = timers.now() > checkAt + HELD_UP_MS;
    checkAt = Number.POSITIVE_INFINITY;
    if (timers.now() < nextCheckAt()) return watch();
    if (isWaiting && !heldUp) return end("silent");
    ask();
  }

  return {
    begin: ask,
    send(frame) {
      if (state !== "open" || stream.writableNeedsDrain) return false;
      sentAt ??= timers.now();
      write(frame);
      watch();
      // Writing may have ended it; the type checker does not see that.
      return isOpen();
    },
    probe() {
      if (state === "open" && !isWaiting) ask();
    },
    close: () => end("closed"),
  };

  function isOpen(): boolean {
    return state === "open";
  }
}
