/**
 * What pairs say to groups, and which ways between people in groups pass through a conversation.
 * Owns: posts that need nothing but this record. Leaves to group-pairs.ts: what groups ask of conversations.
 * Spec: SPEC.md §11.
 */
import { accountIdOf } from "@sotto/crypto";
import {
  ACCOUNT_ID_BYTES,
  bytesToHex,
  type Content,
  encodeContent,
  equalBytes,
  GROUP_ENVELOPE_TYPE,
  hexToBytes,
} from "@sotto/wire";
import { accountAddress, groupAddress, memberAddress } from "./address.ts";
import { type Draft, drop, openPeer, post } from "./draft.ts";
import type { ConversationId, Path } from "./ports.ts";

/** The account on the other side, in hex; undefined where none is known. */
export const accountOf = (draft: Draft): string | undefined => {
  const peer = openPeer(draft);
  return peer === undefined ? undefined : bytesToHex(accountIdOf(peer.contact.cert.rootKey));
};

/** A content of a pair's device about a group: to the group it names. */
export function toGroup(
  draft: Draft,
  content: Extract<Content, { kind: "page" | "key" | "heads" | "member" }>,
): void {
  const peer = openPeer(draft);
  const account = accountOf(draft);
  if (peer === undefined || account === undefined) return;
  post(draft, groupAddress(bytesToHex(content.group)), {
    kind: "told",
    account,
    device: bytesToHex(peer.contact.cert.deviceId),
    content: encodeContent(content),
  });
}

/** A sealed group message: to the first group with its sender in it. */
export function toGroups(draft: Draft, envelope: Uint8Array, path: Path): void {
  const peer = openPeer(draft);
  const account = accountOf(draft);
  if (peer === undefined || account === undefined || peer.change !== undefined || peer.retired) {
    drop(draft, "unexpected");
    return;
  }
  post(draft, memberAddress(account, ""), {
    kind: "arrived",
    pair: draft.conversation.id,
    account,
    device: bytesToHex(peer.contact.cert.deviceId),
    envelope,
    path,
    again: false,
  });
}

export const isGroupEnvelope = (blob: Uint8Array): boolean => blob[0] === GROUP_ENVELOPE_TYPE;

/** The device has a group's message, or, by every sign, cannot open it. */
export function tellGroup(
  draft: Draft,
  kind: "reached" | "stale",
  row: { readonly awaits: string | undefined; readonly group: ConversationId | undefined },
): void {
  const peer = openPeer(draft);
  const account = accountOf(draft);
  if (peer === undefined || account === undefined) return;
  if (row.group === undefined || row.awaits === undefined) return;
  const device = bytesToHex(peer.contact.cert.deviceId);
  post(draft, row.group, { kind, awaits: row.awaits, account, device });
}

/** Whether this account and that one met through this device. */
export function isPresented({ conversation }: Draft, account: string): boolean {
  const { presented } = conversation.devices;
  const wanted = bytesFrom(account);
  for (let at = 0; at < presented.length; at += ACCOUNT_ID_BYTES) {
    if (equalBytes(presented.subarray(at, at + ACCOUNT_ID_BYTES), wanted)) return true;
  }
  return false;
}

/**
 * An offer that is not between the two accounts of this conversation. True when it was between two who met through
 * this device, or came through somebody who introduced them, and is on its way.
 */
export function routeOffer(draft: Draft, offer: Extract<Content, { kind: "offer" }>): boolean {
  const { self } = draft;
  const account = accountOf(draft);
  if (account === undefined) return false;
  const maker = bytesToHex(accountIdOf(offer.cert.rootKey));
  const own = bytesToHex(accountIdOf(self.cert.rootKey));
  const target = bytesToHex(offer.account);
  const content = encodeContent(offer);
  if (maker === own || target === account) return false;
  if (maker === account && target !== own) {
    if (!isPresented(draft, target)) return false;
    post(draft, `account:${target}`, { kind: "pass", content });
    return true;
  }
  if (target !== own || maker === account) return false;
  post(draft, accountAddress(accountIdOf(offer.cert.rootKey)), {
    kind: "way",
    by: account,
    content,
  });
  return true;
}

/** Ways of this device to somebody known from groups alone go through those who know both. */
export function askIntroducers(draft: Draft, awaits: string, content: Uint8Array): void {
  for (const account of draft.conversation.devices.introducers) {
    post(draft, `account:${account}`, { kind: "deliver", awaits, content });
  }
}

/** Hex of an account, as this package writes it. */
export const bytesFrom = (hex: string): Uint8Array =>
  hexToBytes(hex) ?? new Uint8Array(ACCOUNT_ID_BYTES);
