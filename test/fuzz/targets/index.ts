/** All targets, and which exports of wire and crypto need one. Loaded after the instrumentation only. */
import * as crypto from "@sotto/crypto";
import * as wire from "@sotto/wire";
import type { Target } from "../target.ts";
import { accountTargets } from "./account.ts";
import { fileTarget } from "./files.ts";
import { groupTargets } from "./groups.ts";
import { pleaTarget } from "./pleas.ts";
import { wayTarget } from "./ways.ts";
import { relayTarget } from "./relay.ts";
import { wireTargets } from "./codecs.ts";
import { sealedTargets } from "./sealed.ts";
import { sequenceTargets } from "./sequence.ts";

export const TARGETS: readonly Target[] = [
  ...wireTargets,
  ...sealedTargets,
  ...sequenceTargets,
  ...accountTargets,
  ...groupTargets,
  pleaTarget(),
  wayTarget(),
  fileTarget(),
  relayTarget,
];

/** A function with such a name takes what others sent. */
const DECODER =
  /^(decode|open|read|parse|accept|decrypt|initiate|join|verify|linkTo)|ToBytes$|^bytesToUtf8$|From[A-Z]/;

/** Exports with such a name that nothing remote reaches, or only through a decoder that has a target. */
const LOCAL = new Set([
  "wire.decodeWith",
  "wire.utf8ToBytes",
  // Under decodeAddress and decodeContent.
  "wire.readAddress",
  "wire.readAddresses",
]);

/** Decoders that no target drives: each needs one, or a place in the list above with a reason. */
export const uncovered = (): readonly string[] => {
  const covered = new Set(TARGETS.flatMap((target) => target.covers));
  return Object.entries({ wire, crypto })
    .flatMap(([name, exports]) =>
      Object.entries(exports)
        .filter(([key, value]) => typeof value === "function" && DECODER.test(key))
        .map(([key]) => `${name}.${key}`),
    )
    .filter((key) => !covered.has(key) && !LOCAL.has(key));
};

/** Names in `covers` that are exported by nobody: left over after a change. */
export const unknown = (): readonly string[] => {
  const exported = new Set(
    Object.entries({ wire, crypto }).flatMap(([name, exports]) =>
      Object.keys(exports).map((key) => `${name}.${key}`),
    ),
  );
  return TARGETS.flatMap((target) => target.covers).filter(
    (key) => /^(wire|crypto)\./.test(key) && !exported.has(key),
  );
};
