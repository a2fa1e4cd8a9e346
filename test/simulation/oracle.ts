/**
 * What must hold at every moment of a run, and at its end. It sees what no participant sees.
 * Owns: the invariants (no accepted message lost, none twice, one order, honest signs, nothing readable).
 */
import type {
  Change,
  ConversationId,
  DropReason,
  Input,
  MessageRow,
  MessageStatus,
} from "@sotto/protocol";
import { bytesToHex, EnvelopeType, HELLO_HEADER_BYTES } from "@sotto/wire";
import type { Client } from "./client.ts";
import type { Scheduler } from "./scheduler.ts";

/** Every text and name carries this; no sealed unit may. */
export const MARKER = "~readable~";
/** Every text that a modified app sends under the id of another message carries this; nobody may ever see it. */
export const FORGED = "~forged~";
/** Timer steps of one conversation within a second: receipts need at most five, the rest is a storm. */
const WAKES_PER_SECOND_MAX = 12;

const RANK: Readonly<Record<MessageStatus, number>> = {
  queued: 0,
  failed: 1,
  relayed: 2,
  delivered: 3,
  received: 3,
};

export interface Pair {
  readonly inviter: Client;
  readonly invitee: Client;
  readonly inviterId: ConversationId;
  readonly inviteeId: ConversationId;
}

export interface Oracle {
  readonly failures: readonly string[];
  readonly accepted_: number;
  fail(what: string): void;
  committed(client: Client, change: Change): void;
  /** A sealed unit left the client. */
  released(client: Client, blob: Uint8Array): void;
  /** The store confirmed this text. */
  accepted(client: Client, id: ConversationId, messageId: string, text: string): void;
  stepped(client: Client, id: ConversationId, input: Input): void;
  join(pair: Pair): void;
  isSettled(): boolean;
  atTheEnd(expectedDrops: ReadonlySet<DropReason>): void;
}

interface Accepted {
  readonly author: Client;
  readonly conversation: ConversationId;
  readonly text: string;
}

export function createOracle(scheduler: Scheduler): Oracle {
  const failures: string[] = [];
  const pairs: Pair[] = [];
  const accepted = new Map<string, Accepted>();
  const blobByTag = new Map<string, Uint8Array>();
  const wakes = new Map<string, { second: number; count: number }>();

  /** Where the other side of this conversation keeps it. */
  function across(
    client: Client,
    id: ConversationId,
  ): { readonly client: Client; readonly id: ConversationId } | undefined {
    for (const pair of pairs) {
      if (pair.inviter === client && pair.inviterId === id) {
        return { client: pair.invitee, id: pair.inviteeId };
      }
      if (pair.invitee === client && pair.inviteeId === id) {
        return { client: pair.inviter, id: pair.inviterId };
      }
    }
    return undefined;
  }

  function checkRow(client: Client, id: ConversationId, row: MessageRow): void {
    const before = client.disk.messages.get(id)?.get(row.id);
    if (before === undefined) return;
    if (before.own !== row.own || before.text !== row.text || before.order !== row.order) {
      oracle.fail(`${client.name} rewrites message ${row.id.slice(0, 6)}`);
    }
    if (!before.own) oracle.fail(`${client.name} stores message ${row.id.slice(0, 6)} twice`);
    if (RANK[row.status] < RANK[before.status]) {
      oracle.fail(`${client.name} takes "${before.status}" back to "${row.status}"`);
    }
  }

  const oracle: Oracle = {
    failures,
    get accepted_() {
      return accepted.size;
    },
    fail(what) {
      if (!failures.includes(what)) failures.push(what);
    },
    committed(client, change) {
      const { id, last, unread } = change.conversation;
      if (last?.text.includes(FORGED) === true) oracle.fail(`${client.name} lists a forged text`);
      const before = client.disk.conversations.get(id)?.unread ?? 0;
      const fresh = change.addMessages.filter((row) => !row.own).length;
      if (unread > before + fresh) oracle.fail(`${client.name} counts a message twice`);
      for (const row of [...change.addMessages, ...change.putMessages]) {
        checkRow(client, id, row);
        if (row.own && row.status === "delivered") {
          const other = across(client, id);
          const there = other?.client.disk.messages.get(other.id)?.get(row.id);
          if (there === undefined) {
            oracle.fail(`${client.name} says delivered, but ${row.id.slice(0, 6)} is not stored`);
          }
        }
      }
    },
    released(client, blob) {
      if (Buffer.from(blob.buffer, blob.byteOffset, blob.length).includes(MARKER)) {
        oracle.fail(`${client.name} lets readable text out`);
      }
      const at = blob[0] === EnvelopeType.hello ? HELLO_HEADER_BYTES : 0;
      if (blob[at] !== EnvelopeType.message) return;
      const tag = bytesToHex(blob.subarray(at + 1, at + 9));
      const before = blobByTag.get(tag);
      if (before === undefined) blobByTag.set(tag, blob);
      else if (before !== blob && bytesToHex(before) !== bytesToHex(blob)) {
        oracle.fail(`${client.name} uses a message key for two messages`);
      }
    },
    accepted(client, conversation, messageId, text) {
      const row = client.disk.messages.get(conversation)?.get(messageId);
      if (row !== undefined) accepted.set(messageId, { author: client, conversation, text });
    },
    stepped(client, id, input) {
      if (input.kind !== "wake") return;
      const second = Math.floor(scheduler.now / 1_000);
      const key = `${client.name}/${id}`;
      const known = wakes.get(key);
      const count = known?.second === second ? known.count + 1 : 1;
      wakes.set(key, { second, count });
      if (count > WAKES_PER_SECOND_MAX) oracle.fail(`${key} wakes in a storm`);
    },
    join(pair) {
      pairs.push(pair);
    },
    isSettled() {
      return pairs.every((pair) => {
        const sides = [
          [pair.inviter, pair.inviterId, pair.invitee],
          [pair.invitee, pair.inviteeId, pair.inviter],
        ] as const;
        return sides.every(([client, id, other]) => {
          const peer = client.disk.conversations.get(id)?.peer;
          return (
            peer?.state === "open" &&
            peer.contact.name === other.disk.self.name &&
            peer.owed.length === 0 &&
            (client.disk.outbox.get(id)?.size ?? 0) === 0
          );
        });
      });
    },
    atTheEnd(expectedDrops) {
      for (const [id, { author, conversation, text }] of accepted) {
        const short = `${id.slice(0, 6)} of ${author.name}`;
        const own = author.disk.messages.get(conversation)?.get(id);
        const other = across(author, conversation);
        const there = other?.client.disk.messages.get(other.id)?.get(id);
        if (own === undefined) oracle.fail(`accepted message ${short} is gone from its author`);
        else if (own.status !== "delivered") oracle.fail(`message ${short} ends as ${own.status}`);
        if (there === undefined) oracle.fail(`accepted message ${short} never arrived`);
        else if (there.text !== text || there.order !== own?.order) {
          oracle.fail(`message ${short} arrived changed`);
        }
      }
      for (const pair of pairs) checkPair(pair);
      for (const client of new Set(pairs.flatMap((pair) => [pair.inviter, pair.invitee]))) {
        for (const [reason, count] of client.dropped) {
          if (!expectedDrops.has(reason)) oracle.fail(`${client.name} drops ${count}x ${reason}`);
        }
      }
    },
  };

  function checkPair(pair: Pair): void {
    const here = shown(pair.inviter, pair.inviterId);
    const there = shown(pair.invitee, pair.inviteeId);
    const label = `${pair.inviter.name}-${pair.invitee.name}`;
    if (here.join() !== there.join()) oracle.fail(`${label} see different conversations`);
    for (const [client, id, other] of [
      [pair.inviter, pair.inviterId, pair.invitee],
      [pair.invitee, pair.inviteeId, pair.inviter],
    ] as const) {
      const record = client.disk.conversations.get(id);
      if (record?.peer.state !== "open") {
        oracle.fail(`${client.name}/${id} ends as ${record?.peer.state}`);
        continue;
      }
      const waiting = client.disk.outbox.get(id)?.size ?? 0;
      if (waiting > 0) oracle.fail(`${client.name}/${id} ends with ${waiting} in the outbox`);
      if (record.peer.contact.name !== other.disk.self.name) {
        oracle.fail(`${client.name}/${id} has an old name for ${other.name}`);
      }
    }
  }

  const shown = (client: Client, id: ConversationId): readonly string[] =>
    [...(client.disk.messages.get(id)?.values() ?? [])]
      .map((row) => row.order)
      .toSorted((a, b) => (a < b ? -1 : 1));

  return oracle;
}
