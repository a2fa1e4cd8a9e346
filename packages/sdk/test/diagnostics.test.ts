import { nobleBackend } from "@sotto/crypto";
import { chooseBackend, type Engine } from "@sotto/engines";
import { startRelay } from "sotto-relay";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openMessenger } from "@sotto/sdk";
import { realTimers } from "@sotto/transport";
import { openTestMessenger, until } from "./support.ts";

let relay: Awaited<ReturnType<typeof startRelay>>;
beforeAll(async () => {
  relay = await startRelay({ port: 0, circuit: false });
});
afterAll(() => relay.close());

it("tells which engines this platform has, once they are chosen", async () => {
  const warnings: Error[] = [];
  process.on("warning", (warning) => warnings.push(warning));
  const messenger = await openMessenger({ name: "Ada", relayUrl: relay.url, direct: false });
  try {
    const { crypto } = await until(messenger.diagnostics, (now) => now.crypto.state === "chosen");
    const verdicts = crypto.operations.dh.candidates.map(({ engine, verdict }) => [
      engine,
      verdict,
    ]);
    expect(verdicts).toEqual([
      ["node", "correct"],
      ["kernel", "correct"],
      ["noble", "correct"],
    ]);
    expect(crypto.operations.dh.chosen).not.toBe("noble");
    // Nobody who runs a script wants Node's warnings about experiments.
    expect(warnings).toEqual([]);
    expect(messenger.me.value.name).toBe("Ada");
  } finally {
    await messenger.close();
  }
});

it("counts the failures of an engine, and the messenger works on", async () => {
  let broken = false;
  // So much faster than noble that it is chosen on any machine: it remembers its answers.
  const remembered = new Map<string, Promise<Uint8Array>>();
  const engine: Engine = {
    name: "moody",
    operations: {
      dhPublic(secret) {
        if (broken) throw new Error("planted");
        const known =
          remembered.get(secret.join()) ?? Promise.resolve(nobleBackend.dhPublic(secret));
        remembered.set(secret.join(), known);
        return known;
      },
    },
  };
  const crypto = chooseBackend([engine], {
    ...realTimers,
    pause: () => Promise.resolve(),
  });
  const messenger = await openTestMessenger({
    relayUrl: relay.url,
    name: "Ada",
    parts: { crypto },
  });
  try {
    await until(messenger.diagnostics, (now) => now.crypto.operations.dhPublic.chosen === "moody");
    await until(messenger.hub, (hub) => hub === "online");
    broken = true;
    const { conversation } = await messenger.invite();
    await until(messenger.conversations, (all) =>
      all.some((one) => one.id === conversation && one.invite?.active === true),
    );
    const { crypto: report } = messenger.diagnostics.value;
    const moody = report.operations.dhPublic.candidates.find((one) => one.engine === "moody");
    expect(moody?.failures).toBeGreaterThan(0);
    expect(messenger.diagnostics.value.faults).toBe(0);
  } finally {
    await messenger.close();
  }
});
