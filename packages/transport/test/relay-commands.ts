/** Lets a test in the browser run relays: Vitest calls these in its Node process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  hasTurnserver,
  startTurnserver,
  TURN_SECRET,
  type Turnserver,
} from "../../../relay/test/turnserver.ts";

const SCRIPT = fileURLToPath(new URL("relay-process.ts", import.meta.url));
interface ProxiedPair {
  readonly client: Socket;
  readonly relay: Socket;
}
const proxies = new Map<string, { readonly server: Server; readonly pairs: Set<ProxiedPair> }>();
let turn: Turnserver | undefined;
const running = new Map<number, ChildProcess>();

export interface RelayPlace {
  readonly pid: number;
  /** For example "http://127.0.0.1:43123". */
  readonly origin: string;
  /** Hex, 32 bytes. */
  readonly relayKey: string;
}

interface RelayOptions {
  readonly port?: number;
  readonly data?: string;
  /** A TURN server whose secret it shares. */
  readonly turnUrl?: string;
}

export const relayCommands = {
  /** On a free port with an empty store unless told otherwise. */
  async startRelay(_: unknown, options: RelayOptions = {}): Promise<RelayPlace> {
    const { port = 0, data = "", turnUrl } = options;
    const args = ["--conditions=@sotto/source", SCRIPT, `${port}`, data];
    if (turnUrl !== undefined) args.push(turnUrl, TURN_SECRET);
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface(child.stdout), "line");
    const pid = child.pid ?? 0;
    running.set(pid, child);
    return { pid, ...JSON.parse(String(line)) };
  },

  /** For the store of a relay that is to come back. */
  makeFolder: (): Promise<string> => mkdtemp(join(tmpdir(), "sotto-relay-")),

  /** A way to a relay that can fail silently. The answer is its origin. */
  async startProxy(_: unknown, origin: string): Promise<string> {
    const pairs = new Set<ProxiedPair>();
    const server = createServer((client) => {
      const relay = connect(Number(new URL(origin).port), "127.0.0.1");
      const pair = { client, relay };
      pairs.add(pair);
      client.on("error", () => client.destroy());
      relay.on("error", () => relay.destroy());
      client.on("close", () => {
        pairs.delete(pair);
        relay.destroy();
      });
      relay.on("close", () => {
        if (pairs.has(pair)) client.destroy();
      });
      client.pipe(relay).pipe(client);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const place = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    proxies.set(place, { server, pairs });
    return place;
  },

  /** The relay loses everybody who is connected now; they are not told. New connections work. */
  async muteProxy(_: unknown, place: string): Promise<void> {
    const pairs = proxies.get(place)?.pairs ?? new Set();
    for (const { client, relay } of pairs) {
      relay.unpipe();
      client.unpipe().resume();
      relay.removeAllListeners("close").destroy();
    }
  },

  async stopProxy(_: unknown, place: string): Promise<void> {
    const proxy = proxies.get(place);
    proxies.delete(place);
    for (const { client } of proxy?.pairs ?? []) client.destroy();
    proxy?.server.close();
  },

  /** The address of a real coturn; undefined where there is none. */
  async startTurn(): Promise<string | undefined> {
    if (!hasTurnserver) return undefined;
    turn = await startTurnserver();
    return `turn:127.0.0.1:${turn.port}?transport=udp`;
  },

  async stopTurn(): Promise<void> {
    turn?.stop();
  },

  /** As a crash does it: no goodbye. */
  async killRelay(_: unknown, pid: number): Promise<void> {
    const child = running.get(pid);
    if (child === undefined) return;
    running.delete(pid);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  },
};

declare module "vitest/browser" {
  interface BrowserCommands {
    startRelay(options?: RelayOptions): Promise<RelayPlace>;
    startTurn(): Promise<string | undefined>;
    stopTurn(): Promise<void>;
    makeFolder(): Promise<string>;
    startProxy(origin: string): Promise<string>;
    muteProxy(place: string): Promise<void>;
    stopProxy(place: string): Promise<void>;
    killRelay(pid: number): Promise<void>;
  }
}
