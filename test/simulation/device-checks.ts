/**
 * What must hold at the end for people with several devices and their group.
 * Owns: when all has settled, and I1, I2, I4 and I11 of each text. Leaves to oracle.ts: what must hold for each device; to
 * device-group.ts: what stolen devices signed.
 */
import type { ConversationId, MessageRow } from "@sotto/protocol";
import { bytesToHex, equalBytes } from "@sotto/wire";
import type { Client } from "./client.ts";
import type { DeviceGroup } from "./device-group.ts";
import {
  type Account,
  accountName,
  GROUP,
  NOTES,
  type People,
  type Written,
} from "./device-people.ts";
import type { Oracle } from "./oracle.ts";

export interface DeviceChecksOptions {
  readonly accounts: readonly Account[];
  readonly oracle: Oracle;
  readonly people: People;
  readonly group: DeviceGroup;
}

export function createDeviceChecks({ accounts, oracle, people, group }: DeviceChecksOptions) {
  const { nameOf, groupOf, rolesAt, membersAt } = people;
  const { chatOf, clientOf, isRemoved, accountOf, present, agrees } = people;
  const { wasOut } = group;
  return { whatIsUnsettled, checkText, checkHistories };

  /** Why it is not over yet: everything, or what nobody may have to wait for until it is asked for again. */
  function whatIsUnsettled(of: "all" | "news" = "all"): string | undefined {
    for (const account of accounts) {
      if (!agrees(account)) return `${account.name}'s devices know different lists`;
      for (const client of account.devices.filter((one) => !isRemoved(one))) {
        const history = of === "all" ? whatHistoryIsOpen(client) : undefined;
        const reason = history ?? whatIsOpen(client, account);
        if (reason !== undefined) return `${client.name}: ${reason}`;
      }
    }
    return whatIsOpenInGroup();
  }

  /** I1 of what was written before a device was there: what the one that it asked had then, it has, too. */
  function checkHistories(): void {
    for (const account of accounts) {
      for (const client of present(account)) {
        for (const [id, { devices, listed }] of client.disk.conversations) {
          const asked =
            devices.past === undefined || !listed ? undefined : clientOf(devices.past.device);
          if (asked === undefined || isRemoved(asked)) continue;
          checkHistory(client, id, asked);
        }
      }
    }
  }

  function checkHistory(client: Client, id: ConversationId, asked: Client): void {
    const there = sameThere(client, id, asked);
    const device = bytesToHex(client.disk.self.cert.deviceId);
    const [here, theirs] = [client.disk.messages.get(id), asked.disk.messages.get(there ?? "")];
    for (const [message, row] of theirs ?? []) {
      if (asked.handedOver.get(device)?.has(message) !== true) continue;
      const mine = here?.get(message);
      const short = message.slice(0, 6);
      if (mine === undefined && oracle.hasLost(client, message)) continue;
      if (mine === undefined) {
        oracle.fail("I1", `text ${short} of ${asked.name}'s history never came to ${client.name}`);
      } else if (mine.text !== row.text || mine.order !== row.order) {
        oracle.fail("I2", `text ${short} of ${asked.name}'s history is changed at ${client.name}`);
      }
    }
  }

  /** The conversation of `other` that is the one `id` of `client`. */
  function sameThere(
    client: Client,
    id: ConversationId,
    other: Client,
  ): ConversationId | undefined {
    const peer = client.disk.conversations.get(id)?.peer;
    if (peer?.state === "notes") return NOTES;
    if (peer?.state === "group") return groupOf(other)?.id;
    const root = peer?.state === "open" ? peer.contact.cert.rootKey : undefined;
    const account = accounts.find((one) => {
      const [device] = one.devices;
      return (
        root !== undefined &&
        device !== undefined &&
        equalBytes(device.disk.self.cert.rootKey, root)
      );
    });
    return account === undefined ? undefined : chatOf(other, account)?.id;
  }

  /** A group's text that is damaged in the group's outbox is sealed anew by nobody: its pairs send it as it is, for good. */
  function waitingIn(client: Client, id: ConversationId): number {
    const rows = [...(client.disk.outbox.get(id)?.values() ?? [])];
    return rows
      .filter((row) => !people.isOutFor(row))
      .filter(({ awaits }) => awaits === undefined || !oracle.hasSpoiled(awaits)).length;
  }

  function whatHistoryIsOpen(client: Client): string | undefined {
    for (const [id, { devices, listed }] of client.disk.conversations) {
      const past = listed ? devices.past : undefined;
      const asked = past === undefined ? undefined : clientOf(past.device);
      if (past === undefined || asked === undefined || isRemoved(asked)) continue;
      if (!past.whole || past.again || past.met < client.disk.self.devices.met)
        return `${id} waits for history`;
    }
    return undefined;
  }

  function whatIsOpen(client: Client, account: Account): string | undefined {
    const posts = people.postsOf(client);
    if (posts > 0) return `${posts} posts wait`;
    const members = membersAt(client);
    for (const [id, { peer, listed }] of client.disk.conversations) {
      if (peer.state === "invited") return `${id} is still invited`;
      if (peer.state === "group" && peer.member) {
        const texts = waitingIn(client, id);
        if (texts > 0) return `${texts} in the outbox of the group`;
      }
      if (peer.state !== "open" || peer.retired) continue;
      // Somebody known from the group alone, whom this device was to meet there before one of the two was out.
      const theirs = accountName(peer.contact.cert.rootKey);
      const isShared = members.has(nameOf(account)) && members.has(theirs);
      if (!listed && !isShared && peer.sessions.length === 0) continue;
      const waiting = waitingIn(client, id);
      if (waiting > 0) return `${waiting} in the outbox of ${id}`;
      if (peer.owed.length > 0) return `${id} owes receipts`;
    }
    const siblings = present(account).filter((one) => one !== client);
    if (client.disk.self.devices.links.length !== siblings.length) return "own pairs are missing";
    for (const other of accounts) {
      if (other === account) continue;
      const isMet = account.devices.some((one) => chatOf(one, other) !== undefined);
      if (!isMet) continue;
      const chat = chatOf(client, other);
      if (chat?.peer.state !== "open") return `no conversation with ${other.name}`;
      const pairs = chat.devices.links.length + (chat.peer.retired ? 0 : 1);
      if (pairs !== present(other).length) return `${pairs} pairs with ${other.name}`;
      const newest = present(other)[0]?.disk.self.devices.lists.at(-1)?.version ?? 1;
      if (newest > 1 && chat.devices.list?.version !== newest) return `old list of ${other.name}`;
      if (chat.devices.behind !== undefined) return `behind with ${other.name}`;
      if (chat.devices.fork !== undefined) return `a fork of ${other.name}`;
    }
    return undefined;
  }

  /** I1, I2, I4 and I11 of one text. */
  function checkText(id: string, { author, conversation, text, to, reached, excluded }: Written) {
    const short = `${id.slice(0, 6)} of ${author.name}`;
    const own = author.disk.messages.get(conversation)?.get(id);
    if (own === undefined) {
      if (oracle.hasLost(author, id)) return;
      oracle.fail("I1", `text ${short} is gone from its author`);
      return;
    }
    for (const client of excluded) {
      // Added again, and the text was sealed only then.
      if (to === GROUP && wasOut(accountOf(client))) continue;
      const has = [...client.disk.messages.values()].some((rows) => rows.has(id));
      if (has) oracle.fail("I11", `${client.name} reads ${short} after it was removed`);
    }
    if (isRemoved(author) || oracle.hasSpoiled(id)) return;
    if (to === GROUP) {
      checkGroupText(short, id, { author, text, reached, own });
      return;
    }
    for (const client of reached) {
      if (isRemoved(client) || client === author) continue;
      const about = accountOf(client) === to ? accountOf(author) : to;
      const where = about === undefined ? NOTES : chatOf(client, about)?.id;
      const row = where === undefined ? undefined : client.disk.messages.get(where)?.get(id);
      if (row === undefined && oracle.hasLost(client, id)) continue;
      if (row === undefined) oracle.fail("I1", `text ${short} never arrived at ${client.name}`);
      else if (row.text !== text || row.order !== own.order) {
        oracle.fail("I2", `text ${short} arrived changed at ${client.name}`);
      }
    }
    if (to !== undefined && own.status !== "delivered") {
      oracle.fail("I4", `text ${short} ends as ${own.status}`);
    }
  }

  function checkGroupText(
    short: string,
    id: string,
    {
      author,
      text,
      reached,
      own,
    }: Pick<Written, "author" | "text" | "reached"> & { readonly own: MessageRow },
  ): void {
    const members = membersAt(author);
    const account = accountOf(author);
    if (account === undefined || !members.has(nameOf(account)) || wasOut(account)) return;
    for (const client of reached) {
      const of = accountOf(client);
      if (isRemoved(client) || client === author || of === undefined) continue;
      if (!members.has(nameOf(of)) || wasOut(of)) continue;
      const where = groupOf(client)?.id;
      const row = where === undefined ? undefined : client.disk.messages.get(where)?.get(id);
      if (row === undefined && oracle.hasLost(client, id)) continue;
      if (row === undefined) oracle.fail("I1", `text ${short} never arrived at ${client.name}`);
      else if (row.text !== text || row.order !== own.order) {
        oracle.fail("I2", `text ${short} arrived changed at ${client.name}`);
      }
    }
    // Delivered is what all have: where some never answer, its row says that all others do.
    const rows = [...(author.disk.outbox.get(groupOf(author)?.id ?? "")?.values() ?? [])];
    const row = rows.find(({ awaits }) => awaits === id);
    const signs = row !== undefined && people.isOutFor(row) ? people.signsOf(row) : ["delivered"];
    if (!signs.includes(own.status)) {
      oracle.fail("I4", `group text ${short} ends as ${own.status}`);
    }
  }

  /** Everybody who is in the group knows the same of it, and nobody else takes themselves for a member. */
  function whatIsOpenInGroup(): string | undefined {
    const inGroup = accounts.flatMap((one) => present(one).filter((client) => groupOf(client)));
    const [first] = inGroup.filter((client) => {
      const peer = groupOf(client)?.peer;
      return peer?.state === "group" && peer.member;
    });
    if (first === undefined) return undefined;
    const members = membersAt(first);
    for (const account of accounts) {
      for (const client of present(account)) {
        const peer = groupOf(client)?.peer;
        const takesPart = peer?.state === "group" && peer.member;
        if (!members.has(nameOf(account))) {
          if (takesPart) return `${client.name} takes itself for a member`;
        } else if (rolesIn(client) !== rolesIn(first)) {
          return `${client.name} knows another group than ${first.name}: ${shortly(client)} / ${shortly(first)}`;
        }
      }
    }
    return undefined;
  }

  function shortly(client: Client): string {
    const record = groupOf(client);
    const log = record === undefined ? undefined : client.disk.groups.get(record.id)?.log;
    const roles = [...rolesAt(client)].map(([name, role]) => `${name.slice(0, 6)} ${role}`);
    return `${log?.ops.size} operations, ${log?.held.size} held, ${roles.join(", ")}`;
  }

  function rolesIn(client: Client): string {
    return [...rolesAt(client)]
      .map((one) => one.join())
      .toSorted()
      .join(" ");
  }
}
