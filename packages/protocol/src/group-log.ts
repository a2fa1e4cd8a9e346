/**
 * A group's log in its record, and what of it this device tells others.
 * Owns: taking a log in, pages, introductions, questions. Leaves to crypto/membership.ts: what a log says; to group.ts:
 * when.
 * Spec: SPEC.md §11.
 */
import { accountIdOf, type GroupLog, openLog, opIdOf } from "@sotto/crypto";
import {
  asAccountId,
  asGroupId,
  asOpId,
  bytesToHex,
  decodeGroupOp,
  encodeContent,
  type GroupPage,
  hexToBytes,
  type OpId,
  PARENTS_MAX,
} from "@sotto/wire";
import { nameOf, newContentId, nextTime } from "./directory.ts";
import { changeConversation, changeGroup, changeLive, type Draft, post } from "./draft.ts";
import type { ConversationId, Peer } from "./ports.ts";

export type GroupPeer = Extract<Peer, { state: "group" }>;

export function groupPeer({ conversation: { peer } }: Draft): GroupPeer | undefined {
  return peer.state === "group" ? peer : undefined;
}

export const ownAccount = ({ self }: Draft): string => bytesToHex(accountIdOf(self.cert.rootKey));

/** The log that begins with a page; undefined when the page does not begin that group. */
export function logIn({ ops, certs }: GroupPage, group: string): GroupLog | undefined {
  for (const bytes of ops) {
    const op = decodeGroupOp(bytes);
    if (!op.ok || op.value.action.kind !== "create" || bytesToHex(opIdOf(op.value)) !== group) {
      continue;
    }
    for (const cert of certs) {
      const opened = openLog(op.value, cert);
      if (opened.ok) return opened.log;
    }
  }
  return undefined;
}

/** The log has grown: what it says about this account holds from here on. */
export function takeLog(draft: Draft, log: GroupLog): void {
  const peer = groupPeer(draft);
  if (peer === undefined) return;
  const { row } = draft.group;
  changeGroup(draft, {
    conversation: draft.conversation.id,
    log,
    roster: row?.roster ?? new Map(),
    introductions: row?.introductions ?? [],
  });
  const member = log.state.members.has(ownAccount(draft));
  const listed = draft.conversation.listed || member;
  changeConversation(draft, { peer: { ...peer, member }, listed });
  if (!peer.member || member) return;
  // What was sealed without knowing it no device takes, own ones included.
  for (const { conversation } of draft.self.devices.links) {
    post(draft, conversation, { kind: "withdraw" });
  }
}

/** Pages to every device of these accounts. */
export function tellAccounts(
  draft: Draft,
  pages: readonly GroupPage[],
  accounts: readonly string[],
): void {
  const own = ownAccount(draft);
  for (const page of pages) {
    const { awaits, content } = pageContent(draft, page);
    for (const account of accounts) {
      if (account === own) continue;
      post(draft, `account:${account}`, { kind: "deliver", awaits, content });
    }
  }
}

export function tellPair(draft: Draft, pages: readonly GroupPage[], pair: ConversationId): void {
  for (const page of pages) post(draft, pair, { kind: "send", ...pageContent(draft, page) });
}

export function tellOwn(
  draft: Draft,
  pages: readonly GroupPage[],
  devices: readonly string[],
): void {
  for (const { device, conversation } of draft.self.devices.links) {
    if (devices.includes(device)) tellPair(draft, pages, conversation);
  }
}

function pageContent(
  draft: Draft,
  page: GroupPage,
): { readonly awaits: string; readonly content: Uint8Array } {
  const id = newContentId(draft);
  const group = groupIdOf(draft);
  const content = encodeContent({ kind: "page", id, time: nextTime(draft), group, page });
  return { awaits: bytesToHex(id), content };
}

export const groupIdOf = (draft: Draft): ReturnType<typeof asGroupId> =>
  asGroupId(bytesFrom(groupPeer(draft)?.group ?? ""));

/** Each of `others` hears of `account`, and it of each of them. */
export function introduce(draft: Draft, account: string, others: readonly string[]): void {
  const group = groupPeer(draft)?.group;
  const own = ownAccount(draft);
  const to = others.filter((one) => one !== account && one !== own);
  if (group === undefined || account === own || to.length === 0) return;
  post(draft, `account:${account}`, { kind: "present", group, to });
  for (const other of to) {
    post(draft, `account:${other}`, { kind: "present", group, to: [account] });
  }
}

/** `to` hears of these members. The own account's devices do, too: not all members are contacts. */
export function presentTo(draft: Draft, to: string, members: readonly string[]): void {
  const group = groupPeer(draft)?.group;
  if (group === undefined) return;
  for (const account of members) {
    if (account === ownAccount(draft) || account === to) continue;
    post(draft, `account:${account}`, { kind: "present", group, to: [to] });
  }
}

/** Asks the device of a pair for what follows the own heads; with no log, for all. */
export function askPair(draft: Draft, pair: ConversationId): void {
  changeLive(draft, { listAskedAt: draft.env.now });
  const id = newContentId(draft);
  const known = draft.group.row?.log.heads ?? [];
  const heads = known.slice(0, PARENTS_MAX).map(opIdFrom);
  const content = encodeContent({
    kind: "heads",
    id,
    time: nextTime(draft),
    group: groupIdOf(draft),
    heads,
  });
  post(draft, pair, { kind: "send", awaits: bytesToHex(id), content });
}

/** This device, as operations name it. */
export const ownDevice = ({ self }: Draft): string => nameOf(self.cert);

export const opIdFrom = (hex: string): OpId => asOpId(bytesFrom(hex));

export const accountFrom = (hex: string): ReturnType<typeof asAccountId> =>
  asAccountId(bytesFrom(hex));

/** Hex that this package or crypto made; anything else is a bug. */
export function bytesFrom(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("an id that is not hex");
  return bytes;
}

/** As `deviceKey` of crypto. */
export const deviceKeyOf = (account: string, device: string): string => `${account}/${device}`;
