/**
 * What was written before this device was there: it asks one that knows for the history of each conversation, a few
 * pages at a time, the newest first, and goes on where it was after a restart.
 * Owns: who asks whom, and how far it got. Leaves to the shell: reading the store; to `Change.mergeMessages`: adding only
 * what is not there.
 * Spec: SPEC.md §14.
 */
import { accountIdOf } from "@sotto/crypto";
import {
  asAccountId,
  asContentId,
  asGroupId,
  bytesToHex,
  type Content,
  decodeContent,
  encodeContent,
  hexToBytes,
  PAST_ROWS_MAX,
  type PastRow,
  pastRowBytes,
  type Place,
} from "@sotto/wire";
import { accountAddress, groupAddress } from "./address.ts";
import { merge, TIME_MS_MAX } from "./clock.ts";
import { ASK_AGAIN_MS } from "./devices.ts";
import { newContentId, nextTime } from "./directory.ts";
import {
  changeConversation,
  changeDevices,
  changeLive,
  changeOwnDevices,
  type Draft,
  drop,
  isOwnPair,
  mergeMessage,
  orderKey,
  post,
  timeOf,
} from "./draft.ts";
import { enqueue } from "./outbox.ts";
import type { ConversationId, DeviceLink, DeviceName, Instant, MessageRow, Past } from "./ports.ts";
import type { Input } from "./step.ts";

/** Bytes of a page with its head and the seal around it: one bucket of 16 KiB, unless a single message takes more. */
const PAGE_BYTES = 16_000;
/** Pages of an answer, but for the first: every conversation has its newest before any has all. */
const PAGES_EACH = 4;
/** So much before the newest message of a pass the next one looks again; further back where something came late. */
export const LOOK_BACK_MS = 7 * 24 * 3_600_000;

type AskPast = Extract<Content, { kind: "ask-past" }>;
type PastPage = Extract<Content, { kind: "past" }>;

/** The record that a place is for. */
export const placeAddress = (place: Place): string =>
  place.kind === "account" ? accountAddress(place.account) : groupAddress(bytesToHex(place.group));

/** Where this conversation stands in the own account's eyes; undefined where it has no history of its own. */
function placeHere({ conversation: { peer, parent, listed }, self }: Draft): Place | undefined {
  if (parent !== undefined || !listed) return undefined;
  switch (peer.state) {
    case "notes":
      return { kind: "account", account: accountIdOf(self.cert.rootKey) };
    case "open":
      return { kind: "account", account: accountIdOf(peer.contact.cert.rootKey) };
    case "group": {
      const group = hexToBytes(peer.group);
      return group === undefined ? undefined : { kind: "group", group: asGroupId(group) };
    }
    default:
      return undefined;
  }
}

/** The own device that listed this one when a person linked the two. */
const teller = ({ self }: Draft): DeviceLink | undefined =>
  self.devices.links.find(({ history }) => history === "asks");

const linkTo = ({ self }: Draft, device: DeviceName): DeviceLink | undefined =>
  self.devices.links.find((link) => link.device === device);

/** What every step of a conversation does after its input. */
export function askPast(draft: Draft): void {
  const before = draft.conversation.devices.past;
  if (before?.whole === true && !isDue(draft, before)) return;
  const link = teller(draft);
  // Last, because it takes a hash.
  const place = link === undefined ? undefined : placeHere(draft);
  if (link === undefined || place === undefined) return;
  const past = passFrom(draft, before, link.device);
  if (past !== before) changeDevices(draft, { past });
  const at = askDueAt(draft);
  if (past === before && at !== undefined && at > draft.env.now) return;
  ask(draft, place, link, past);
}

const isDue = ({ self }: Draft, { again, met }: Past): boolean => again || met < self.devices.met;

/** The pass to go on with: the one that is under way, if that device can go on with it. */
function passFrom(draft: Draft, past: Past | undefined, device: DeviceName): Past {
  if (past === undefined) return newPast(draft, device);
  if (!past.whole) return past.device === device ? past : { ...past, device };
  const { newest } = past;
  // Another device has other messages, and what came late there is late beside those.
  if (newest === undefined || past.device !== device) return newPast(draft, device);
  return { ...newPast(draft, device), newest, since: Math.max(0, newest - LOOK_BACK_MS) };
}

/**
 * A message that sorts further back than the next pass of a device that this one gives its history to would look: on its
 * way for long, or written by a wrong clock. No clock decides: a pass ends LOOK_BACK_MS before what was then the newest
 * here, and nothing becomes older than it is.
 */
export function noteLate(draft: Draft): void {
  const { last } = draft.base.conversation ?? {};
  const isAsked = draft.self.devices.links.some(({ history }) => history === "gives");
  if (last === undefined || !isAsked) return;
  const { late = Infinity } = draft.conversation.devices;
  const rows = [...draft.addMessages.values(), ...draft.mergeMessages.values()];
  const earliest = Math.min(...rows.map(({ order }) => timeOf(order).ms));
  if (earliest < Math.min(late, last.time.ms - LOOK_BACK_MS)) {
    changeDevices(draft, { late: earliest });
  }
}

/** A device that never wrote to this one does from here on: until then an own device alone heard it. */
export function lookAgain(draft: Draft): void {
  const { past, groups } = draft.conversation.devices;
  if (teller(draft) === undefined) return;
  // The groups that it is in are told of it anew, and look again, too.
  if (groups.length > 0) {
    changeDevices(draft, { groups: groups.map(({ group }) => ({ group, told: "" })) });
  }
  if (past !== undefined && !past.again) changeDevices(draft, { past: { ...past, again: true } });
}

/** The device of that pair showed another list than before, so whom it knows may be others, too. */
export function onMet(draft: Draft, pair: ConversationId): void {
  const { links, met } = draft.self.devices;
  if (links.some(({ conversation }) => conversation === pair)) {
    changeOwnDevices(draft, { met: met + 1 });
  } else lookAgain(draft);
}

function ask(draft: Draft, place: Place, link: DeviceLink, { before, since }: Past): void {
  changeLive(draft, { pastAskedAt: draft.env.now });
  const content: AskPast = {
    kind: "ask-past",
    id: newContentId(draft),
    time: nextTime(draft),
    place,
    before: before === undefined ? undefined : hexToBytes(before),
    since,
    pages: before === undefined ? 1 : PAGES_EACH,
  };
  const awaits = bytesToHex(content.id);
  post(draft, link.conversation, { kind: "send", awaits, content: encodeContent(content) });
}

function askDueAt({ conversation, env, live }: Draft): Instant | undefined {
  const { past } = conversation.devices;
  if (past === undefined || past.whole) return undefined;
  return live.pastAskedAt > env.now ? 0 : live.pastAskedAt + ASK_AGAIN_MS;
}

/** When the answer is asked for again: it, or the question, was lost with a store. */
export function pastWakeAt(draft: Draft): Instant | undefined {
  // Nobody is left to ask: a wake would come to nothing, and be due again at once.
  const isIdle = teller(draft) === undefined || placeHere(draft) === undefined;
  return isIdle ? undefined : askDueAt(draft);
}

/** An own device asks: the shell reads, and `past-read` answers. Lost with this process: asked again. */
function onAskPast(draft: Draft, asked: AskPast, link: DeviceLink): void {
  if (placeHere(draft) === undefined || link.history !== "gives") {
    if (link.history !== "gives") drop(draft, "unlisted");
    sendPage(draft, link, nothing(draft, asked));
    return;
  }
  const { before, since, pages } = asked;
  const { late = since } = draft.conversation.devices;
  draft.effects.push({
    kind: "read-past",
    device: link.device,
    before: before === undefined ? undefined : bytesToHex(before),
    since: Math.min(since, late),
    pages,
  });
}

/** Nothing here is of that place: whoever waits for it need not wait. */
const nothing = (draft: Draft, { place, before }: Pick<AskPast, "place" | "before">): PastPage => ({
  kind: "past",
  id: newContentId(draft),
  time: nextTime(draft),
  place,
  before,
  left: 0,
  more: false,
  rows: [],
});

/** In the record of an own pair: no conversation took the question. */
export async function answerNothing(draft: Draft, bytes: Uint8Array): Promise<void> {
  const decoded = decodeContent(bytes);
  if (!decoded.ok || decoded.value.kind !== "ask-past" || !isOwnPair(draft)) return;
  await enqueue(draft, nothing(draft, decoded.value), undefined);
}

function sendPage(draft: Draft, link: DeviceLink, page: PastPage): void {
  const awaits = bytesToHex(page.id);
  post(draft, link.conversation, { kind: "send", awaits, content: encodeContent(page) });
}

/** `rows`: what stands before, ascending, as much of it as fits into the pages asked for. */
export function onPastRead(draft: Draft, input: Extract<Input, { kind: "past-read" }>): void {
  const place = placeHere(draft);
  const link = linkTo(draft, input.device);
  if (place === undefined || link === undefined) return;
  const { since, pages: wanted } = input;
  const rows = input.rows.filter(({ order }) => timeOf(order).ms >= since);
  const hasMore = input.hasMore && rows.length === input.rows.length;
  const pages: { readonly before: string | undefined; readonly rows: readonly MessageRow[] }[] = [];
  let end = rows.length;
  let { before } = input;
  do {
    const start = pageStart(rows, end);
    const page = rows.slice(start, end);
    pages.push({ before, rows: page });
    before = page[0]?.order;
    end = start;
  } while (end > 0 && pages.length < wanted);
  for (const [at, page] of pages.entries()) {
    sendPage(draft, link, {
      kind: "past",
      id: newContentId(draft),
      time: nextTime(draft),
      place,
      before: page.before === undefined ? undefined : hexToBytes(page.before),
      left: pages.length - 1 - at,
      more: at < pages.length - 1 || end > 0 || hasMore,
      rows: page.rows.map((row) => pastRow(draft, row)),
    });
  }
}

/** What a file says of a text that was on its way is old: nothing here sends it, so it counts as one that went. */
export function onMergeMessages(draft: Draft, rows: readonly MessageRow[]): void {
  for (const row of rows) {
    const time = timeOf(row.order);
    if (time.ms > TIME_MS_MAX || row.conversation !== draft.conversation.id) {
      drop(draft, "malformed");
      continue;
    }
    changeConversation(draft, { clock: merge(draft.conversation.clock, time) });
    mergeMessage(draft, row.status === "queued" ? { ...row, status: "relayed" } : row);
  }
}

/** Where the page begins that ends before `end`: at least one message, for the longest fits alone. */
function pageStart(rows: readonly MessageRow[], end: number): number {
  let start = end;
  let bytes = 0;
  while (start > 0 && end - start < PAST_ROWS_MAX) {
    bytes += pastRowBytes(rows[start - 1]?.text ?? "");
    if (bytes > PAGE_BYTES && start < end) break;
    start--;
  }
  return start;
}

/** ms 12 hex | counter 4 | author 40 | id 32: an order key. */
const AUTHOR_AT = 16;
const SAID_AT = 56;

/** Whose a message is when nothing else is said of it, in hex. */
function authorOf({ self, conversation: { peer } }: Draft, own: boolean): string {
  const cert = own || peer.state !== "open" ? self.cert : peer.contact.cert;
  return bytesToHex(accountIdOf(cert.rootKey));
}

function pastRow(draft: Draft, row: MessageRow): PastRow {
  const author = row.order.slice(AUTHOR_AT, SAID_AT);
  const said = row.order.slice(SAID_AT);
  return {
    id: idFrom(row.id),
    said: said === row.id ? undefined : idFrom(said),
    time: timeOf(row.order),
    own: row.own,
    author: author === authorOf(draft, row.own) ? undefined : asAccountId(bytesOf(author)),
    receivedAt: row.receivedAt,
    status: row.status === "delivered" || row.status === "failed" ? row.status : "sent",
    text: row.text,
  };
}

/** Hex that this package wrote. */
function bytesOf(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("not hex");
  return bytes;
}

const idFrom = (hex: string): PastRow["id"] => asContentId(bytesOf(hex));

/** A page from an own device. Adds what is not here; only the page that was waited for moves the question on. */
function onPast(draft: Draft, page: PastPage, device: DeviceName): void {
  const place = placeHere(draft);
  if (place === undefined) {
    drop(draft, "unexpected");
    return;
  }
  for (const row of page.rows) {
    if (row.time.ms > TIME_MS_MAX) {
      drop(draft, "malformed");
      continue;
    }
    // What is written here next stands after it.
    changeConversation(draft, { clock: merge(draft.conversation.clock, row.time) });
    mergeMessage(draft, messageOf(draft, row));
  }
  const { past } = draft.conversation.devices;
  const before = page.before === undefined ? undefined : bytesToHex(page.before);
  if (past?.device !== device) return;
  if (isCall(page)) {
    changeDevices(draft, { past: { ...past, again: true } });
    return;
  }
  if (past.whole || past.before !== before) return;
  const oldest = page.rows[0];
  const reached = oldest === undefined ? before : messageOf(draft, oldest).order;
  // A page that promises more and leads nowhere would be asked for again for ever.
  const isOver = !page.more || reached === before;
  const newest = before === undefined ? (page.rows.at(-1)?.time.ms ?? past.newest) : past.newest;
  const next = { ...past, before: reached, newest, whole: isOver };
  changeDevices(draft, { past: next });
  const link = linkTo(draft, device);
  if (!isOver) {
    if (page.left === 0 && link !== undefined) ask(draft, place, link, next);
  } else if (next.since === 0 && newest !== undefined) callAskers(draft, place);
}

/** No answer: it promises more and has nothing. */
const isCall = ({ more, rows }: PastPage): boolean => more && rows.length === 0;

/**
 * Those that asked this device while it waited itself got less than is here now: they are to look again. After its first
 * pass alone: devices that link each other in a circle would call without end.
 */
function callAskers(draft: Draft, place: Place): void {
  for (const link of draft.self.devices.links) {
    if (link.history !== "gives") continue;
    sendPage(draft, link, { ...nothing(draft, { place, before: undefined }), more: true });
  }
}

function messageOf(draft: Draft, row: PastRow): MessageRow {
  const { conversation, env } = draft;
  const author = row.author === undefined ? authorOf(draft, row.own) : bytesToHex(row.author);
  return {
    id: bytesToHex(row.id),
    conversation: conversation.id,
    order: orderKey(row.time, bytesOf(author), bytesToHex(row.said ?? row.id)),
    own: row.own,
    author: conversation.peer.state === "group" ? author : undefined,
    text: row.text,
    sentAt: Math.min(row.time.ms, env.now),
    receivedAt: Math.min(row.receivedAt, env.now),
    status: row.own ? (row.status === "sent" ? "relayed" : row.status) : "received",
    path: undefined,
  };
}

/** The conversation was told of by that device, which has its history. */
const newPast = ({ self }: Draft, device: DeviceName): Past => ({
  device,
  before: undefined,
  newest: undefined,
  since: 0,
  whole: false,
  again: false,
  met: self.devices.met,
});

export const isPastContent = (content: Content): content is AskPast | PastPage =>
  content.kind === "ask-past" || content.kind === "past";

/** `from`: the record of the pair that brought it. Nobody but an own device is answered, or believed. */
export function onPastContent(
  draft: Draft,
  content: AskPast | PastPage,
  from: ConversationId,
): void {
  const { self, conversation } = draft;
  const link = self.devices.links.find((one) => one.conversation === from);
  if (conversation.parent !== undefined || link === undefined) drop(draft, "unlisted");
  else if (content.kind === "past") onPast(draft, content, link.device);
  else onAskPast(draft, content, link);
}
