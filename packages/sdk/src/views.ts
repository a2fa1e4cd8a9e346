/** From stored records and live knowledge to what screens show. Pure. */
import { accountIdOf } from "@sotto/crypto";
import type { ConversationRecord, LiveState, MessageRow, Peer, SelfRecord } from "@sotto/protocol";
import { bytesToBase32, bytesToHex, equalBytes } from "@sotto/wire";
import type {
  ConversationView,
  DeviceView,
  HubState,
  InviteView,
  LinkState,
  MessageView,
} from "./messenger.ts";

export interface ViewInput {
  readonly record: ConversationRecord;
  readonly live: LiveState;
  /** Devices of the own account, this one among them; 0 while this one knows of none. */
  readonly ownDevices: number;
  /** Of the contact's other devices. */
  readonly others: readonly LiveState[];
  readonly hub: HubState;
  /** Outbox rows that await a receipt and that the relay has not taken. */
  readonly waiting: number;
  readonly roundTripMs: number | undefined;
  readonly invite: InviteView | undefined;
}

export function viewConversation(input: ViewInput): ConversationView {
  const { record } = input;
  const { peer, last } = record;
  return {
    id: record.id,
    kind: kindOf(peer),
    name: peer.state === "open" ? peer.contact.name : "",
    lastText: last?.text,
    lastOwn: last?.own ?? false,
    lastAt: last?.at ?? record.createdAt,
    unread: record.unread,
    verified: peer.state === "open" && peer.contact.verified,
    newIdentity: newIdentityOf(peer),
    devices: {
      others:
        peer.state === "notes" ? Math.max(0, input.ownDevices - 1) : record.devices.links.length,
      ...record.devices.news,
      anew: record.devices.news.anew ?? 0,
      conflict: record.devices.fork !== undefined,
    },
    catchingUp: record.devices.past?.whole === false && record.devices.past.since === 0,
    link: viewLink(input),
    invite: input.invite,
  };
}

/** As the newest list that this device knows has them. */
export const viewDevices = ({ devices, cert }: SelfRecord): readonly DeviceView[] =>
  (devices.lists.at(-1)?.devices ?? []).map(({ id, addedAt }) => ({
    id: bytesToHex(id),
    current: equalBytes(id, cert.deviceId),
    addedAt,
  }));

const newIdentityOf = (peer: Peer): string | undefined =>
  peer.state === "open" && peer.change !== undefined
    ? bytesToBase32(accountIdOf(peer.change.cert.rootKey))
    : undefined;

function kindOf(peer: Peer): ConversationView["kind"] {
  if (peer.state === "refused") return peer.reason === "expired" ? "expired" : "refused";
  // What groups show comes with their screens; until then they are in no list.
  return peer.state === "open" || peer.state === "group" ? "contact" : peer.state;
}

export function viewMessage(row: MessageRow): MessageView {
  const { id, own, text, sentAt, status, path } = row;
  return { id, own, text, sentAt, status, path };
}

function viewLink({ record, live, others, hub, waiting, roundTripMs }: ViewInput): LinkState {
  const { peer } = record;
  if (peer.state === "notes") return { state: "notes" };
  if (peer.state === "invited" || peer.state === "refused") return { state: "invited" };
  if (live.direct) return { state: "direct", roundTripMs };
  switch (hub) {
    case "online":
      // Whoever has several devices is there while one of them is.
      if ([live, ...others].some(({ presence }) => presence === "online")) {
        return { state: "relayed" };
      }
      return [live, ...others].some(({ presence }) => presence === "away")
        ? { state: "away" }
        : { state: "connecting" };
    case "connecting":
      return { state: "connecting" };
    case "offline":
      return { state: "offline", waiting };
    case "no-relay":
    case "relay-changed":
      return { state: "no-relay", waiting };
  }
}
