#!/usr/bin/env node
/**
 * `sotto-relay`: the relay as one command.
 * Spec: README.md.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { BYTES_MAX_DEFAULT } from "./core/limits.ts";
import type { Relay } from "./index.ts";
import { HOST_DEFAULT, PORT_DEFAULT } from "./node/defaults.ts";

/** A second signal, or a drain that takes longer, ends the process at once. */
const DRAIN_MS = 10_000;
/** Less is a typing error. */
const BYTES_MIN = 1_048_576;
const UNITS = { "": 1, K: 1_024, M: 1_048_576, G: 1_073_741_824 } as const;

interface Flags {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly app: string;
  readonly publicUrl?: string;
  readonly maxBytes: number;
  readonly trustProxy: boolean;
  readonly circuit: boolean;
}

const program = new Command("sotto-relay")
  .description(
    "The blind relay of Sotto: sealed mailboxes, signalling, circuits for direct links, and the app itself.",
  )
  .addOption(
    new Option("--port <number>", "port to listen on; 0 takes any free one")
      .env("SOTTO_PORT")
      .default(PORT_DEFAULT)
      .argParser(toPort),
  )
  .addOption(
    new Option("--host <address>", "address to listen on; 0.0.0.0 for all")
      .env("SOTTO_HOST")
      .default(HOST_DEFAULT),
  )
  .addOption(
    new Option("--data <directory>", "keys and undelivered mail (sealed)")
      .env("SOTTO_DATA")
      .default("./sotto-data"),
  )
  .addOption(
    new Option("--app <directory>", "built app to serve").env("SOTTO_APP").default("app/dist"),
  )
  .addOption(
    new Option("--public-url <origin>", "origin clients use, for example https://chat.example.com")
      .env("SOTTO_PUBLIC_URL")
      .argParser(toOrigin),
  )
  .addOption(
    new Option("--max-bytes <size>", "room for mail and offers, for example 500M or 8G")
      .env("SOTTO_MAX_BYTES")
      .default(BYTES_MAX_DEFAULT, "4G")
      .argParser(toBytes),
  )
  .addOption(
    new Option("--trust-proxy", "count clients by the last X-Forwarded-For address")
      .env("SOTTO_TRUST_PROXY")
      .default(false),
  )
  .addOption(new Option("--no-circuit", "no libp2p circuits for direct links"))
  .addHelpText(
    "after",
    `
The relay knows mailboxes, not people. Put a proxy with TLS in front of it for anything but this machine.

  GET /           the app           /hub      clients (WebSocket)
  GET /healthz    is it alive       /         circuits (WebSocket)
  GET /readyz     does it take mail

Keys live in <data>/identity.key and <data>/send.key: back them up, a relay without them is another relay.
`,
  );

await run();

async function run(): Promise<void> {
  program.parse();
  const flags = program.opts<Flags>();
  let relay: Relay;
  try {
    // After the options, so that --help and a typing error answer at once.
    const { startRelay } = await import("./index.ts");
    relay = await startRelay(flags);
  } catch (error) {
    process.stderr.write(`sotto-relay: ${error instanceof Error ? error.message : "failed"}\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`Sotto is ready: ${relay.url}\n`);
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
    relay.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("0 to 65535.");
  return port;
}

function toBytes(text: string): number {
  const [, digits, letter = ""] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const unit = Object.entries(UNITS).find(([name]) => name === letter.toUpperCase())?.[1] ?? 1;
  const bytes = Number(digits) * unit;
  if (!Number.isSafeInteger(bytes) || bytes < BYTES_MIN) {
    throw new InvalidArgumentError("At least 1M, for example 500M or 8G.");
  }
  return bytes;
}

function toOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === "/";
  if (!isOrigin) throw new InvalidArgumentError("An origin such as https://chat.example.com.");
  return url.origin;
}
