/**
 * What events amount to: states that are joined, so that neither order nor repetition of events makes a difference.
 * Owns: the join of each state and what one event contributes. Leaves to the store: where states are kept.
 * Spec: SPEC.md §6.
 */
import { type AccountId, bytesToHex, compareBytes, equalBytes, type EventId } from "@sotto/wire";
import {
  contentHashOf,
  type HistoryEvent,
  type Place,
  type Setting,
  type Target,
} from "./event.ts";
import { timeOf } from "./item.ts";

/** Which event something is of. Of two, the later id counts, and of two with one id the greater hash. */
export interface Stamp {
  readonly id: EventId;
  /** Content hash of the event. */
  readonly hash: Uint8Array;
}

const compareStamps = (a: Stamp, b: Stamp): number =>
  compareBytes(a.id, b.id) || compareBytes(a.hash, b.hash);

export interface Text extends Stamp {
  /** Undefined once it is deleted. */
  readonly said:
    | {
        readonly text: string;
        readonly replyTo: Target | undefined;
        readonly lifetimeS: number;
      }
    | undefined;
}

export interface Edit extends Stamp {
  readonly text: string;
}

export interface Reaction extends Stamp {
  readonly author: AccountId;
  readonly emoji: string;
  readonly isOn: boolean;
}

/** Everything about one message, whether or not the message itself is there already. */
export interface MessageState {
  readonly text: Text | undefined;
  readonly edit: Edit | undefined;
  /** The first one: by its author, for everybody. */
  readonly deletion: Stamp | undefined;
  /** On the own devices. */
  readonly isHidden: boolean;
  /** By author and emoji. */
  readonly reactions: ReadonlyMap<string, Reaction>;
}

export type SettingState = Stamp & Setting;

/** Everything about a place that is not about one of its messages. */
export interface PlaceState {
  /** By author in hex. */
  readonly received: ReadonlyMap<string, EventId>;
  readonly read: ReadonlyMap<string, EventId>;
  readonly settings: ReadonlyMap<Setting["field"], SettingState>;
}

export const EMPTY_MESSAGE: MessageState = {
  text: undefined,
  edit: undefined,
  deletion: undefined,
  isHidden: false,
  reactions: new Map(),
};

export const EMPTY_PLACE: PlaceState = {
  received: new Map(),
  read: new Map(),
  settings: new Map(),
};

/** An event with its content hash. */
export interface LoggedEvent {
  readonly event: HistoryEvent;
  readonly hash: Uint8Array;
}

export const logEvent = (event: HistoryEvent): LoggedEvent => ({
  event,
  hash: contentHashOf(event),
});

/** What one event says, and of what. A key names the state that it is joined to. */
export type Contribution =
  | { readonly of: "message"; readonly key: string; readonly state: MessageState }
  | { readonly of: "place"; readonly key: string; readonly state: PlaceState };

export const messageKey = (place: Place, { id, author }: Target): string =>
  `${placeKey(place)}/${bytesToHex(id)}${bytesToHex(author)}`;

export function placeKey(place: Place): string {
  switch (place.kind) {
    case "notes":
      return bytesToHex(place.account);
    case "pair":
      return bytesToHex(place.accounts[0]) + bytesToHex(place.accounts[1]);
    case "group":
      return `group:${bytesToHex(place.group)}`;
  }
}

/** Settings that everybody in a place shares. */
const SHARED: ReadonlySet<Setting["field"]> = new Set(["timer", "title"]);

/** Undefined for what only the own account may say, said by another. */
export function contributionOf(
  { event, hash }: LoggedEvent,
  own: AccountId,
): Contribution | undefined {
  const { id, author, place, body } = event;
  const isOwn = equalBytes(author, own);
  const message = (target: Target, state: Partial<MessageState>): Contribution => ({
    of: "message",
    key: messageKey(place, target),
    state: { ...EMPTY_MESSAGE, ...state },
  });
  const about = (state: Partial<PlaceState>): Contribution => ({
    of: "place",
    key: placeKey(place),
    state: { ...EMPTY_PLACE, ...state },
  });
  switch (body.kind) {
    case "text": {
      const { text, replyTo, lifetimeS } = body;
      return message({ id, author }, { text: { id, hash, said: { text, replyTo, lifetimeS } } });
    }
    case "erased":
      return message({ id, author }, { text: { id, hash, said: undefined } });
    case "edit":
      return message({ id: body.target, author }, { edit: { id, hash, text: body.text } });
    case "delete":
      return message({ id: body.target, author }, { deletion: { id, hash } });
    case "hide":
      return isOwn ? message(body.target, { isHidden: true }) : undefined;
    case "reaction": {
      const { target, emoji, isOn } = body;
      const key = bytesToHex(author) + emoji;
      return message(target, { reactions: new Map([[key, { id, hash, author, emoji, isOn }]]) });
    }
    case "received":
      return about({ received: new Map([[bytesToHex(author), body.upTo]]) });
    case "read":
      return about({ read: new Map([[bytesToHex(author), body.upTo]]) });
    case "setting": {
      const { setting } = body;
      if (!isOwn && !SHARED.has(setting.field)) return undefined;
      return about({ settings: new Map([[setting.field, { id, hash, ...setting }]]) });
    }
  }
}

/** Commutative, associative, idempotent: the least state that says what both say. */
export function joinMessages(a: MessageState, b: MessageState): MessageState {
  const deletion = join(a.deletion, b.deletion, earlier);
  const text = join(a.text, b.text, joinTexts);
  const isHidden = a.isHidden || b.isHidden;
  if (deletion !== undefined) {
    // Nothing of what was said, by whichever event, is kept or can come back; the stamp stays, so that sync knows it.
    const erased = text === undefined ? undefined : { ...text, said: undefined };
    return { ...EMPTY_MESSAGE, text: erased, deletion, isHidden };
  }
  return {
    text,
    edit: join(a.edit, b.edit, later),
    deletion: undefined,
    isHidden,
    reactions: joinMaps(a.reactions, b.reactions, later),
  };
}

/** As `joinMessages`. */
export const joinPlaces = (a: PlaceState, b: PlaceState): PlaceState => ({
  received: joinMaps(a.received, b.received, laterId),
  read: joinMaps(a.read, b.read, laterId),
  settings: joinMaps(a.settings, b.settings, later),
});

const join = <T>(a: T | undefined, b: T | undefined, choose: (a: T, b: T) => T): T | undefined =>
  a === undefined ? b : b === undefined ? a : choose(a, b);

function joinMaps<K, T>(
  a: ReadonlyMap<K, T>,
  b: ReadonlyMap<K, T>,
  choose: (a: T, b: T) => T,
): ReadonlyMap<K, T> {
  if (b.size === 0) return a;
  if (a.size === 0) return b;
  const joined = new Map(a);
  for (const [key, value] of b) {
    const before = joined.get(key);
    joined.set(key, before === undefined ? value : choose(before, value));
  }
  return joined;
}

const later = <T extends Stamp>(a: T, b: T): T => (compareStamps(a, b) >= 0 ? a : b);
const earlier = <T extends Stamp>(a: T, b: T): T => (compareStamps(a, b) <= 0 ? a : b);
const laterId = (a: EventId, b: EventId): EventId => (compareBytes(a, b) >= 0 ? a : b);

/** Of two texts under one id the one with the smaller hash; of one and the same, the one that still says something. */
function joinTexts(a: Text, b: Text): Text {
  const order = compareStamps(a, b);
  return order < 0 || (order === 0 && a.said !== undefined) ? a : b;
}

/** Milliseconds; undefined: never. The same on every device, whatever its clock says. */
export const expiresAt = ({ id, said }: Text): number | undefined =>
  said === undefined || said.lifetimeS === 0 ? undefined : timeOf(id) + said.lifetimeS * 1_000;

/** What a person sees of a message at `now`, in milliseconds. */
export type MessageView =
  /** Others speak of it, and it has not come. */
  | { readonly state: "absent" }
  | { readonly state: "deleted" | "hidden" | "expired" }
  | {
      readonly state: "shown";
      readonly text: string;
      readonly isEdited: boolean;
      readonly replyTo: Target | undefined;
      readonly reactions: readonly Reaction[];
    };

export function viewMessage(state: MessageState, now: number): MessageView {
  const { text, edit, deletion, isHidden, reactions } = state;
  if (text === undefined) return { state: "absent" };
  if (isHidden) return { state: "hidden" };
  if (deletion !== undefined || text.said === undefined) return { state: "deleted" };
  const end = expiresAt(text);
  if (end !== undefined && now >= end) return { state: "expired" };
  return {
    state: "shown",
    text: edit?.text ?? text.said.text,
    isEdited: edit !== undefined,
    replyTo: text.said.replyTo,
    reactions: [...reactions.values()].filter(({ isOn }) => isOn).toSorted(compareStamps),
  };
}

/** States by their keys. */
export interface History {
  readonly messages: ReadonlyMap<string, MessageState>;
  readonly places: ReadonlyMap<string, PlaceState>;
}

/** All of it at once: for a whole history, and what a store that keeps single states has to agree with. */
export function foldContributions(contributions: Iterable<Contribution | undefined>): History {
  const messages = new Map<string, MessageState>();
  const places = new Map<string, PlaceState>();
  for (const one of contributions) {
    if (one === undefined) continue;
    if (one.of === "message") {
      messages.set(one.key, joinMessages(messages.get(one.key) ?? EMPTY_MESSAGE, one.state));
    } else {
      places.set(one.key, joinPlaces(places.get(one.key) ?? EMPTY_PLACE, one.state));
    }
  }
  return { messages, places };
}

export const foldEvents = (events: Iterable<HistoryEvent>, own: AccountId): History =>
  foldContributions(Array.from(events, (event) => contributionOf(logEvent(event), own)));
