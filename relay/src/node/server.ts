/**
 * One HTTP server for everything: the app, the hub, circuits, health.
 * Owns: which path is what, how many come from where. Leaves to the modules it puts together: all the rest.
 * Spec: SPEC.md §6.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { HUB_PATH } from "@sotto/wire";
import { createAllowances } from "../core/allowance.ts";
import type { Circuit } from "./circuit.ts";
import { type HubServer, refuseUpgrade } from "./hub-server.ts";
import { createPlaces, placeOf, sharesOf } from "./places.ts";
import { plain, type StaticFiles } from "./static-files.ts";

/** A request must have its headers within this time. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly hub: () => HubServer | undefined;
  readonly circuit: () => Circuit | undefined;
  readonly files: StaticFiles;
  /** Undefined: ready. Otherwise why not. */
  readonly unready: () => string | undefined;
  /** Behind a proxy that sets X-Forwarded-For: the address it appended is the client's. */
  readonly trustProxy: boolean;
}

export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const places = createPlaces();
  const allowances = createAllowances(Date.now);
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS },
    (request, response) => {
      answer(request, response).catch(() => response.destroy());
    },
  );

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    switch (path) {
      case "/healthz":
        return plain(response, 200, "alive\n");
      case "/readyz": {
        const reason = options.unready();
        return plain(response, reason === undefined ? 200 : 503, `${reason ?? "ready"}\n`);
      }
      case HUB_PATH:
        return plain(response, 426, "A WebSocket lives here.\n", { Upgrade: "websocket" });
      default:
        return options.files.serve(request, response, path);
    }
  }

  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const path = pathOf(request);
    if (path !== HUB_PATH && path !== "/") return refuseUpgrade(socket, 404);
    const hub = options.hub();
    const circuit = options.circuit();
    if ((path === HUB_PATH ? hub : circuit) === undefined) return refuseUpgrade(socket, 503);
    const place = placeOf(addressOf(request, options.trustProxy));
    const leave = places.enter(place);
    if (leave === undefined) return refuseUpgrade(socket, 429);
    socket.once("close", leave);
    if (path !== HUB_PATH) circuit?.upgrade(request, socket, head);
    else hub?.upgrade(request, socket, head, () => allowances.of(place, sharesOf(place)));
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const pathOf = (request: IncomingMessage): string =>
  (request.url ?? "/").split(/[?#]/, 1)[0] ?? "/";

function addressOf(request: IncomingMessage, trustProxy: boolean): string {
  const forwarded = trustProxy ? request.headers["x-forwarded-for"] : undefined;
  const last = String(forwarded ?? "")
    .split(",")
    .at(-1)
    ?.trim();
  return last === undefined || last === "" ? (request.socket.remoteAddress ?? "") : last;
}
