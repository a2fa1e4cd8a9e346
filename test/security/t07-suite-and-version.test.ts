/** T-07: there is one suite and nothing to negotiate. Another version or suite byte is refused wherever there is one. */
import { accept, type CryptoEnv, decrypt, encrypt, nobleBackend } from "@sotto/crypto";
import { decodeEnvelope, decodeInvite, encodeInvite, SUITE_1, WIRE_VERSION } from "@sotto/wire";
import { accountIdOf } from "@sotto/crypto";
import { describe, expect, it } from "vitest";
import {
  asHello,
  greeted,
  must,
  seededEnv,
  settledPair,
  text,
} from "../../packages/crypto/test/support.ts";
import { makeWorld } from "./t01-world.ts";

const env: CryptoEnv = seededEnv("suite and version");

describe("every other value of a version, suite or type byte is refused", () => {
  it("in each kind that has one", async () => {
    const { kinds } = await makeWorld(nobleBackend);
    const places = {
      message: [0],
      hello: [0, 1, 2],
      signal: [0],
      plea: [0],
      "device cert": [0],
      // Version and suite of the bundle, version of the certificate in it.
      bundle: [0, 1, 2],
      "device list": [0],
      "group create": [0],
      "group operation": [0],
      "sender chain record": [0],
      "group message": [0],
      "file reference": [0],
      invite: [0],
    } as const satisfies Partial<Record<keyof typeof kinds, readonly number[]>>;
    for (const [name, at] of Object.entries(places)) {
      const kind = kinds[name as keyof typeof places];
      expect(await kind.opens(kind.bytes), name).toBe(true);
      for (const place of at) {
        for (let value = 0; value < 256; value++) {
          if (value === kind.bytes[place]) continue;
          const changed = kind.bytes.slice();
          changed[place] = value;
          expect(await kind.opens(changed), `${name}: ${value} at ${place}`).toBe(false);
        }
      }
    }
  });

  it("as unknown, not as broken: a newer version can be told from noise", async () => {
    const { envelope } = await greeted("unknown suite");
    for (const at of [1, 2]) {
      const newer = envelope.slice();
      newer[at] = 2;
      expect(decodeEnvelope(newer)).toEqual({ ok: false, reason: "unknown-type" });
    }
    const invite = {
      seed: new Uint8Array(16),
      accountId: accountIdOf(new Uint8Array(32).fill(1)),
      relayPin: new Uint8Array(16),
    };
    const newer = encodeInvite(invite);
    newer[0] = 2;
    expect(decodeInvite(newer)).toEqual({ ok: false, reason: "unknown-type" });
  });
});

describe("what a decoder let through would still be refused", () => {
  it("version and suite are authenticated with the HELLO", async () => {
    const { bob, secrets, hello } = await greeted("authenticated suite");
    expect([hello.header[1], hello.header[2]]).toEqual([WIRE_VERSION, SUITE_1]);
    for (const at of [0, 1, 2]) {
      const header = hello.header.slice();
      header[at] = (header[at] ?? 0) ^ 3;
      const changed = { ...hello, header, suite: header[2] ?? 0 };
      expect(await accept(bob, secrets, changed, env)).toEqual({
        ok: false,
        reason: "unknown-session",
      });
    }
    must(await accept(bob, secrets, hello, env));
  });

  it("a HELLO that names no one-time key, or leaves out ML-KEM, is not taken for the bundle that has both", async () => {
    const { bob, secrets, hello } = await greeted("downgrade");
    const without = hello.header.slice();
    without.fill(0xff, 7, 11);
    const kemless = hello.header.slice();
    kemless.fill(0, 47, 47 + 1_088);
    for (const changed of [
      { ...hello, header: without, oneTimePrekeyId: 0xffff_ffff },
      { ...hello, header: kemless, kemCiphertext: new Uint8Array(1_088) },
    ]) {
      expect((await accept(bob, secrets, changed, env)).ok).toBe(false);
    }
  });

  it("the type is authenticated with a message", async () => {
    const { a, b } = await settledPair("authenticated type");
    const sealed = await encrypt(a, text("typed"), env);
    const decoded = decodeEnvelope(sealed.envelope);
    if (!decoded.ok || decoded.value.type !== "message") throw new Error("no message");
    const prefix = decoded.value.prefix.slice();
    prefix[0] = 3;
    expect((await decrypt(b, { ...decoded.value, prefix }, env)).ok).toBe(false);
    must(await decrypt(b, decoded.value, env));
  });

  it("a HELLO's own bytes are what was greeted with", async () => {
    const { envelope } = await greeted("own bytes");
    expect(asHello(envelope).header).toEqual(envelope.slice(0, 1_329));
  });
});
