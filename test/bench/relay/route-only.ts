/** The limit: a bare `ws` server that hands each frame to the socket it names, and keeps, proves and counts nothing. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { MESSAGE_BYTES, nothing, type Side } from "./side.ts";

const SOURCE = `
  import { WebSocketServer } from "ws";
  const sockets = new Map();
  const server = new WebSocketServer({
    port: 0, host: "127.0.0.1", perMessageDeflate: false, clientTracking: false,
  });
  server.on("connection", (socket, request) => {
    sockets.set(Number(request.url.slice(1)), socket);
    socket.on("message", (data) => sockets.get(data.readUInt32BE(0)).send(data));
  });
  server.on("listening", () => console.log(server.address().port));
`;

export async function startRouteOnly(): Promise<Side> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", SOURCE], {
    cwd: fileURLToPath(new URL("../../../relay", import.meta.url)),
    env: { ...process.env, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = await once(child.stdout, "data");
  const open: WebSocket[] = [];
  let next = 0;
  const enter = async (name: number): Promise<WebSocket> => {
    const url = `ws://127.0.0.1:${String(port).trim()}/${name}`;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    open.push(socket);
    await once(socket, "open");
    return socket;
  };
  return {
    name: "bare ws",
    pid: child.pid!,
    keeps: false,
    async pair() {
      const name = next++;
      const receiver = await enter(name);
      const sender = await enter(next++);
      const frame = randomBytes(MESSAGE_BYTES);
      frame.writeUInt32BE(name, 0);
      const never = (): never => {
        throw new Error("it keeps nothing");
      };
      const made = {
        arrived: nothing,
        accepted: nothing,
        send: () => sender.send(frame),
        leave: never,
        come: never,
        fetch: never,
      };
      receiver.on("message", () => made.arrived());
      return made;
    },
    async idle() {
      await enter(next++);
    },
    prepareIdle: () => Promise.resolve(),
    async stop() {
      for (const socket of open) socket.terminate();
      child.kill("SIGKILL");
      await once(child, "close");
    },
  };
}
