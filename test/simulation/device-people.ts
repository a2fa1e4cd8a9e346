/**
 * People with several devices, as each device knows them.
 * Owns: who has which devices, and what a device knows of whom. Leaves to device-acts.ts and device-group.ts: what they
 * do; to device-checks.ts: what must hold.
 */
import { accountIdOf } from "@sotto/crypto";
import type { ConversationId, ConversationRecord, MessageStatus, OutboxRow } from "@sotto/protocol";
import { bytesToHex, equalBytes } from "@sotto/wire";
import type { Client } from "./client.ts";

export const NOTES = "notes";
export const GROUP = "circle";
const ACCOUNT_ID_BYTES = 20;
/** What ids of accounts of nobody here begin with. */
const FIRST_OF_CROWD = 0xc0;

/** One person, the devices they have had, in the order in which they came. */
export interface Account {
  readonly name: string;
  readonly devices: Client[];
  /** Not linked yet. */
  readonly spare: Client[];
  readonly removed: Set<Client>;
  /** A change of the list is under way: two at once would be two histories (protocol/SPEC.md §10). */
  isChanging: boolean;
}

/** After every event of the peace it is asked whose each conversation is; nobody writes to the bytes of a key. */
const names = new WeakMap<Uint8Array, string>();

/** Hex of the account that has this root key. */
export function accountName(rootKey: Uint8Array): string {
  const name = names.get(rootKey) ?? bytesToHex(accountIdOf(rootKey));
  names.set(rootKey, name);
  return name;
}

export interface Written {
  readonly author: Client;
  readonly conversation: ConversationId;
  readonly text: string;
  /** Undefined for notes. */
  readonly to: Account | typeof GROUP | undefined;
  /** Devices that the author had a pair with. */
  readonly reached: readonly Client[];
  /** Devices that the author knew to be removed. */
  readonly excluded: readonly Client[];
}

export type People = ReturnType<typeof createPeople>;

/** `made`: all devices there will ever be. `crowdSize`: members of the group who never answer. */
export function createPeople(
  accounts: readonly Account[],
  made: readonly Client[],
  crowdSize: number,
) {
  const crowd = Array.from({ length: crowdSize }, (_, index) =>
    bytesToHex(new Uint8Array(ACCOUNT_ID_BYTES).fill(FIRST_OF_CROWD + index)),
  );
  return {
    /** Their account ids, in hex. */
    crowd,
    postsOf,
    isOutFor,
    signsOf,
    nameOf,
    groupOf,
    rolesAt,
    membersAt,
    knows,
    chatOf,
    chatsOf,
    clientOf,
    isRemoved,
    accountOf,
    present,
    agrees,
    staysConnected,
  };

  /** That wait for somebody who may come. */
  function postsOf({ disk }: Client): number {
    return [...disk.posts.values()].filter(
      ({ to }) => !crowd.some((one) => to === `account:${one}`),
    ).length;
  }

  /** Whether all have this text of the group, and each device that it went to, but for those who never answer. */
  function isOutFor({ recipients }: OutboxRow): boolean {
    return (
      crowd.length > 0 &&
      recipients !== undefined &&
      recipients.every(
        ({ account, has, devices }) => crowd.includes(account) || (has && devices.length === 0),
      )
    );
  }

  /** Of such a text: relayed when anybody else has it; who has been taken out since is not waited for, and may have had it. */
  function signsOf({ message, recipients = [] }: OutboxRow): readonly MessageStatus[] {
    const isOther = (name: string): boolean => name !== message?.author && !crowd.includes(name);
    return recipients.some(({ account }) => isOther(account)) ? ["relayed"] : ["queued", "relayed"];
  }

  function nameOf(account: Account): string {
    return accountName(account.devices[0]!.disk.self.cert.rootKey);
  }

  function groupOf(client: Client): ConversationRecord | undefined {
    return [...client.disk.conversations.values()].find(({ peer }) => peer.state === "group");
  }

  /** Accounts in the group and their roles, as this device knows it. */
  function rolesAt(client: Client): ReadonlyMap<string, string> {
    const record = groupOf(client);
    const row = record === undefined ? undefined : client.disk.groups.get(record.id);
    return new Map([...(row?.log.state.members ?? [])].map(([name, { role }]) => [name, role]));
  }

  function membersAt(client: Client): ReadonlySet<string> {
    return new Set(rolesAt(client).keys());
  }

  function knows(client: Client, name: string): boolean {
    return accounts.some((one) => nameOf(one) === name && chatOf(client, one) !== undefined);
  }

  function chatOf(client: Client, account: Account): ConversationRecord | undefined {
    const root = account.devices[0]!.disk.self.cert.rootKey;
    return [...client.disk.conversations.values()].find(
      ({ parent, listed, peer }) =>
        parent === undefined &&
        listed &&
        peer.state === "open" &&
        equalBytes(peer.contact.cert.rootKey, root),
    );
  }

  function chatsOf(client: Client): number {
    return accounts.filter((one) => chatOf(client, one) !== undefined).length;
  }

  function clientOf(device: string): Client | undefined {
    return made.find(({ disk }) => bytesToHex(disk.self.cert.deviceId) === device);
  }

  function isRemoved(client: Client): boolean {
    return accounts.some(({ removed }) => removed.has(client));
  }

  function accountOf(client: Client): Account | undefined {
    return accounts.find(({ devices }) => devices.includes(client));
  }

  function present(one: Account): readonly Client[] {
    return one.devices.filter((device) => !isRemoved(device));
  }

  /** Every device that speaks for the account knows the same list, and each of them is in it. */
  function agrees({ devices, removed }: Account): boolean {
    const present = devices.filter((device) => !removed.has(device));
    const versions = present.map(({ disk }) => disk.self.devices.lists.at(-1)?.version);
    const count = present[0]?.disk.self.devices.lists.at(-1)?.devices.length;
    return versions.every((one) => one === versions[0]) && count === present.length;
  }

  /** Whether everybody still knows somebody of each account that they are to reach once `gone` is. */
  function staysConnected(gone: Client): boolean {
    return accounts.every((account) =>
      accounts.every((other) => {
        const isMet = account.devices.some((one) => chatOf(one, other) !== undefined);
        if (other === account || !isMet) return true;
        const reachable = present(other).filter((one) => one !== gone);
        return present(account)
          .filter((one) => one !== gone)
          .every((one) => reachable.some((device) => hasPair(one, other, device)));
      }),
    );
  }

  function hasPair(client: Client, account: Account, device: Client): boolean {
    const chat = chatOf(client, account);
    const links = chat?.devices.links.map((link) =>
      client.disk.conversations.get(link.conversation),
    );
    return [chat, ...(links ?? [])].some(
      (record) =>
        record?.peer.state === "open" &&
        record.peer.sessions.length > 0 &&
        record.peer.contact.addresses.length > 0 &&
        equalBytes(record.peer.contact.cert.deviceId, device.disk.self.cert.deviceId),
    );
  }
}
