import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { relayCommands } from "./packages/transport/test/relay-commands.ts";
import { isLong } from "./test/setup/runs.ts";

/** One condition name everywhere: TypeScript, Vite, Vitest and Node all run the sources, never a stale dist. */
const conditions = ["@sotto/source"];
const resolve = { conditions };
const ssr = { resolve: { conditions, externalConditions: conditions } };

/** A condition that comes late on a busy machine is none that fails: the default is one second. */
const waiting = { poll: { timeout: 20_000 } };

const CHROMIUM = process.env["SOTTO_CHROMIUM"] ?? "/usr/bin/chromium";

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: "node",
          environment: "node",
          expect: waiting,
          include: [
            "packages/*/test/**/*.test.ts",
            "relay/test/**/*.test.ts",
            "test/{simulation,architecture,docs,peers,differential,reference,security,attack,operations,durability,conformance}/**/*.test.ts",
          ],
          exclude: ["**/*.browser.test.ts"],
          testTimeout: isLong ? 900_000 : 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "fuzz",
          environment: "node",
          include: ["test/fuzz/**/*.test.ts"],
          maxConcurrency: 2,
        },
      },
      {
        resolve,
        optimizeDeps: {
          include: [
            "lit",
            "lit/directives/repeat.js",
            "dexie",
            "qr",
            "qr/decode.js",
            "linkify-it",
            "fast-check",
            "@chainsafe/libp2p-noise",
            "@libp2p/circuit-relay-v2",
            "@libp2p/crypto/keys",
            "@libp2p/identify",
            "@libp2p/peer-id",
            "@libp2p/webrtc",
            "@libp2p/websockets",
            "@libp2p/yamux",
            "@multiformats/multiaddr",
            "@noble/ciphers/aes.js",
            "@noble/ciphers/chacha.js",
            "@noble/curves/abstract/oprf.js",
            "@noble/curves/ed25519.js",
            "@noble/hashes/argon2.js",
            "@noble/hashes/hkdf.js",
            "@noble/hashes/hmac.js",
            "@noble/hashes/sha2.js",
            "@noble/post-quantum/ml-kem.js",
            "@scure/bip39",
            "@scure/bip39/wordlists/english.js",
            "@scure/bip39/wordlists/simplified-chinese.js",
            "libp2p",
          ],
        },
        test: {
          name: "chromium",
          expect: waiting,
          include: ["packages/*/test/**/*.browser.test.ts"],
          testTimeout: 60_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: CHROMIUM,
                args: [
                  "--no-sandbox",
                  "--disable-gpu",
                  "--disable-background-networking",
                  "--disable-component-update",
                  "--disable-sync",
                ],
              },
            }),
            instances: [{ browser: "chromium" }],
            commands: relayCommands,
          },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "e2e",
          environment: "node",
          expect: waiting,
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          maxConcurrency: 2,
        },
      },
    ],
  },
});
