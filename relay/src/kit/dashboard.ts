/**
 * The Grafana dashboard: four rows, each panel one question an operator asks.
 * A test holds every query against what a running relay says.
 */

interface Panel {
  readonly title: string;
  /** Legend and query. */
  readonly queries: readonly (readonly [string, string])[];
  readonly unit: string;
}

const rate = (event: string): string => `rate(sotto_relay_events_total{event="${event}"}[5m])`;
const quantile = (share: string, name: string): string =>
  `histogram_quantile(${share}, rate(sotto_relay_${name}_bucket[5m]))`;

export const ROWS: readonly (readonly [string, readonly Panel[]])[] = [
  [
    "People",
    [
      {
        title: "Connected",
        unit: "short",
        queries: [
          ["clients", "sotto_relay_connections"],
          ["limit", "sotto_relay_connections_limit"],
          ["wait for circuits", "sotto_relay_reservations"],
        ],
      },
      {
        title: "Coming and going, per second",
        unit: "ops",
        queries: [
          ["sockets", rate("connected")],
          ["proven", rate("authenticated")],
          ["displaced", rate("displaced")],
        ],
      },
    ],
  ],
  [
    "Mail",
    [
      {
        title: "Messages per second",
        unit: "ops",
        queries: [
          ["taken", rate("appended")],
          ["delivered", rate("delivered")],
          ["acknowledged", rate("acknowledged")],
          ["signals", rate("signalled")],
        ],
      },
      {
        title: "Share that had to be written",
        unit: "percentunit",
        queries: [["written", `${rate("written")} / ${rate("appended")}`]],
      },
      {
        title: "Kept",
        unit: "bytes",
        queries: [
          ["mail and rows", "sotto_relay_stored_bytes"],
          ["limit", "sotto_relay_stored_bytes_limit"],
          ["disk free", "sotto_relay_disk_free_bytes"],
        ],
      },
      {
        title: "Queues and messages",
        unit: "short",
        queries: [
          ["queues", "sotto_relay_queues"],
          ["limit", "sotto_relay_queues_limit"],
          ["messages", "sotto_relay_messages"],
        ],
      },
      {
        title: "Messages that wait for so many hours, and the oldest",
        unit: "short",
        queries: [
          ["{{hours}} h", "sotto_relay_messages_waiting"],
          ["oldest, hours", "sotto_relay_oldest_message_hours"],
        ],
      },
    ],
  ],
  [
    "Health",
    [
      {
        title: "Flush to disk",
        unit: "s",
        queries: [
          ["half within", quantile("0.5", "commit_seconds")],
          ["99 % within", quantile("0.99", "commit_seconds")],
          ["reads, 99 % within", quantile("0.99", "read_seconds")],
        ],
      },
      {
        title: "Event loop lag",
        unit: "s",
        queries: [
          ["half within", "nodejs_eventloop_lag_p50_seconds"],
          ["99 % within", "nodejs_eventloop_lag_p99_seconds"],
        ],
      },
      {
        title: "Memory",
        unit: "bytes",
        queries: [
          ["process", "process_resident_memory_bytes"],
          ["to clients", "sotto_relay_buffered_bytes"],
          ["to the disk", "sotto_relay_commit_bytes"],
          ["held", "sotto_relay_held_bytes"],
        ],
      },
      {
        title: "Processor",
        unit: "percentunit",
        queries: [["cores", "rate(process_cpu_seconds_total[5m])"]],
      },
      {
        title: "Ready",
        unit: "short",
        queries: [
          ["ready", "sotto_relay_ready"],
          ["store fails", "sotto_relay_store_failing"],
        ],
      },
    ],
  ],
  [
    "Abuse",
    [
      {
        title: "Refused, per second",
        unit: "ops",
        queries: [
          ["sockets, too many", rate("turned-away")],
          ["false proofs", rate("refused")],
          ["malformed", rate("malformed")],
          ["said again", rate("repeated")],
        ],
      },
      {
        title: "Told to stop or wait, per second",
        unit: "ops",
        queries: [
          ["queue full", rate("told-quota")],
          ["too many", rate("told-limit")],
          ["too fast", rate("told-later")],
          ["relay full", rate("told-full")],
        ],
      },
      {
        title: "Lost to age or a failing store, per second",
        unit: "ops",
        queries: [
          ["expired", rate("expired")],
          ["commits failed", rate("store-failed")],
        ],
      },
    ],
  ],
];

const PANEL_WIDTH = 12;
const PANEL_HEIGHT = 8;

/** For Grafana's "import". */
export function dashboard(): string {
  const panels: unknown[] = [];
  let y = 0;
  for (const [row, inRow] of ROWS) {
    panels.push({ type: "row", title: row, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] });
    y++;
    for (const [index, { title, unit, queries }] of inRow.entries()) {
      panels.push({
        type: "timeseries",
        title,
        datasource: { type: "prometheus", uid: "${source}" },
        gridPos: {
          x: (index % 2) * PANEL_WIDTH,
          y: y + Math.floor(index / 2) * PANEL_HEIGHT,
          w: PANEL_WIDTH,
          h: PANEL_HEIGHT,
        },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        targets: queries.map(([legendFormat, expr], at) => ({
          refId: String.fromCodePoint(65 + at),
          legendFormat,
          expr,
        })),
      });
    }
    y += Math.ceil(inRow.length / 2) * PANEL_HEIGHT;
  }
  const source = { name: "source", type: "datasource", query: "prometheus", label: "Prometheus" };
  return `${JSON.stringify(
    {
      title: "Sotto relay",
      uid: "sotto-relay",
      schemaVersion: 39,
      time: { from: "now-6h", to: "now" },
      refresh: "1m",
      templating: { list: [source] },
      panels,
    },
    undefined,
    2,
  )}\n`;
}

interface Alert {
  readonly name: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: "page" | "ticket";
  readonly summary: string;
}

export const ALERTS: readonly Alert[] = [
  {
    name: "SottoRelayDown",
    expr: 'up{job="sotto-relay"} == 0',
    for: "2m",
    severity: "page",
    summary: "The relay does not answer.",
  },
  {
    name: "SottoRelayNotReady",
    expr: "sotto_relay_ready == 0",
    for: "2m",
    severity: "page",
    summary: "The relay takes no mail: its store fails, or it drains for too long.",
  },
  {
    name: "SottoRelayAlmostFull",
    expr: "sotto_relay_stored_bytes / sotto_relay_stored_bytes_limit > 0.8 or sotto_relay_disk_free_bytes < 1073741824 or sotto_relay_queues / sotto_relay_queues_limit > 0.8",
    for: "15m",
    severity: "ticket",
    summary:
      "Soon the relay makes no new queues, later it takes no mail: more disk, higher limits, or another relay.",
  },
  {
    name: "SottoRelayCrowded",
    expr: "sotto_relay_connections / sotto_relay_connections_limit > 0.8",
    for: "15m",
    severity: "ticket",
    summary: "Soon clients are refused: raise limits.max_connections, or run another relay.",
  },
  {
    name: "SottoRelaySlow",
    expr: "histogram_quantile(0.99, rate(sotto_relay_commit_seconds_bucket[5m])) > 0.25 or nodejs_eventloop_lag_p99_seconds > 0.2",
    for: "10m",
    severity: "ticket",
    summary: "The disk or the processor cannot keep up.",
  },
  {
    name: "SottoRelayCertificateEnds",
    expr: "sotto_relay_tls_certificate_expiry_seconds - time() < 1209600",
    for: "1h",
    severity: "ticket",
    summary: "The certificate ends within two weeks and was not renewed.",
  },
];

/** A rule file for Prometheus. */
export function alerts(): string {
  const rules = ALERTS.map(
    (alert) => `      - alert: ${alert.name}
        expr: ${JSON.stringify(alert.expr)}
        for: ${alert.for}
        labels: { severity: ${alert.severity} }
        annotations: { summary: ${JSON.stringify(alert.summary)} }
`,
  );
  return `groups:\n  - name: sotto-relay\n    rules:\n${rules.join("")}`;
}
