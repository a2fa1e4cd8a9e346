/**
 * Writes sync.json: events, item hashes, coded symbols and whole reconciliations for fixed sets. Run it only to freeze a
 * new version; a difference in a frozen file means that devices of two versions find no way to agree.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-sync.ts
 *
 * Owns: the content of sync.json. Leaves to packages/sync/test/vectors.test.ts: checking it.
 */
import {
  answerReconciliation,
  answerSketch,
  awaitReconciliation,
  beginReconciliation,
  contentHashOf,
  continueReconciliation,
  createEncoder,
  createItemSet,
  createSummary,
  deriveSetKeys,
  encodeEvent,
  type EventBody,
  eventId,
  hashAt,
  type HistoryEvent,
  indicesOf,
  type Item,
  itemHash,
  type ItemSet,
  pairPlace,
  type Positions,
  type Reconciled,
  setFingerprint,
  writeSymbols,
} from "@sotto/sync";
import { asAccountId, asGroupId, bytesToHex as hex, createWriter } from "@sotto/wire";
import { freeze } from "./freeze.ts";

export const SYNC_VECTORS = new URL("sync.json", import.meta.url);

const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const device = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const ada = asAccountId(fill(20, 0xa0));
const bob = asAccountId(fill(20, 0xb0));
const BEGIN_MS = 1_700_000_000_000;
const idAfter = (minutes: number) => eventId(BEGIN_MS + 60_000 * minutes, minutes % 3, device);
const target = { id: idAfter(1), author: bob };

const BODIES: readonly EventBody[] = [
  { kind: "text", text: "Hello, 世界", replyTo: undefined, lifetimeS: 0 },
  { kind: "text", text: "", replyTo: target, lifetimeS: 86_400 },
  { kind: "edit", target: idAfter(2), text: "Hello" },
  { kind: "delete", target: idAfter(2) },
  { kind: "hide", target },
  { kind: "reaction", target, emoji: "👍🏽", isOn: true },
  { kind: "received", upTo: idAfter(3) },
  { kind: "read", upTo: idAfter(3) },
  { kind: "setting", setting: { field: "pin", value: true } },
  { kind: "setting", setting: { field: "archive", value: false } },
  { kind: "setting", setting: { field: "mute", value: BEGIN_MS } },
  { kind: "setting", setting: { field: "draft", value: "Dear" } },
  { kind: "setting", setting: { field: "timer", value: 604_800 } },
  { kind: "setting", setting: { field: "title", value: "爬山" } },
  { kind: "erased", contentHash: fill(32, 0xee) },
];

const PLACES = [
  pairPlace(bob, ada),
  { kind: "notes", account: ada },
  { kind: "group", group: asGroupId(fill(32, 0xc0)) },
] as const;

/** One message after another, each answered before the next one is delivered; who said what, in order. */
function talk(a: ItemSet, b: ItemSet) {
  const said: string[] = [];
  const queue: (readonly ["a" | "b", Uint8Array])[] = [];
  const gives: { readonly a: string[]; readonly b: string[] } = { a: [], b: [] };
  const take = <T>(who: "a" | "b", set: ItemSet, step: Reconciled<T>): T => {
    for (const one of step.send) {
      said.push(`${who}: ${hex(one)}`);
      queue.push([who === "a" ? "b" : "a", one]);
    }
    gives[who].push(...hashes(set, step.give));
    return step.state;
  };
  let initiator = take("a", a, beginReconciliation(a));
  let responder = awaitReconciliation(b);
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [to, message] = next;
    if (to === "a") initiator = take("a", a, continueReconciliation(initiator, message));
    else responder = take("b", b, answerReconciliation(responder, message));
  }
  return { said, gives };
}

const hashes = (set: ItemSet, positions: Positions): readonly string[] =>
  [...positions].map((at) => hex(hashAt(set, at)));

/** Byte arrays are lower-case hex throughout. The same on every run. */
export function makeSyncVectors() {
  const secret = fill(32, 0x51);
  const salt = fill(16, 0x52);
  const keys = deriveSetKeys(secret);
  const salted = deriveSetKeys(secret, salt);
  const events = BODIES.map((body, at): HistoryEvent => {
    const place = PLACES[at % PLACES.length] ?? PLACES[0];
    return { id: idAfter(at), author: ada, place, body };
  });

  const item = (at: number): Item => {
    const id = idAfter(at * 600);
    const event: HistoryEvent = {
      id,
      author: ada,
      place: PLACES[0],
      body: { kind: "text", text: `${at}`, replyTo: undefined, lifetimeS: 0 },
    };
    return { id, hash: itemHash(keys, id, contentHashOf(event)) };
  };
  const items = (from: number, to: number, but: readonly number[] = []): readonly Item[] =>
    Array.from({ length: to - from }, (_, at) => from + at)
      .filter((at) => !but.includes(at))
      .map(item);
  const set = (...all: Parameters<typeof items>): ItemSet => createItemSet(keys, items(...all));
  const whole = set(0, 300);
  const encoder = createEncoder(whole, { from: 0, to: whole.size });
  encoder.extend(40);
  const summary = createSummary(keys);
  for (const one of items(0, 300)) summary.add(one);
  const sketch = summary.sketch();
  const other = set(0, 300, [7, 150, 299]);
  const answer = answerSketch(other, [sketch]);
  if (answer.kind !== "decoded") throw new Error(answer.kind);
  const first = hashAt(whole, 0);
  const view = new DataView(first.buffer, first.byteOffset);
  return {
    about:
      "Events and reconciliation of Sotto, version 1. Bytes are hex. Written by make-sync.ts; see packages/sync/SPEC.md.",
    secret: hex(secret),
    salt: hex(salt),
    events: events.map((event) => {
      const hash = contentHashOf(event);
      return {
        bytes: hex(encodeEvent(event)),
        contentHash: hex(hash),
        itemHash: hex(itemHash(keys, event.id, hash)),
        saltedItemHash: hex(itemHash(salted, event.id, hash)),
      };
    }),
    set: {
      about: "Texts 0 to 299, ten hours apart.",
      hashes: items(0, 300).map(({ hash }) => hex(hash)),
      fingerprint: hex(setFingerprint(whole)),
      estimators: [...whole.estimators],
      indicesOfFirst: [...indicesOf(view.getUint32(0, true), view.getUint32(4, true), 1_000_000)],
      symbols: hex(writeSymbols(createWriter(), encoder.symbols, 0, 40).done()),
      sketch: hex(sketch),
    },
    without_7_150_299: {
      gives: hashes(other, answer.give),
      wants: answer.wants.map(hex),
    },
    talks: {
      equal: talk(whole, whole),
      behind: talk(set(0, 200), whole),
      ahead: talk(whole, set(0, 200)),
      symbols: talk(set(0, 299, [10, 100, 200]), set(0, 300, [55])),
      ownList: talk(set(0, 20), set(0, 300, [19])),
      theirList: talk(set(0, 300, [299]), set(200, 300)),
    },
  };
}

if (import.meta.main) await freeze(SYNC_VECTORS, makeSyncVectors());
