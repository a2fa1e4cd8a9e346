/**
 * What a run is asked for, as the command line and the page both take it.
 * Owns: what each setting means to a run, and the line that replays one. Leaves to main.ts and page/page.ts: reading them.
 */
import { nobleBackend } from "@sotto/crypto";
import { CROWD, type Faults } from "./faults.ts";
import type { PlantedBug } from "./planted.ts";
import { type Run, twice } from "./run-again.ts";
import { type RunOptions, simulate } from "./simulate.ts";
import { simulateDevices } from "./simulate-devices.ts";

export interface Settings {
  readonly devices: boolean;
  readonly admins: boolean;
  /** How many there are; as the seed draws it when left out. */
  readonly relays: number | undefined;
  /** One of them ends for good. */
  readonly lost: boolean;
  /** Groups are large, with many who never answer. */
  readonly crowd: boolean;
  readonly bug: PlantedBug | undefined;
  readonly real: boolean;
  readonly twice: boolean;
  /** As `listOf` writes it; everything when it is empty. */
  readonly only: string;
}

/** Far beyond what anybody keeps queues at; each is a whole relay to run. */
export const RELAYS_MAX = 8;

export const isRelayCount = (count: number): boolean =>
  Number.isSafeInteger(count) && count >= 1 && count <= RELAYS_MAX;

export function optionsOf({ admins, relays, lost, crowd, bug, real, only }: Settings): RunOptions {
  const faults: Partial<Faults> = {
    ...(relays === undefined ? {} : { relays }),
    ...(lost ? { relayLost: true } : {}),
    ...(crowd ? { crowd: CROWD } : {}),
  };
  return {
    admins,
    ...(bug === undefined ? {} : { bug }),
    ...(real ? { crypto: nobleBackend } : {}),
    ...(relays === undefined && !lost && !crowd ? {} : { faults }),
    ...(only === "" ? {} : { only: new Set(only === "none" ? [] : only.split(",")) }),
  };
}

export function runOf(settings: Settings): Run {
  const once = settings.devices || settings.admins ? simulateDevices : simulate;
  return settings.twice ? twice(once) : once;
}

/** Ids of decisions: nothing else belongs into a line that people paste into a shell. */
const IDS = /^[a-z0-9:,-]*$/;

/** The line that shows a run again; empty when what it was asked for is no list of ids, which no run prints. */
export function commandOf(seed: number, settings: Settings): string {
  const { devices, admins, relays, lost, crowd, bug, real, only } = settings;
  if (!IDS.test(only)) return "";
  const words = [
    ...(devices ? ["--devices"] : []),
    ...(admins ? ["--admins"] : []),
    ...(relays === undefined ? [] : ["--relays", relays]),
    ...(lost ? ["--lost"] : []),
    ...(crowd ? ["--crowd"] : []),
    ...(bug === undefined ? [] : ["--bug", bug]),
    ...(real ? ["--real"] : []),
    ...(settings.twice ? ["--twice"] : []),
    ...(only === "" ? [] : ["--faults", only]),
  ];
  return ["npm run simulate -- --seed", seed, ...words, "--trace"].join(" ");
}
