/**
 * ejabberd and prosody as Debian packages them, on loopback, each with a configuration and a spool of its own in a
 * temporary folder: no TLS, no shapers, no modules but those that mail and its acknowledgement need.
 * The client speaks plain XMPP over TCP (RFC 6120), SASL PLAIN, in-band registration (XEP-0077), and asks the server
 * what it has by stream management (XEP-0198).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MESSAGE_BYTES, nothing, type Pair, type Side } from "./side.ts";

const DOMAIN = "localhost";
const PASSWORD = "x";
const START_MS = 20_000;
const BODY = Buffer.alloc(MESSAGE_BYTES * 0.75, 7).toString("base64");

interface Launch {
  readonly child: ChildProcess;
  readonly port: number;
}

/** Undefined: not installed. */
export async function startEjabberd(): Promise<Side | undefined> {
  const libraries = "/usr/lib/x86_64-linux-gnu";
  if (!existsSync("/usr/sbin/ejabberdctl")) return undefined;
  return side("ejabberd", async (folder) => {
    const port = await freePort();
    const file = join(folder, "ejabberd.yml");
    writeFileSync(file, ejabberdConfig(port));
    const spool = join(folder, "spool");
    // Without a node name there is no distribution and no port mapper to be left running.
    const flags = ["-noshell", "+K", "true", "+P", "250000"];
    const args = [...flags, "-mnesia", "dir", `"${spool}"`, "-s", "ejabberd"];
    const child = spawn("erl", args, {
      cwd: folder,
      env: {
        ...process.env,
        HOME: folder,
        ERL_LIBS: libraries,
        EJABBERD_CONFIG_PATH: file,
        EJABBERD_LOG_PATH: join(folder, "ejabberd.log"),
        ERL_CRASH_DUMP: join(folder, "crash"),
      },
      stdio: "ignore",
    });
    return { child, port };
  });
}

/** Undefined: not installed. */
export async function startProsody(): Promise<Side | undefined> {
  if (!existsSync("/usr/bin/prosody")) return undefined;
  return side("prosody", async (folder) => {
    const port = await freePort();
    const file = join(folder, "prosody.cfg.lua");
    writeFileSync(file, prosodyConfig(port, folder));
    mkdirSync(join(folder, "data"));
    const child = spawn("prosody", ["--config", file, "-F"], { cwd: folder, stdio: "ignore" });
    return { child, port };
  });
}

const ejabberdConfig = (port: number): string => `
hosts: ["${DOMAIN}"]
loglevel: error
auth_password_format: plain
disable_sasl_mechanisms: ["digest-md5", "scram-sha-1", "scram-sha-256", "scram-sha-512"]
listen:
  - port: ${port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    backlog: 4096
    max_stanza_size: 262144
    starttls: false
acl:
  local:
    user_regexp: ""
access_rules:
  c2s: {allow: all}
  register: {allow: all}
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages: infinity
registration_timeout: infinity
modules:
  mod_offline:
    access_max_user_messages: max_user_offline_messages
  mod_register:
    access: register
  mod_roster: {}
  mod_stream_mgmt: {}
`;

const prosodyConfig = (port: number, folder: string): string => `
run_as_root = true
pidfile = "${folder}/pid"
data_path = "${folder}/data"
modules_enabled = { "roster", "saslauth", "disco", "offline", "smacks", "register", "register_ibr" }
modules_disabled = { "s2s", "tls" }
c2s_ports = { ${port} }
c2s_interfaces = { "127.0.0.1" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
allow_registration = true
authentication = "internal_plain"
storage = "internal"
network_settings = { backlog = 4096 }
log = { error = "${folder}/log" }
VirtualHost "${DOMAIN}"
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function side(name: string, launch: (folder: string) => Promise<Launch>): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), `sotto-bench-${name}-`));
  const { child, port } = await launch(folder);
  const open: Socket[] = [];
  let ended = false;
  child.on("close", () => (ended = true));
  await listening(port, () => ended);
  const register = createStream(await tcp(port));
  await register.greet();
  const made = async (user: string): Promise<void> => {
    const fields = `<username>${user}</username><password>${PASSWORD}</password>`;
    register.write(
      `<iq type='set' id='r' to='${DOMAIN}'><query xmlns='jabber:iq:register'>${fields}</query></iq>`,
    );
    const answer = await register.until(/<iq[^>]*(?:\/>|<\/iq>)/);
    if (!/type=['"]result['"]/.test(answer)) throw new Error(`${name} takes no account: ${answer}`);
  };
  let users = 0;
  let idleUsers: string[] = [];

  const enter = async (user: string): Promise<Stream> => {
    const socket = await tcp(port);
    open.push(socket);
    const stream = createStream(socket);
    await stream.greet();
    const plain = Buffer.from(`\0${user}\0${PASSWORD}`).toString("base64");
    stream.write(
      `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`,
    );
    await stream.until(/<success/);
    await stream.greet();
    stream.write(
      `<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>`,
    );
    await stream.until(/<\/jid>[^]*<\/iq>/);
    return stream;
  };

  async function pair(): Promise<Pair> {
    const [to, from] = [`u${users++}`, `u${users++}`];
    await made(to);
    await made(from);
    let receiver = await enter(to);
    const sender = await enter(from);
    sender.write(`<enable xmlns='urn:xmpp:sm:3'/>`);
    await sender.until(/<enabled/);
    const stanza = `<message to='${to}@${DOMAIN}' type='chat'><body>${BODY}</body></message>`;
    const asking = `${stanza}<r xmlns='urn:xmpp:sm:3'/>`;
    const receive = (): void => receiver.count("</message>", () => pairing.arrived());
    const pairing: Pair = {
      arrived: nothing,
      accepted: nothing,
      send: (accepted) => sender.write(accepted ? asking : stanza),
      async leave() {
        receiver.write("</stream:stream>");
        receiver.socket.end();
        await once(receiver.socket, "close");
      },
      async come() {
        receiver = await enter(to);
        receive();
      },
      fetch: () => receiver.write("<presence/>"),
    };
    receiver.write("<presence/>");
    await receiver.until(/<presence/);
    receive();
    // One answer for each request, so each says one more.
    sender.count("<a ", () => pairing.accepted());
    return pairing;
  }

  return {
    name,
    pid: child.pid!,
    keeps: true,
    pair,
    async prepareIdle(count) {
      while (idleUsers.length < count) {
        const user = `u${users++}`;
        await made(user);
        idleUsers.push(user);
      }
    },
    async idle() {
      const user = idleUsers.pop();
      if (user === undefined) throw new Error("not prepared");
      const stream = await enter(user);
      stream.write("<presence/>");
      await stream.until(/<presence/);
    },
    async stop() {
      for (const socket of open) socket.destroy();
      register.socket.destroy();
      if (!ended) {
        child.kill("SIGKILL");
        await once(child, "close");
      }
      rmSync(folder, { recursive: true });
    },
  };
}

async function tcp(port: number): Promise<Socket> {
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.on("error", nothing);
  return socket;
}

async function listening(port: number, isOver: () => boolean): Promise<void> {
  const until = performance.now() + START_MS;
  for (;;) {
    try {
      (await tcp(port)).destroy();
      return;
    } catch {
      if (isOver() || performance.now() > until) throw new Error("the server did not start");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

interface Stream {
  readonly socket: Socket;
  write(text: string): void;
  /** Opens the stream, or opens it again, and waits for the features. */
  greet(): Promise<void>;
  /** Resolves with what came, once it matches. */
  until(pattern: RegExp): Promise<string>;
  /** From now on only counts; `mark` may be split between two reads. */
  count(mark: string, found: () => void): void;
}

function createStream(socket: Socket): Stream {
  let text = "";
  let check: (() => void) | undefined;
  const read = (part: Buffer): void => {
    text += part.toString("latin1");
    check?.();
  };
  socket.on("data", read);
  const stream: Stream = {
    socket,
    write: (out) => socket.write(out),
    async greet() {
      text = "";
      stream.write(
        `<?xml version='1.0'?><stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
      );
      await stream.until(/<\/stream:features>|<features[^]*<\/features>/);
    },
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const closed = (): void => reject(new Error(`the stream ended: ${text.slice(0, 300)}`));
        socket.once("close", closed);
        check = () => {
          if (!pattern.test(text)) return;
          check = undefined;
          socket.off("close", closed);
          const came = text;
          text = "";
          resolve(came);
        };
        check();
      }),
    count(mark, found) {
      socket.off("data", read);
      let tail = text;
      const look = (part: string): void => {
        const whole = tail + part;
        let at = 0;
        for (let hit = whole.indexOf(mark); hit >= 0; hit = whole.indexOf(mark, at)) {
          at = hit + mark.length;
          found();
        }
        tail = whole.slice(Math.max(at, whole.length - mark.length + 1));
      };
      look("");
      socket.on("data", (part: Buffer) => look(part.toString("latin1")));
    },
  };
  return stream;
}
