/**
 * Pairs with the devices that lists name: how they are begun, and how the two find out where the other reads.
 * Owns: offers, on their way and taken; introductions between own devices. Leaves to devices.ts: which devices count;
 * to repair.ts: beginning a session.
 * Spec: SPEC.md §10.
 */
import { accountIdOf, isCurrent, isSameDevice, openWay, sealWay } from "@sotto/crypto";
import {
  asDeviceId,
  bytesToHex,
  type Content,
  CONTENT_ID_BYTES,
  type DeviceCert,
  DEVICES_MAX,
  encodeBundle,
  encodeContent,
  equalBytes,
  SIGNATURE_BYTES,
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
  isTextHeld,
  openPeer,
  type OpenPeer,
  post,
  putOutbox,
} from "./draft.ts";
import { askIntroducers, routeOffer } from "./group-ways.ts";
import { enqueueEncoded } from "./outbox.ts";
import type {
  AccountDevices,
  ConversationId,
  DeviceName,
  DeviceOffer,
  Instant,
  MessageId,
} from "./ports.ts";
import { addSpare, isOver, REPAIR_PATIENCE_MS } from "./repair.ts";

/** Ways to devices that no list names yet, or that wait for a pair: one from each device of both accounts. */
export const OFFERS_MAX = 32;
/** A listed device without a pair offers itself; after this, the lower of both device ids offers instead… */
export const MISSING_PATIENCE_MS = 60_000;
/** …and as often again the higher one. An offer that led to nothing is made again. */
export const OFFER_AGAIN_MS = 3_600_000;

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
  else considerOffer(draft, { ...opened, receivedAt: draft.env.now });
}

/** Of a listed device; or kept until a list names it. */
export function considerOffer(draft: Draft, offer: DeviceOffer): void {
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

/**
 * In a pair: begins its session with what was offered, unless there is one that was answered. Whoever offers itself again
 * has heard nothing of the one that is not: its bundle may have ended by its clock.
 */
export function useOffer(draft: Draft, offer: DeviceOffer): void {
  const { bundle, addresses, receivedAt } = offer;
  const peer = openPeer(draft);
  if (peer === undefined || peer.retired) return;
  const [session] = peer.sessions;
  const { usedAt } = peer.spares;
  const isSoon = usedAt <= draft.env.now && draft.env.now < usedAt + OFFER_AGAIN_MS;
  if (session !== undefined && (session.helloHeader === undefined || isSoon)) return;
  if (isOver(offer, draft.env.now)) {
    drop(draft, "expired");
    return;
  }
  if (!isSameDevice(peer.contact.cert, bundle.cert)) {
    drop(draft, "wrong-identity");
    return;
  }
  if (session !== undefined) changeLive(draft, { unopenedAt: draft.env.now - REPAIR_PATIENCE_MS });
  changePeer(draft, peer, {
    contact: { ...peer.contact, cert: bundle.cert, addresses },
    spares: {
      ...peer.spares,
      theirs: { bundle: encodeBundle(bundle), time: { ms: 0, counter: 0 }, receivedAt },
    },
  });
}

function beginPair(draft: Draft, cert: DeviceCert, offer: DeviceOffer | undefined): void {
  const { conversation, env } = draft;
  const device = nameOf(cert);
  const to = bytesToHex(env.entropy(16));
  const name = openPeer(draft)?.contact.name ?? draft.self.name;
  post(draft, to, {
    kind: "begin",
    parent: conversation.id,
    listed: conversation.listed,
    name,
    cert,
    offer,
  });
  setLinks(draft, [...linksOf(draft), { device, conversation: to }]);
  const { missing } = draft.conversation.devices;
  changeDevices(draft, { missing: missing.filter((one) => one.device !== device) });
  const isHeld = openPeer(draft)?.change !== undefined;
  for (const row of draft.outbox) {
    if (row.message === undefined || row.awaits === undefined || row.content === undefined)
      continue;
    if (isHeld) {
      // Handed on with the rest once the person has decided (§9); who has it knows it by its id.
      putOutbox(draft, { ...row, spread: false });
      continue;
    }
    post(draft, to, { kind: "send", awaits: row.awaits, content: row.content });
  }
}

function missingDueAt(draft: Draft, device: DeviceName, since: Instant): Instant {
  // Further ahead than `postponePair` says: the clock was set back.
  if (since === 0 || since > draft.env.now + OFFER_AGAIN_MS) return 0;
  const isLower = nameOf(draft.self.cert) < device;
  return since + MISSING_PATIENCE_MS * (isLower ? 1 : 2);
}

/** There is no room for that pair: tried again later, or when its device offers itself. */
export function postponePair(draft: Draft, pair: ConversationId): void {
  const { links, missing } = draft.conversation.devices;
  const since = draft.env.now + OFFER_AGAIN_MS;
  const refused = links.filter(({ conversation }) => conversation === pair);
  changeDevices(draft, {
    links: links.filter((one) => !refused.includes(one)),
    missing: [...missing, ...refused.map(({ device }) => ({ device, since }))],
  });
}

/** Of somebody known from groups alone one device has to have answered: each costs a queue, and lists are cheap. */
function isUnmet({ conversation: { listed, peer } }: Draft): boolean {
  return !listed && peer.state === "open" && !peer.retired && peer.sessions.length === 0;
}

const missingIn = (draft: Draft): AccountDevices["missing"] =>
  isTextHeld(draft) || isUnmet(draft) ? [] : draft.conversation.devices.missing;

/** Begins pairs with listed devices that have not offered themselves. */
export function linkMissing(draft: Draft): void {
  const list = listOf(draft);
  if (list === undefined) return;
  for (const { device, since } of missingIn(draft)) {
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
  peer.queue.addresses.length > 0;

const offerDueAt = ({ offeredAt }: OpenPeer, now: Instant): Instant =>
  offeredAt === 0 || offeredAt > now ? 0 : offeredAt + OFFER_AGAIN_MS;

/** Says through others how this device can be reached. */
export async function offerWay(draft: Draft): Promise<void> {
  const peer = openPeer(draft);
  if (peer === undefined || !isUnreached(peer)) return;
  const { conversation, env, self } = draft;
  const isAlone = self.devices.links.length === 0 && conversation.devices.introducers.length === 0;
  if (conversation.parent === undefined && isAlone) return;
  const { addresses } = peer.queue;
  if (offerDueAt(peer, env.now) > env.now) return;
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
    way: await sealWay(self, cert, { bundle, addresses }, env),
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

/** When pairs are to be begun, or ways offered. */
export function waysWakeAt(draft: Draft): Instant | undefined {
  const times: Instant[] = [];
  if (listOf(draft) !== undefined) {
    for (const { device, since } of missingIn(draft)) {
      times.push(missingDueAt(draft, device, since));
    }
  }
  const peer = openPeer(draft);
  if (peer !== undefined && isUnreached(peer) && peer.offeredAt > 0) {
    times.push(offerDueAt(peer, draft.env.now));
  }
  return times.length === 0 ? undefined : Math.min(...times);
}
