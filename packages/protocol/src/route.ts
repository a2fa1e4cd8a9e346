/**
 * Which record a post is for. Shells ask this alone, so that all of them send the same post to the same record.
 * Owns: what addresses mean, and which posts begin records. Leaves to shells: waiting and delivering.
 * Spec: SPEC.md §10, §11.
 */
import { accountIdOf, type CryptoBackend, isFromSender, opIdOf } from "@sotto/crypto";
import {
  bytesToHex,
  type ContentKind,
  decodeContent,
  decodeGroupEnvelope,
  decodeGroupOp,
  type DeviceCert,
} from "@sotto/wire";
import { accountAddress } from "./address.ts";
import { deviceKeyOf } from "./group-log.ts";
import { GROUPS_MAX } from "./group-pairs.ts";
import type { ConversationId, ConversationRecord, PostRow, Slice } from "./ports.ts";

/**
 * Groups that one account told of and that this device has never been in; one more takes the oldest one's place. A log
 * takes up to 20 MB of memory.
 */
export const UNLISTED_GROUPS_MAX = 4;
/** Groups that one account told of, in all; what it tells of one more is dropped. */
export const GROUPS_HERE_MAX = 128;
/**
 * People known from groups alone; one more is not begun: with them nothing is exchanged until others are gone. Each has a
 * queue, and a relay has 4,096 for this device: these two leave a quarter to those whom the person knows. Whoever brings
 * them has at most as many as are free then: 1,024, as many as a group has members, and whoever comes next half of the
 * rest. So nobody fills it for others.
 */
export const STRANGERS_MAX = 2_048;
/** Pairs with further devices of such people; one more is tried again later. Shared in the same way. */
export const STRANGER_PAIRS_MAX = 1_024;

export type Route =
  | { readonly kind: "to"; readonly id: ConversationId }
  /** `start-post`, under a new id; for a `begin` under the id that is its address. */
  | { readonly kind: "begins" }
  /** The store keeps it until there is such a record. */
  | { readonly kind: "waits" };

/** `slices`: those of all records. */
export function routeOf(
  row: PostRow,
  slices: ReadonlyMap<ConversationId, Slice>,
  crypto: CryptoBackend,
): Route | Promise<Route> {
  const [kind, name = "", after = ""] = row.to.split(":");
  if (kind === "account") return routeToAccount(row, slices);
  if (kind === "group") return routeToGroup(row, name, slices);
  if (kind === "member") return routeToMember(row, name, after, slices, crypto);
  if (slices.has(row.to)) return { kind: "to", id: row.to };
  const back = { kind: "to", id: row.from } as const;
  const all = [...slices.values()];
  if (row.post.kind === "begin") {
    if (row.post.listed) return { kind: "begins" };
    const tellerOf = tellersOf(slices);
    const tellers = all.flatMap(({ conversation }) => {
      const parent = conversation?.listed === false ? conversation.parent : undefined;
      return parent === undefined ? [] : [tellerOf(slices.get(parent)?.conversation)];
    });
    const teller = tellerOf(slices.get(row.post.parent)?.conversation);
    return hasShare(tellers, teller, STRANGER_PAIRS_MAX) ? { kind: "begins" } : back;
  }
  // What a group has for a pair that found no room.
  const isOfGroup = slices.get(row.from)?.conversation?.peer.state === "group";
  const isAwaited = all.some(({ self, conversation }) =>
    [self.devices, conversation?.devices].some(
      (one) => one?.links.some((link) => link.conversation === row.to) === true,
    ),
  );
  return isOfGroup && !isAwaited ? back : { kind: "waits" };
}

/** Whether one more is within the share of `teller`: as many as are free. `tellers`: of each that there is. */
const hasShare = (tellers: readonly string[], teller: string, max: number): boolean =>
  tellers.filter((one) => one === teller).length < max - tellers.length;

type Told = Pick<ConversationRecord["devices"], "introducers" | "teller">;

/**
 * To whose share somebody known from groups alone counts: to that of who introduced them first, if that is a contact, else
 * of the contact that told of the group. Others who introduce can be made up, in any number. Own groups are one teller.
 */
function tellersOf(
  slices: ReadonlyMap<ConversationId, Slice>,
): (record: { readonly devices: Told } | undefined) => string {
  const contacts = new Set<string>();
  for (const { conversation } of slices.values()) {
    if (conversation?.listed === true && conversation.peer.state === "open") {
      contacts.add(addressOf(conversation.peer.contact.cert));
    }
  }
  return (record) => {
    const [by = ""] = record?.devices.introducers ?? [];
    return contacts.has(`account:${by}`) ? by : (record?.devices.teller ?? "");
  };
}

const accounts = new WeakMap<DeviceCert, string>();

function addressOf(cert: DeviceCert): string {
  const address = accounts.get(cert) ?? accountAddress(accountIdOf(cert.rootKey));
  accounts.set(cert, address);
  return address;
}

function routeToAccount(row: PostRow, slices: ReadonlyMap<ConversationId, Slice>): Route {
  let unlisted: ConversationRecord | undefined;
  const strangers: ConversationRecord[] = [];
  for (const [id, { self, conversation }] of slices) {
    if (conversation === undefined || conversation.parent !== undefined) continue;
    const { peer } = conversation;
    if (peer.state === "notes" && addressOf(self.cert) === row.to) return { kind: "to", id };
    if (peer.state !== "open") continue;
    if (!conversation.listed) strangers.push(conversation);
    if (addressOf(peer.contact.cert) !== row.to) continue;
    if (conversation.listed) return { kind: "to", id: followed(row, conversation, slices) };
    unlisted = conversation;
  }
  if (unlisted !== undefined) return { kind: "to", id: followed(row, unlisted, slices) };
  if (row.post.kind === "presented") {
    const { by, teller } = row.post;
    const tellerOf = tellersOf(slices);
    const own = tellerOf({ devices: { introducers: [by], teller } });
    if (hasShare(strangers.map(tellerOf), own, STRANGERS_MAX)) return { kind: "begins" };
    return { kind: "to", id: row.from };
  }
  if (beginsContact(row)) return { kind: "begins" };
  return isVain(row, slices) ? { kind: "to", id: row.from } : { kind: "waits" };
}

/** The record of that account; the group itself where whoever told of it has its share of the account's groups. */
function followed(
  { from, post }: PostRow,
  { id, devices: { groups } }: ConversationRecord,
  slices: ReadonlyMap<ConversationId, Slice>,
): ConversationId {
  if (post.kind !== "follow" || !post.on || groups.some(({ group }) => group === from)) return id;
  const tellerOf = (group: ConversationId): string =>
    slices.get(group)?.conversation?.devices.introducers[0] ?? "";
  const tellers = groups.map(({ group }) => tellerOf(group));
  return hasShare(tellers, tellerOf(from), GROUPS_MAX) ? id : from;
}

/** Said again by whoever said it. */
const IN_VAIN: ReadonlySet<string> = new Set<ContentKind>(["offer", "ask-past", "past"]);

/** Whether nobody need wait until that account is known here. */
function isVain({ to, post }: PostRow, slices: ReadonlyMap<ConversationId, Slice>): boolean {
  switch (post.kind) {
    // Offered again.
    case "way":
    case "pass":
      return true;
    case "content": {
      const decoded = decodeContent(post.content);
      return decoded.ok && IN_VAIN.has(decoded.value.kind);
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
  const by = row.post.kind === "told" ? row.post.account : "";
  const unlisted: ConversationRecord[] = [];
  let count = 0;
  for (const [id, { conversation }] of slices) {
    if (conversation?.peer.state !== "group") continue;
    if (conversation.peer.group === group) {
      return isOfStranger && !conversation.listed
        ? { kind: "to", id: shownFor(row, slices) }
        : { kind: "to", id };
    }
    if (!conversation.devices.introducers.includes(by)) continue;
    count++;
    if (!conversation.listed) unlisted.push(conversation);
  }
  if (isOfStranger) return { kind: "to", id: shownFor(row, slices) };
  const back = { kind: "to", id: row.from } as const;
  if (!beginsGroup(row, group)) return back;
  const [oldest] = unlisted.toSorted((a, b) => a.createdAt - b.createdAt);
  if (oldest !== undefined && unlisted.length >= UNLISTED_GROUPS_MAX) {
    return { kind: "to", id: oldest.id };
  }
  return count < GROUPS_HERE_MAX ? { kind: "begins" } : back;
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

/**
 * The group whose chain made the message, found without a step of any: a contact can be in many, and send much that is of
 * none. Then, once, in turn those that have nothing of its sender's, to ask for it.
 */
async function routeToMember(
  { post }: PostRow,
  account: string,
  after: ConversationId,
  slices: ReadonlyMap<ConversationId, Slice>,
  crypto: CryptoBackend,
): Promise<Route> {
  if (post.kind !== "arrived") return { kind: "waits" };
  const envelope = decodeGroupEnvelope(post.envelope);
  let found: ConversationId | undefined;
  for (const [id, { conversation, group }] of slices) {
    if (conversation?.peer.state !== "group" || !envelope.ok) continue;
    const sender = group?.senders.get(deviceKeyOf(account, post.device))?.sender;
    if (sender !== undefined && (await isFromSender(sender, envelope.value, crypto))) {
      // Again: its chain has come since.
      if (!post.again || after === "") return { kind: "to", id };
    }
    const isNext = post.again && id > after && (found === undefined || id < found);
    const log = group?.row?.log;
    if (isNext && sender === undefined && log?.state.members.has(account) !== false) found = id;
  }
  return { kind: "to", id: found ?? post.pair };
}

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
