/**
 * The hub as a client meets it: upgrade, the relay's proof, our own, and the largest frame there and back.
 * Makes no queue and leaves nothing behind.
 */
import { randomBytes } from "node:crypto";
import { signHubAuth, verifyHubHello } from "@sotto/crypto";
import { nodeBackend } from "@sotto/engines/node";
import {
  asEnvelopeId,
  decodeFrame,
  encodeFrame,
  ENVELOPE_BYTES_MAX,
  FRAME_BYTES_MAX,
  HUB_PATH,
  type HubFrame,
  type HubFrameType,
  type Door,
} from "@sotto/wire";
import { WebSocket } from "ws";
import { ANSWER_MS, type Check, codeOf, failed, ok, warn } from "./check.ts";

const HOUR_MS = 3_600_000;

/** `relayKey`: hexadecimal, as /info.json says it; undefined: not known. */
export async function checkHub(url: URL, relayKey: string | undefined): Promise<readonly Check[]> {
  const line = openLine(new URL(HUB_PATH, url));
  try {
    return await talk(line, relayKey);
  } catch (error) {
    return [failed("hub", `${codeOf(error)}: does the proxy pass WebSocket upgrades on?`)];
  } finally {
    line.socket.terminate();
  }
}

const DOOR_WORDS: Readonly<Record<Door, string>> = {
  open: "everybody may have mailboxes here",
  invite: "whoever has a code of `sotto-relay invite` may have mailboxes here",
  oidc: "whoever signs in at the organisation may have mailboxes here",
};

async function talk(line: Line, relayKey: string | undefined): Promise<readonly Check[]> {
  const hello = await line.next("hello");
  if (!(await verifyHubHello(hello, nodeBackend))) {
    return [failed("hub", "the relay does not prove its own key")];
  }
  if (relayKey !== undefined && Buffer.from(hello.relayKey).toString("hex") !== relayKey) {
    return [failed("hub", "another relay than the one that serves /info.json")];
  }
  const readerSeed = new Uint8Array(randomBytes(32));
  const readerKey = await nodeBackend.signPublic(readerSeed);
  const signature = await signHubAuth(
    readerSeed,
    hello.nonce,
    hello.relayKey,
    readerKey,
    nodeBackend,
  );
  line.send(0, { type: "auth", readerKey, signature, admission: new Uint8Array() });
  const welcome = await line.next("welcome").catch((error: unknown) => {
    if (hello.door === "open") throw error;
    return undefined;
  });
  // Strangers may not even write: there is nothing more to see from outside.
  if (welcome === undefined) {
    return [ok("hub", "the relay proves its key"), ok("door", DOOR_WORDS[hello.door])];
  }
  const from = performance.now();
  line.send(1, { type: "ping" });
  await line.next("pong");
  const roundMs = Math.round(performance.now() - from);
  const checks = [ok("hub", `the relay proves its key; a round trip takes ${roundMs} ms`)];

  const hours = Math.abs(hello.hour - Math.floor(Date.now() / HOUR_MS));
  if (hours > 1)
    checks.push(failed("hour", `the relay's clock is ${hours} hours from this machine's`));
  checks.push(
    ok("door", DOOR_WORDS[hello.door]),
    ok(
      "limits",
      `${hello.queueMessagesMax} messages in a queue, kept for ${Math.floor(hello.ttlHoursMax / 24)} days`,
    ),
    await checkLargest(line),
    welcome.circuit
      ? await checkCircuits(line.origin)
      : warn("circuits", "switched off: direct links need another way to begin"),
    welcome.pushKey.length === 0
      ? ok("push", "wakes nobody: push.contact is not set")
      : ok("push", "wakes people whose app is closed"),
    ...(await checkIceServers(line)),
  );
  return checks;
}

/** Asked for as a client does, and used as its browser would; nothing where the relay names none. */
async function checkIceServers(line: Line): Promise<readonly Check[]> {
  line.send(3, { type: "turn" });
  const answer = await line.any();
  if (answer.type !== "turn-credential") return [];
  const { checkStun, checkTurn } = await import("./turn.ts");
  const found: Check[] = [];
  for (const url of answer.urls) {
    if (url.startsWith("stun:")) found.push(...(await checkStun(url)));
    else if (/^turn:(?!.*transport=tcp)/.test(url)) found.push(...(await checkTurn(url, answer)));
  }
  return found;
}

/** To nobody: the answer is "gone", and that it comes means nothing in between cut the frame. */
async function checkLargest(line: Line): Promise<Check> {
  const blob = new Uint8Array(ENVELOPE_BYTES_MAX);
  line.send(2, {
    type: "append",
    alias: 1,
    id: asEnvelopeId(new Uint8Array(randomBytes(16))),
    blob,
  });
  try {
    await line.next("error");
    return ok("frames", `${blob.length} bytes pass`);
  } catch {
    return failed(
      "frames",
      `${blob.length} bytes do not pass: raise the proxy's limit for WebSocket frames`,
    );
  }
}

async function checkCircuits(origin: URL): Promise<Check> {
  const socket = new WebSocket(toWebSocket(new URL("/", origin)), { handshakeTimeout: ANSWER_MS });
  try {
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return ok("circuits", "open");
  } catch (error) {
    return failed("circuits", `${codeOf(error)}: does the proxy pass WebSocket upgrades for / on?`);
  } finally {
    socket.terminate();
  }
}

type Frame<T extends HubFrameType> = Extract<HubFrame, { type: T }>;

interface Line {
  readonly socket: WebSocket;
  readonly origin: URL;
  send(request: number, frame: HubFrame): void;
  /** Rejects when another frame or the end comes first. */
  next<T extends HubFrameType>(type: T): Promise<Frame<T>>;
  /** Whatever comes. */
  any(): Promise<HubFrame>;
}

const toWebSocket = (url: URL): string => url.href.replace(/^http/, "ws");

function openLine(url: URL): Line {
  const socket = new WebSocket(toWebSocket(url), {
    handshakeTimeout: ANSWER_MS,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
  });
  const frames: HubFrame[] = [];
  let ended: Error | undefined;
  let wake = (): void => undefined;
  const end = (error: Error): void => {
    ended ??= error;
    wake();
  };
  socket.on("error", end);
  socket.on("close", () => end(new Error("closed")));
  socket.on("message", (data) => {
    const decoded = data instanceof Buffer ? decodeFrame(new Uint8Array(data)) : undefined;
    if (decoded?.ok !== true) return end(new Error("malformed"));
    frames.push(decoded.value.frame);
    wake();
  });

  async function take(): Promise<HubFrame> {
    const timer = setTimeout(() => end(new Error("timeout")), ANSWER_MS);
    try {
      for (;;) {
        const frame = frames.shift();
        if (frame !== undefined) return frame;
        if (ended !== undefined) throw ended;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  const isType = <T extends HubFrameType>(frame: HubFrame, type: T): frame is Frame<T> =>
    frame.type === type;

  return {
    socket,
    origin: url,
    send: (request, frame) => socket.send(encodeFrame(request, frame)),
    any: take,
    async next(type) {
      const frame = await take();
      if (!isType(frame, type)) throw new Error(`${frame.type} instead of ${type}`);
      return frame;
    },
  };
}
