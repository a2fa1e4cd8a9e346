/**
 * Which devices a conversation's account has, as its record says: what lists (devices.ts) and ways (ways.ts) go by.
 * Spec: SPEC.md §10.
 */
import { accountIdOf } from "@sotto/crypto";
import {
  asContentId,
  bytesToHex,
  CONTENT_ID_BYTES,
  type DeviceCert,
  type DeviceList,
  type HybridTime,
} from "@sotto/wire";
import { accountAddress } from "./address.ts";
import { tick } from "./clock.ts";
import {
  changeConversation,
  changeDevices,
  changeOwnDevices,
  type Draft,
  openPeer,
  post,
} from "./draft.ts";
import type { AccountDevices, DeviceLink, DeviceName } from "./ports.ts";

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
  unpresented: [],
  introducers: [],
  refusedGroups: [],
  past: undefined,
  news: { added: 0, removed: 0 },
};

export const nameOf = (cert: Pick<DeviceCert, "deviceId">): DeviceName => bytesToHex(cert.deviceId);

export const isNotes = ({ conversation }: Draft): boolean => conversation.peer.state === "notes";

/** Of the account that this conversation is with. */
export const listOf = (draft: Draft): DeviceList | undefined =>
  isNotes(draft) ? draft.self.devices.lists.at(-1) : draft.conversation.devices.list;

export const rootOf = (draft: Draft): Uint8Array | undefined =>
  isNotes(draft) ? draft.self.cert.rootKey : openPeer(draft)?.contact.cert.rootKey;

export const linksOf = (draft: Draft): readonly DeviceLink[] =>
  isNotes(draft) ? draft.self.devices.links : draft.conversation.devices.links;

export function setLinks(draft: Draft, links: readonly DeviceLink[]): void {
  if (isNotes(draft)) changeOwnDevices(draft, { links });
  else changeDevices(draft, { links });
}

/** Undefined where no device of the account has its pair in this very record. */
export function deviceHere(draft: Draft): DeviceName | undefined {
  const peer = openPeer(draft);
  return peer === undefined || peer.retired ? undefined : nameOf(peer.contact.cert);
}

/** What a contact's device has about the own account. */
export const toNotes = (draft: Draft, content: Uint8Array): void =>
  post(draft, accountAddress(accountIdOf(draft.self.cert.rootKey)), {
    kind: "content",
    content,
    path: "relay",
  });

export const newContentId = (draft: Draft): ReturnType<typeof asContentId> =>
  asContentId(draft.env.entropy(CONTENT_ID_BYTES));

export function nextTime(draft: Draft): HybridTime {
  const time = tick(draft.conversation.clock, draft.env.now);
  changeConversation(draft, { clock: time });
  return time;
}
