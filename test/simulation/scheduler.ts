/** Virtual time: events in a heap, run one after another; nothing ever waits for a real clock. */

export interface Scheduler {
  /** Virtual milliseconds since the start. */
  readonly now: number;
  readonly events: number;
  /** Events at the same instant run in the order they were asked for. */
  after(delayMs: number, run: () => void | Promise<void>): () => void;
  /** Runs events up to `until`, or until `done` answers true (asked after each event). */
  runUntil(until: number, done?: () => boolean): Promise<void>;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void | Promise<void>;
  cancelled: boolean;
}

const isBefore = (a: Event, b: Event): boolean => (a.at === b.at ? a.order < b.order : a.at < b.at);

export function createScheduler(): Scheduler {
  const heap: Event[] = [];
  let now = 0;
  let order = 0;
  let events = 0;

  function push(event: Event): void {
    heap.push(event);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  function pop(): Event | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && isBefore(heap[right]!, heap[least]!)) least = right;
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }

  return {
    get now() {
      return now;
    },
    get events() {
      return events;
    },
    after(delayMs, run) {
      const event = { at: now + Math.max(0, delayMs), order: order++, run, cancelled: false };
      push(event);
      return () => {
        event.cancelled = true;
      };
    },
    async runUntil(until, done) {
      while (heap[0] !== undefined && heap[0].at <= until) {
        const event = pop();
        if (event === undefined || event.cancelled) continue;
        now = event.at;
        events++;
        await event.run();
        await reactions();
        if (done?.() === true) return;
      }
      now = until;
    },
  };
}

/** So many events without a turn of the event loop: whoever watches the run wants to be heard, too. */
const EVENTS_PER_TURN = 256;
let sinceTurn = 0;

/**
 * Everything that follows from an event without waiting for another one: promises are not tied to virtual time. In
 * Node.js a tick asked for by a promise's reaction comes when no reaction is left, without a turn of the event loop.
 */
const reactions = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate !== "function") postTask(resolve);
    else if (++sinceTurn < EVENTS_PER_TURN) process.nextTick(resolve);
    else {
      sinceTurn = 0;
      setImmediate(resolve);
    }
  });

/** In a page, a message to oneself comes after all that promises had to do, and no sooner than the page wants it. */
let channel: MessageChannel | undefined;
let waiting: (() => void)[] = [];

function postTask(run: () => void): void {
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.addEventListener("message", () => {
      const due = waiting;
      waiting = [];
      for (const one of due) one();
    });
    channel.port1.start();
  }
  waiting.push(run);
  channel.port2.postMessage(undefined);
}
