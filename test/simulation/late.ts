/**
 * Frames that come late: hours after what followed them, when whoever they are for has another connection, or is another
 * process.
 * Owns: which frames, and how late. Leaves to the networks: what carries a frame in time; to the runs: waiting for them.
 */
import type { Decisions } from "./decisions.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Faults } from "./faults.ts";
import type { Scheduler } from "./scheduler.ts";

/** No frame is under way for longer. */
export const LATE_MS_MAX = 24 * 3_600_000;
/** In front of a number that no connection gave: confirmed, it deletes nothing (transport/src/hub.ts). */
const NO_CONNECTION = 1n << 96n;

export interface LateFrames {
  /** Whether this one does not come now: not at all before it is late. Another one may come in time and late. */
  keepsBack(client: Endpoint, queueId: string, sequence: bigint, blob: Uint8Array): boolean;
  /** When the next one arrives, virtual ms; undefined when none is under way. */
  readonly nextAt: () => number | undefined;
}

export interface LateFramesOptions {
  readonly decisions: Decisions;
  readonly scheduler: Scheduler;
  /** Right now. */
  readonly faults: () => Faults;
  readonly trace: (line: string) => void;
}

export function createLateFrames(options: LateFramesOptions): LateFrames {
  const { decisions, scheduler, faults, trace } = options;
  const underWay: number[] = [];
  return {
    keepsBack(client, queueId, sequence, blob) {
      const how = decisions.fires("late", faults().late);
      if (how === undefined) return false;
      const afterMs = Math.min(how.exponential(faults().lateMean), LATE_MS_MAX);
      underWay.push(scheduler.now + afterMs);
      trace(`a frame for ${client.name} comes ${Math.round(afterMs)} ms late`);
      scheduler.after(afterMs, () =>
        client.running ? client.deliver(queueId, sequence + NO_CONNECTION, blob) : undefined,
      );
      return how.chance(0.5);
    },
    nextAt() {
      const next = Math.min(...underWay.filter((at) => at > scheduler.now));
      return Number.isFinite(next) ? next : undefined;
    },
  };
}
