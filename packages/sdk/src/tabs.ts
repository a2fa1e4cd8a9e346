/**
 * Tabs of one origin: one leads (runs the engine), the others ask it.
 * Owns: who leads, and the messages between tabs. Leaves to create-messenger.ts: what a command does.
 */
import type { MessageRow } from "@sotto/protocol";
import type {
  AcceptResult,
  Diagnostics,
  ConversationView,
  HubState,
  JoinDevicesResult,
  Me,
  RelayState,
  StorageState,
} from "./messenger.ts";

/** Everything a screen shows except timelines; the leader sends it whole, followers render it. */
export interface Snapshot {
  readonly me: Me;
  readonly conversations: readonly ConversationView[];
  readonly hub: HubState;
  readonly relays: readonly RelayState[];
  readonly storage: StorageState;
  readonly diagnostics: Omit<Diagnostics, "role">;
}

/** What any tab may ask for. Every command may run twice with the same effect as once. */
export type Command =
  | {
      readonly kind: "send";
      readonly conversation: string;
      /** ContentId in hex, chosen by the asking tab. */
      readonly id: string;
      readonly text: string;
    }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "hide-address"; readonly hidden: boolean }
  | { readonly kind: "trust-relay"; readonly url: string | undefined }
  | { readonly kind: "add-relay"; readonly url: string }
  | { readonly kind: "remove-relay"; readonly url: string }
  | { readonly kind: "check-relays" }
  | {
      readonly kind: "set-push";
      readonly subscription: { readonly endpoint: string; readonly pushKey: string } | null;
    }
  /** `conversation`: the id the new conversation shall have. */
  /** `device`: for another device of this account, and nobody else. `again`: the invite to give out once more. */
  | {
      readonly kind: "invite";
      readonly conversation: string;
      readonly device: boolean;
      readonly again?: string;
    }
  | { readonly kind: "accept"; readonly conversation: string; readonly text: string }
  | { readonly kind: "join-devices"; readonly conversation: string; readonly text: string }
  | { readonly kind: "remove-device"; readonly device: string }
  | { readonly kind: "trust-devices"; readonly conversation: string; readonly compared: boolean }
  | { readonly kind: "mark-read"; readonly conversation: string }
  | {
      readonly kind: "merge";
      readonly conversation: string;
      readonly rows: readonly MessageRow[];
    }
  /** `added`, `removed`, `anew`: what the person saw. */
  | {
      readonly kind: "devices-seen";
      readonly conversation: string;
      readonly added: number;
      readonly removed: number;
      readonly anew: number;
    }
  | { readonly kind: "set-verified"; readonly conversation: string; readonly verified: boolean }
  | {
      readonly kind: "answer-identity";
      readonly conversation: string;
      /** As in the view. */
      readonly accountId: string;
      readonly answer: "accept" | "accept-compared" | "reject";
    }
  | {
      readonly kind: "visible";
      readonly conversation: string;
      /** Random per tab: several tabs may show the same conversation. */
      readonly tab: string;
      readonly visible: boolean;
    };

export type CommandResult =
  | { readonly kind: "done" }
  | { readonly kind: "invited"; readonly conversation: string; readonly url: string }
  | { readonly kind: "accepted"; readonly result: AcceptResult }
  | { readonly kind: "joined"; readonly result: JoinDevicesResult }
  | {
      readonly kind: "failed";
      readonly code: "limit" | "usage" | "storage" | "closed";
      readonly message: string;
    };

export type TabMessage =
  /** A tab came up and wants to know. */
  | { readonly kind: "hello" }
  /** The leader's word; the first one after a change of leaders makes followers ask again. */
  | { readonly kind: "leader"; readonly leader: string; readonly snapshot: Snapshot }
  | { readonly kind: "request"; readonly id: string; readonly command: Command }
  | { readonly kind: "response"; readonly id: string; readonly result: CommandResult };

export interface TabPort {
  post(message: TabMessage): void;
  listen(see: (message: TabMessage) => void): void;
  /** Lets the others learn of this tab's end. */
  hold(tab: string): void;
  /** Resolves when the tab that holds this id has ended, crash included. */
  whenGone(tab: string): Promise<void>;
  close(): void;
}

/** Resolves when this tab leads; it leads until `release` or its end. Rejects when `signal` aborts first. */
export type LeaderLock = (signal: AbortSignal) => Promise<{ readonly release: () => void }>;

/** Messages between the tabs of this origin that use the same store. */
export function createBroadcastPort(name: string): TabPort {
  const channel = new BroadcastChannel(`sotto:tabs:${name}`);
  const lockOf = (tab: string): string => `sotto:tab:${name}:${tab}`;
  const closed = new AbortController();
  return {
    post: (message) => channel.postMessage(message),
    listen: (see) => {
      channel.onmessage = (event: MessageEvent<TabMessage>) => see(event.data);
    },
    hold(tab) {
      // Held until the tab ends or closes its messenger.
      navigator.locks
        .request(
          lockOf(tab),
          () =>
            new Promise<void>((resolve) => {
              closed.signal.addEventListener("abort", () => resolve());
            }),
        )
        .catch(() => undefined);
    },
    whenGone: (tab) =>
      navigator.locks.request(lockOf(tab), { signal: closed.signal }, () => undefined),
    close() {
      closed.abort();
      channel.close();
    },
  };
}

/** Web Locks: the browser hands the lock on within milliseconds of a tab's end, crash included. */
export function createWebLock(name: string): LeaderLock {
  return (signal) =>
    new Promise((resolve, reject) => {
      navigator.locks
        .request(`sotto:leader:${name}`, { signal }, () => {
          return new Promise<void>((release) => resolve({ release }));
        })
        .catch(reject);
    });
}

/** For Node, tests and private windows: nobody else can open the store. */
export const soleLeader: LeaderLock = () => Promise.resolve({ release: () => undefined });
