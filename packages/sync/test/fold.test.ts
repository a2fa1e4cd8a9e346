/**
 * Folds: whatever the order of events and however often each comes, the same history, and the one that an oracle reads
 * off the set of events. `SOTTO_FOLDS=1000000` takes so many orders instead of 100,000.
 */
import {
  contributionOf,
  type Contribution,
  type EventBody,
  eventId,
  expiresAt,
  foldContributions,
  foldEvents,
  type History,
  type HistoryEvent,
  joinMessages,
  joinPlaces,
  logEvent,
  type LoggedEvent,
  type MessageState,
  messageKey,
  pairPlace,
  type Place,
  placeKey,
  type PlaceState,
  viewMessage,
} from "@sotto/sync";
import { asAccountId, asGroupId, bytesToHex as hex, compareBytes, type EventId } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { createRandom, type Random } from "../../../test/simulation/random.ts";

const ORDERS = Number(process.env["SOTTO_FOLDS"] ?? 100_000);
const ORDERS_PER_SET = 100;

const [ada, bob, carol] = [1, 2, 3].map((byte) => asAccountId(new Uint8Array(20).fill(byte)));
const PEOPLE = [ada!, bob!, carol!];
const PLACES: readonly Place[] = [
  pairPlace(ada!, bob!),
  { kind: "group", group: asGroupId(new Uint8Array(32).fill(9)) },
];
const idOf = (at: number): EventId => eventId(1_000 + (at >> 1), at & 1, new Uint8Array(8));

/** So few ids, people and places that almost everything meets everything else, ids with two contents included. */
function drawEvent(random: Random): HistoryEvent {
  const id = () => idOf(random.int(6));
  const target = () => ({ id: idOf(random.int(3)), author: random.pick(PEOPLE) });
  const text = () => `text ${random.int(3)}`;
  const said = (): EventBody => ({
    kind: "text",
    text: text(),
    replyTo: undefined,
    lifetimeS: random.int(2),
  });
  const bodies: readonly (() => EventBody)[] = [
    said,
    said,
    said,
    () => ({ kind: "text", text: text(), replyTo: target(), lifetimeS: 0 }),
    () => ({ kind: "edit", target: idOf(random.int(3)), text: text() }),
    () => ({ kind: "delete", target: idOf(random.int(3)) }),
    () => ({ kind: "hide", target: target() }),
    () => ({
      kind: "reaction",
      target: target(),
      emoji: random.pick(["👍", "❤️"]),
      isOn: random.chance(0.6),
    }),
    () => ({ kind: "received", upTo: id() }),
    () => ({ kind: "read", upTo: id() }),
    () => ({ kind: "setting", setting: { field: "pin", value: random.chance(0.5) } }),
    () => ({ kind: "setting", setting: { field: "draft", value: text() } }),
    () => ({ kind: "setting", setting: { field: "title", value: random.pick(["", "a"]) } }),
  ];
  const body = random.pick(bodies)();
  const own = body.kind === "text" ? idOf(random.int(3)) : id();
  return { id: own, author: random.pick(PEOPLE), place: random.pick(PLACES), body };
}

/** A set: no event twice. What is left of some of its texts is among them. */
function drawLog(random: Random, size = random.between(4, 14)): readonly LoggedEvent[] {
  const byHash = new Map<string, LoggedEvent>();
  for (let left = size; left > 0; left--) {
    const one = logEvent(drawEvent(random));
    byHash.set(hex(one.hash), one);
    if (one.event.body.kind !== "text" || !random.chance(0.2)) continue;
    const event = { ...one.event, body: { kind: "erased", contentHash: one.hash } } as const;
    byHash.set(`erased ${hex(one.hash)}`, { event, hash: one.hash });
  }
  return [...byHash.values()];
}

const drawContributions = (random: Random): readonly Contribution[] =>
  drawLog(random).flatMap((one) => contributionOf(one, ada!) ?? []);

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.int(at + 1);
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  // Some come again, anywhere.
  for (let left = random.int(4); left > 0; left--) {
    all.splice(random.int(all.length + 1), 0, random.pick(items));
  }
  return all;
}

/** Joins choose among the parts they are given, so equal states have the very same parts. */
function isSame(a: History, b: History): boolean {
  if (a.messages.size !== b.messages.size || a.places.size !== b.places.size) return false;
  for (const [key, one] of a.messages) {
    const other = b.messages.get(key);
    if (other === undefined || !isSameMessage(one, other)) return false;
  }
  for (const [key, one] of a.places) {
    const other = b.places.get(key);
    if (other === undefined) return false;
    if (!isSameMap(one.read, other.read) || !isSameMap(one.received, other.received)) return false;
    if (!isSameMap(one.settings, other.settings)) return false;
  }
  return true;
}

const isSameMessage = (a: MessageState, b: MessageState): boolean =>
  a.text?.id === b.text?.id &&
  a.text?.hash === b.text?.hash &&
  a.text?.said === b.text?.said &&
  a.edit === b.edit &&
  a.deletion === b.deletion &&
  a.isHidden === b.isHidden &&
  isSameMap(a.reactions, b.reactions);

function isSameMap<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other !== value && !(isId(value) && isId(other) && compareBytes(value, other) === 0)) {
      return false;
    }
  }
  return true;
}

/** Two events may name one id. */
const isId = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

const byStamp = (a: LoggedEvent, b: LoggedEvent): number =>
  compareBytes(a.event.id, b.event.id) || compareBytes(a.hash, b.hash);

/** What a person sees of one message, read off all events at once. */
function oracle(log: readonly LoggedEvent[], place: Place, id: EventId, author: Uint8Array) {
  const inPlace = log
    .filter(({ event }) => placeKey(event.place) === placeKey(place))
    .toSorted(byStamp);
  const isBy = (one: LoggedEvent): boolean => compareBytes(one.event.author, author) === 0;
  const texts = inPlace.filter(
    (one) =>
      isBy(one) &&
      compareBytes(one.event.id, id) === 0 &&
      (one.event.body.kind === "text" || one.event.body.kind === "erased"),
  );
  const first = texts[0];
  if (first === undefined) return { state: "absent" };
  const about = inPlace.filter(({ event: { body } }) => {
    if (body.kind === "edit" || body.kind === "delete") return compareBytes(body.target, id) === 0;
    if (body.kind !== "hide" && body.kind !== "reaction") return false;
    return compareBytes(body.target.id, id) === 0 && compareBytes(body.target.author, author) === 0;
  });
  if (about.some(({ event }) => event.body.kind === "hide" && event.author === ada))
    return { state: "hidden" };
  if (about.some((one) => one.event.body.kind === "delete" && isBy(one)))
    return { state: "deleted" };
  const said = texts.find((one) => one.event.body.kind === "text" && one.hash === first.hash);
  const body = said?.event.body;
  if (body?.kind !== "text") return { state: "deleted" };
  const edits = about.filter((one) => one.event.body.kind === "edit" && isBy(one));
  const edit = edits.at(-1)?.event.body;
  const last = new Map<string, LoggedEvent>();
  for (const one of about) {
    if (one.event.body.kind === "reaction")
      last.set(hex(one.event.author) + one.event.body.emoji, one);
  }
  const reactions = [...last.values()]
    .toSorted(byStamp)
    .flatMap(({ event }) =>
      event.body.kind === "reaction" && event.body.isOn
        ? [hex(event.author) + event.body.emoji]
        : [],
    );
  return { state: "shown", text: edit?.kind === "edit" ? edit.text : body.text, reactions };
}

describe("a fold", () => {
  it(
    `is the same for ${ORDERS} orders and repetitions of sets of events`,
    { timeout: 600_000 },
    () => {
      const random = createRandom(1);
      for (let left = ORDERS; left > 0; left -= ORDERS_PER_SET) {
        const contributions = drawContributions(random);
        const expected = foldContributions(contributions);
        for (let order = 0; order < ORDERS_PER_SET; order++) {
          const found = foldContributions(shuffled(contributions, random));
          if (!isSame(found, expected)) expect(found).toEqual(expected);
        }
      }
    },
  );

  it("is the same when devices fold parts of it and join what they have", () => {
    const random = createRandom(2);
    for (let left = 400; left > 0; left--) {
      const contributions = drawContributions(random);
      const parts: Contribution[][] = [[], [], []];
      for (const one of contributions) {
        for (const part of parts) if (random.chance(0.5)) part.push(one);
        random.pick(parts).push(one);
      }
      const [a, b, c] = parts.map((part) => foldContributions(part));
      const expected = foldContributions(contributions);
      for (const joined of [joinAll(joinAll(a!, b!), c!), joinAll(a!, joinAll(c!, b!))]) {
        if (!isSame(joined, expected)) expect(joined).toEqual(expected);
      }
    }
  });

  it("is what an oracle reads off the set", () => {
    const random = createRandom(3);
    const states: Record<string, number> = {};
    for (let left = 40; left > 0; left--) {
      const log = drawLog(random, random.between(20, 80));
      const { messages } = foldEvents(
        log.map(({ event }) => event),
        ada!,
      );
      for (const place of PLACES) {
        for (const author of PEOPLE) {
          for (let at = 0; at < 3; at++) {
            const state = messages.get(messageKey(place, { id: idOf(at), author }));
            const view =
              state === undefined ? ({ state: "absent" } as const) : viewMessage(state, 0);
            const seen =
              view.state === "shown"
                ? {
                    state: view.state,
                    text: view.text,
                    reactions: view.reactions.map((one) => hex(one.author) + one.emoji),
                  }
                : view;
            states[seen.state] = (states[seen.state] ?? 0) + 1;
            expect(seen).toEqual(oracle(log, place, idOf(at), author));
          }
        }
      }
    }
    for (const state of ["absent", "hidden", "deleted", "shown"])
      expect(states[state]).toBeGreaterThan(10);
  });

  it("keeps watermarks and settings at their latest, each person's and the own ones alone", () => {
    const place = PLACES[0]!;
    const say = (author: typeof ada, at: number, body: EventBody): HistoryEvent => ({
      id: idOf(at),
      author: author ?? bob!,
      place,
      body,
    });
    const events = [
      say(bob, 5, { kind: "read", upTo: idOf(1) }),
      say(bob, 1, { kind: "read", upTo: idOf(4) }),
      say(ada, 1, { kind: "read", upTo: idOf(2) }),
      say(bob, 3, { kind: "received", upTo: idOf(5) }),
      say(ada, 2, { kind: "setting", setting: { field: "pin", value: true } }),
      say(bob, 5, { kind: "setting", setting: { field: "pin", value: false } }),
      say(bob, 5, { kind: "setting", setting: { field: "timer", value: 60 } }),
      say(ada, 4, { kind: "setting", setting: { field: "timer", value: 30 } }),
    ];
    const { places } = foldEvents(events, ada!);
    const state = places.get(placeKey(place))!;
    expect(state.read).toEqual(
      new Map([
        [hex(bob!), idOf(4)],
        [hex(ada!), idOf(2)],
      ]),
    );
    expect(state.received).toEqual(new Map([[hex(bob!), idOf(5)]]));
    expect(state.settings.get("pin")).toMatchObject({ value: true });
    expect(state.settings.get("timer")).toMatchObject({ value: 60 });
  });
});

function joinAll(a: History, b: History): History {
  const messages = new Map<string, MessageState>(a.messages);
  for (const [key, state] of b.messages) {
    const own = messages.get(key);
    messages.set(key, own === undefined ? state : joinMessages(own, state));
  }
  const places = new Map<string, PlaceState>(a.places);
  for (const [key, state] of b.places) {
    const own = places.get(key);
    places.set(key, own === undefined ? state : joinPlaces(own, state));
  }
  return { messages, places };
}

describe("a deleted message", () => {
  const place = PLACES[0]!;
  const say = (at: number, body: EventBody, author = bob!): HistoryEvent => ({
    id: idOf(at),
    author,
    place,
    body,
  });
  const text = say(0, { kind: "text", text: "secret", replyTo: undefined, lifetimeS: 0 });
  const deletion = say(2, { kind: "delete", target: text.id });
  const key = messageKey(place, { id: text.id, author: bob! });

  it("never comes back, by text, edit, reaction, backup or an older state", () => {
    const random = createRandom(4);
    for (let left = 150; left > 0; left--) {
      const log = drawLog(random).map(({ event }) => event);
      const before = foldEvents([text, ...log], ada!);
      const after = foldEvents([deletion], ada!);
      const { messages } = joinAll(joinAll(after, before), foldEvents([text, ...log], ada!));
      const state = messages.get(key)!;
      expect(["deleted", "hidden"]).toContain(viewMessage(state, 0).state);
      expect(state.text?.said).toBeUndefined();
      expect(state.edit).toBeUndefined();
      expect(state.reactions.size).toBe(0);
    }
  });

  it("is still known by id and content hash, in whatever form it is logged", () => {
    const { hash } = logEvent(text);
    const erased: HistoryEvent = { ...text, body: { kind: "erased", contentHash: hash } };
    expect(logEvent(erased).hash).toEqual(hash);
    for (const events of [[text, deletion], [deletion, erased], [erased]]) {
      const state = foldEvents(events, ada!).messages.get(key)!;
      expect(state.text).toEqual({ id: text.id, hash, said: undefined });
      expect(viewMessage(state, 0)).toEqual({ state: "deleted" });
    }
  });

  it("is deleted and edited by its author alone", () => {
    const others = [
      say(3, { kind: "delete", target: text.id }, carol),
      say(3, { kind: "edit", target: text.id, text: "forged" }, ada),
    ];
    const state = foldEvents([text, ...others], ada!).messages.get(key)!;
    expect(viewMessage(state, 0)).toMatchObject({
      state: "shown",
      text: "secret",
      isEdited: false,
    });
  });
});

describe("a message with a lifetime", () => {
  it("is gone at the time in its id and so many seconds, and not a millisecond before", () => {
    const event: HistoryEvent = {
      id: eventId(5_000, 0, new Uint8Array(8)),
      author: bob!,
      place: PLACES[0]!,
      body: { kind: "text", text: "brief", replyTo: undefined, lifetimeS: 60 },
    };
    const [state] = foldEvents([event], ada!).messages.values();
    expect(expiresAt(state!.text!)).toBe(65_000);
    expect(viewMessage(state!, 64_999)).toMatchObject({ state: "shown" });
    expect(viewMessage(state!, 65_000)).toEqual({ state: "expired" });
  });
});
