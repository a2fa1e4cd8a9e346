/**
 * What goes wrong for people with several devices and needs to know whose device is whose: stores that are lost or put
 * back, modified apps, strangers in a contact's place, copies that thieves make.
 * Owns: whom it may hit. Leaves to fault-schedule.ts, identity-change.ts and forge.ts: when, and what is sent.
 */
import type { OwnDevice } from "@sotto/crypto";
import type { ConversationId, PostRow } from "@sotto/protocol";
import { bytesToHex, decodeContent, equalBytes } from "@sotto/wire";
import type { Client, Disk } from "./client.ts";
import type { DeviceActs, DeviceWorld } from "./device-acts.ts";
import type { People } from "./device-people.ts";
import { type Side, startIdentityChanges } from "./identity-change.ts";
import type { Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** What the oracle asks about devices, which find each other by themselves. */
export type DevicesView = Pick<Oracle, "across" | "canGoBack"> & {
  readonly isSamePerson: (one: Client, other: Client) => boolean;
  /** That still speak for somebody. */
  readonly present: () => readonly Client[];
  /** Whether any device of the contact has this text, or had it before its store was lost. */
  readonly hasArrived: (client: Client, id: ConversationId, row: string) => boolean;
};

export function createDevicesView({
  accounts,
  oracle,
  people,
}: Pick<DeviceWorld, "accounts" | "oracle"> & { readonly people: People }): DevicesView {
  const { clientOf, isRemoved, accountOf, present } = people;

  function across(client: Client, id: ConversationId): ReturnType<Oracle["across"]> {
    const peer = client.disk.conversations.get(id)?.peer;
    if (peer?.state !== "open" || peer.retired || isRemoved(client)) return undefined;
    const other = clientOf(bytesToHex(peer.contact.cert.deviceId));
    if (other === undefined || isRemoved(other)) return undefined;
    const { deviceId } = client.disk.self.cert;
    const back = [...other.disk.conversations.values()].find(
      (one) => one.peer.state === "open" && equalBytes(one.peer.contact.cert.deviceId, deviceId),
    );
    return back === undefined ? undefined : { client: other, id: back.id };
  }

  /** Since then it has met nobody, and knows no newer list and nothing more of the group: only texts and keys go back. */
  function canGoBack(client: Client, store: Disk = client.disk): boolean {
    const { disk } = client;
    if (isRemoved(client) || accountOf(client)?.isChanging !== false) return false;
    const versions = [disk, store].map(({ self }) => self.devices.lists.at(-1)?.version);
    if (versions[0] !== versions[1] || disk.conversations.size !== store.conversations.size) {
      return false;
    }
    for (const [id, { log }] of disk.groups) {
      const then = store.groups.get(id)?.log;
      if (then?.heads.toSorted().join() !== log.heads.toSorted().join()) return false;
    }
    return [...disk.conversations].every(([id, { peer }]) => {
      const then = store.conversations.get(id)?.peer;
      if (peer.state !== "open") return then?.state === peer.state && peer.state !== "invited";
      const there = across(client, id);
      return (
        then?.state === "open" &&
        then.contact.addresses.length > 0 &&
        there !== undefined &&
        oracle.couldRepair(client, id)
      );
    });
  }

  return {
    across,
    canGoBack,
    isSamePerson: (one, other) => accountOf(one) === accountOf(other),
    present: () => accounts.flatMap((one) => present(one)),
    hasArrived(client, id, row) {
      const other = across(client, id);
      const devices = other === undefined ? [] : (accountOf(other.client)?.devices ?? []);
      if (devices.length === 0) return true;
      return devices.some(
        (one) =>
          oracle.hasLost(one, row) ||
          [...one.disk.messages.values()].some((rows) => rows.has(row)) ||
          [...one.disk.posts.values()].some((waiting) => isOnItsWay(waiting, row)),
      );
    },
  };
}

/** Stored, and not yet handed on from the pair to its conversation. */
function isOnItsWay({ post }: PostRow, id: string): boolean {
  if (post.kind !== "content") return false;
  const decoded = decodeContent(post.content);
  return decoded.ok && "id" in decoded.value && bytesToHex(decoded.value.id) === id;
}

export interface DeviceFaultsOptions extends DeviceWorld {
  readonly scheduler: Scheduler;
  readonly stranger: OwnDevice;
  readonly people: People;
  readonly acts: DeviceActs;
}

export function createDeviceFaults(setting: DeviceFaultsOptions) {
  const { faults, decisions, oracle, scheduler, accounts, isHealing, again, people } = setting;
  const { acts, stranger, random } = setting;
  const { accountOf, agrees, isRemoved, present } = people;

  /** Between devices of different people; with oneself nobody has to decide. */
  function sides(): readonly Side[] {
    return accounts.flatMap(present).flatMap((client) =>
      [...client.disk.conversations.values()]
        .filter(({ peer }) => peer.state === "open" && !peer.retired)
        .filter(({ id }) => {
          const other = oracle.across(client, id);
          return other !== undefined && accountOf(other.client) !== accountOf(client);
        })
        .map(({ id }): Side => [client, id]),
    );
  }

  function forge(by: Random): void {
    if (isHealing()) return;
    again(by.exponential(faults.forgeMean), () => forge(by));
    const act = decisions.next("malice");
    const all = sides();
    if (all.length === 0 || !act.take()) return;
    const [client, id] = act.random.pick(all);
    void client.forge(id, act.random);
  }

  function copy(): void {
    const act = decisions.next("copy");
    const all = sides();
    if (all.length > 0 && act.take()) oracle.copied(...act.random.pick(all));
  }

  return {
    start() {
      if (faults.forgeMean > 0) {
        const by = random.fork();
        again(by.exponential(faults.forgeMean), () => forge(by));
      }
      if (faults.strangerMean > 0) {
        const world = { ...setting, scheduler, stranger, unused: new Map<Client, OwnDevice>() };
        startIdentityChanges(world, sides, random.fork());
      }
      again(random.int(faults.phaseMs), copy);
    },
    /** Before, an address that is all that somebody has may be at the relay that is lost: see `KNOWN_LIMITS`. */
    areAllTold: (relays: number): boolean =>
      accounts
        .flatMap(present)
        .every(({ disk }) =>
          [...disk.conversations.values()].every(
            ({ peer }) =>
              peer.state !== "invited" &&
              (peer.state !== "open" || peer.retired || peer.contact.addresses.length === relays),
          ),
        ),
    /** Devices whose store may go: another device of the same person is left to take it out, and knows everybody. */
    evictable: (): readonly Client[] =>
      accounts.some(({ isChanging }) => isChanging)
        ? []
        : accounts
            .filter((one) => agrees(one) && present(one).length > 1)
            .flatMap(present)
            .filter((one) => acts.canGo(one)),
    /** Whoever sees that a device knows nothing any more takes it out with another one. */
    async evict(client: Client, how: Random): Promise<void> {
      const account = accountOf(client);
      if (account === undefined || isRemoved(client)) return;
      const by = how.pick(present(account).filter((one) => one !== client));
      client.evict();
      await acts.takeOut(account, client, by);
    },
  };
}
