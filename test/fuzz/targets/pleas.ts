/** What a device that has lost its session says to a contact: sealed by whoever has the key, and saying anything. */
import {
  createInviteBundle,
  createOwnDevice,
  openPlea,
  type OwnDevice,
  sealPlea,
} from "@sotto/crypto";
import { concatBytes, decodeEnvelope, encodeBundle, type PrekeyBundle } from "@sotto/wire";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { Finding, type Target } from "../target.ts";
import { editingBackend, envOf, START, trusting } from "./parties.ts";

interface Prepared {
  readonly alice: OwnDevice;
  readonly bob: OwnDevice;
  readonly bundle: PrekeyBundle;
}

export function pleaTarget(): Target {
  const editing = trusting(editingBackend(stubBackend));
  let prepared: Prepared | undefined;
  return {
    name: "plea",
    covers: ["crypto.openPlea"],
    maxBytes: 2_048,
    weight: 1,
    steps: { base: 100_000, perByte: 400 },
    async run(input) {
      if (prepared === undefined) throw new Error("call seeds first");
      const { alice, bob, bundle } = prepared;
      const seal = async (plea: Parameters<typeof sealPlea>[2], body?: Uint8Array) => {
        editing.edit(body === undefined ? [] : [{ call: 0, at: 0, bytes: body }]);
        return sealPlea(alice, bob.cert, plea, envOf(editing, 91));
      };
      const whole = new Uint8Array(2_048);
      whole.set(input.subarray(0, whole.length));
      const envelope = await seal({ at: START, bundle }, whole);
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok || decoded.value.type !== "plea") throw new Finding("a plea is none");
      const opened = await openPlea(bob, alice.cert, decoded.value, editing);
      if (opened === undefined) return { accepted: false };
      if (Buffer.compare(await seal(opened), envelope) !== 0) {
        throw new Finding("a plea has two forms");
      }
      return { accepted: true, result: opened };
    },
    async seeds() {
      if (prepared === undefined) {
        const env = envOf(stubBackend, 90);
        const alice = await createOwnDevice(env);
        const { bundle } = await createInviteBundle(alice, env);
        prepared = { alice, bob: await createOwnDevice(env), bundle };
      }
      const bytes = encodeBundle(prepared.bundle);
      const front = Uint8Array.of(0, 0, 0, 0, 0, 7, bytes.length >> 8, bytes.length & 255);
      return [concatBytes(front, bytes)];
    },
  };
}
