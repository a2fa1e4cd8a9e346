/** The very first start, cut short at every step of making the keys. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadSecrets } from "sotto-relay";

const KEYS = fileURLToPath(new URL("../src/node/keys.ts", import.meta.url));
let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "sotto-keys-"));
});
afterEach(() => rmSync(data, { recursive: true }));

/** The `nth` call of `step` is the last thing the process does; of a write it does half. */
function killedAt(step: string, nth: number): NodeJS.Signals | null {
  const source = `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const whole = fs[${JSON.stringify(step)}];
    let calls = 0;
    fs[${JSON.stringify(step)}] = (...args) => {
      if (++calls < ${nth}) return whole(...args);
      if (${step === "writeSync"}) whole(args[0], args[1].subarray(0, 16));
      process.kill(process.pid, "SIGKILL");
    };
    syncBuiltinESMExports();
    const { loadSecrets } = await import(${JSON.stringify(KEYS)});
    loadSecrets(${JSON.stringify(data)});
  `;
  const args = ["--conditions=@sotto/source", "--input-type=module", "--eval", source];
  return spawnSync(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: "" } }).signal;
}

test.each([
  ["openSync", 1],
  ["writeSync", 1],
  ["fsyncSync", 1],
  ["linkSync", 1],
  ["rmSync", 1],
  ["fsyncSync", 2],
  ["writeSync", 2],
] as const)("a kill at %s, call %i, leaves whole keys or none", (step, nth) => {
  expect(killedAt(step, nth)).toBe("SIGKILL");
  const made = loadSecrets(data);
  expect([made.identitySeed.length, made.sendSecret.length]).toEqual([32, 32]);
  expect(loadSecrets(data)).toEqual(made);
});

test("a key that was named before the kill is the relay's from then on", () => {
  expect(killedAt("writeSync", 2)).toBe("SIGKILL");
  const identity = readFileSync(join(data, "identity.key"));
  expect(Buffer.from(loadSecrets(data).identitySeed)).toEqual(identity);
});
