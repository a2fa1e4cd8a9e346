/** A relay that does exactly what a test says: real socket, real codecs, real proofs, no mercy. */
import { nobleBackend, sendAuthenticator, signHubHello, verifyHubAuth } from "@sotto/crypto";
import {
  decodeFrame,
  encodeFrame,
  equalBytes,
  type Framed,
  type HubFrame,
  sendTranscript,
} from "@sotto/wire";
import { type WebSocket as ServerSocket, WebSocketServer } from "ws";

export type FrameOf<Type extends HubFrame["type"]> = Extract<HubFrame, { type: Type }>;

export interface Visit {
  readonly frames: Framed[];
  /** Frames of one type, in order of arrival. */
  of<Type extends HubFrame["type"]>(type: Type): (FrameOf<Type> & { readonly request: number })[];
  send(request: number, frame: HubFrame): void;
  raw(bytes: Uint8Array | string): void;
  /** The socket is cut without a goodbye. */
  cut(): void;
  readonly socket: ServerSocket;
}

export interface Script {
  /** Proves the client and says WELCOME; false leaves HELLO to the test. */
  readonly greets?: boolean;
  readonly creditMessages?: number;
  /** In WELCOME; none: it wakes nobody. */
  readonly pushKey?: Uint8Array;
  /** Changes the HELLO before (key) or after (signature) it is signed. */
  readonly seed?: Uint8Array;
  /** Instead of an honest one, and signed like it. */
  readonly ephemeralKey?: Uint8Array;
  readonly forge?: (hello: FrameOf<"hello">) => FrameOf<"hello">;
  /** Called for every frame after AUTH. */
  readonly onFrame?: (visit: Visit, request: number, frame: HubFrame) => void;
}

const EPHEMERAL = new Uint8Array(32).fill(9);

export async function scriptedRelay(initial: Script = {}): Promise<{
  readonly url: string;
  readonly visits: Visit[];
  script: Script;
  close(): Promise<void>;
}> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const relay = {
    url: `ws://127.0.0.1:${port}/hub`,
    visits: [] as Visit[],
    script: initial,
    close: () =>
      new Promise<void>((resolve) => {
        for (const client of server.clients) client.terminate();
        server.close(() => resolve());
      }),
  };
  server.on("connection", (socket) => {
    const script = relay.script;
    const frames: Framed[] = [];
    const visit: Visit = {
      frames,
      of: (type) =>
        frames.flatMap(({ request, frame }) =>
          frame.type === type ? [{ ...(frame as FrameOf<typeof type>), request }] : [],
        ),
      send: (request, frame) => socket.send(encodeFrame(request, frame)),
      raw: (bytes) => socket.send(bytes),
      cut: () => socket.terminate(),
      socket,
    };
    relay.visits.push(visit);
    void greet(visit, script, socket);
  });
  return relay;
}

async function greet(visit: Visit, script: Script, socket: ServerSocket): Promise<void> {
  const seed = script.seed ?? new Uint8Array(32).fill(7);
  const relayKey = await nobleBackend.signPublic(seed);
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const unsigned = {
    relayKey,
    ephemeralKey: script.ephemeralKey ?? (await nobleBackend.dhPublic(EPHEMERAL)),
    nonce,
    hour: 500_000,
    ttlHoursMax: 504,
    queueMessagesMax: 256,
    door: "open" as const,
  };
  const signature = await signHubHello(seed, unsigned, nobleBackend);
  const hello: FrameOf<"hello"> = { type: "hello", ...unsigned, signature };
  socket.on("message", (data: Buffer) => {
    const decoded = decodeFrame(new Uint8Array(data));
    if (!decoded.ok) throw new Error(`the client sent ${decoded.reason} bytes`);
    visit.frames.push(decoded.value);
    const { request, frame } = decoded.value;
    if (frame.type !== "auth") return script.onFrame?.(visit, request, frame);
    void verifyHubAuth({ nonce, relayKey, ...frame }, nobleBackend).then((proven) => {
      if (!proven) throw new Error("the client's AUTH does not verify");
      const creditMessages = script.creditMessages ?? 64;
      const pushKey = script.pushKey ?? new Uint8Array();
      visit.send(0, { type: "welcome", creditMessages, circuit: true, admitted: true, pushKey });
    });
  });
  if (script.greets === false) return;
  visit.send(0, script.forge?.(hello) ?? hello);
}

/** Whether a SEND_OPEN proves its send key to this relay under the nonce of this visit. */
export async function provesSendKey(
  hello: { readonly nonce: Uint8Array; readonly relayKey: Uint8Array },
  open: FrameOf<"send-open">,
): Promise<boolean> {
  const shared = await nobleBackend.dh(EPHEMERAL, open.sendKey);
  const transcript = sendTranscript(hello.nonce, hello.relayKey, open.sendId, open.sendKey);
  return equalBytes(open.authenticator, sendAuthenticator(shared, transcript));
}
