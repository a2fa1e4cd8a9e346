/** What the layouts are made with: small questions about bytes and texts, each at its bounds. */
import {
  ADDRESS_LIST_BYTES_MAX,
  asQueueId,
  BUNDLE_BYTES_MAX,
  bytesToHex,
  encodeContent,
  asContentId,
  isEncodedAs,
  isIceServers,
  isIceUrl,
  isPushEndpoint,
  isZero,
  PUSH_ENDPOINT_BYTES_MAX,
  SEALED_WAY_BYTES_MAX,
  workTranscript,
} from "@sotto/wire";
import { expect, it } from "vitest";

it("padding is zero when every byte of it is", () => {
  for (let length = 0; length < 5; length++) {
    expect(isZero(new Uint8Array(length))).toBe(true);
    for (let at = 0; at < length; at++) {
      const bytes = new Uint8Array(length);
      bytes[at] = 0x80;
      expect(isZero(bytes)).toBe(false);
    }
  }
});

it("a content is of the kind that its first byte says", () => {
  const id = asContentId(new Uint8Array(16));
  const time = { ms: 1, counter: 0 };
  const profile = encodeContent({ kind: "profile", id, time, name: "Ann" });
  const text = encodeContent({ kind: "text", id, time, text: "Ann" });
  expect([isEncodedAs(profile, "profile"), isEncodedAs(profile, "text")]).toEqual([true, false]);
  expect([isEncodedAs(text, "profile"), isEncodedAs(text, "text")]).toEqual([false, true]);
  expect(isEncodedAs(new Uint8Array(), "text")).toBe(false);
});

it("a sealed way has room for the largest bundle and the longest list of addresses", () => {
  // Nonce, two lengths and a tag, as crypto/SPEC.md §15 has it.
  expect(SEALED_WAY_BYTES_MAX - BUNDLE_BYTES_MAX).toBe(12 + 2 + 2 + 16 + ADDRESS_LIST_BYTES_MAX);
});

it("work is hashed behind nonce, relay key and queue, in this order", () => {
  const [nonce, key] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const queue = asQueueId(new Uint8Array(24).fill(3));
  expect(bytesToHex(workTranscript(nonce, key, queue))).toBe(
    "01".repeat(32) + "02".repeat(32) + "03".repeat(24),
  );
});

it("an address for wake-ups is all of its line, and as long as a frame takes", () => {
  const longest = `https://${"a".repeat(PUSH_ENDPOINT_BYTES_MAX - 8)}`;
  expect(isPushEndpoint(longest)).toBe(true);
  expect(isPushEndpoint(`${longest}a`)).toBe(false);
  for (const text of ["x https://a", "xhttps://a", "https://", "https://a b", "https://a\n", ""]) {
    expect(isPushEndpoint(text), text).toBe(false);
  }
});

it("servers are named by whole addresses, each of them good", () => {
  expect(isIceUrl("stun:a.example:3478")).toBe(true);
  for (const text of ["xstun:a.example", "stun:a.example x", "stun:", "turn:a?transport=sctp"]) {
    expect(isIceUrl(text), text).toBe(false);
  }
  const servers = (urls: readonly string[]) => ({
    ttlSeconds: 1,
    urls,
    username: "",
    credential: "",
  });
  expect(isIceServers(servers(["stun:a.example", "stun:b.example"]))).toBe(true);
  expect(isIceServers(servers(["stun:a.example", "http://b.example"]))).toBe(false);
});
