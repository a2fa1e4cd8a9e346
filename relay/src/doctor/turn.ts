/** A TURN server as a browser meets it: an allocation with a credential of the shared secret, and none for private peers. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { ANSWER_MS, type Check, failed, ok, warn } from "./check.ts";
import {
  attributeOf,
  ATTRIBUTES,
  decodeStun,
  encodeStun,
  errorOf,
  longTermKey,
  METHODS,
  type StunMessage,
  xorAddress,
} from "./stun.ts";

const PORT_DEFAULT = 3_478;
/** A datagram may be lost: said again so often. */
const RESEND_MS = 500;
const UDP = Buffer.from([17, 0, 0, 0]);
/** Whoever may make a TURN server speak to these reaches what its machine alone should reach. */
const PRIVATE_PEERS = ["127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254"] as const;

export interface TurnCredential {
  readonly username: string;
  readonly credential: string;
}

/** `server`: host, host:port, or an address as browsers take it; over UDP. */
export const checkTurn = (server: string, credential: TurnCredential): Promise<readonly Check[]> =>
  over("turn", server, (socket) => allocate(socket, credential));

/** Any server that tells people their address. */
export const checkStun = (server: string): Promise<readonly Check[]> =>
  over("stun", server, async (socket) => {
    const answer = await ask(socket, METHODS.binding, []);
    return [
      attributeOf(answer, ATTRIBUTES.xorMappedAddress) === undefined
        ? failed("stun", "answers without an address")
        : ok("stun", "tells people their address"),
    ];
  });

async function over(
  name: "stun" | "turn",
  server: string,
  run: (socket: Socket) => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  const { host, port } = toAddress(server);
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(port, host, resolve);
    });
    return await run(socket);
  } catch {
    return [failed(name, "no answer over UDP: is the port open?")];
  } finally {
    socket.close();
  }
}

function toAddress(server: string): { readonly host: string; readonly port: number } {
  const [, host = "", port] =
    /^(?:(?:stun|turn):)?(\[[^\]]+\]|[^:]+?)(?::(\d+))?(?:\?transport=udp)?$/.exec(server) ?? [];
  if (host === "") throw new TypeError("--turn: a host such as turn.example.com:3478.");
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port ?? PORT_DEFAULT) };
}

async function allocate(
  socket: Socket,
  { username, credential }: TurnCredential,
): Promise<readonly Check[]> {
  const transport = [ATTRIBUTES.requestedTransport, UDP] as const;
  const first = await ask(socket, METHODS.allocate, [transport]);
  const realm = attributeOf(first, ATTRIBUTES.realm);
  const nonce = attributeOf(first, ATTRIBUTES.nonce);
  if (errorOf(first) === undefined) {
    return [failed("turn", "allocates for anybody: set use-auth-secret")];
  }
  if (realm === undefined || nonce === undefined) {
    return [failed("turn", `refuses without asking who it is (${errorOf(first)})`)];
  }
  const key = longTermKey(username, Buffer.from(realm).toString(), credential);
  const proof = [
    [ATTRIBUTES.username, Buffer.from(username)],
    [ATTRIBUTES.realm, realm],
    [ATTRIBUTES.nonce, nonce],
  ] as const;
  const second = await ask(socket, METHODS.allocate, [transport, ...proof], key);
  const error = errorOf(second);
  if (error !== undefined) {
    const why = error === 401 ? "is it the same secret, and do the clocks agree?" : "see its log";
    return [failed("turn", `no allocation (${error}): ${why}`)];
  }
  const lifetime = Buffer.alloc(4);
  try {
    const open: string[] = [];
    for (const peer of PRIVATE_PEERS) {
      const asked = [[ATTRIBUTES.xorPeerAddress, xorAddress(peer, 80)], ...proof] as const;
      const answer = await ask(socket, METHODS.createPermission, asked, key);
      if (errorOf(answer) === undefined) open.push(peer);
    }
    return [
      attributeOf(second, ATTRIBUTES.xorRelayedAddress) === undefined
        ? warn("turn", "allocates, but names no address")
        : ok("turn", "allocates with a credential, and only with one"),
      open.length === 0
        ? ok("turn peers", "private addresses are refused")
        : failed("turn peers", `lets people reach ${open.join(", ")}: set denied-peer-ip`),
    ];
  } finally {
    await ask(socket, METHODS.refresh, [[ATTRIBUTES.lifetime, lifetime], ...proof], key);
  }
}

async function ask(
  socket: Socket,
  type: number,
  attributes: StunMessage["attributes"],
  key?: Uint8Array,
): Promise<StunMessage> {
  const transaction = new Uint8Array(randomBytes(12));
  const bytes = encodeStun({ type, transaction, attributes }, key);
  return new Promise((resolve, reject) => {
    const resend = setInterval(() => socket.send(bytes), RESEND_MS);
    const giveUp = setTimeout(() => end(() => reject(new Error("timeout"))), ANSWER_MS);
    const end = (settle: () => void): void => {
      clearInterval(resend);
      clearTimeout(giveUp);
      socket.off("message", hear);
      socket.off("error", refuse);
      settle();
    };
    const hear = (answer: Buffer): void => {
      const message = decodeStun(answer);
      if (message === undefined || !Buffer.from(transaction).equals(message.transaction)) return;
      end(() => resolve(message));
    };
    const refuse = (error: Error): void => end(() => reject(error));
    socket.on("message", hear);
    socket.on("error", refuse);
    socket.send(bytes);
  });
}
