/** Messengers over a real relay, and waiting for what they show. */
import { chooseBackend, type ChosenBackend } from "@sotto/engines";
import type { Store } from "@sotto/protocol";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, type Hub, realTimers, type SendTarget, type Timers } from "@sotto/transport";
import { HUB_PATH } from "@sotto/wire";
import {
  createMessenger,
  type Live,
  type Messenger,
  type MessengerParts,
  soleLeader,
  type TabPort,
} from "@sotto/sdk";
import type { TabMessage } from "#src/tabs.ts";

const WAIT_MS = 20_000;

/** Resolves with the first value that passes; rejects with the last one seen. */
export function until<T>(live: Live<T>, test: (now: T) => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    let leave: (() => void) | undefined;
    const timer = setTimeout(() => {
      leave?.();
      reject(new Error(`not seen; last: ${JSON.stringify(live.value)}`));
    }, WAIT_MS);
    let done = false;
    leave = live.subscribe((now) => {
      if (done || !test(now)) return;
      done = true;
      clearTimeout(timer);
      leave?.();
      resolve(now);
    });
    if (done) leave();
  });
}

export interface TestMessengerOptions {
  readonly relayUrl: string;
  readonly name: string;
  readonly store?: Store;
  readonly parts?: Partial<MessengerParts>;
  /** What happens to an envelope instead. */
  readonly appended?: (hub: Hub, target: SendTarget) => ReturnType<Hub["append"]>;
}

/** No candidates: nothing is tried out, and no test waits for it. */
export const nobleOnly = (): ChosenBackend =>
  chooseBackend([], { ...realTimers, pause: () => Promise.resolve() });

export function openTestMessenger(options: TestMessengerOptions): Promise<Messenger> {
  const { relayUrl, name } = options;
  const entropy = (length: number): Uint8Array<ArrayBuffer> =>
    crypto.getRandomValues(new Uint8Array(length));
  const backend = nobleOnly();
  return createMessenger({
    store: options.store ?? createMemoryStore(),
    storageState: { state: "memory" },
    name,
    relayUrl,
    entropy,
    now: Date.now,
    timers: realTimers,
    crypto: backend,
    lock: soleLeader,
    tabs: undefined,
    loadDirect: undefined,
    createHub: ({ url, relayKey, readerSecret }, events) => {
      const hub = createHub({
        url: url.replace(/^http/, "ws") + HUB_PATH,
        relayKey,
        readerSecret,
        crypto: backend,
        entropy,
        events,
      });
      const { appended } = options;
      if (appended === undefined) return hub;
      return Object.defineProperty(hub, "append", {
        value: (target: SendTarget) => appended(hub, target),
      });
    },
    ...options.parts,
  });
}

/** The ports of tabs in one process: what one posts the others hear, copied and later, as between real tabs. */
export function createTabBus(): () => TabPort {
  const listeners = new Set<(message: TabMessage) => void>();
  const held = new Map<string, PromiseWithResolvers<void>>();
  return () => {
    let tab: string | undefined;
    let own: ((message: TabMessage) => void) | undefined;
    return {
      post(message) {
        for (const listener of listeners) {
          if (listener !== own) queueMicrotask(() => listener(structuredClone(message)));
        }
      },
      listen(see) {
        own = see;
        listeners.add(see);
      },
      hold(id) {
        tab = id;
        held.set(id, Promise.withResolvers());
      },
      whenGone: (id) => held.get(id)?.promise ?? Promise.resolve(),
      close() {
        if (own !== undefined) listeners.delete(own);
        if (tab !== undefined) held.get(tab)?.resolve();
      },
    };
  };
}

/** One lock, granted in the order asked for. */
export function createTestLock(): MessengerParts["lock"] {
  let tail: Promise<void> = Promise.resolve();
  return (signal) => {
    const turn = tail;
    let release: () => void = () => undefined;
    tail = new Promise((resolve) => {
      release = resolve;
    });
    signal.addEventListener("abort", () => release());
    return turn.then(() => {
      if (signal.aborted) throw new Error("aborted");
      return { release };
    });
  };
}

/** Real timers, of which those of one length can be made to end now. */
export function createTestTimers(): Timers & {
  pending(ms: number): number;
  fire(ms: number): void;
} {
  const waiting = new Set<{ readonly ms: number; end(): void }>();
  return {
    now: () => realTimers.now(),
    after(ms, run) {
      const cancel = realTimers.after(ms, () => timer.end());
      const timer = {
        ms,
        end() {
          if (!waiting.delete(timer)) return;
          cancel();
          run();
        },
      };
      waiting.add(timer);
      return () => {
        waiting.delete(timer);
        cancel();
      };
    },
    pending: (ms) => [...waiting].filter((timer) => timer.ms === ms).length,
    fire(ms) {
      for (const timer of waiting) if (timer.ms === ms) timer.end();
    },
  };
}
