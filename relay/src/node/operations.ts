/**
 * The operator's own listener, apart from what clients reach: how much the relay is used is nobody else's business.
 * Spec: SPEC.md §6.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Metrics } from "./metrics.ts";
import type { Snapshot } from "./snapshot.ts";
import { plain, whole } from "./static-files.ts";

/** Prometheus, a person, and one of each that hangs. */
const SOCKETS_MAX = 16;
const REQUEST_MS = 5_000;

export interface Operations {
  readonly port: number;
  close(): Promise<void>;
}

export interface OperationsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly snapshot: () => Snapshot;
}

export async function startOperations(options: OperationsOptions): Promise<Operations> {
  const { metrics, snapshot } = options;
  const server = createServer(
    { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS },
    (request, response) => {
      answer(request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = SOCKETS_MAX;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET") {
      return plain(response, 405, "Only GET.\n", { Allow: "GET" });
    }
    switch (request.url) {
      case "/metrics":
        return whole(response, 200, metrics.contentType, await metrics.text());
      case "/status.json":
        return whole(response, 200, "application/json", `${JSON.stringify(snapshot())}\n`);
      default:
        return plain(response, 404, "/metrics or /status.json\n");
    }
  }

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
