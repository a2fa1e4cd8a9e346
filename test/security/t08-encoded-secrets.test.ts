/**
 * T-08: secrets through the side channels of text and through buffers left behind (vodozemac CVE-2024-40640 and
 * CVE-2024-34063). Encoders of text here look bytes up in tables and take their time by them, so no secret is put
 * through one but those that people carry as text; and what is copied for OpenSSL is cleared when it has been read. That
 * kernels leave nothing: packages/engines/test/kernel.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nobleBackend } from "@sotto/crypto";
import { afterEach, describe, expect, it, vi } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;
const PACKAGES = ["wire", "crypto", "engines", "protocol", "storage", "transport", "sdk"];

const sources = [...PACKAGES.map((name) => `packages/${name}/src`), "relay/src", "app/src"].flatMap(
  (folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
);

/** Whatever makes text of bytes, up to the bracket that closes it. */
const ENCODED =
  /(?:bytesTo(?:Hex|Base\w+)|btoa)\(([^()]*(?:\([^()]*\))?[^()]*)\)|([\w.?]+)\.(?:toString\(["'](?:hex|base64(?:url)?)["']\)|toHex\(\)|toBase64\()/g;
/** Names that secrets have. */
const SECRET =
  /secret|seed|(?:root|chain|message|header|next|signal|send|link|file|shared)Key\b|encodeInvite|password|phrase|mnemonic/i;
/** An account's root key is public, other than a ratchet's. */
const PUBLIC = /(?:cert|list)\.rootKey\b/g;

/** By the place that makes it. */
const CARRIED_AS_TEXT = [
  // The link itself.
  "packages/wire/src/invite.ts: encodeInvite(invite)",
  // An account's root key, among keys that must differ.
  "packages/crypto/src/device-list.ts: rootKey",
  // Names a link that is being followed, in memory.
  "packages/sdk/src/leader.ts: invite.seed",
];

const textsOfSecrets = (): readonly string[] =>
  sources.flatMap((path) =>
    [...readFileSync(join(ROOT, path), "utf8").matchAll(ENCODED)]
      .map(([, bytes, object]) => (bytes ?? object ?? "").trim())
      .filter((what) => SECRET.test(what.replaceAll(PUBLIC, "")))
      .map((what) => `${path}: ${what}`),
  );

describe("text", () => {
  it("is made of no secret but those that people carry as text", () => {
    expect(textsOfSecrets().toSorted()).toEqual(CARRIED_AS_TEXT.toSorted());
  });
});

describe("what is copied for OpenSSL", () => {
  afterEach(() => {
    vi.doUnmock("node:crypto");
    vi.resetModules();
  });

  it.each(["raw bytes", "DER"])("as %s is cleared when it has been read", async (form) => {
    const handed: Buffer[] = [];
    vi.resetModules();
    vi.doMock("node:crypto", async (load) => {
      const real = await load<typeof import("node:crypto")>();
      type Input = Parameters<typeof real.createPrivateKey>[0];
      return {
        ...real,
        createPublicKey: (input: Parameters<typeof real.createPublicKey>[0]) => {
          if (form === "DER" && (input as { format?: string }).format === "raw-public") {
            throw new TypeError("unknown format");
          }
          return real.createPublicKey(input);
        },
        createPrivateKey: (input: Input) => {
          const { key } = input as { readonly key: Buffer };
          handed.push(key);
          expect(key.some((byte) => byte !== 0)).toBe(true);
          return real.createPrivateKey(input);
        },
      };
    });
    const { nodeBackend } = await import("@sotto/engines/node");
    const secret = new Uint8Array(32).fill(5);
    const seed = new Uint8Array(64).fill(6);
    const remote = await nobleBackend.dhPublic(new Uint8Array(32).fill(9));
    await nodeBackend.dh(secret, remote);
    await nodeBackend.sign(Uint8Array.from(secret), remote);
    await nodeBackend.signPublic(Uint8Array.from(secret));
    await nodeBackend.kemPublic(seed);
    expect(handed).toHaveLength(4);
    for (const key of handed) expect(key.every((byte) => byte === 0)).toBe(true);
  });
});
