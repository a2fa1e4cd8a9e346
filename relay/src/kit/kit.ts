/**
 * The files of a deployment from eight choices. What stands in relay/deploy/ is this for chat.example.com.
 * Spec: OPERATING.md.
 */
import type { Door } from "@sotto/wire";
import { alerts, dashboard } from "./dashboard.ts";
import { sizeFor } from "./size.ts";

export interface Answers {
  readonly domain: string;
  /** For whoever issues certificates. */
  readonly email: string;
  readonly way: "compose" | "systemd";
  readonly people: number;
  /** Room for mail. */
  readonly storeGiB: number;
  readonly turn: boolean;
  readonly door: Door;
  /** People whose app is closed are woken; push services may ask at `email`. */
  readonly push: boolean;
}

export interface KitFile {
  readonly text: string;
  /** 0600 for what holds a secret. */
  readonly secret: boolean;
}

/** `turnSecret`: what the TURN server shares with whoever makes credentials. */
export function makeKit(answers: Answers, turnSecret: string): ReadonlyMap<string, KitFile> {
  const open = (text: string): KitFile => ({ text, secret: false });
  const files = new Map<string, KitFile>();
  files.set("relay.toml", open(settings(answers)));
  files.set("Caddyfile", open(caddyfile(answers)));
  if (answers.way === "compose") files.set("compose.yaml", open(compose(answers)));
  else files.set("sotto-relay.service", open(service(answers)));
  if (answers.turn) {
    files.set("turnserver.conf", { text: turnserver(answers, turnSecret), secret: true });
    files.set("turn.env", { text: `SOTTO_TURN_SECRET=${turnSecret}\n`, secret: true });
  }
  files.set("prometheus.yaml", open(prometheus(answers)));
  files.set("alerts.yaml", open(alerts()));
  files.set("grafana.json", open(dashboard()));
  files.set("README.md", open(readme(answers)));
  return files;
}

function settings({ domain, way, people, storeGiB, turn, door, push, email }: Answers): string {
  const { connections, queues } = sizeFor(people);
  const inContainer = way === "compose";
  return `# sotto-relay config --explain <name> says what each line means.
[server]
domain = "${domain}"
data = "${inContainer ? "/data" : "/var/lib/sotto-relay"}"
${inContainer ? 'host = "0.0.0.0" # inside its container; only Caddy reaches it\n' : ""}
[operations]
${inContainer ? 'host = "0.0.0.0" # inside its container; published to nobody\n' : ""}drain_grace = 5

${turn ? turnSettings(domain) : stunSettings()}
${push ? pushSettings(email) : ""}[log]
format = "json"

[limits]
max_bytes = "${storeGiB}G"
max_connections = ${connections}
max_queues = ${queues}
${DOOR_LINES[door]}`;
}

/** What the push services' makers are told with every request. */
const pushSettings = (email: string): string => `[push]
contact = "mailto:${email}"

`;

const turnSettings = (domain: string): string => `[turn]
# Its secret is in turn.env. TCP for networks without UDP.
urls = "stun:${domain}:${TURN_PORT},turn:${domain}:${TURN_PORT}?transport=udp,turn:${domain}:${TURN_PORT}?transport=tcp"
`;

/** In a container's network too, as long as Docker itself passes UDP on: that keeps the source. */
const stunSettings = (): string => `[turn]
stun_port = ${TURN_PORT} # UDP: tells people the address that they are seen at
`;

const DOOR_LINES: Readonly<Record<Door, string>> = {
  open: "",
  invite: '\n[admission] # `sotto-relay invite` with this --config makes a code\ndoor = "invite"\n',
  oidc: `
[admission] # what the organisation's sign-in says
door = "oidc"
issuer = "https://id.example.com"
audience = "sotto"
jwks = "https://id.example.com/jwks.json"
`,
};

const caddyfile = ({ domain, email, way }: Answers): string => `{
	email ${email}
}

# Gets and renews the certificate by itself, tells the relay who comes, and writes down nobody.
${domain} {
	reverse_proxy ${way === "compose" ? "relay" : "127.0.0.1"}:8787
}
`;

function compose({ people, turn }: Answers): string {
  const { connections, memoryMiB } = sizeFor(people);
  const turnService = `
  turn:
    image: coturn/coturn:4.6
    # Of its own network every port would have to be published one by one.
    network_mode: host
    # Its configuration holds a secret that nobody else may read.
    user: root
    restart: unless-stopped
    read_only: true
    tmpfs: [/var/tmp]
    volumes: ["./turnserver.conf:/etc/coturn/turnserver.conf:ro"]
`;
  return `services:
  relay:
    image: sotto-relay
    command: ["--config", "/etc/sotto-relay/relay.toml"]
    restart: unless-stopped
    stop_grace_period: 30s
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: ${memoryMiB}m
    ulimits: { nofile: ${filesFor(connections)} }
    volumes: ["./relay.toml:/etc/sotto-relay/relay.toml:ro", "data:/data"]
    ${turn ? 'env_file: ["./turn.env"]' : `ports: ["${TURN_PORT}:${TURN_PORT}/udp"]`}
    healthcheck:
      test: ["CMD", "sotto-relay", "status", "--config", "/etc/sotto-relay/relay.toml"]
      interval: 30s

  caddy:
    image: caddy:2
    restart: unless-stopped
    depends_on: [relay]
    ports: ["80:80", "443:443", "443:443/udp"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro", "certificates:/data"]
${turn ? turnService : ""}
volumes:
  data:
  certificates:
`;
}

/**
 * For Node: V8 would make room for young objects up to twice 32 MB while many clients come at once, and keep it.
 * OPERATING.md has what this costs and saves.
 */
export const NODE_OPTIONS = "--max-semi-space-size=16";

/** Clients, and as many more as the database, the app and the operator need. */
const filesFor = (connections: number): number => connections + 2_500;

function service({ people, turn }: Answers): string {
  const { connections, memoryMiB } = sizeFor(people);
  return `[Unit]
Description=Sotto relay
After=network-online.target
Wants=network-online.target

[Service]
Environment=NODE_OPTIONS=${NODE_OPTIONS}
ExecStart=/usr/bin/env sotto-relay start --config /etc/sotto-relay/relay.toml
${turn ? "EnvironmentFile=/etc/sotto-relay/turn.env\n" : ""}ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
TimeoutStopSec=30
LimitNOFILE=${filesFor(connections)}
MemoryMax=${memoryMiB}M

DynamicUser=yes
StateDirectory=sotto-relay
StateDirectoryMode=0700
UMask=0077

CapabilityBoundingSet=
DevicePolicy=closed
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Not MemoryDenyWriteExecute: V8 compiles while it runs.

[Install]
WantedBy=multi-user.target
`;
}

const turnserver = ({ domain }: Answers, secret: string): string => `realm=${domain}
use-auth-secret
static-auth-secret=${secret}
fingerprint
listening-port=${TURN_PORT}
# One port for each allocation, and a link between two people who are both relayed takes two.
min-port=${TURN_PORT_MIN}
max-port=${TURN_PORT_MIN + ALLOCATIONS - 1}
# What one credential may use: ten at once, one megabit per second.
user-quota=10
total-quota=${ALLOCATIONS}
max-bps=131072
no-cli
no-tcp-relay
no-multicast-peers
no-software-attribute
log-file=/dev/null
pidfile=/var/tmp/turnserver.pid
# Empty, but without a place for it every credential is refused.
userdb=/var/tmp/turndb
${DENIED_PEERS.map((range) => `denied-peer-ip=${range}\n`).join("")}`;

const TURN_PORT = 3_478;
const TURN_PORT_MIN = 49_160;
const ALLOCATIONS = 400;

/** What is not the internet: through a TURN server people would reach what only its machine should. */
const DENIED_PEERS = [
  "0.0.0.0-0.255.255.255",
  "10.0.0.0-10.255.255.255",
  "100.64.0.0-100.127.255.255",
  "127.0.0.0-127.255.255.255",
  "169.254.0.0-169.254.255.255",
  "172.16.0.0-172.31.255.255",
  "192.0.0.0-192.0.0.255",
  "192.168.0.0-192.168.255.255",
  "198.18.0.0-198.19.255.255",
  "224.0.0.0-255.255.255.255",
  "::1",
  "::ffff:0.0.0.0-::ffff:255.255.255.255",
  "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
] as const;

const prometheus = ({ way }: Answers): string => `rule_files: [alerts.yaml]
scrape_configs:
  - job_name: sotto-relay
    scrape_interval: 15s
    static_configs:
      - targets: ["${way === "compose" ? "relay" : "127.0.0.1"}:8788"]
`;

function readme({ domain, way, turn }: Answers): string {
  const lines = [
    `# Sotto relay for ${domain}`,
    "",
    `Point an A and an AAAA record of ${domain} at this machine, let TCP 80, 443${turn ? `, ${TURN_PORT}` : ""}, and UDP 443, ${TURN_PORT}${turn ? ` and ${TURN_PORT_MIN}-${TURN_PORT_MIN + ALLOCATIONS - 1}` : ""} in, then:`,
    "",
    "```sh",
    ...(way === "compose" ? COMPOSE_STEPS : systemdSteps(turn)),
    `sotto-relay doctor https://${domain}`,
    "```",
    "",
    "Back up at least the keys (`sotto-relay backup`, with the same `--config`): a relay without them is another relay.",
    "`grafana.json` is a dashboard to import, `prometheus.yaml` and `alerts.yaml` are what Prometheus needs for it.",
  ];
  if (turn) lines.push("", TURN_NOTE);
  return `${lines.join("\n")}\n`;
}

const COMPOSE_STEPS = [
  "docker build -t sotto-relay -f relay/deploy/Dockerfile .   # in Sotto's repository",
  "docker compose up -d                                       # here",
  "docker compose exec relay sotto-relay status --config /etc/sotto-relay/relay.toml",
];

const systemdSteps = (turn: boolean): readonly string[] => [
  "npm install --global ./sotto-relay-*.tgz   # made by `npm run pack:relay` in Sotto's repository",
  "install -D -m 644 relay.toml /etc/sotto-relay/relay.toml && install -m 644 Caddyfile /etc/caddy/Caddyfile",
  ...(turn ? TURN_STEPS : []),
  "install -m 644 sotto-relay.service /etc/systemd/system/ && systemctl enable --now sotto-relay && systemctl reload caddy",
];

const TURN_STEPS = [
  "install -m 600 turn.env /etc/sotto-relay/ && install -m 640 -g turnserver turnserver.conf /etc/ && systemctl restart coturn",
];

const TURN_NOTE =
  "`turnserver.conf` is for coturn; `turn.env` has the same secret for the relay, which makes a credential of ten minutes from it for whoever asks. With a TURN server two people whose networks do not let them meet have a direct link all the same, and so have those who hide their address from their contacts. Without it they talk through the relay.";
