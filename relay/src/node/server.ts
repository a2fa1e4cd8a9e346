/**
 * One HTTP server for everything: the app, the hub, circuits, health.
 * Owns: which path is what, how many come from where. Leaves to the modules it puts together: all the rest.
 * Spec: SPEC.md §6.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HUB_PATH } from "@sotto/wire";
import { createAllowances, type Place, type PlaceLimits } from "../core/allowance.ts";
import { accept } from "./acceptors.ts";
import { type Admission, ADMISSION_PATH } from "./admission.ts";
import { REFUSED_CONNECTS } from "../core/limits.ts";
import type { Circuit } from "./circuit.ts";
import { type HubServer, refuseUpgrade } from "./hub-server.ts";
import { createPlaces, isLoopback, placeOf } from "./places.ts";
import type { PublicPages } from "./public-pages.ts";
import { plain, type StaticFiles } from "./static-files.ts";
import type { Certificate } from "./tls.ts";

/** How often it is looked at which sockets took too long to say their request. */
const REQUEST_CHECK_MS = 1_000;
/** An answer of which nothing was taken for so long is given up. */
const ANSWER_MS = 60_000;
/** Headers of one request; a browser sends some hundred bytes. */
const HEADER_BYTES_MAX = 8_192;
/** Of one place, those that keep a circuit: a device has one. */
export const CIRCUITS_PER_PLACE_MAX = 16;

export interface HttpServer {
  readonly port: number;
  /** From the next connection on; those that are there keep theirs. Without a certificate at the start: nothing. */
  useCertificate(certificate: Certificate): void;
  close(): Promise<void>;
}

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly hub: () => HubServer | undefined;
  readonly circuit: () => Circuit | undefined;
  readonly files: StaticFiles;
  readonly pages: PublicPages;
  readonly admission: Admission;
  /** Undefined: HTTP. */
  readonly certificate: Certificate | undefined;
  /** Undefined: ready. Otherwise why not. */
  readonly unready: () => string | undefined;
  /** Behind a proxy that sets X-Forwarded-For: the address it appended is the client's. */
  readonly trustProxy: boolean;
  /** A socket was closed because there were too many. */
  readonly turnedAway: () => void;
  readonly connectionsPerPlace: number;
  /** Sockets that are no WebSockets (yet). Beyond it the oldest goes, so that no crowd of silent ones keeps others out. */
  readonly httpSocketsMax: number;
  /** A socket must have said all of a request within this time, its body included. */
  readonly requestMs: number;
  readonly placesMax: number;
  readonly placeLimits: PlaceLimits;
}

export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { connectionsPerPlace: perPlace, requestMs } = options;
  const places = createPlaces(perPlace);
  const circuitPlaces = createPlaces(Math.min(perPlace, CIRCUITS_PER_PLACE_MAX));
  const httpPlaces = createPlaces(perPlace);
  const allowances = createAllowances(Date.now, options.placesMax, options.placeLimits);
  /** No WebSockets (yet), oldest first, by the other end: a request's socket is not the one that was accepted under TLS. */
  const httpSockets = new Map<string, { readonly socket: Socket; readonly leave: () => void }>();
  const http = {
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.min(REQUEST_CHECK_MS, requestMs),
    maxHeaderSize: HEADER_BYTES_MAX,
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const { certificate } = options;
  const secure =
    certificate === undefined
      ? undefined
      : createSecureServer(
          { ...http, handshakeTimeout: requestMs, cert: certificate.cert, key: certificate.key },
          onRequest,
        );
  const server = secure ?? createServer(http, onRequest);
  server.timeout = ANSWER_MS;
  server.on("connection", enter);

  /** Before a byte is read. A proxy's sockets all come from one place: then only their number counts. */
  function enter(socket: Socket): void {
    const place = placeOf(socket.remoteAddress ?? "");
    const may = options.trustProxy || mayConnect(place);
    const leave = !may || options.trustProxy ? () => undefined : httpPlaces.enter(place);
    if (!may || leave === undefined) {
      options.turnedAway();
      return void socket.destroy();
    }
    for (const [end, oldest] of httpSockets) {
      if (httpSockets.size < options.httpSocketsMax) break;
      oldest.socket.destroy();
      options.turnedAway();
      forgetHttp(end);
    }
    const end = endOf(socket);
    httpSockets.set(end, { socket, leave });
    socket.once("close", () => {
      // Its port may have been taken by the next one meanwhile.
      if (httpSockets.get(end)?.socket === socket) forgetHttp(end);
    });
  }

  function forgetHttp(end: string): void {
    httpSockets.get(end)?.leave();
    httpSockets.delete(end);
  }

  const mayConnect = (place: Place): boolean =>
    isLoopback(place) || allowances.of(place).connects.take(Date.now()) === 0;

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
      case ADMISSION_PATH: {
        const place = placeOf(addressOf(request, options.trustProxy));
        const { connects } = allowances.of(place);
        // One socket may ask many times: each counts like a connection.
        if (!isLoopback(place) && connects.take(Date.now()) > 0) {
          options.turnedAway();
          return plain(response, 429, "Too many.\n", { "Retry-After": "1", Connection: "close" });
        }
        return options.admission.serve(request, response, () =>
          connects.owe(Date.now(), REFUSED_CONNECTS),
        );
      }
      case "/status":
      case "/info.json":
        return options.pages.serve(request, response, path);
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
    const may = !options.trustProxy || mayConnect(place);
    const isHub = path === HUB_PATH;
    const leave = may ? (isHub ? places : circuitPlaces).enter(place) : undefined;
    if (leave === undefined) {
      options.turnedAway();
      return refuseUpgrade(socket, 429);
    }
    socket.once("close", leave);
    forgetHttp(endOf(request.socket));
    // The hub and the circuits have their own ways to find out who is gone.
    request.socket.setTimeout(0);
    if (!isHub) circuit?.upgrade(request, socket, head);
    else hub?.upgrade(request, socket, head, () => allowances.of(place));
  });

  const { host, port } = options;
  const acceptors = await accept(server, { host, port, allowHalfOpen: secure === undefined });
  return {
    port: acceptors.port,
    useCertificate: ({ cert, key }) => secure?.setSecureContext({ cert, key }),
    close: () =>
      new Promise((resolve) => {
        server.once("close", resolve);
        acceptors.close();
        server.closeAllConnections();
      }),
  };
}

/** Two sockets that are there at the same time never share it. */
const endOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

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
