/**
 * What people with several devices do: meet, link and remove devices, look in, write.
 * Owns: acts outside the group, and what was written. Leaves to device-group.ts: the group's membership.
 */
import { accountIdOf, deriveInviteKeys } from "@sotto/crypto";
import type { ConversationId, ConversationRecord } from "@sotto/protocol";
import { bytesToHex, equalBytes } from "@sotto/wire";
import type { Client } from "./client.ts";
import type { Decisions } from "./decisions.ts";
import type { DeviceGroup } from "./device-group.ts";
import { type Account, GROUP, NOTES, type People, type Written } from "./device-people.ts";
import type { Network } from "./endpoint.ts";
import type { Faults } from "./faults.ts";
import { MARKER, type Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";

const WRITES_MAX = 14;
/** In a large group: so many that chains go on for a while. */
const WRITES_TO_MANY_MAX = 30;
/** Of what somebody writes who is in a group, how much is for it. */
const TO_GROUP = 0.4;
const TO_MANY = 0.7;

export interface DeviceWorld {
  readonly faults: Faults;
  readonly decisions: Decisions;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly random: Random;
  readonly accounts: readonly Account[];
  readonly trace: (line: string) => void;
  readonly isHealing: () => boolean;
  readonly again: (ms: number, run: () => void | Promise<void>) => void;
}

export type DeviceActs = ReturnType<typeof createDeviceActs>;

export function createDeviceActs(setting: DeviceWorld, people: People, group: DeviceGroup) {
  const { faults, decisions, network, oracle, accounts, trace } = setting;
  const { isHealing, random: world, again } = setting;
  const { nameOf, groupOf, membersAt, chatOf, clientOf, present, agrees, staysConnected } = people;
  const { noteThief, wasAdded } = group;
  const isLarge = faults.crowd > 0;
  const writesMax = isLarge ? WRITES_TO_MANY_MAX : WRITES_MAX;
  const written = new Map<string, Written>();
  const joins: { readonly sides: readonly Client[]; readonly id: ConversationId }[] = [];
  return { takeNotes, look, meet, link, remove, takeOut, write, haveAllMet, canGo, written };

  /** As an app does with every start. */
  async function takeNotes(client: Client): Promise<void> {
    if (client.disk.conversations.has(NOTES)) return;
    await client.begin(NOTES, { kind: "start-notes", id: NOTES });
    again(1_000, () => takeNotes(client));
  }

  /**
   * A device that nobody has met has nobody to introduce it when the last that it knows is gone; and whose invite is out
   * meets somebody whom only that one then knows (protocol/SPEC.md §10).
   */
  function canGo(client: Client): boolean {
    const isAwaited = joins.some(
      ({ sides, id }) =>
        sides.includes(client) && sides.some(({ disk }) => !disk.conversations.has(id)),
    );
    return !isAwaited && staysConnected(client);
  }

  /** In peace people look in now and then: a silent pair would never learn that the other device is there. */
  async function look(client: Client, by: Random): Promise<void> {
    again(isHealing() ? 600_000 : by.exponential(10_000), () => look(client, by));
    const wanted = isHealing() ? !by.chance(0.3) : by.chance(0.5);
    for (const { id, peer } of client.disk.conversations.values()) {
      if (peer.state === "open") await client.feed(id, { kind: "want", wanted });
    }
  }

  /**
   * Before, a relay's disk that is lost takes an offer or a first message that nobody can ask for again: each device has
   * a pair with each that it is to reach, and can begin anew in it.
   */
  function haveAllMet(): boolean {
    const haveJoined = joins.every(({ sides, id }) =>
      sides.every(({ disk }) => disk.conversations.has(id)),
    );
    const isStill = accounts.every((one) => {
      return one.spare.length === 0 && !one.isChanging && agrees(one);
    });
    if (!haveJoined || !isStill) return false;
    const canRepair = (client: Client, device: Client): boolean =>
      [...client.disk.conversations.keys()].some((id) => {
        return oracle.across(client, id)?.client === device && oracle.couldRepair(client, id);
      });
    return accounts.every((account) =>
      accounts.every((other) => {
        const isMet = account.devices.some((one) => chatOf(one, other) !== undefined);
        if (account !== other && !isMet) return true;
        return present(account).every((client) =>
          present(other).every((device) => client === device || canRepair(client, device)),
        );
      }),
    );
  }

  /** The first devices of two people, by an invite. */
  function meet(inviter: Account, invitee: Account, id: ConversationId): void {
    const [from, to] = [inviter.devices[0]!, invitee.devices[0]!];
    join(from, to, id, undefined);
  }

  /** Asked again until both have it, whatever fails meanwhile. */
  function join(
    from: Client,
    to: Client,
    id: ConversationId,
    parent: ConversationId | undefined,
  ): void {
    const own = world.fork();
    joins.push({ sides: [from, to], id });
    const whose = parent === undefined ? {} : { parent };
    const invite = async (): Promise<void> => {
      if (from.disk.conversations.has(id)) return;
      again(1_000, invite);
      if (!from.disk.conversations.has(NOTES)) return;
      const expiresAt = from.now() + 100 * 365 * 86_400_000;
      await from.begin(id, { kind: "start-invite", id, expiresAt, ...whose });
    };
    const accept = (): void => {
      if (to.disk.conversations.has(id)) return;
      again(1_000 + own.int(1_000), accept);
      const record = from.disk.conversations.get(id);
      if (record?.peer.state !== "invited" || !to.running) return;
      if (!to.disk.conversations.has(NOTES)) return;
      const { seed: inviteSeed } = record.peer.invite;
      const accountId = accountIdOf(from.disk.self.cert.rootKey);
      const invitation = { seed: inviteSeed, accountId, relayPin: new Uint8Array(16) };
      network.fetch(to, bytesToHex(deriveInviteKeys(inviteSeed).linkId), async (blob) => {
        if (blob === undefined || to.disk.conversations.has(id)) return;
        await to.begin(id, { kind: "start-accept", id, invite: invitation, blob, ...whose });
      });
    };
    again(own.int(500), invite);
    again(500 + own.exponential(3_000), accept);
  }

  function link(account: Account): void {
    if (isHealing() || account.spare.length === 0) return;
    if (account.isChanging || !agrees(account)) {
      again(1_000, () => link(account));
      return;
    }
    const act = decisions.next("link");
    const old = act.random.pick(account.devices.filter((one) => !account.removed.has(one)));
    const [fresh] = account.spare;
    if (fresh === undefined || !act.take()) return;
    account.isChanging = true;
    account.spare.shift();
    trace(`${fresh.name} is linked by ${old.name}`);
    join(old, fresh, `link-${fresh.name}`, NOTES);
    const done = (): void => {
      const isListed = old.disk.self.devices.lists
        .at(-1)
        ?.devices.some(({ id }) => equalBytes(id, fresh.disk.self.cert.deviceId));
      if (isListed !== true) {
        again(500, done);
        return;
      }
      account.devices.push(fresh);
      endWhenAgreed(account);
    };
    done();
  }

  function endWhenAgreed(account: Account): void {
    if (agrees(account)) account.isChanging = false;
    else again(500, () => endWhenAgreed(account));
  }

  async function remove(account: Account): Promise<void> {
    if (isHealing()) return;
    const speaking = present(account);
    const isBusy = account.isChanging || !agrees(account);
    if (isBusy || speaking.length < 2) {
      again(1_000, () => remove(account));
      return;
    }
    const act = decisions.next("remove");
    const target = act.random.pick(speaking);
    const by = act.random.pick(speaking.filter((one) => one !== target));
    if (accounts.some(({ isChanging }) => isChanging) || !canGo(target)) {
      again(1_000, () => remove(account));
      return;
    }
    if (!act.take()) return;
    noteThief(target, account);
    await takeOut(account, target, by);
  }

  /** Asked again until it is done, whatever fails meanwhile. */
  async function takeOut(account: Account, target: Client, by: Client): Promise<void> {
    account.isChanging = true;
    const device = bytesToHex(target.disk.self.cert.deviceId);
    const isGone = (): boolean =>
      by.disk.self.devices.lists
        .at(-1)
        ?.removed.some(({ id }) => equalBytes(id, target.disk.self.cert.deviceId)) === true;
    trace(`${target.name} is removed by ${by.name}`);
    const ask = async (): Promise<void> => {
      if (!isGone()) await by.feed(NOTES, { kind: "remove-device", device });
      if (!isGone()) {
        again(500, ask);
        return;
      }
      account.removed.add(target);
      endWhenAgreed(account);
    };
    await ask();
  }

  async function write(): Promise<void> {
    if (isHealing() || written.size >= writesMax) return;
    const act = decisions.next("write");
    const by = act.random;
    again(by.chance(0.3) ? by.int(60) : by.exponential(faults.phaseMs / (writesMax + 2)), write);
    const account = by.pick(accounts);
    const author = by.pick(account.devices.filter((one) => !account.removed.has(one)));
    const group = groupOf(author);
    if (
      group?.peer.state === "group" &&
      group.peer.member &&
      by.chance(isLarge ? TO_MANY : TO_GROUP)
    ) {
      if (author.running && act.take()) await writeToGroup(author, group, by);
      return;
    }
    const to = by.chance(0.1) ? undefined : by.pick(accounts.filter((one) => one !== account));
    const record = to === undefined ? author.disk.conversations.get(NOTES) : chatOf(author, to);
    if (record === undefined || !author.running || !act.take()) return;
    const own = author.disk.self.devices;
    const names = [
      ...own.links.map(({ device }) => device),
      ...(to === undefined ? [] : record.devices.links.map(({ device }) => device)),
      ...(record.peer.state === "open" && !record.peer.retired
        ? [bytesToHex(record.peer.contact.cert.deviceId)]
        : []),
    ];
    const gone = [
      ...(own.lists.at(-1)?.removed ?? []),
      ...(to === undefined ? [] : (record.devices.list?.removed ?? [])),
    ];
    const text = `${MARKER} ${written.size + 1} of ${author.name} ${MARKER}`;
    const id = bytesToHex(by.bytes(16));
    await author.feed(record.id, { kind: "send-text", id, text });
    if (author.disk.messages.get(record.id)?.has(id) !== true) return;
    written.set(id, {
      author,
      conversation: record.id,
      text,
      to,
      reached: names.map(clientOf).filter((one) => one !== undefined),
      excluded: gone.map((one) => clientOf(bytesToHex(one.id))).filter((one) => one !== undefined),
    });
  }

  async function writeToGroup(
    author: Client,
    record: ConversationRecord,
    by: Random,
  ): Promise<void> {
    const members = membersAt(author);
    const roster = author.disk.groups.get(record.id)?.roster ?? new Map();
    const reached = [...roster]
      .filter(([account]) => members.has(account))
      .flatMap(([, { devices }]) => devices.map(({ device }: { device: string }) => device));
    const text = `${MARKER} ${written.size + 1} of ${author.name} to all ${MARKER}`;
    const id = bytesToHex(by.bytes(16));
    await author.feed(record.id, { kind: "send-text", id, text });
    if (author.disk.messages.get(record.id)?.has(id) !== true) return;
    const waiting = [...(author.disk.outbox.get(record.id)?.values() ?? [])];
    const isSealed = waiting.every((row) => row.awaits !== id || row.recipients !== undefined);
    const ops = [...(author.disk.groups.get(record.id)?.log.ops.values() ?? [])];
    const added = new Set(
      ops.map(({ op: { action } }) => (action.kind === "add" ? bytesToHex(action.account) : "")),
    );
    // Who was added elsewhere meanwhile may read what is sealed only once the author has heard of it.
    const gone = accounts.filter(
      (one) =>
        wasAdded.has(one) && !members.has(nameOf(one)) && (isSealed || added.has(nameOf(one))),
    );
    written.set(id, {
      author,
      conversation: record.id,
      text,
      to: GROUP,
      reached: reached.map(clientOf).filter((one) => one !== undefined),
      excluded: gone.flatMap(({ devices }) => devices),
    });
  }
}
