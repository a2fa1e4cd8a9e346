/**
 * The same call to one place after another, until one of them takes it.
 * Owns: when the next one has its turn. Leaves to relays.ts: which places, in which order.
 */
import type { Timers } from "./timers.ts";

/** Without an answer for so long, the next one is asked as well; the first answer that is good counts. */
export const FAILOVER_MS = 2_000;

export interface FailOver<P, T> {
  readonly places: readonly P[];
  readonly call: (place: P) => Promise<T>;
  readonly isGood: (outcome: T) => boolean;
  /** No answer within `FAILOVER_MS`; it may still come. */
  readonly slow: (place: P) => void;
  readonly timers: Timers;
}

/** Resolves with the first good outcome and whose it is; with every outcome when none was good. */
export function failOver<P, T>({
  places,
  call,
  isGood,
  slow,
  timers,
}: FailOver<P, T>): Promise<{
  readonly by: P | undefined;
  readonly outcomes: readonly T[];
}> {
  return new Promise((resolve, reject) => {
    const outcomes: T[] = [];
    let next = 0;
    let open = 0;
    let settled = false;

    function begin(): void {
      const place = places[next];
      if (place === undefined) {
        if (open > 0) return;
        settled = true;
        resolve({ by: undefined, outcomes });
        return;
      }
      next++;
      open++;
      let isLate = false;
      const cancel = timers.after(FAILOVER_MS, () => {
        isLate = true;
        slow(place);
        if (!settled) begin();
      });
      call(place).then((outcome) => {
        open--;
        cancel();
        outcomes.push(outcome);
        if (settled) return;
        if (isGood(outcome)) {
          settled = true;
          resolve({ by: place, outcomes });
        } else if (!isLate || next >= places.length) begin();
      }, reject);
    }
    begin();
  });
}
