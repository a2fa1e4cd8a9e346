/**
 * Which record a post is for. Shells ask this alone, so that all of them send the same post to the same record.
 * Owns: what addresses mean, and which posts begin records. Leaves to shells: waiting and delivering.
 * Spec: SPEC.md §10, §11.
 */
import { accountIdOf, opIdOf } from "@sotto/crypto";
import { bytesToHex, decodeContent, decodeGroupOp, type DeviceCert } from "@sotto/wire";
import { accountAddress } from "./address.ts";
import type { ConversationId, GroupSlice, PostRow, Slice } from "./ports.ts";

/** Groups that this device was told of and has never been in; one more is not begun. */
export const UNLISTED_GROUPS_MAX = 64;
/** Groups in all; what tells of one more is dropped. */
export const GROUPS_HERE_MAX = 1_024;
/** People known from groups alone; one more is not begun: with them nothing is exchanged until others are gone. */
export const STRANGERS_MAX = 8_192;

export type Route =
  | { readonly kind: "to"; readonly id: ConversationId }
  /** `start-post`, under a new id; for a `begin` under the id that is its address. */
  | { readonly kind: "begins" }
  /** The store keeps it until there is such a record. */
  | { readonly kind: "waits" };

/** `slices`: those of all records. */
export function routeOf(row: PostRow, slices: ReadonlyMap<ConversationId, Slice>): Route {
  const [kind, name = "", after = ""] = row.to.split(":");
  if (kind === "account") return routeToAccount(row, slices);
  if (kind === "group") return routeToGroup(row, name, slices);
  if (kind === "member") return routeToMember(row, name, after, slices);
  if (slices.has(row.to)) return { kind: "to", id: row.to };
  return { kind: row.post.kind === "begin" ? "begins" : "waits" };
}

const accounts = new WeakMap<DeviceCert, string>();

function addressOf(cert: DeviceCert): string {
  const address = accounts.get(cert) ?? accountAddress(accountIdOf(cert.rootKey));
  accounts.set(cert, address);
  return address;
}

function routeToAccount(row: PostRow, slices: ReadonlyMap<ConversationId, Slice>): Route {
  let unlisted: ConversationId | undefined;
  let strangers = 0;
  for (const [id, { self, conversation }] of slices) {
    if (conversation === undefined || conversation.parent !== undefined) continue;
    const { peer } = conversation;
    if (!conversation.listed) strangers++;
    if (peer.state === "notes" && addressOf(self.cert) === row.to) return { kind: "to", id };
    if (peer.state !== "open" || addressOf(peer.contact.cert) !== row.to) continue;
    if (conversation.listed) return { kind: "to", id };
    unlisted = id;
  }
  if (unlisted !== undefined) return { kind: "to", id: unlisted };
  const begins = row.post.kind === "presented" && strangers < STRANGERS_MAX;
  if (begins || beginsContact(row)) return { kind: "begins" };
  if (row.post.kind === "presented") return { kind: "to", id: row.from };
  return isVain(row, slices) ? { kind: "to", id: row.from } : { kind: "waits" };
}

/** Whether nobody need wait until that account is known here. */
function isVain({ to, post }: PostRow, slices: ReadonlyMap<ConversationId, Slice>): boolean {
  switch (post.kind) {
    // Offered again.
    case "way":
    case "pass":
      return true;
    case "content": {
      const decoded = decodeContent(post.content);
      return decoded.ok && decoded.value.kind === "offer";
    }
    // Only a group that both are in brings this account here.
    case "follow":
    case "deliver":
    case "present":
      return ![...slices.values()].some((slice) => isTogether(slice, to.slice("account:".length)));
    default:
      return false;
  }
}

function isTogether({ conversation, group }: Slice, account: string): boolean {
  const peer = conversation?.peer;
  const members = group?.row?.log.state.members;
  return peer?.state === "group" && peer.member && members?.has(account) === true;
}

/** What nobody took is back where it came from. */
export const isReturned = ({ from, to }: PostRow, id: ConversationId): boolean =>
  from === id && to.startsWith("account:");

function routeToGroup(
  row: PostRow,
  group: string,
  slices: ReadonlyMap<ConversationId, Slice>,
): Route {
  const isOfStranger = slices.get(row.from)?.conversation?.listed === false;
  let unlisted = 0;
  let count = 0;
  for (const [id, { conversation }] of slices) {
    if (conversation?.peer.state !== "group") continue;
    if (conversation.peer.group === group) {
      return isOfStranger && !conversation.listed
        ? { kind: "to", id: shownFor(row, slices) }
        : { kind: "to", id };
    }
    count++;
    if (!conversation.listed) unlisted++;
  }
  if (isOfStranger) return { kind: "to", id: shownFor(row, slices) };
  const hasRoom = unlisted < UNLISTED_GROUPS_MAX && count < GROUPS_HERE_MAX;
  if (hasRoom && beginsGroup(row, group)) return { kind: "begins" };
  return { kind: "to", id: row.from };
}

/**
 * A group is not shown because somebody known from groups alone says so: the conversation shown for that account, if
 * there is one by now, is to ask for it, else the word goes back.
 */
function shownFor({ from, post }: PostRow, slices: ReadonlyMap<ConversationId, Slice>): string {
  if (post.kind !== "told") return from;
  const address = `account:${post.account}`;
  for (const [id, { conversation }] of slices) {
    if (conversation?.listed !== true || conversation.parent !== undefined) continue;
    const { peer } = conversation;
    if (peer.state === "open" && addressOf(peer.contact.cert) === address) return id;
  }
  return from;
}

function routeToMember(
  { post }: PostRow,
  account: string,
  after: ConversationId,
  slices: ReadonlyMap<ConversationId, Slice>,
): Route {
  const found = [...slices]
    .filter(([id, { conversation, group }]) => {
      return id > after && conversation?.peer.state === "group" && mayKnow(group, account);
    })
    .map(([id]) => id)
    .toSorted()[0];
  if (found !== undefined) return { kind: "to", id: found };
  return post.kind === "arrived" ? { kind: "to", id: post.pair } : { kind: "waits" };
}

/** A group without a log knows nobody; one that lacks operations may have a chain of somebody it does not know yet. */
const mayKnow = (group: GroupSlice | undefined, account: string): boolean =>
  group?.row === undefined ||
  group.row.log.state.members.has(account) ||
  [...group.senders.keys()].some((device) => device.startsWith(account));

/** Whether a post to an account that no conversation is with begins one. Everything else waits for that. */
export function beginsContact({ post: what }: PostRow): boolean {
  if (what.kind !== "content") return false;
  const decoded = decodeContent(what.content);
  return decoded.ok && decoded.value.kind === "contact";
}

/** A page with the very operation that the group has its name from. */
function beginsGroup({ post }: PostRow, group: string): boolean {
  if (post.kind !== "told") return false;
  const decoded = decodeContent(post.content);
  if (!decoded.ok || decoded.value.kind !== "page") return false;
  const [first] = decoded.value.page.ops;
  const op = first === undefined ? undefined : decodeGroupOp(first);
  return (
    op?.ok === true && op.value.action.kind === "create" && bytesToHex(opIdOf(op.value)) === group
  );
}
