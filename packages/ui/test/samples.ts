/** What elements are given in tests: views, messages, and values that change. */
import type { ConversationView, Live, MessageView } from "@sotto/sdk";

export interface Settable<T> extends Live<T> {
  set(value: T): void;
  /** How many are watching: elements must leave when they are removed. */
  readonly watchers: number;
}

export function settable<T>(initial: T): Settable<T> {
  let value = initial;
  const watchers = new Set<(now: T) => void>();
  return {
    get value() {
      return value;
    },
    get watchers() {
      return watchers.size;
    },
    set(next) {
      value = next;
      for (const see of watchers) see(next);
    },
    subscribe(see) {
      watchers.add(see);
      see(value);
      return () => watchers.delete(see);
    },
  };
}

export const NOW = Date.UTC(2026, 10, 25, 12, 0);
const MINUTE_MS = 60_000;

export function aView(values: Partial<ConversationView> = {}): ConversationView {
  return {
    id: "ada",
    kind: "contact",
    name: "Ada",
    lastText: undefined,
    lastOwn: false,
    lastAt: NOW,
    unread: 0,
    verified: false,
    newIdentity: undefined,
    devices: { others: 0, added: 0, removed: 0, anew: 0, conflict: false },
    catchingUp: false,
    link: { state: "relayed" },
    invite: undefined,
    ...values,
  };
}

export function aMessage(values: Partial<MessageView> = {}): MessageView {
  return {
    id: "m1",
    own: false,
    text: "Hello",
    sentAt: NOW,
    status: values.own === true ? "delivered" : "received",
    path: undefined,
    ...values,
  };
}

/** `count` messages a minute apart, alternating in pairs, ascending; the first one is number `from`. */
export function someMessages(count: number, from = 0): readonly MessageView[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    return aMessage({
      id: `m${number}`,
      own: number % 4 < 2,
      text: `Message ${number}`,
      sentAt: NOW + number * MINUTE_MS,
    });
  });
}
