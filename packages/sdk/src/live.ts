/** A value that tells its watchers. Owns: subscription. Leaves to the watchers: when to render. */
import type { Live } from "./messenger.ts";

export interface LiveSource<T> extends Live<T> {
  /** Tells nobody when `next` is the current value. */
  set(next: T): void;
}

export function createLive<T>(initial: T): LiveSource<T> {
  let current = initial;
  const watchers = new Set<(now: T) => void>();
  return {
    get value() {
      return current;
    },
    set(next) {
      if (Object.is(next, current)) return;
      current = next;
      for (const see of watchers) see(next);
    },
    subscribe(see) {
      // A fresh function per subscription, so that the same callback may watch twice and leave once.
      const watcher = (now: T): void => see(now);
      watchers.add(watcher);
      see(current);
      return () => {
        watchers.delete(watcher);
      };
    },
  };
}

/** One part of a live value; told only when that part changed (by `Object.is`, or by `same`). */
export function selectLive<T, U>(
  source: Live<T>,
  select: (whole: T) => U,
  same: (a: U, b: U) => boolean = Object.is,
): Live<U> {
  let current = select(source.value);
  const refresh = (whole: T): U => {
    const next = select(whole);
    if (!same(current, next)) current = next;
    return current;
  };
  return {
    get value() {
      return refresh(source.value);
    },
    subscribe(see) {
      let told: { readonly value: U } | undefined;
      return source.subscribe((whole) => {
        const next = refresh(whole);
        if (told !== undefined && Object.is(told.value, next)) return;
        told = { value: next };
        see(next);
      });
    },
  };
}
