/** A serial queue: tasks run one after another, and one that fails does not stop the next. */

/** Tasks waiting in one lane; beyond it the caller is refused, because something stopped draining. */
export const LANE_TASKS_MAX = 4_096;

export interface Lane {
  run<T>(task: () => Promise<T>): Promise<T>;
  /** Resolves when everything queued so far has run. */
  idle(): Promise<void>;
}

export function createLane(): Lane {
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    async run(task) {
      if (waiting >= LANE_TASKS_MAX) throw new RangeError(`lane holds ${waiting} tasks`);
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
