/** What the app's build takes out of libp2p: calls of its log and generators of its codecs, and nothing else. */
import { parseSync } from "vite";
import { describe, expect, it } from "vitest";
import { lean } from "../../app/build/lean-libp2p.ts";

describe("libp2p without what nobody asks for", () => {
  const leaned = (code: string): string => lean(code, parseSync("libp2p.js", code).program);

  it.each([
    ["this.log('dialing %p', peer.id);", "void 0;"],
    ["this.log?.trace('a %s', list.map((one) => one.name)); go();", "void 0; go();"],
    ["if (x) log.error('%e', err); else stream.log('b');", "if (x) void 0; else void 0;"],
    ["work().catch((err) => maConn.log.error('%e', err));", "work().catch((err) => void 0);"],
    ["const a = { log: components.logger.forComponent('x') };", undefined],
    ["Math.log(2); console.log(3); login(4); this.log; other.error(5);", undefined],
    [
      "message((obj, w) => {}, (reader) => ({}), function* (reader) { yield 1; })",
      "message((obj, w) => {}, (reader) => ({}))",
    ],
    ["message(1, 2, 3); send(1, 2, function* () {});", undefined],
    // What works while it says something goes on working.
    ["this.log('%d', await count());", undefined],
    ["this.log('%d', count++);", undefined],
    ["this.log('%d', (last = now));", undefined],
  ])("makes of %s", (code, expected) => {
    expect(leaned(code)).toBe(expected ?? code);
  });
});
