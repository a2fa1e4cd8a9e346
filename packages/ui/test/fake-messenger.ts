/**
 * A messenger without keys, network or storage, for looking at elements and testing them.
 * Everything it shows is set by the test; what it is told is kept in `told`.
 */
import type {
  AcceptResult,
  Conversation,
  ConversationView,
  Diagnostics,
  HubState,
  Live,
  Me,
  MessageView,
  Messenger,
  StorageState,
  Timeline,
} from "@sotto/sdk";

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

export interface FakeConversation extends Conversation {
  readonly view: Settable<ConversationView>;
  readonly timeline: Settable<Timeline>;
}

export function fakeConversation(
  view: ConversationView,
  messages: readonly MessageView[] = [],
): FakeConversation {
  const views = settable(view);
  const timeline = settable<Timeline>({ messages, hasOlder: false });
  let sent = 0;
  return {
    id: view.id,
    view: views,
    timeline,
    send(text) {
      sent += 1;
      const message = aMessage({
        id: `sent${sent}`,
        own: true,
        text,
        sentAt: Date.now(),
        status: "relayed",
      });
      timeline.set({ ...timeline.value, messages: [...timeline.value.messages, message] });
      return Promise.resolve(message.id);
    },
    loadOlder: () => Promise.resolve(),
    markRead() {
      views.set({ ...views.value, unread: 0 });
      return Promise.resolve();
    },
    setVisible: () => undefined,
    safetyNumber: () =>
      Promise.resolve({
        groups: Array.from({ length: 12 }, (_, index) => String(10_000 + index * 4_321)),
        qr: "SOTTO1:0123456789ABCDEF0123456789ABCDEF",
      }),
    matchesSafetyNumber: (text) => Promise.resolve(text.startsWith("10000")),
    setVerified(verified) {
      views.set({ ...views.value, verified });
      return Promise.resolve();
    },
  };
}

export interface FakeMessenger extends Messenger {
  readonly me: Settable<Me>;
  readonly conversations: Settable<readonly ConversationView[]>;
  readonly hub: Settable<HubState>;
  readonly storage: Settable<StorageState>;
  readonly diagnostics: Settable<Diagnostics>;
  /** What `accept` answers. */
  answer: AcceptResult;
}

export function fakeMessenger(all: readonly FakeConversation[]): FakeMessenger {
  const me = settable<Me>({ name: "Quiet Otter", accountId: "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" });
  const conversations = settable<readonly ConversationView[]>(all.map((one) => one.view.value));
  for (const one of all) {
    one.view.subscribe(() => conversations.set(all.map((each) => each.view.value)));
  }
  return {
    me,
    conversations,
    hub: settable<HubState>("online"),
    storage: settable<StorageState>({ state: "ok", persisted: true }),
    diagnostics: settable<Diagnostics>({ role: "leader", dropped: {}, direct: 0, damagedRows: 0 }),
    answer: { ok: false, reason: "gone" },
    rename(name) {
      me.set({ ...me.value, name });
      return Promise.resolve();
    },
    trustRelay: () => Promise.resolve(),
    invite() {
      const invited = conversations.value.find((one) => one.kind === "invited");
      return invited?.invite === undefined
        ? Promise.reject(new Error("no invite prepared"))
        : Promise.resolve({ conversation: invited.id, url: invited.invite.url });
    },
    accept() {
      return Promise.resolve(this.answer);
    },
    conversation: (id) => all.find((one) => one.id === id),
    close: () => Promise.resolve(),
  };
}
