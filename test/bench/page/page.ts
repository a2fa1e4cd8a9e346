/**
 * The peers that run in a browser, measured there; libsignal does not: it is a native module. The engines that this
 * browser has. And a history in its database.
 */
import { nobleBackend, nobleFileEngine } from "@sotto/crypto";
import { chooseBackend } from "@sotto/engines";
import { platformEngines } from "@sotto/engines/platform";
import { measurePeers } from "@sotto/peers/measure";
import { createOlm } from "@sotto/peers/olm";
import { privacyresearch } from "@sotto/peers/privacyresearch";
import { createSotto } from "@sotto/peers/sotto";
import { chooseEngines } from "../chosen.ts";
import { BENCH_CLOCK, BENCH_PATIENCE } from "../engine-patience.ts";
import type { PeersReport } from "../peers.ts";
import { measureHistory, measureRows } from "./history.ts";

Object.assign(globalThis, {
  sottoBench: async (): Promise<PeersReport> => {
    const engines = await chooseEngines();
    const figures = await measurePeers([
      createSotto("Sotto", engines.backend, engines.files),
      createSotto("Sotto on noble alone", nobleBackend, nobleFileEngine),
      await createOlm("/olm.wasm"),
      privacyresearch,
    ]);
    return { engines: engines.described, figures };
  },
  sottoHistory: measureHistory,
  sottoRows: measureRows,
  sottoEngines: async () => {
    const backend = chooseBackend(platformEngines(), BENCH_CLOCK, BENCH_PATIENCE);
    await backend.choose();
    return backend.describe();
  },
});
