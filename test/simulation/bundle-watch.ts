/**
 * With what either side of a conversation could begin anew: whoever comes back with other keys is heard by nothing else.
 * Owns: which bundles there are, and which have come to their end by a clock. Leaves to oracle.ts: what that excuses.
 * Spec: protocol/SPEC.md §9, §12 "Known edges".
 */
import {
  BUNDLE_AGE_MS_MAX,
  type Change,
  CHANGE_KEPT_MS,
  type ConversationId,
  type Peer,
  SPARE_KEPT_MS,
  SPARES_MAX,
} from "@sotto/protocol";
import { decodeBundle } from "@sotto/wire";
import type { Client } from "./client.ts";

/** Of a HELLO: type 1 | version 1 | suite 1 | signed prekey 4 | one-time prekey 4 | KEM prekey 4. */
const SIGNED_ID_AT = 3;
const KEM_ID_AT = 11;

type OpenPeer = Extract<Peer, { state: "open" }>;
type Spare = OpenPeer["spares"]["own"][number];
/** The two ids by which a HELLO says which bundle it was made with. */
type Ids = readonly [signedPrekeyId: number, oneTimeId: number];

export interface BundleWatch {
  /** About to be stored. */
  committed(client: Client, change: Change): void;
  /** Whether it has a bundle of the other side's that is good here and there. */
  hasBundle(client: Client, id: ConversationId): boolean;
  /** Whether it has, or has begun with one and was not heard yet; or the other side's person is asked about it. */
  mayBegin(client: Client, id: ConversationId): boolean;
  /** Whether one that it had, or the secrets behind one that it gave, ended by its clock. */
  haveEnded(client: Client, id: ConversationId): boolean;
  /** Whether its clock ended a question to its person: what was kept for that comes when its sender seals it anew. */
  hasLetGo(client: Client, id: ConversationId): boolean;
}

export function createBundleWatch(
  across: (
    client: Client,
    id: ConversationId,
  ) => { readonly client: Client; readonly id: ConversationId } | undefined,
): BundleWatch {
  const ended = new Set<string>();
  const letGo = new Set<string>();

  function peerOf(client: Client, id: ConversationId): OpenPeer | undefined {
    const peer = client.disk.conversations.get(id)?.peer;
    return peer?.state === "open" ? peer : undefined;
  }

  function peerAcross(client: Client, id: ConversationId): OpenPeer | undefined {
    const other = across(client, id);
    return other === undefined ? undefined : peerOf(other.client, other.id);
  }

  function hasSecrets(peer: OpenPeer | undefined, [signedId, oneTimeId]: Ids): boolean {
    return (
      peer?.spares.own.some(
        ({ secrets }) => secrets.signedPrekeyId === signedId && secrets.oneTimeId === oneTimeId,
      ) === true
    );
  }

  function hasBundle(client: Client, id: ConversationId): boolean {
    const theirs = peerOf(client, id)?.spares.theirs;
    if (theirs === undefined || client.now() >= theirs.receivedAt + BUNDLE_AGE_MS_MAX) return false;
    const bundle = decodeBundle(theirs.bundle);
    if (!bundle.ok) return false;
    const { signedPrekey, kemPrekey } = bundle.value;
    return hasSecrets(peerAcross(client, id), [signedPrekey.id, kemPrekey.id]);
  }

  return {
    hasBundle,
    mayBegin(client, id) {
      const there = peerAcross(client, id);
      if (there?.change !== undefined || hasBundle(client, id)) return true;
      const sessions = peerOf(client, id)?.sessions ?? [];
      return sessions.some(({ helloHeader }) => {
        return helloHeader !== undefined && hasSecrets(there, idsOf(helloHeader));
      });
    },
    hasLetGo: (client, id) => letGo.has(`${client.name}/${id}`),
    haveEnded: (client, id) => ended.has(`${client.name}/${id}`),
    committed(client, { conversation: { id, peer } }) {
      const before = peerOf(client, id);
      if (before === undefined || peer.state !== "open") return;
      const now = client.now();
      if (isOverdue(before, now) && peer.change === undefined) letGo.add(`${client.name}/${id}`);
      const { theirs, own } = before.spares;
      const isUsed = peer.spares.usedAt !== before.spares.usedAt;
      const isOver =
        theirs !== undefined &&
        peer.spares.theirs === undefined &&
        !isUsed &&
        now >= theirs.receivedAt + BUNDLE_AGE_MS_MAX;
      const left = new Set(peer.spares.own.map(({ secrets }) => secrets.oneTimeId));
      const isGone = own.some((spare, at) => {
        return !left.has(spare.secrets.oneTimeId) && isOld(spare, own[at - 1], now, own.length);
      });
      if (isOver || isGone) ended.add(`${client.name}/${id}`);
    },
  };
}

/** Nobody has answered the question for as long as it is asked. */
export const isOverdue = ({ change }: OpenPeer, now: number): boolean =>
  change !== undefined && now >= change.at + CHANGE_KEPT_MS;

const isOld = (spare: Spare, newer: Spare | undefined, now: number, count: number): boolean =>
  count >= SPARES_MAX ||
  (newer === undefined
    ? now >= spare.madeAt + BUNDLE_AGE_MS_MAX
    : now >= newer.madeAt + SPARE_KEPT_MS);

function idsOf(hello: Uint8Array): Ids {
  const view = new DataView(hello.buffer, hello.byteOffset, hello.byteLength);
  return [view.getUint32(SIGNED_ID_AT), view.getUint32(KEM_ID_AT)];
}
