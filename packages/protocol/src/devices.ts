/**
 * Which devices speak for an account: lists are followed and asked for, marks judged, forks shown.
 * Owns: what a newer list changes, and what is held until it is there. Leaves to crypto/device-list.ts: whether a list
 * follows; to ways.ts: pairs with the devices; to pairs.ts: what travels between records.
 * Spec: SPEC.md §10.
 */
import {
  addDevice,
  createDeviceList,
  followList,
  isCurrent,
  judgeMark,
  LIST_PREFIX_BYTES,
  listHash,
  type ListMark,
  removeDevice,
  verifyDeviceList,
} from "@sotto/crypto";
import {
  bytesToHex,
  type Content,
  type DeviceCert,
  type DeviceList,
  encodeContent,
  equalBytes,
  hexToBytes,
} from "@sotto/wire";
import {
  deviceHere,
  isNotes,
  linksOf,
  listOf,
  nameOf,
  newContentId,
  nextTime,
  rootOf,
  setLinks,
  toNotes,
} from "./directory.ts";
import {
  changeDevices,
  changeLive,
  changeOwnDevices,
  changePeer,
  type Draft,
  drop,
  openPeer,
  type OpenPeer,
  post,
} from "./draft.ts";
import { enqueue, refuse, unsealAll } from "./outbox.ts";
import type { ConversationId, DeviceLink, DeviceName, Instant } from "./ports.ts";
import { considerOffer } from "./ways.ts";

/** A list that a device knows and that did not come is asked for again. */
export const ASK_AGAIN_MS = 600_000;
/** Lists that came before those they follow. */
export const LATER_LISTS_MAX = 16;

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
  const followed = await followList(known, [list], draft.env.crypto, later);
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
      // One version after the other: the own history is kept without gaps, and every removed device's pair ends.
      for (const next of [...later, list].toSorted((a, b) => a.version - b.version)) {
        if (next.version > known.version && next.version <= followed.list.version) {
          adoptList(draft, next);
        }
      }
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

function changeNews(draft: Draft, added: number, removed: number): void {
  const { news } = draft.conversation.devices;
  if (added + removed === 0) return;
  changeDevices(draft, {
    news: { ...news, added: news.added + added, removed: news.removed + removed },
  });
}

async function takeFirstList(draft: Draft, list: DeviceList, root: Uint8Array): Promise<void> {
  // Who came back from the recovery phrase waits for one that names it: any other may be of before a removal.
  if (isNotes(draft) && !isCurrent(list, draft.self.cert)) {
    drop(draft, "unlisted");
    return;
  }
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
      else if (isOverdue(draft, mark)) await fallBehind(draft, mark.version, 0, ask);
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
 * The list comes with the first words of a conversation, and again when it changes: one that is still missing was lost
 * with a store. Who was always alone (version 1) tells none.
 */
function isOverdue(draft: Draft, { version }: ListMark): boolean {
  const { env, live } = draft;
  if (version < 2) return false;
  const isKnown = live.listMissedAt > 0 && live.listMissedAt <= env.now;
  if (!isKnown) changeLive(draft, { listMissedAt: env.now });
  return isKnown && env.now >= live.listMissedAt + ASK_AGAIN_MS;
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
  if (peer.sessions.length === 0 || peer.queue.addresses.length === 0) return;
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

/** When lists are asked for again. */
export const listsWakeAt = (draft: Draft): Instant | undefined => askDueAt(draft);

/** Another device of this account has a pair with this one from here on. `lists`: this one signs that it is one. */
export async function linkOwn(draft: Draft, cert: DeviceCert, lists: boolean): Promise<void> {
  const { self, env, conversation } = draft;
  const known = self.devices.lists.at(-1);
  if (lists && (known === undefined || !isCurrent(known, cert))) {
    const list = known ?? (await createDeviceList(self, env));
    const added = await addDevice(list, cert, true, self.rootSecret, env);
    if (!added.ok) {
      drop(draft, "unlisted");
      return;
    }
    const before = known === undefined ? [list] : self.devices.lists;
    changeOwnDevices(draft, { lists: [...before, added.list] });
  }
  const device = nameOf(cert);
  const links = self.devices.links.filter((link) => link.device !== device);
  // Whoever signs has what was written before.
  const link: DeviceLink = {
    device,
    conversation: conversation.id,
    history: lists ? "gives" : "asks",
  };
  changeOwnDevices(draft, { links: [...links, link] });
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
