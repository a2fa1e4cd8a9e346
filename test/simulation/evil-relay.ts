/** What a hostile relay can do with what it carries: all but read it. Both networks ask here on the way. */
import { EnvelopeType, GROUP_ENVELOPE_TYPE } from "@sotto/wire";
import type { Decisions } from "./decisions.ts";
import type { Faults } from "./faults.ts";

/** One delivery to the owner of a queue. */
export interface Delivery {
  /** Hex. */
  readonly queueId: string;
  readonly sequence: bigint;
  readonly blob: Uint8Array;
}

export interface EvilRelay {
  /** What the owner gets in the place of this delivery. */
  delivered(genuine: Delivery): readonly Delivery[];
  /** True: it says OK and throws the frame away. */
  liesAbout(): boolean;
}

const REMEMBERED_MAX = 200;
/** What an app that expects a queue may find in it, some as long as envelopes are, of every type and of one there is not. */
const FORGED_BYTES = [0, 1, 40, 80, 256, 336, 1_104, 2_048, 4_176, 70_000];

export function createEvilRelay(
  decisions: Decisions,
  faults: () => Faults,
  trace: (line: string) => void,
): EvilRelay {
  const seen: Delivery[] = [];
  return {
    delivered(genuine) {
      const now = faults();
      const given: Delivery[] = [];
      const { queueId, sequence, blob } = genuine;
      const hidden = decisions.fires("relay-hides", now.evilHide);
      // Who never got the first message of all has nowhere to answer, and its sender cannot know: see `KNOWN_LIMITS`.
      const isFirst = blob[0] === EnvelopeType.hello;
      const swapped = decisions.fires("relay-swaps", now.evilSwap);
      const cut = decisions.fires("relay-cuts", now.evilCut);
      if (swapped !== undefined && seen.length > 0 && !isFirst) {
        given.push({ queueId, sequence, blob: swapped.pick(seen).blob });
      } else if (cut !== undefined && !isFirst) {
        const length = cut.chance(0.5) ? cut.int(blob.length) : blob.length + cut.between(1, 64);
        const other = new Uint8Array(length);
        other.set(blob.subarray(0, length));
        given.push({ queueId, sequence, blob: other });
      } else if (hidden === undefined || isFirst) {
        given.push(genuine);
      }
      const replayed = decisions.fires("relay-replays", now.evilReplay);
      const own = seen.filter((one) => one.queueId === queueId);
      if (replayed !== undefined && own.length > 0) {
        const old = replayed.pick(own);
        // Under its old number or under one that there never was.
        given.push(replayed.chance(0.5) ? old : { ...old, sequence: sequence + 1_000_000n });
      }
      const forged = decisions.fires("relay-forges", now.evilForge);
      if (forged !== undefined) {
        const bytes = forged.bytes(forged.pick(FORGED_BYTES));
        if (bytes.length > 0) bytes[0] = forged.int(GROUP_ENVELOPE_TYPE + 2);
        given.push({ queueId, sequence: sequence + 2_000_000n, blob: bytes });
      }
      if (given.length !== 1 || given[0] !== genuine) {
        trace(`relay gives ${given.length} for #${sequence} of ${queueId.slice(0, 6)}`);
      }
      seen.push(genuine);
      if (seen.length > REMEMBERED_MAX) seen.shift();
      return given;
    },
    liesAbout: () => decisions.fires("relay-lies", faults().evilLie) !== undefined,
  };
}
