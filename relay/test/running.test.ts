/** What a data directory says of the relay that runs in it. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { forgetRunning, noteRunning, readRunning, RUNNING_BYTES_MAX } from "sotto-relay";
import { afterEach, beforeEach, expect, test } from "vitest";

const RUNNING = {
  door: "invite",
  url: "https://chat.example.com",
  operationsHost: "192.0.2.1",
  operationsPort: 8_788,
};
let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "sotto-running-"));
});
afterEach(() => rmSync(data, { recursive: true }));

test("is read as it was noted, by nobody else, until it is forgotten", () => {
  expect(readRunning(data)).toBeUndefined();
  const least = { ...RUNNING, operationsHost: undefined, operationsPort: undefined };
  noteRunning(data, least);
  expect(readRunning(data)).toEqual(least);
  noteRunning(data, RUNNING);
  expect(readRunning(data)).toEqual(RUNNING);
  expect(statSync(join(data, "running.json")).mode & 0o777).toBe(0o600);
  forgetRunning(data);
  forgetRunning(data);
  expect(readRunning(data)).toBeUndefined();
});

test("a directory that takes no file keeps no relay from starting", () => {
  expect(() => noteRunning(join(data, "missing"), RUNNING)).not.toThrow();
});

test.each([
  ["{", undefined],
  ["null", undefined],
  [JSON.stringify({ ...RUNNING, url: 1 }), undefined],
  [JSON.stringify(RUNNING).padEnd(RUNNING_BYTES_MAX), RUNNING],
  [JSON.stringify(RUNNING).padEnd(RUNNING_BYTES_MAX + 1), undefined],
])("of what another left there, it takes what fits", (text, expected) => {
  writeFileSync(join(data, "running.json"), text);
  expect(readRunning(data)).toEqual(expected);
});
