/** The peers that run in a browser, measured there. libsignal does not: it is a native module. */
import { nobleBackend } from "@sotto/crypto";
import { measurePeers } from "@sotto/peers/measure";
import { createOlm } from "@sotto/peers/olm";
import { privacyresearch } from "@sotto/peers/privacyresearch";
import { createSotto } from "@sotto/peers/sotto";

Object.assign(globalThis, {
  sottoBench: async () =>
    measurePeers([
      createSotto("Sotto (noble)", nobleBackend),
      await createOlm("/olm.wasm"),
      privacyresearch,
    ]),
});
