/**
 * Which devices speak for an account, and that there is a pair with each: lists are followed, pairs begun and ended,
 * ways to devices passed on.
 * Owns: the directory of one conversation's account, and of the own one. Leaves to pairs.ts: what travels between
 * records; to crypto/device-list.ts: whether a list follows; to repair.ts: beginning a session.
 * Spec: SPEC.md §10.
 */
import {
  accountIdOf,
  addDevice,
  createDeviceList,
  followList,
  isCurrent,
  isSameDevice,
  judgeMark,
  LIST_PREFIX_BYTES,
  listHash,
  type ListMark,
  openWay,
  removeDevice,
  sealWay,
  verifyDeviceList,
} from "@sotto/crypto";
import {
  asContentId,
  asDeviceId,
  bytesToHex,
  CONTENT_ID_BYTES,
  type Content,
  type DeviceCert,
  DEVICES_MAX,
  type DeviceList,
  encodeBundle,
  encodeContent,
  equalBytes,
  hexToBytes,
  type HybridTime,
  SIGNATURE_BYTES,
} from "@sotto/wire";
import { accountAddress } from "./address.ts";
import { tick } from "./clock.ts";
import {
  changeConversation,
  changeDevices,
  changeLive,
  changeOwnDevices,
  changePeer,
  type Draft,
  drop,
  isTextHeld,
  type OpenPeer,
  openPeer,
  post,
} from "./draft.ts";
import { askIntroducers, routeOffer } from "./group-ways.ts";
import { enqueue, enqueueEncoded, refuse, unsealAll } from "./outbox.ts";
import type {
  AccountDevices,
  ConversationId,
  DeviceLink,
  DeviceName,
  DeviceOffer,
  Instant,
  MessageId,
} from "./ports.ts";
import { addSpare } from "./repair.ts";

/** Ways to devices that no list names yet, or that wait for a pair: one from each device of both accounts. */
export const OFFERS_MAX = 32;
/** A list that a device knows and that did not come is asked for again. */
export const ASK_AGAIN_MS = 600_000;
/** Lists that came before those they follow. */
export const LATER_LISTS_MAX = 16;
/** A listed device without a pair offers itself; after this, the lower of both device ids offers instead… */
export const MISSING_PATIENCE_MS = 60_000;
/** …and as often again the higher one. An offer that led to nothing is made again. */
export const OFFER_AGAIN_MS = 3_600_000;

export const NO_DEVICES: AccountDevices = {
  list: undefined,
  pinned: undefined,
  behind: undefined,
  fork: undefined,
  links: [],
  missing: [],
  later: [],
  offers: [],
  passing: [],
  told: [],
  asked: [],
  introduced: [],
  groups: [],
  presented: new Uint8Array(0),
  introducers: [],
  news: { added: 0, removed: 0 },
};

export const nameOf = (cert: Pick<DeviceCert, "deviceId">): DeviceName => bytesToHex(cert.deviceId);

const isNotes = ({ conversation }: Draft): boolean => conversation.peer.state === "notes";

/** Of the account that this conversation is with. */
const listOf = (draft: Draft): DeviceList | undefined =>
  isNotes(draft) ? draft.self.devices.lists.at(-1) : draft.conversation.devices.list;

const rootOf = (draft: Draft): Uint8Array | undefined =>
  isNotes(draft) ? draft.self.cert.rootKey : openPeer(draft)?.contact.cert.rootKey;

export const linksOf = (draft: Draft): readonly DeviceLink[] =>
  isNotes(draft) ? draft.self.devices.links : draft.conversation.devices.links;

function setLinks(draft: Draft, links: readonly DeviceLink[]): void {
  if (isNotes(draft)) changeOwnDevices(draft, { links });
  else changeDevices(draft, { links });
}

/** Undefined where no device of the account has its pair in this very record. */
function deviceHere(draft: Draft): DeviceName | undefined {
  const peer = openPeer(draft);
  return peer === undefined || peer.retired ? undefined : nameOf(peer.contact.cert);
}

/** A list of the account this conversation is with, or of the own one. `ask`: as in `onMark`. */
export async function onList(
  draft: Draft,
  list: DeviceList,
  ask: ConversationId | undefined,
): Promise<void> {
  const root = rootOf(draft);
  if (root === undefined) return;
  if (!isNotes(draft) && equalBytes(list.rootKey, draft.self.cert.rootKey)) {
    toNotes(draft, encodeContent(listContent(draft, list)));
    return;
  }
  if (!equalBytes(list.rootKey, root)) {
    drop(draft, "bad-list");
    return;
  }
  const known = listOf(draft);
  if (known === undefined) {
    await takeFirstList(draft, list, root);
    return;
  }
  const { later } = draft.conversation.devices;
  const followed = await followList(known, [...later, list], draft.env.crypto);
  switch (followed.verdict) {
    case "same":
    case "older":
      return;
    case "invalid":
      drop(draft, "bad-list");
      return;
    case "gap":
      keepForLater(draft, known, list);
      await fallBehind(draft, list.version, known.version, ask);
      return;
    case "fork":
      drop(draft, "bad-list");
      changeDevices(draft, { fork: followed.version });
      return;
    case "newer":
      keepForLater(draft, followed.list, list);
      await adoptAll(draft, known, [...later, list]);
      changeNews(draft, followed.added.length, followed.removed.length);
  }
}

/** Lists behind a gap, until those between have come. */
function keepForLater(draft: Draft, reached: DeviceList, list: DeviceList): void {
  const { later } = draft.conversation.devices;
  const kept = [...later.filter((one) => one.version !== list.version), list]
    .filter(({ version }) => version > reached.version)
    .slice(-LATER_LISTS_MAX);
  if (kept.length > 0 || later.length > 0) changeDevices(draft, { later: kept });
}

/** One version after the other: the own history is kept without gaps, and every removed device's pair ends. */
async function adoptAll(
  draft: Draft,
  known: DeviceList,
  lists: readonly DeviceList[],
): Promise<void> {
  let reached = known;
  for (;;) {
    const next = lists.find(({ version }) => version === reached.version + 1);
    if (next === undefined) return;
    const followed = await followList(reached, [next], draft.env.crypto);
    if (followed.verdict !== "newer") return;
    adoptList(draft, next);
    reached = next;
  }
}

function changeNews(draft: Draft, added: number, removed: number): void {
  const { news } = draft.conversation.devices;
  if (added + removed === 0) return;
  changeDevices(draft, { news: { added: news.added + added, removed: news.removed + removed } });
}

async function takeFirstList(draft: Draft, list: DeviceList, root: Uint8Array): Promise<void> {
  if (!(await verifyDeviceList(list, root, draft.env.crypto))) {
    drop(draft, "bad-list");
    return;
  }
  const { pinned } = draft.conversation.devices;
  if (pinned !== undefined && !agrees(list, pinned)) {
    drop(draft, "bad-list");
    changeDevices(draft, { fork: pinned.version });
    return;
  }
  if (isNotes(draft) && !isCurrent(list, draft.self.cert)) {
    await joinList(draft, list);
    return;
  }
  const isAlone = deviceHere(draft) !== undefined;
  adoptList(draft, list);
  if (isAlone) changeNews(draft, list.devices.length - 1, list.removed.length);
}

/** Whether a mark and a list can be of one history, as far as the list says. */
function agrees(list: DeviceList, mark: ListMark): boolean {
  if (mark.version === list.version) {
    return equalBytes(listHash(list).subarray(0, LIST_PREFIX_BYTES), mark.prefix);
  }
  return (
    mark.version !== list.version - 1 ||
    equalBytes(list.previous.subarray(0, LIST_PREFIX_BYTES), mark.prefix)
  );
}

/** This device came back from the recovery phrase: somebody who knows the account tells it the list to go on from. */
async function joinList(draft: Draft, list: DeviceList): Promise<void> {
  const { self, env } = draft;
  const joined = await addDevice(list, self.cert, true, self.rootSecret, env);
  if (!joined.ok) {
    drop(draft, "unlisted");
    return;
  }
  changeOwnDevices(draft, { lists: [list] });
  adoptList(draft, joined.list);
}

/** The list is known from here on: pairs with devices that are gone end, those with new ones are awaited. */
function adoptList(draft: Draft, list: DeviceList): void {
  const { devices } = draft.conversation;
  if (isNotes(draft)) changeOwnDevices(draft, { lists: [...draft.self.devices.lists, list] });
  const isBehind = devices.behind !== undefined && devices.behind > list.version;
  changeDevices(draft, {
    ...(isNotes(draft) ? {} : { list }),
    behind: isBehind ? devices.behind : undefined,
  });
  const listed = new Set(list.devices.map(({ id }) => bytesToHex(id)));
  const links = linksOf(draft);
  for (const link of links) {
    if (!listed.has(link.device)) post(draft, link.conversation, { kind: "end" });
  }
  if (links.some(({ device }) => !listed.has(device))) {
    setLinks(
      draft,
      links.filter(({ device }) => listed.has(device)),
    );
  }
  const peer = openPeer(draft);
  if (peer !== undefined && !peer.retired && !listed.has(nameOf(peer.contact.cert))) {
    retire(draft, peer);
  }
  noteMissing(draft, listed, draft.env.now);
  const { told } = draft.conversation.devices;
  changeDevices(draft, { told: told.filter(({ device }) => listed.has(device)) });
  const { offers } = draft.conversation.devices;
  if (offers.length > 0) {
    changeDevices(draft, { offers: [] });
    for (const offer of offers) considerOffer(draft, offer);
  }
}

/** The device of this record's own pair is no more. What waits stays, for the account's other devices. */
function retire(draft: Draft, peer: OpenPeer): void {
  changePeer(draft, peer, {
    retired: true,
    sessions: [],
    owed: [],
    spares: { ...peer.spares, own: [], theirs: undefined },
    change: undefined,
  });
  unsealAll(draft);
  draft.effects.push({ kind: "close-queue", queueId: peer.queue.queueId });
}

function noteMissing(draft: Draft, listed: ReadonlySet<DeviceName>, since: Instant): void {
  const paired = new Set(linksOf(draft).map(({ device }) => device));
  const here = deviceHere(draft);
  if (here !== undefined) paired.add(here);
  if (isNotes(draft)) paired.add(nameOf(draft.self.cert));
  const { missing } = draft.conversation.devices;
  const before = new Map(missing.map((one) => [one.device, one]));
  const next = [...listed]
    .filter((device) => !paired.has(device))
    .map((device) => before.get(device) ?? { device, since });
  if (next.length > 0 || missing.length > 0) changeDevices(draft, { missing: next });
}

/** A device of the account showed that it knows a newer list, or another one. `ask`: a record of a pair with it. */
export async function onMark(
  draft: Draft,
  mark: ListMark,
  ask: ConversationId | undefined,
): Promise<void> {
  const { devices } = draft.conversation;
  const known = listOf(draft);
  if (mark.version === 0) return;
  if (known === undefined) {
    const { pinned } = devices;
    if (pinned === undefined) changeDevices(draft, { pinned: mark });
    else if (mark.version === pinned.version) {
      if (!equalBytes(mark.prefix, pinned.prefix)) changeDevices(draft, { fork: mark.version });
    } else if (mark.version > pinned.version) await fallBehind(draft, mark.version, 0, ask);
    return;
  }
  switch (judgeMark(known, mark)) {
    case "ask":
      await fallBehind(draft, mark.version, known.version, ask);
      return;
    case "fork":
      if (devices.fork === undefined) changeDevices(draft, { fork: mark.version });
      return;
    case "older":
    case "none":
      await tellBack(draft, known, ask);
      return;
    default:
  }
}

/**
 * A device of the account does not know its own list: those that could tell it may be gone. `via`: the record of the
 * pair with it. Between own devices that is what `announce` does.
 */
async function tellBack(
  draft: Draft,
  list: DeviceList,
  via: ConversationId | undefined,
): Promise<void> {
  if (isNotes(draft)) return;
  const device =
    via === undefined
      ? deviceHere(draft)
      : linksOf(draft).find(({ conversation }) => conversation === via)?.device;
  const { told } = draft.conversation.devices;
  const before = told.find((one) => one.device === device)?.version ?? 0;
  if (device === undefined || before >= list.version) return;
  const content = listContent(draft, list);
  if (via === undefined) {
    if (!(await enqueue(draft, content, undefined))) return;
  } else {
    const awaits = bytesToHex(content.id);
    post(draft, via, { kind: "send", awaits, content: encodeContent(content) });
  }
  const others = told.filter((one) => one.device !== device);
  changeDevices(draft, { told: [...others, { device, version: list.version }] });
}

/** After a list was followed: to every device but the one that told it, whose pair is in the record `source`. */
export async function tellAll(draft: Draft, source: ConversationId): Promise<void> {
  const { list } = draft.conversation.devices;
  const peer = openPeer(draft);
  if (list === undefined || list.version < 2 || peer === undefined || isNotes(draft)) return;
  const isHere = draft.conversation.id !== source && peer.sessions.length > 0;
  if (isHere && peer.mark.version < list.version) await tellBack(draft, list, undefined);
  for (const { conversation } of linksOf(draft)) {
    if (conversation !== source) await tellBack(draft, list, conversation);
  }
}

async function fallBehind(
  draft: Draft,
  version: number,
  since: number,
  ask: ConversationId | undefined,
): Promise<void> {
  const { behind } = draft.conversation.devices;
  if (behind !== undefined && behind >= version) return;
  changeDevices(draft, { behind: version });
  await askForLists(draft, since, ask);
}

async function askForLists(
  draft: Draft,
  since: number,
  ask: ConversationId | undefined,
): Promise<void> {
  changeLive(draft, { listAskedAt: draft.env.now });
  const id = newContentId(draft);
  const content = { kind: "request", id, time: nextTime(draft), since } as const;
  if (ask === undefined) await enqueue(draft, content, undefined);
  else post(draft, ask, { kind: "send", awaits: bytesToHex(id), content: encodeContent(content) });
}

/** The answer may have been lost with a store: everybody who may know is asked again. */
export async function askAgain(draft: Draft): Promise<void> {
  const at = askDueAt(draft);
  if (at !== undefined && at <= draft.env.now) await askAll(draft);
}

async function askAll(draft: Draft): Promise<void> {
  changeLive(draft, { listAskedAt: draft.env.now });
  const since = listOf(draft)?.version ?? 0;
  const peer = openPeer(draft);
  if (peer !== undefined && !peer.retired) await askForLists(draft, since, undefined);
  for (const { conversation } of linksOf(draft)) await askForLists(draft, since, conversation);
}

function askDueAt({ conversation: { devices }, env, live }: Draft): Instant | undefined {
  if (devices.behind === undefined) return undefined;
  return live.listAskedAt > env.now ? 0 : live.listAskedAt + ASK_AGAIN_MS;
}

/** Lists of this account after `since`, or the newest, for the device of this pair. */
export async function answerRequest(draft: Draft, since: number): Promise<void> {
  const { lists } = draft.self.devices;
  const wanted = since === 0 ? lists.slice(-1) : lists.filter(({ version }) => version > since);
  for (const list of wanted) await tell(draft, list);
}

const tell = async (draft: Draft, list: DeviceList): Promise<boolean> =>
  enqueue(draft, listContent(draft, list), undefined);

const listContent = (draft: Draft, list: DeviceList): Extract<Content, { kind: "devices" }> => ({
  kind: "devices",
  id: newContentId(draft),
  time: nextTime(draft),
  list,
});

/** The device of this pair hears of every version of the own list. A device that was always alone says nothing. */
export async function announce(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || peer.retired || peer.change !== undefined) return;
  if (peer.sessions.length === 0 || peer.queue.address === undefined) return;
  const { lists } = draft.self.devices;
  const newest = lists.at(-1);
  if (newest === undefined || newest.version <= Math.max(peer.announced, 1)) return;
  const due = peer.announced === 0 ? [newest] : lists.slice(lists.findIndex(isAfter));
  function isAfter({ version }: DeviceList): boolean {
    return version > (peer?.announced ?? 0);
  }
  for (const list of due) {
    if (!(await tell(draft, list))) return;
    const now = openPeer(draft);
    if (now !== undefined) changePeer(draft, now, { announced: list.version });
  }
}

/** Own devices hear of everybody this one talks to, and of their devices. */
export function introduceContact(draft: Draft): void {
  const { self, conversation } = draft;
  const peer = openPeer(draft);
  if (peer === undefined || conversation.parent !== undefined || peer.change !== undefined) return;
  if (!conversation.listed) return;
  if (peer.contact.name === "" || self.devices.links.length === 0) return;
  const { introduced, list } = conversation.devices;
  const version = list?.version ?? 0;
  const knowsAll = (device: DeviceName): boolean =>
    introduced.some((one) => one.device === device && one.version >= version);
  const fresh = self.devices.links.filter(({ device }) => !knowsAll(device));
  if (fresh.length === 0) return;
  const { name, verified, cert } = peer.contact;
  for (const { conversation: to } of fresh) {
    const id = newContentId(draft);
    const time = nextTime(draft);
    const content = encodeContent({ kind: "contact", id, time, name, verified, cert, list });
    post(draft, to, { kind: "send", awaits: bytesToHex(id), content });
  }
  const { links } = self.devices;
  changeDevices(draft, { introduced: links.map(({ device }) => ({ device, version })) });
}

/** A way to a device: used when it is for this one, else passed on towards the device it is for. */
export async function onOffer(
  draft: Draft,
  offer: Extract<Content, { kind: "offer" }>,
): Promise<void> {
  const { self } = draft;
  const root = rootOf(draft);
  if (root === undefined) return;
  const device = bytesToHex(offer.device);
  const isForOwn = equalBytes(offer.account, accountIdOf(self.cert.rootKey));
  const isOfOwn = equalBytes(offer.cert.rootKey, self.cert.rootKey);
  // But for people in groups, only what is between the two accounts of this conversation passes through it.
  if (routeOffer(draft, offer)) return;
  if (!isOfOwn && !equalBytes(offer.cert.rootKey, root)) {
    drop(draft, "wrong-identity");
    return;
  }
  const content = encodeContent(offer);
  const awaits = bytesToHex(offer.id);
  if (isForOwn && device === nameOf(self.cert)) {
    if (!isOfOwn || isNotes(draft)) await takeOffer(draft, offer);
    else toNotes(draft, content);
    return;
  }
  if (isForOwn) {
    const link = self.devices.links.find((one) => one.device === device);
    if (link === undefined) drop(draft, "unlisted");
    else post(draft, link.conversation, { kind: "send", awaits, content });
    return;
  }
  if (!equalBytes(offer.account, accountIdOf(root))) {
    drop(draft, "unexpected");
    return;
  }
  passOn(draft, offer);
}

/** To the device it is for, when there is a pair with it. */
export function passOn(draft: Draft, offer: Extract<Content, { kind: "offer" }>): void {
  const device = bytesToHex(offer.device);
  const content = encodeContent(offer);
  const from = nameOf(offer.cert);
  const others = draft.conversation.devices.passing.filter(
    (one) => one.device !== device || one.from !== from,
  );
  changeDevices(draft, { passing: [...others, { device, from, content }].slice(-OFFERS_MAX) });
}

/** What a contact's device has about the own account. */
const toNotes = (draft: Draft, content: Uint8Array): void =>
  post(draft, accountAddress(accountIdOf(draft.self.cert.rootKey)), {
    kind: "content",
    content,
    path: "relay",
  });

/** What was to be passed on to devices that have a pair by now. */
export async function passOffers(draft: Draft): Promise<void> {
  const { passing, links } = draft.conversation.devices;
  if (passing.length === 0) return;
  const gone = listOf(draft)?.removed.map(({ id }) => bytesToHex(id)) ?? [];
  const peer = openPeer(draft);
  const here = peer !== undefined && peer.sessions.length > 0 ? deviceHere(draft) : undefined;
  const kept: AccountDevices["passing"][number][] = [];
  for (const one of passing) {
    if (gone.includes(one.device)) continue;
    const link = links.find(({ device }) => device === one.device);
    const awaits = bytesToHex(one.content.slice(1, 1 + CONTENT_ID_BYTES));
    if (link !== undefined) {
      post(draft, link.conversation, { kind: "send", awaits, content: one.content });
    } else if (one.device !== here || !(await enqueueEncoded(draft, awaits, one.content))) {
      kept.push(one);
    }
  }
  if (kept.length < passing.length) changeDevices(draft, { passing: kept });
}

async function takeOffer(
  draft: Draft,
  { cert, way }: Extract<Content, { kind: "offer" }>,
): Promise<void> {
  if (equalBytes(cert.deviceId, draft.self.cert.deviceId)) return;
  const opened = await openWay(draft.self, cert, way, draft.env.crypto);
  if (opened === undefined) drop(draft, "wrong-identity");
  else considerOffer(draft, opened);
}

/** Of a listed device; or kept until a list names it. */
function considerOffer(draft: Draft, offer: DeviceOffer): void {
  const { cert } = offer.bundle;
  const list = listOf(draft);
  const device = nameOf(cert);
  if (list === undefined || !isCurrent(list, cert)) {
    const isGone = list?.removed.some(({ id }) => equalBytes(id, cert.deviceId)) === true;
    if (isGone) drop(draft, "unlisted");
    else {
      const others = draft.conversation.devices.offers.filter(
        (one) => nameOf(one.bundle.cert) !== device,
      );
      changeDevices(draft, { offers: [...others, offer].slice(-OFFERS_MAX) });
    }
    return;
  }
  const peer = openPeer(draft);
  if (peer !== undefined && deviceHere(draft) === device) {
    useOffer(draft, offer);
    return;
  }
  const link = linksOf(draft).find((one) => one.device === device);
  if (link === undefined) beginPair(draft, cert, offer);
  else post(draft, link.conversation, { kind: "offer", offer });
}

/** In a pair: begins its session with what was offered, unless there is one. */
export function useOffer(draft: Draft, { bundle, address }: DeviceOffer): void {
  const peer = openPeer(draft);
  if (peer === undefined || peer.retired || peer.sessions.length > 0) return;
  if (!isSameDevice(peer.contact.cert, bundle.cert)) {
    drop(draft, "wrong-identity");
    return;
  }
  changePeer(draft, peer, {
    contact: { ...peer.contact, cert: bundle.cert, addresses: [address] },
    spares: {
      ...peer.spares,
      theirs: { bundle: encodeBundle(bundle), time: { ms: 0, counter: 0 } },
    },
  });
}

function beginPair(draft: Draft, cert: DeviceCert, offer: DeviceOffer | undefined): void {
  const { conversation, env } = draft;
  const device = nameOf(cert);
  const to = bytesToHex(env.entropy(16));
  const name = openPeer(draft)?.contact.name ?? draft.self.name;
  post(draft, to, { kind: "begin", parent: conversation.id, name, cert, offer });
  setLinks(draft, [...linksOf(draft), { device, conversation: to }]);
  const { missing } = draft.conversation.devices;
  changeDevices(draft, { missing: missing.filter((one) => one.device !== device) });
  for (const row of draft.outbox) {
    if (row.message === undefined || row.awaits === undefined || row.content === undefined)
      continue;
    post(draft, to, { kind: "send", awaits: row.awaits, content: row.content });
  }
}

function missingDueAt(draft: Draft, device: DeviceName, since: Instant): Instant {
  if (since === 0) return 0;
  const isLower = nameOf(draft.self.cert) < device;
  return since + MISSING_PATIENCE_MS * (isLower ? 1 : 2);
}

/** Begins pairs with listed devices that have not offered themselves. */
export function linkMissing(draft: Draft): void {
  const list = listOf(draft);
  if (list === undefined || isTextHeld(draft)) return;
  for (const { device, since } of draft.conversation.devices.missing) {
    if (missingDueAt(draft, device, since) > draft.env.now) continue;
    const listed = list.devices.find(({ id }) => bytesToHex(id) === device);
    if (listed === undefined) continue;
    const cert: DeviceCert = {
      rootKey: list.rootKey,
      deviceId: listed.id,
      signingKey: listed.signingKey,
      dhKey: listed.dhKey,
      issuedAt: 0,
      signature: new Uint8Array(SIGNATURE_BYTES),
    };
    beginPair(draft, cert, undefined);
  }
}

/** A pair without a session and without an address waits for the other device to be reached through others. */
const isUnreached = (peer: OpenPeer): boolean =>
  !peer.retired &&
  peer.change === undefined &&
  peer.sessions.length === 0 &&
  peer.contact.addresses.length === 0 &&
  peer.queue.address !== undefined;

const offerDueAt = ({ offeredAt }: OpenPeer, now: Instant): Instant =>
  offeredAt === 0 || offeredAt > now ? 0 : offeredAt + OFFER_AGAIN_MS;

/** Says through others how this device can be reached. */
export async function offerWay(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || !isUnreached(peer)) return;
  const { conversation, env, self } = draft;
  const isAlone = self.devices.links.length === 0 && conversation.devices.introducers.length === 0;
  if (conversation.parent === undefined && isAlone) return;
  const { address } = peer.queue;
  if (address === undefined || offerDueAt(peer, env.now) > env.now) return;
  const bundle = await addSpare(draft, peer);
  const withSpare = openPeer(draft);
  if (withSpare === undefined) return;
  changePeer(draft, withSpare, { offeredAt: env.now });
  const { cert } = peer.contact;
  const content = encodeContent({
    kind: "offer",
    id: newContentId(draft),
    time: nextTime(draft),
    account: accountIdOf(cert.rootKey),
    device: asDeviceId(cert.deviceId),
    cert: self.cert,
    way: await sealWay(self, cert, { bundle, address }, env),
  });
  const device = nameOf(cert);
  if (conversation.parent === undefined) await spreadWay(draft, device, content);
  else post(draft, conversation.parent, { kind: "reach", device, content });
}

/** Through every own device, and every other device of that account: one of them has a pair with it. */
export async function spreadWay(
  draft: Draft,
  device: DeviceName,
  content: Uint8Array,
): Promise<void> {
  const awaits = bytesToHex(content.slice(1, 1 + CONTENT_ID_BYTES));
  const own = draft.self.devices.links;
  if (isNotes(draft)) askContacts(draft, device, content);
  const links = isNotes(draft) ? own : [...own, ...draft.conversation.devices.links];
  for (const link of links) {
    if (link.device === device) continue;
    post(draft, link.conversation, { kind: "send", awaits, content });
  }
  askIntroducers(draft, awaits, content);
  const peer = openPeer(draft);
  if (peer === undefined || peer.sessions.length === 0 || deviceHere(draft) === device) return;
  await enqueueEncoded(draft, awaits, content);
}

/** The second time round, or when there is no other own device: contacts have pairs with both. */
function askContacts(draft: Draft, device: DeviceName, content: Uint8Array): void {
  const { reach, links } = draft.self.devices;
  const isFirst = !reach.some((one) => one.device === device);
  const hasOthers = links.some((one) => one.device !== device);
  const entry = { device, content: isFirst && hasOthers ? new Uint8Array(0) : content };
  const others = reach.filter((one) => one.device !== device);
  changeOwnDevices(draft, { reach: [...others, entry].slice(-DEVICES_MAX) });
}

/** An own device answered: nobody need be asked for a way to it any more. */
export function onReached(draft: Draft, via: ConversationId): void {
  const { reach, links } = draft.self.devices;
  const device = links.find(({ conversation }) => conversation === via)?.device;
  if (!isNotes(draft) || !reach.some((one) => one.device === device)) return;
  changeOwnDevices(draft, { reach: reach.filter((one) => one.device !== device) });
}

/** Ways to own devices that this contact is to pass on: once each, to all of its devices. */
export async function passOwn(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  const { reach } = draft.self.devices;
  const { asked, links } = draft.conversation.devices;
  if (draft.conversation.parent !== undefined || peer === undefined) return;
  if (reach.length === 0 && asked.length === 0) return;
  const idOf = (content: Uint8Array): MessageId =>
    bytesToHex(content.slice(1, 1 + CONTENT_ID_BYTES));
  const due = reach.filter(({ content }) => content.length > 0);
  for (const { content } of due) {
    const awaits = idOf(content);
    if (asked.includes(awaits)) continue;
    if (peer.sessions.length > 0 && !peer.retired) await enqueueEncoded(draft, awaits, content);
    for (const { conversation } of links) {
      post(draft, conversation, { kind: "send", awaits, content });
    }
  }
  const next = due.map(({ content }) => idOf(content));
  if (next.join() !== asked.join()) changeDevices(draft, { asked: next });
}

/** When pairs are to be begun, ways offered or lists asked for again. */
export function devicesWakeAt(draft: Draft): Instant | undefined {
  const times: Instant[] = [];
  const askAt = askDueAt(draft);
  if (askAt !== undefined) times.push(askAt);
  if (listOf(draft) !== undefined && !isTextHeld(draft)) {
    for (const { device, since } of draft.conversation.devices.missing) {
      times.push(missingDueAt(draft, device, since));
    }
  }
  const peer = openPeer(draft);
  if (peer !== undefined && isUnreached(peer) && peer.offeredAt > 0) {
    times.push(offerDueAt(peer, draft.env.now));
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Another device of this account has a pair with this one from here on. The one that was there first lists it. */
export async function linkOwn(draft: Draft, cert: DeviceCert, lists: boolean): Promise<void> {
  const { self, env, conversation } = draft;
  const device = nameOf(cert);
  const links = self.devices.links.filter((link) => link.device !== device);
  changeOwnDevices(draft, { links: [...links, { device, conversation: conversation.id }] });
  if (!lists) return;
  const known = self.devices.lists.at(-1);
  const list = known ?? (await createDeviceList(self, env));
  if (isCurrent(list, cert)) return;
  const added = await addDevice(list, cert, true, self.rootSecret, env);
  if (!added.ok) {
    drop(draft, "unlisted");
    return;
  }
  const before = known === undefined ? [list] : self.devices.lists;
  changeOwnDevices(draft, { lists: [...before, added.list] });
}

/** The person takes a device of their own from the list. */
export async function onRemoveDevice(draft: Draft, device: DeviceName): Promise<void> {
  const { self, env } = draft;
  const list = self.devices.lists.at(-1);
  const id = hexToBytes(device);
  if (!isNotes(draft) || list === undefined || id === undefined || device === nameOf(self.cert)) {
    drop(draft, "unexpected");
    return;
  }
  const listed = list.devices.find((one) => equalBytes(one.id, id));
  if (listed === undefined) {
    drop(draft, "unexpected");
    return;
  }
  const removed = await removeDevice(list, listed.id, self.rootSecret, env);
  if (!removed.ok) drop(draft, "unexpected");
  else adoptList(draft, removed.list);
}

/** The person trusts the contact again after it showed two lists: what its devices say from now on counts. */
export async function answerFork(draft: Draft, compared: boolean): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || draft.conversation.devices.fork === undefined) {
    drop(draft, "unexpected");
    return;
  }
  if (peer.contact.verified && !compared) {
    drop(draft, "unexpected");
    return;
  }
  // Behind even the first version: what was written meanwhile waits for the list that names its devices.
  changeDevices(draft, { fork: undefined, list: undefined, pinned: undefined, behind: 1 });
  if (compared) changePeer(draft, peer, { contact: { ...peer.contact, verified: true } });
  await askAll(draft);
}

/** This pair's device is no more. */
export function endPair(draft: Draft): void {
  const peer = openPeer(draft);
  if (peer !== undefined) refuse(draft, peer.queue, "removed");
}

export const newContentId = (draft: Draft): ReturnType<typeof asContentId> =>
  asContentId(draft.env.entropy(CONTENT_ID_BYTES));

export function nextTime(draft: Draft): HybridTime {
  const time = tick(draft.conversation.clock, draft.env.now);
  changeConversation(draft, { clock: time });
  return time;
}
