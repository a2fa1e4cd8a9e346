/**
 * What must hold while somebody else is in a contact's place, and after the person has decided (I12).
 * Owns: the invariant, by what a client is told, stores and sends. Leaves to identity-change.ts: who takes whose place.
 * Spec: protocol/SPEC.md §9, "Change of identity".
 */
import type { Change, ConversationId, Effect, Input } from "@sotto/protocol";
import { bytesToHex, decodeContent, equalBytes } from "@sotto/wire";
import { isOverdue } from "./bundle-watch.ts";
import type { Client } from "./client.ts";
import { keyOfBlob } from "./relay-watch.ts";

type Answer = Extract<Input, { kind: "answer-change" }>;

export interface IdentityWatch {
  /** A stranger is about to send this in somebody's place. */
  impersonated(this: void, blob: Uint8Array): void;
  stepped(client: Client, id: ConversationId, input: Input, effects: readonly Effect[]): void;
  /** About to be stored. */
  committed(client: Client, change: Change): void;
  released(client: Client, id: ConversationId): void;
}

function isText(content: Uint8Array): boolean {
  const decoded = decodeContent(content);
  return decoded.ok && decoded.value.kind === "text";
}

export function createIdentityWatch(fail: (what: string) => void): IdentityWatch {
  const foreign = new Set<string>();
  /** What the person says in the step that is running. */
  const answers = new Map<string, Answer>();

  /** Nothing is sealed, and nothing handed to further devices of the contact. */
  function checkHeld(client: Client, { conversation: { id }, putOutbox, addPosts }: Change): void {
    const rows = client.disk.outbox.get(id);
    for (const row of putOutbox) {
      if (row.group !== undefined || row.envelope === undefined) continue;
      const before = rows?.get(row.id)?.envelope;
      if (before === undefined || !equalBytes(before, row.envelope)) {
        fail(`${client.name} seals while somebody else is in ${id}'s place`);
      }
    }
    // What devices tell each other of lists and groups goes on: they are the contact's own, by its root key.
    if (addPosts.some(({ post }) => post.kind === "send" && isText(post.content))) {
      fail(`${client.name} spreads while somebody else is in ${id}'s place`);
    }
  }

  return {
    impersonated(blob) {
      foreign.add(keyOfBlob(blob));
    },
    stepped(client, id, input, effects) {
      const name = `${client.name}/${id}`;
      answers.delete(name);
      if (input.kind === "answer-change") answers.set(name, input);
      // In most runs there is no stranger.
      if (input.kind !== "frame" || foreign.size === 0 || !foreign.has(keyOfBlob(input.blob)))
        return;
      const isKept = effects.some((one) => one.kind === "dropped");
      if (!isKept) fail(`${client.name} takes what a stranger sent in ${id}'s place`);
    },
    committed(client, change) {
      const { id, peer } = change.conversation;
      const before = client.disk.conversations.get(id)?.peer;
      if (before?.state !== "open" || peer.state !== "open") return;
      if (before.change !== undefined && peer.change !== undefined) checkHeld(client, change);
      const answer = answers.get(`${client.name}/${id}`);
      const { rootKey } = peer.contact.cert;
      if (equalBytes(before.contact.cert.rootKey, rootKey)) {
        // With a device that is no more there is nobody left to decide about.
        const isOver = peer.retired && !before.retired;
        const isLetGo = before.change !== undefined && peer.change === undefined;
        const isLate = isOverdue(before, client.now());
        if (isLetGo && !isOver && !isLate && answer === undefined) {
          fail(`${client.name} lets go of ${id} before the person has decided`);
        }
        // Nobody refused: what comes from there again has to be asked about. With whom it has heard, bundles stay.
        const [session] = before.sessions;
        const isHeard = session !== undefined && session.helloHeader === undefined;
        const given = new Set(before.spares.own.map(({ secrets }) => secrets.oneTimeId));
        const isVoid =
          given.size > 0 && !peer.spares.own.some(({ secrets }) => given.has(secrets.oneTimeId));
        if (isLetGo && isLate && isHeard && isVoid && answer?.answer !== "reject") {
          fail(`${client.name} takes no answer in ${id} for a refusal`);
        }
        return;
      }
      const isAsked = answer !== undefined && equalBytes(answer.rootKey, rootKey);
      if (!isAsked || answer.answer === "reject") {
        fail(`${client.name} has somebody else in ${id}'s place`);
        return;
      }
      const isCompared = answer.answer === "accept-compared";
      if (before.contact.verified && !isCompared) {
        fail(`${client.name} replaces a verified contact in ${id} without comparing`);
      }
      if (peer.contact.verified !== isCompared) {
        fail(`${client.name} takes the new one in ${id} for ${isCompared ? "not " : ""}compared`);
      }
      const old = new Set(before.sessions.map((session) => bytesToHex(session.id)));
      if (peer.sessions.some((session) => old.has(bytesToHex(session.id)))) {
        fail(`${client.name} keeps a session with the one before in ${id}`);
      }
    },
    released(client, id) {
      const peer = client.disk.conversations.get(id)?.peer;
      if (peer?.state === "open" && peer.change !== undefined) {
        fail(`${client.name} sends while somebody else is in ${id}'s place`);
      }
    },
  };
}
