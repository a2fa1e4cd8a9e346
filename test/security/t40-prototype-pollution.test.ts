/** T-40: nothing that is decoded gets its keys, or its prototype, from outside; and nothing changes what objects inherit. */
import { bytesToHex, decodeContent, encodeContent } from "@sotto/wire";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import {
  deliver,
  entropy,
  messageId,
  openPeerOf,
  paired,
  settle,
} from "../../packages/protocol/test/fixture.ts";
import { CODECS } from "../../packages/wire/test/codecs.ts";
import { asContentId, type Content } from "@sotto/wire";
import { encrypt, nobleBackend } from "@sotto/crypto";

const HOSTILE = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "__defineGetter__",
  '{"__proto__":{"polluted":true}}',
];

const shapeOf = (): string =>
  [Object, Array, Map, Set, Uint8Array, Function, Promise]
    .map(({ prototype }) => Reflect.ownKeys(prototype).map(String).join())
    .join("\n");
const SHAPE = shapeOf();

afterEach(() => {
  expect(shapeOf()).toBe(SHAPE);
  expect("polluted" in {}).toBe(false);
});

/** Every object within a value, byte arrays left out. */
function objectsIn(value: unknown): readonly object[] {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  return [value, ...Object.values(value).flatMap(objectsIn)];
}

const keysIn = (value: unknown): readonly string[] => [
  ...new Set(
    objectsIn(value)
      .filter((one) => !Array.isArray(one))
      .flatMap((one) => Object.keys(one)),
  ),
];

describe("a decoded value", () => {
  it.each(CODECS)("of $name is of plain objects, with the keys of its format", (codec) => {
    fc.assert(
      fc.property(codec.values, (value) => {
        const decoded = codec.decode(codec.encode(value));
        expect(decoded.ok).toBe(true);
        if (!decoded.ok) return;
        for (const one of objectsIn(decoded.value)) {
          const prototype: unknown = Object.getPrototypeOf(one);
          expect(prototype === Object.prototype || prototype === Array.prototype).toBe(true);
        }
        const meant = new Set(keysIn(value));
        expect(keysIn(decoded.value).filter((key) => !meant.has(key))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it("of any bytes at all leaves what objects inherit alone", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string()), { maxLength: 6 }),
        fc.uint8Array({ maxLength: 64 }),
        (texts, noise) => {
          const bytes = new TextEncoder().encode(texts.join("\0"));
          for (const { decode } of CODECS) decode(Uint8Array.from([...noise, ...bytes]));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("a contact who calls himself and everything else __proto__", () => {
  it("is shown as he says, and changes nothing but that", async () => {
    const { alice, bob } = await paired();
    const said: string[] = [];
    for (const text of HOSTILE) {
      await alice.send(text);
      said.push(text);
    }
    await alice.feed({ kind: "rename", name: "__proto__" });
    await settle(alice, bob);
    expect(bob.shown.toSorted()).toEqual(said.toSorted());
    expect(openPeerOf(bob).contact.name).toBe("__proto__");
    const { conversation } = bob.slice;
    for (const one of objectsIn(conversation)) {
      const prototype: unknown = Object.getPrototypeOf(one);
      expect([Object.prototype, Array.prototype]).toContain(prototype);
    }
  });

  it("gets ids as hex only, so that none is the name of something inherited", async () => {
    const { alice, bob } = await paired();
    const [session] = openPeerOf(alice).sessions;
    if (session === undefined) throw new Error("no session");
    // 16 bytes that spell a name as text.
    const id = asContentId(new TextEncoder().encode("__proto__.hidden"));
    const content: Content = {
      kind: "text",
      id,
      time: { ms: alice.now, counter: 1 },
      text: "hidden",
    };
    expect(decodeContent(encodeContent(content)).ok).toBe(true);
    const env = { entropy, crypto: nobleBackend, now: alice.now };
    await deliver(bob, (await encrypt(session, encodeContent(content), env)).envelope);
    expect([...bob.messages.keys()]).toEqual([bytesToHex(id)]);
    expect(bob.messages.get(messageId())).toBeUndefined();
  });
});
