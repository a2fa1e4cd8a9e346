/**
 * What things cost. Prints rates of this run and their ratio to a yardstick measured in the same run:
 * machines differ and are noisy, so only the ratios may be compared or quoted.
 */
import { benchCapacity } from "./capacity.ts";
import { benchCrypto } from "./crypto.ts";
import { benchEngines } from "./engines.ts";
import { benchFirstMessage } from "./first-message.ts";
import { benchGroupPeers } from "./group-peers.ts";
import { benchGroups } from "./groups.ts";
import { benchPeers } from "./peers.ts";
import { benchRelay } from "./relay.ts";
import { benchSize } from "./size.ts";
import { benchSync } from "./sync.ts";

export interface Measure {
  readonly name: string;
  /** A word where there is no number: "refuses". */
  readonly value: number | string;
  readonly unit: string;
}

const groups: readonly (readonly [string, () => Promise<readonly Measure[]>])[] = [
  ["cryptography", benchCrypto],
  ["groups", benchGroups],
  ["groups beside others", benchGroupPeers],
  ["engines", benchEngines],
  ["peers", benchPeers],
  ["relay", benchRelay],
  ["capacity of a relay", benchCapacity],
  ["reconciliation of histories", benchSync],
  ["first load", benchSize],
  ["link opened to message seen", benchFirstMessage],
];

const wanted = process.argv[2];
for (const [title, run] of groups) {
  if (wanted !== undefined && !title.includes(wanted)) continue;
  console.log(`\n${title}`);
  for (const { name, value, unit } of await run()) {
    console.log(`  ${name.padEnd(56)} ${format(value).padStart(10)} ${unit}`);
  }
}

function format(value: number | string): string {
  if (typeof value === "string") return value;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
