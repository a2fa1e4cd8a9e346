/**
 * All targets, and which exports need one: of the packages by their names, of files that read what others sent all of
 * them. Loaded after the instrumentation only.
 */
import * as crypto from "@sotto/crypto";
import * as backup from "@sotto/crypto/backup";
import * as issuer from "@sotto/crypto/issuer";
import * as recovery from "@sotto/crypto/recovery";
import * as token from "@sotto/crypto/token";
import * as grams from "@sotto/storage/grams";
import * as storage from "@sotto/storage/segment";
import * as sync from "@sotto/sync";
import * as wire from "@sotto/wire";
import * as offeredRelays from "../../../app/src/offered-relays.ts";
import { backupRows } from "../../../packages/sdk/test/decoders.ts";
import {
  admissionAnswer,
  frameStream,
  initChannel,
  peerAddress,
} from "../../../packages/transport/test/decoders.ts";
import { admissionRequest, stun, stunServer } from "../../../relay/test/decoders.ts";
import type { Target } from "../target.ts";
import { accountTargets } from "./account.ts";
import { backupTargets } from "./backups.ts";
import { fileTarget } from "./files.ts";
import { groupTargets } from "./groups.ts";
import { linkTargets } from "./links.ts";
import { offeredRelaysTarget } from "./offered-relays.ts";
import { pleaTarget } from "./pleas.ts";
import { wayTarget } from "./ways.ts";
import { reconciliationTarget } from "./reconciliation.ts";
import { recoveryTarget } from "./recovery.ts";
import { relayTarget } from "./relay.ts";
import { wireTargets } from "./codecs.ts";
import { sealedTargets } from "./sealed.ts";
import { sequenceTargets } from "./sequence.ts";
import { stunTargets } from "./stun.ts";
import { tokenTargets } from "./tokens.ts";

export const TARGETS: readonly Target[] = [
  ...wireTargets,
  ...sealedTargets,
  ...sequenceTargets,
  ...accountTargets,
  ...groupTargets,
  pleaTarget(),
  wayTarget(),
  fileTarget(),
  reconciliationTarget(),
  relayTarget,
  ...linkTargets,
  ...stunTargets,
  ...backupTargets,
  recoveryTarget(),
  ...tokenTargets,
  offeredRelaysTarget,
];

/** Exports of these with a name that says so take what others sent. */
const PACKAGES = {
  wire,
  crypto,
  backup,
  issuer,
  recovery,
  token,
  sync,
  storage,
  grams,
};
/** Every function of these does, or is named as local. */
const FILES = {
  admissionAnswer,
  admissionRequest,
  backupRows,
  frameStream,
  initChannel,
  offeredRelays,
  peerAddress,
  stun,
  stunServer,
};

const DECODER =
  /^(decode|open|read|parse|accept|decrypt|initiate|join|verify|evaluate|finish|linkTo)|ToBytes$|^bytesToUtf8$|From[A-Z]/;

/** Exports with such a name that nothing remote reaches, or only through a decoder that has a target. */
const LOCAL = new Set([
  "wire.decodeWith",
  "wire.utf8ToBytes",
  // Of a state that sealing or opening chunks made here.
  "crypto.finishOpening",
  "crypto.finishSealing",
  // Of states that the own folds made.
  "sync.joinMessages",
  "sync.joinPlaces",
  // Under decodeAddress and decodeContent.
  "wire.readAddress",
  "wire.readAddresses",
  // Under the decoders of segments, directories and id blocks.
  "storage.readVarint",
  // What we write ourselves, and what is made of values that were checked.
  "backupRows.lineOf",
  "frameStream.packFrame",
  "peerAddress.peerIdToBytes",
  "stun.encodeStun",
  "stun.longTermKey",
  "stun.timedCredential",
  "stun.xorAddress",
  // Of a key that signed the relay's hello.
  "peerAddress.peerIdFromRelayKey",
  // Sockets and clocks around `stunAnswer`.
  "stunServer.createStunLimits",
  "stunServer.startStun",
]);

const needy = (): readonly string[] =>
  Object.entries({ ...PACKAGES, ...FILES }).flatMap(([name, exports]) =>
    Object.entries(exports)
      .filter(([key, value]) => typeof value === "function" && (name in FILES || DECODER.test(key)))
      .map(([key]) => `${name}.${key}`),
  );

/** Decoders that no target drives: each needs one, or a place in the list above with a reason. */
export const uncovered = (): readonly string[] => {
  const covered = new Set(TARGETS.flatMap((target) => target.covers));
  return needy().filter((key) => !covered.has(key) && !LOCAL.has(key));
};

/** Names in `covers` that are exported by nobody: left over after a change. */
export const unknown = (): readonly string[] => {
  const exported = new Set(
    Object.entries({ ...PACKAGES, ...FILES }).flatMap(([name, exports]) =>
      Object.keys(exports).map((key) => `${name}.${key}`),
    ),
  );
  // Of sotto-relay/core, a target drives a whole connection.
  return [...TARGETS.flatMap((target) => target.covers), ...LOCAL].filter(
    (key) => !key.startsWith("relay.") && !exported.has(key),
  );
};
