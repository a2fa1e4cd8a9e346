/** Listening: several connections in a turn of the loop, and a port that is taken stays so. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { accept, type Acceptors, ACCEPTORS, LISTEN_BACKLOG } from "sotto-relay";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const HOST = "127.0.0.1";

async function listen(port = 0, count: () => void = () => undefined): Promise<Acceptors> {
  const server = createServer((socket) => {
    count();
    socket.destroy();
  });
  const acceptors = await accept(server, { host: HOST, port, allowHalfOpen: false });
  ends.push(() => acceptors.close());
  return acceptors;
}

test("those that came while a turn was long are taken several at a time", async () => {
  const CLIENTS = 64;
  const seen = { taken: 0, turns: 0 };
  const { port } = await listen(0, () => seen.taken++);
  const connect = `
    const { connect } = require("node:net");
    let left = ${CLIENTS};
    for (let index = 0; index < ${CLIENTS}; index++) {
      connect(${port}, "${HOST}", () => --left === 0 && process.exit());
    }`;
  // It runs while nothing is taken here.
  execFileSync(process.execPath, ["--eval", connect]);
  while (seen.taken < CLIENTS) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.turns++;
  }
  // Not evenly over all of them: which socket one comes to is the kernel's choice.
  const most = process.platform === "linux" ? CLIENTS / 2 : Infinity;
  expect(seen.turns).toBeLessThanOrEqual(most);
});

test("a port that somebody has is refused, also to a relay of the same user", async () => {
  const acceptors = await listen();
  await expect(listen(acceptors.port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  acceptors.close();
  const alone = createServer().listen(0, HOST);
  ends.push(() => alone.close());
  await once(alone, "listening");
  const address = alone.address();
  const taken = typeof address === "object" ? address?.port : undefined;
  await expect(listen(taken)).rejects.toMatchObject({ code: "EADDRINUSE" });
});

test("the backlog is shared out in whole connections", () => {
  expect(LISTEN_BACKLOG % ACCEPTORS).toBe(0);
});
