/**
 * A relay in this process: put together from core and node, started, and ended in order.
 * Spec: SPEC.md §6, README.md.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { nodeBackend } from "@sotto/engines/node";
import type { AdmissionSettings } from "./config/admission-keys.ts";
import type { RelayIdentity } from "./core/connection.ts";
import { KEYS } from "./config/keys.ts";
import { type Limits, limitsOf } from "./config/limit-keys.ts";
import { createExchange } from "./core/exchange.ts";
import type { MailLimits } from "./core/mailbox.ts";
import { createWorkPrice } from "./core/work.ts";
import { createMemoryStore } from "./core/memory-store.ts";
import type { Counter, RelayEnv, Store } from "./core/ports.ts";
import { createWaker } from "./core/waker.ts";
import { announcedAddress, type CircuitLimits } from "./node/circuit-limits.ts";
import type { Circuit } from "./node/circuit.ts";
import { HOST_DEFAULT, PORT_DEFAULT } from "./node/defaults.ts";
import { openAdmission } from "./node/open-admission.ts";
import { createDiskSpace } from "./node/disk-space.ts";
import type { Log } from "./node/log.ts";
import type { Operations } from "./node/operations.ts";
import { createPublicPages } from "./node/public-pages.ts";
import { diskFreeBytes, relayVersion, type Snapshot } from "./node/snapshot.ts";
import { watchStore } from "./node/store-watch.ts";
import { type Certificate, type CertificateWatch, daysLeft, watchCertificate } from "./node/tls.ts";
import { createHubServer, type HubServer } from "./node/hub-server.ts";
import { createSecrets, loadPushKey, loadSecrets } from "./node/keys.ts";
import { proofBackend } from "./node/proofs.ts";
import { type HttpServer, startHttp } from "./node/server.ts";
import { createStaticFiles } from "./node/static-files.ts";
import { openSqliteStore } from "./node/store/sqlite.ts";
import { startStun } from "./node/stun-server.ts";
import { createIceServers } from "./node/turn.ts";

/** With the limits an operator may choose (CONFIG.md). */
export interface RelayOptions extends Partial<Limits>, Partial<AdmissionSettings> {
  /** 0: any free port. */
  readonly port?: number;
  readonly host?: string;
  /** Directory of keys and mail. Undefined: everything in memory, gone at the end. */
  readonly data?: string | undefined;
  /** Directory of the built app. */
  readonly app?: string | undefined;
  /** Origins of other relays that the app may talk to. */
  readonly appRelays?: readonly string[];
  /** Origin under which clients reach this relay; undefined: http://localhost with the real port. */
  readonly publicUrl?: string | undefined;
  /** False: no libp2p circuits. */
  readonly circuit?: boolean;
  readonly circuitLimits?: Partial<CircuitLimits>;
  readonly trustProxy?: boolean;
  /** PEM files; both or neither. Undefined: HTTP. */
  readonly tlsCertificate?: string | undefined;
  readonly tlsKey?: string | undefined;
  /** STUN and TURN servers that clients are told of (SPEC.md §8). */
  readonly turnUrls?: readonly string[];
  /** What this relay shares with them. */
  readonly turnSecret?: string | undefined;
  /** Seconds that a credential serves. */
  readonly turnTtl?: number;
  /** UDP port of this relay's own STUN; 0: any free one. */
  readonly stunPort?: number | "off";
  /** Whom push services may ask (`mailto:` or `https:`). Undefined: nobody is woken. */
  readonly pushContact?: string | undefined;
  /** For tests: endpoints on this machine are called as well, under this certificate authority (PEM). */
  readonly pushLoopback?: { readonly ca: string } | undefined;
  /** The operator's listener. Undefined or "off": none. 0: any free port. */
  readonly operationsPort?: number | "off" | undefined;
  readonly operationsHost?: string;
  /** Seconds between "not ready" and sending clients away. */
  readonly drainGrace?: number;
  /** Hears what happens to the relay; silent unless given. */
  readonly log?: Log;
  /** Its writing thread ended by itself: this relay keeps no mail any more, and another process must take over. */
  readonly storeLost?: (error: unknown) => void;
}

export interface Relay {
  /** The public origin. */
  readonly url: string;
  readonly port: number;
  /** Undefined without the operator's listener. */
  readonly operationsPort: number | undefined;
  /** Undefined without STUN of its own. */
  readonly stunPort: number | undefined;
  /** Ed25519, 32 bytes: what clients pin. */
  readonly relayKey: Uint8Array;
  /** Undefined without circuits. */
  readonly peerId: string | undefined;
  /** What happened so far. Counts only. */
  counters(): Readonly<Record<Counter, number>>;
  stats(): {
    readonly queues: number;
    readonly messages: number;
    /** What counts towards `maxBytes`. */
    readonly bytes: number;
    readonly heldBytes: number;
    readonly commitBytes: number;
    readonly storeFails: boolean;
    readonly oldestHours: number;
    /** By AGE_HOURS. */
    readonly olderThan: readonly number[];
    readonly bufferedBytes: number;
    readonly connections: number;
    readonly reservations: number;
  };
  /** Looks at the certificate files now. Without a certificate: nothing. */
  reload(): void;
  /** Tells clients to come back later, after the grace, makes everything durable, stops. Idempotent. */
  close(): Promise<void>;
}

export async function startRelay(options: RelayOptions = {}): Promise<Relay> {
  const endings: (() => Promise<void>)[] = [];
  /** Last opened, first closed. */
  const endAll = async (): Promise<void> => {
    for (const end of endings.splice(0).toReversed()) await end();
  };
  try {
    return await start(options, endings, endAll);
  } catch (error) {
    await endAll();
    throw error;
  }
}

async function start(
  options: RelayOptions,
  endings: (() => Promise<void>)[],
  endAll: () => Promise<void>,
): Promise<Relay> {
  const { data } = options;
  const limits = limitsOf(options);
  const mailLimits: MailLimits = {
    messages: limits.queueMessages,
    bytes: limits.queueBytes,
    ttlHours: limits.ttlHours,
  };
  const secrets = data === undefined ? createSecrets() : loadSecrets(data);
  const log: Log = options.log ?? (() => undefined);
  const version = relayVersion();
  const startedAt = new Date();
  let http: HttpServer | undefined;
  const certificates = openCertificates(options, log, (certificate) =>
    http?.useCertificate(certificate),
  );
  endings.push(async () => certificates?.close());
  const { storeLost: lost } = options;
  const kept =
    data === undefined
      ? createMemoryStore()
      : openSqliteStore(data, lost === undefined ? {} : { lost });
  endings.push(() => kept.close());
  const operationsPort = options.operationsPort === "off" ? undefined : options.operationsPort;
  // What Prometheus' client watches costs something, so only for whoever asks for it.
  const metrics =
    operationsPort === undefined
      ? undefined
      : (await import("./node/metrics.ts")).createMetrics(() => snapshot(), {
          version,
          node: process.versions.node,
        });
  const store: Store = watchStore(metrics?.timed(kept) ?? kept, log);
  const identity: RelayIdentity = {
    seed: secrets.identitySeed,
    publicKey: await nodeBackend.signPublic(secrets.identitySeed),
  };
  const counters = createCounters();
  const env: RelayEnv = {
    crypto: proofBackend,
    entropy: (length) => new Uint8Array(randomBytes(length)),
    now: Date.now,
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    count: (counter) => {
      counters[counter]++;
    },
  };
  const waker =
    options.pushContact === undefined
      ? undefined
      : createWaker({
          clock: env,
          count: env.count,
          // Its signatures are loaded only by a relay that makes any.
          service: (await import("./node/push.ts")).createPushService({
            key: loadPushKey(data),
            contact: options.pushContact,
            loopback: options.pushLoopback,
            now: Date.now,
          }),
        });
  const exchange = createExchange({
    stored: waker?.stored,
    store,
    clock: env,
    sendSecret: secrets.sendSecret,
    count: env.count,
    bytesMax: limits.maxBytes,
    queuesMax: limits.maxQueues,
    queuesPerReader: limits.queuesPerReader,
    mailLimits,
    ...(data === undefined
      ? {}
      : { hasDisk: createDiskSpace(data, limits.minFree, () => performance.now()) }),
  });
  endings.push(() => exchange.stop());
  const { doorkeeper, admission, closeAdmission } = await openAdmission(
    options,
    secrets.identitySeed,
    identity.publicKey,
    env,
  );
  endings.push(closeAdmission);

  let hub: HubServer | undefined;
  let circuit: Circuit | undefined;
  let draining = false;
  function unready(): string | undefined {
    if (draining) return "draining";
    if (hub === undefined) return "starting";
    return exchange.stats().storeFails ? "the store takes no mail" : undefined;
  }
  const snapshot = (): Snapshot => ({
    version,
    uptimeSeconds: Math.floor(process.uptime()),
    reason: unready(),
    ...exchange.stats(),
    queuesMax: limits.maxQueues,
    bytesMax: limits.maxBytes,
    connections: hub?.connections ?? 0,
    connectionsMax: limits.maxConnections,
    bufferedBytes: hub?.bufferedBytes ?? 0,
    reservations: circuit?.reservations ?? 0,
    diskFreeBytes: diskFreeBytes(data),
    certificateExpiryMs: certificates?.current.notAfter,
    counters: { ...counters },
  });
  const served = await startHttp({
    host: options.host ?? HOST_DEFAULT,
    port: options.port ?? PORT_DEFAULT,
    hub: () => hub,
    circuit: () => circuit,
    files: await createStaticFiles({
      directory: options.app ?? defaultApp(),
      https: options.publicUrl?.startsWith("https:") ?? false,
      relays: options.appRelays ?? [],
    }),
    pages: createPublicPages({
      info: () => ({
        version,
        relayKey: Buffer.from(identity.publicKey).toString("hex"),
        circuits: circuit !== undefined,
        relays: options.appRelays ?? [],
        limits: {
          messagesPerQueue: limits.queueMessages,
          bytesPerQueue: limits.queueBytes,
          keptHoursMax: limits.ttlHours,
        },
      }),
      admission: () => admission.info(),
      unready,
      startedAt,
      trustProxy: options.trustProxy ?? false,
    }),
    admission,
    certificate: certificates?.current,
    unready,
    trustProxy: options.trustProxy ?? false,
    turnedAway: () => env.count("turned-away"),
    connectionsPerPlace: limits.connectionsPerPlace,
    httpSocketsMax: limits.maxHttpSockets,
    requestMs: limits.authMs,
    placesMax: limits.maxPlaces,
    placeLimits: {
      connectBurst: limits.connectBurst,
      connectIntervalMs: 1_000 / limits.connectsPerSecond,
      queueNewBurst: limits.queueBurst,
      queueNewIntervalMs: 60_000 / limits.queuesPerMinute,
      scarceQueueBurst: limits.scarceQueueBurst,
      appendBytesBurst: limits.appendBurst,
      appendByteIntervalMs: 1_000 / limits.appendsPerSecond,
    },
  });
  http = served;
  endings.unshift(() => served.close());
  const scheme = certificates === undefined ? "http" : "https";
  const url = options.publicUrl ?? `${scheme}://localhost:${served.port}`;
  if (options.circuit !== false) {
    // A second of loading that a relay without circuits is spared.
    const { createCircuit } = await import("./node/circuit.ts");
    const opened = await createCircuit({
      identitySecret: secrets.identitySeed,
      announce: [announcedAddress(url)],
      limits: {
        reservations: limits.maxReservations,
        connections: limits.maxCircuits,
        ...options.circuitLimits,
      },
    });
    circuit = opened;
    endings.push(() => opened.close());
  }
  const stun =
    options.stunPort === undefined || options.stunPort === "off"
      ? undefined
      : await startStun(options.stunPort, () => performance.now());
  if (stun !== undefined) endings.push(() => stun.close());
  const ownStun = stun === undefined ? [] : [`stun:${new URL(url).hostname}:${stun.port}`];
  const iceServers = createIceServers(
    {
      urls: [...ownStun, ...(options.turnUrls ?? [])],
      secret: options.turnSecret,
      ttlSeconds: options.turnTtl ?? KEYS.turnTtl.fallback,
    },
    Date.now,
  );
  hub = createHubServer(
    {
      exchange,
      env,
      identity,
      circuit: circuit !== undefined,
      iceServers,
      push: waker,
      mailLimits,
      authMs: limits.authMs,
      doorkeeper,
      workPrice: createWorkPrice(limits.workQueues),
    },
    {
      connections: limits.maxConnections,
      socketBuffer: limits.socketBuffer,
      bufferedBytes: limits.maxBuffered,
      stalledMs: limits.stalledMs,
    },
  );

  const opened = hub;
  endings.push(() => opened.drain());
  // Before its clients are sent away: they come back by themselves.
  endings.push(async () => waker?.stop());
  let operations: Operations | undefined;
  if (metrics !== undefined && operationsPort !== undefined) {
    const { startOperations } = await import("./node/operations.ts");
    const started = await startOperations({
      host: options.operationsHost ?? HOST_DEFAULT,
      port: operationsPort,
      metrics,
      snapshot,
    });
    operations = started;
    // First opened, last closed: how a relay drains is what its operator wants to see.
    endings.unshift(() => started.close());
  }
  log({
    event: "started",
    version,
    port: served.port,
    operationsPort: operations?.port,
    tls: certificates !== undefined,
    durable: data !== undefined,
    circuits: circuit !== undefined,
  });
  if (data === undefined) log({ event: "not-durable" });

  async function drain(): Promise<void> {
    const from = performance.now();
    const graceSeconds = options.drainGrace ?? 0;
    log({ event: "draining", connections: opened.connections, graceSeconds });
    if (graceSeconds > 0) await delay(graceSeconds * 1_000);
    await endAll();
    log({ event: "stopped", durationMs: Math.round(performance.now() - from) });
  }

  let ended: Promise<void> | undefined;
  return {
    url,
    port: served.port,
    operationsPort: operations?.port,
    stunPort: stun?.port,
    relayKey: identity.publicKey,
    peerId: circuit?.peerId,
    counters: () => ({ ...counters }),
    stats: () => ({
      ...exchange.stats(),
      connections: opened.connections,
      bufferedBytes: opened.bufferedBytes,
      reservations: circuit?.reservations ?? 0,
    }),
    reload: () => certificates?.check(),
    close() {
      draining = true;
      return (ended ??= drain());
    },
  };
}

/** What came with the package, or what `npm run build` makes in this repository. */
function defaultApp(): string {
  const own = fileURLToPath(new URL("../app", import.meta.url));
  return existsSync(own) ? own : "app/dist";
}

function openCertificates(
  { tlsCertificate, tlsKey }: RelayOptions,
  log: Log,
  use: (certificate: Certificate) => void,
): CertificateWatch | undefined {
  if (tlsCertificate === undefined || tlsKey === undefined) return undefined;
  return watchCertificate(
    { certificate: tlsCertificate, key: tlsKey },
    {
      changed(certificate) {
        use(certificate);
        log({ event: "certificate-loaded", daysLeft: daysLeft(certificate) });
      },
      refused: (reason) => log({ event: "certificate-refused", reason }),
    },
  );
}

const createCounters = (): Record<Counter, number> => ({
  connected: 0,
  authenticated: 0,
  refused: 0,
  malformed: 0,
  displaced: 0,
  appended: 0,
  repeated: 0,
  written: 0,
  delivered: 0,
  acknowledged: 0,
  signalled: 0,
  expired: 0,
  "store-failed": 0,
  credential: 0,
  "told-quota": 0,
  "told-limit": 0,
  "told-later": 0,
  "told-full": 0,
  "told-work": 0,
  "turned-away": 0,
  "push-sent": 0,
  "push-failed": 0,
  "push-gone": 0,
});

export {
  announcedAddress,
  CIRCUIT_BYTES_MAX,
  CIRCUIT_CONNECTIONS_MAX,
  CIRCUIT_MS,
  type CircuitLimits,
  HOP_STREAMS_MAX,
  RESERVATION_TTL_MS,
  RESERVATIONS_MAX,
  STOP_STREAMS_MAX,
} from "./node/circuit-limits.ts";
export { forgetRunning, noteRunning, readRunning, RUNNING_BYTES_MAX } from "./node/running.ts";
export { configPage, printSettings } from "./config/explain.ts";
export { isPushContact } from "./node/push-contact.ts";
export * as stun from "./doctor/stun.ts";
export { checkPush } from "./doctor/push.ts";
export { checkTurn } from "./doctor/turn.ts";
export { operationsPortOf, resolveSettings } from "./config/resolve.ts";
export { ALERTS, ROWS } from "./kit/dashboard.ts";
export { type Answers, makeKit, NODE_OPTIONS } from "./kit/kit.ts";
export { PEOPLE_MAX, sizeFor } from "./kit/size.ts";
export { nodeBackend } from "@sotto/engines/node";
export {
  BUFFERED_BYTES_MAX,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_PLACE_MAX,
  SCARCE_BUFFER_MAX,
  SOCKET_BUFFER_MAX,
  STALLED_MS,
} from "./node/defaults.ts";
export { accept, ACCEPTORS, type Acceptors, LISTEN_BACKLOG } from "./node/acceptors.ts";
export { openAdmissionStore } from "./node/admission-store.ts";
export { createDiskSpace } from "./node/disk-space.ts";
export { createHubServer, drainPauseMs, HEARTBEAT_MS } from "./node/hub-server.ts";
export { createVerifyJwt } from "./node/jwt.ts";
export { loadSecrets } from "./node/keys.ts";
export { createLog, crashOf } from "./node/log.ts";
export { createPlaces, LOOPBACK_SHARES, NETWORK_SHARES, placeOf } from "./node/places.ts";
export { CIRCUITS_PER_PLACE_MAX } from "./node/server.ts";
export { DEFAULT_HEADERS } from "./node/static-files.ts";
export { type Backup, backUp, restore } from "./node/store/backup.ts";
export { migrate, SCHEMA_VERSION } from "./node/store/schema.ts";
export {
  createStunLimits,
  STUN_BURST,
  STUN_INTERVAL_MS,
  STUN_PLACES_MAX,
  STUN_REQUEST_BYTES_MAX,
  STUN_TOTAL_BURST,
  STUN_TOTAL_INTERVAL_MS,
  stunAnswer,
} from "./node/stun-server.ts";
export { createIceServers } from "./node/turn.ts";
export { openSqliteStore } from "./node/store/sqlite.ts";
export { watchCertificate } from "./node/tls.ts";
