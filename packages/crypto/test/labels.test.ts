/** Domain separation: a key, a signature or a sealed thing made for one purpose is refused for every other. */
import { readdirSync, readFileSync } from "node:fs";
import {
  accept,
  createInviteBundle,
  decrypt,
  deriveInviteKeys,
  encrypt,
  LABELS,
  openInviteOffer,
  openSignal,
  SEALED_OFFER_BYTES,
  sealInviteOffer,
  sealSignal,
} from "@sotto/crypto";
import { decodeEnvelope, type Envelope } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { ed25519Public, ed25519Sign, ed25519Verify, labelled } from "#src/primitives.ts";
import { offerOf, signal } from "./samples.ts";
import { greeted, seededEnv, settledPair, text } from "./support.ts";

const SOURCES = new URL("../src/", import.meta.url);

describe("the registry of labels", () => {
  const labels = Object.values(LABELS);

  it("has no two equal, and each names suite 1", () => {
    expect(new Set(labels).size).toBe(labels.length);
    for (const label of labels) expect(label).toMatch(/^sotto\/1 [a-z ]+$/);
  });

  it("has no two whose labelled messages can be equal: none is a prefix of another up to its 0x00", () => {
    for (const one of labels) {
      for (const other of labels) {
        if (one !== other) expect(`${other}\0`.startsWith(`${one}\0`)).toBe(false);
      }
    }
  });

  it("holds every label the package uses, and the package uses every label", () => {
    const sources = readdirSync(SOURCES)
      .filter((name) => name.endsWith(".ts") && name !== "labels.ts")
      .map((name) => readFileSync(new URL(name, SOURCES), "utf8"))
      .join("\n");
    expect(sources).not.toContain('"sotto/');
    for (const key of Object.keys(LABELS)) expect(sources).toContain(`LABELS.${key}`);
  });

  it("is written down in SPEC.md, each label with its bytes", () => {
    const spec = readFileSync(new URL("../SPEC.md", import.meta.url), "utf8");
    for (const label of labels) expect(spec).toContain(`\`${label}\``);
  });

  it("gives each signature one meaning", () => {
    const seed = new Uint8Array(32).fill(9);
    const key = ed25519Public(seed);
    const body = text("one body");
    for (const made of labels) {
      const signature = ed25519Sign(seed, labelled(made, body));
      for (const checked of labels) {
        if (made === checked) continue;
        expect(ed25519Verify(key, labelled(checked, body), signature)).toBe(false);
      }
    }
  });
});

describe("what is sealed as one kind", () => {
  it("opens as that kind and no other, also after its type byte was changed", async () => {
    const env = seededEnv("matrix");
    const { a, b } = await settledPair("matrix");
    const { bob, secrets, envelope: hello } = await greeted("matrix, hello");
    const { bundle } = await createInviteBundle(bob, env);
    const seed = env.entropy(16);
    const kinds: Readonly<Record<string, Uint8Array>> = {
      message: (await encrypt(a, text("message"), env)).envelope,
      hello,
      signal: await sealSignal(a, signal, env),
      offer: await sealInviteOffer(seed, offerOf(bundle), env),
    };
    // The widest opportunity: one set of keys for everything.
    const { linkKey } = deriveInviteKeys(seed);
    const shared = {
      ...b,
      remoteSignalKey: linkKey,
      receiving: { headerKey: linkKey, chainKey: linkKey, next: 0 },
    };
    const openers: Readonly<Record<string, (bytes: Uint8Array) => Promise<boolean>>> = {
      message: async (bytes) => {
        const envelope = decode(bytes, 2);
        if (envelope?.type !== "message") return false;
        return (await decrypt(b, envelope, env)).ok || (await decrypt(shared, envelope, env)).ok;
      },
      hello: async (bytes) => {
        const envelope = decode(bytes, 1);
        return envelope?.type === "hello" && (await accept(bob, secrets, envelope, env)).ok;
      },
      signal: async (bytes) => {
        const envelope = decode(bytes, 3);
        if (envelope?.type !== "signal") return false;
        const own = await openSignal(b, envelope, env.crypto);
        return own !== undefined || (await openSignal(shared, envelope, env.crypto)) !== undefined;
      },
      offer: async (bytes) => {
        const sized = new Uint8Array(SEALED_OFFER_BYTES);
        sized.set(bytes.subarray(0, SEALED_OFFER_BYTES));
        return (await openInviteOffer(seed, sized, env.crypto)) !== undefined;
      },
    };
    for (const [made, bytes] of Object.entries(kinds)) {
      for (const [opener, opens] of Object.entries(openers)) {
        expect(await opens(bytes), `${made} as ${opener}`).toBe(made === opener);
      }
    }
  });
});

/** The bytes as an envelope of `type`, cut or grown to a bucket when that is all that is missing. */
function decode(bytes: Uint8Array, type: number): Envelope | undefined {
  const copy = new Uint8Array(bytes.length > 2_048 ? 4_096 : Math.max(bytes.length, 256));
  copy.set(bytes);
  if (copy[0] !== type) copy[0] = type;
  const decoded = decodeEnvelope(copy);
  return decoded.ok ? decoded.value : undefined;
}
