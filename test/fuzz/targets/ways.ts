/** How a device can be reached, sealed by whoever has the key, and saying anything. */
import {
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  openWay,
  type OwnDevice,
  sealWay,
  type Way,
} from "@sotto/crypto";
import {
  asSendId,
  concatBytes,
  encodeAddresses,
  encodeBundle,
  FIRST_USE_BYTES,
  SEALED_WAY_BYTES_MAX,
  SEND_ID_BYTES,
} from "@sotto/wire";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { Finding, type Target } from "../target.ts";
import { envOf, trusting } from "./parties.ts";

interface Prepared {
  readonly alice: OwnDevice;
  readonly bob: OwnDevice;
  readonly way: Way;
}

/** Around the body: nonce 12 and AEAD tag 16. */
const BODY_BYTES_MAX = SEALED_WAY_BYTES_MAX - 28;

export function wayTarget(): Target {
  const backend = trusting(stubBackend);
  let prepared: Prepared | undefined;
  return {
    name: "way",
    covers: ["crypto.openWay"],
    maxBytes: BODY_BYTES_MAX,
    weight: 1,
    steps: { base: 100_000, perByte: 400 },
    async run(input) {
      if (prepared === undefined) throw new Error("call seeds first");
      const { alice, bob, way } = prepared;
      const seal = (what: Way, body?: Uint8Array) => {
        const sealing: CryptoBackend = {
          ...backend,
          seal: (key, nonce, aad, plaintext) => backend.seal(key, nonce, aad, body ?? plaintext),
        };
        return sealWay(alice, bob.cert, what, envOf(sealing, 93));
      };
      const sealed = await seal(way, input.subarray(0, BODY_BYTES_MAX));
      const opened = await openWay(bob, alice.cert, sealed, backend);
      if (opened === undefined) return { accepted: false };
      if (Buffer.compare(await seal(opened), sealed) !== 0) {
        throw new Finding("a way has two forms");
      }
      return { accepted: true, result: opened };
    },
    async seeds() {
      if (prepared === undefined) {
        const env = envOf(stubBackend, 92);
        const alice = await createOwnDevice(env);
        const { bundle } = await createInviteBundle(alice, env);
        const address = {
          relayUrl: "https://relay.example",
          relayKey: new Uint8Array(32).fill(5),
          sendId: asSendId(new Uint8Array(SEND_ID_BYTES).fill(6)),
          firstUse: new Uint8Array(FIRST_USE_BYTES).fill(7),
        };
        prepared = {
          alice,
          bob: await createOwnDevice(env),
          way: { bundle, addresses: [address] },
        };
      }
      const { way } = prepared;
      return [concatBytes(block(encodeBundle(way.bundle)), block(encodeAddresses(way.addresses)))];
    },
  };
}

const block = (bytes: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes);
