/** A serial queue: tasks run one after another, and one that fails does not stop the next. */
import { MessengerError } from "./messenger.ts";

/** Tasks waiting in one lane; beyond it the caller is refused, because something stopped draining. */
export const LANE_TASKS_MAX = 4_096;
/**
 * Tasks beyond which a lane takes no more of what others cause at will, frames and requests: what happens here (a
 * connection, an answer, a timer, the end) does not come again and needs its place.
 */
export const LANE_OTHERS_MAX = 3_072;
/**
 * Tasks beyond which a lane takes no frames of a direct link, whose sender can send any number: a relay has credit for few,
 * and one that is not taken keeps its credit from everybody's.
 */
export const LANE_DIRECT_MAX = 2_048;

export interface Lane {
  /** Tasks that are not done, with the one that runs. */
  readonly waiting: number;
  /** Rejects with what the task does, or with the limit. */
  run<T>(task: () => Promise<T>): Promise<T>;
  /** Resolves when everything queued so far has run. */
  idle(): Promise<void>;
}

export function createLane(): Lane {
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    get waiting() {
      return waiting;
    },
    async run(task) {
      if (waiting >= LANE_TASKS_MAX) throw new MessengerError("limit", `${waiting} tasks wait`);
      waiting++;
      const result = tail.then(task).finally(() => {
        waiting--;
      });
      tail = result.catch(() => undefined);
      return result;
    },
    async idle() {
      await tail;
    },
  };
}
