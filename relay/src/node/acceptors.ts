/**
 * Listening sockets of one server on one port.
 * Node takes one connection from each listening socket in a turn of its loop. While a turn is long, because many clients
 * ask something at once, one socket would take fewer than an attacker opens, and newcomers would wait in the kernel until
 * they are dropped; several take so many in each turn.
 * Leaves to server.ts: what becomes of a connection.
 * Spec: SPEC.md §4.
 */
import { once } from "node:events";
import { createServer, type ListenOptions, type Server } from "node:net";

/** Connections that are taken in one turn. */
export const ACCEPTORS = 8;
/**
 * Connections that the kernel has made and this process has not taken yet, of all acceptors together. Beyond it the kernel drops
 * what a client says first, and the client says it again only after one, three and seven seconds: Node's own 511 are full
 * after half a second of a flood. With many more, newcomers would wait behind attackers that are gone by then: each costs
 * the processor about half a millisecond.
 */
export const LISTEN_BACKLOG = 2_048;

export interface Acceptors {
  readonly port: number;
  /** Takes no more. */
  close(): void;
}

/** `server`: gets a "connection" for each, as from its own socket. Rejects with EADDRINUSE when somebody has the port. */
export async function accept(
  server: Server,
  options: {
    readonly host: string;
    readonly port: number;
    /** Whether the server goes on writing to a client that has said its last. */
    readonly allowHalfOpen: boolean;
  },
): Promise<Acceptors> {
  const { host, allowHalfOpen } = options;
  // Only here may several sockets share a port, each with its share of the connections.
  const count = process.platform === "linux" ? ACCEPTORS : 1;
  const backlog = LISTEN_BACKLOG / count;
  if (count === 1) {
    const port = await listen(server, { host, port: options.port, backlog });
    return { port, close: () => server.close() };
  }
  // Shared sockets are let in beside those of another relay of the same user: who asks alone first hears of it.
  const alone = createServer();
  const port = await listen(alone, { host, port: options.port });
  alone.close();
  await once(alone, "close");
  const more: Server[] = [];
  const close = (): void => {
    for (const other of more) other.close();
    server.close();
  };
  try {
    await listen(server, { host, port, backlog, reusePort: true });
    while (more.length < count - 1) {
      const other = createServer({ allowHalfOpen, noDelay: true }, (socket) =>
        server.emit("connection", socket),
      );
      await listen(other, { host, port, backlog, reusePort: true });
      more.push(other);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { port, close };
}

async function listen(server: Server, options: ListenOptions): Promise<number> {
  server.listen(options);
  // Rejects with the first error.
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return address.port;
}
