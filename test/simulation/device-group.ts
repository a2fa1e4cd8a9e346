/**
 * The group that people with several devices have: made, joined, left, ruled, and signed for by stolen devices.
 * Owns: what happens to its membership, and I11 of it. Leaves to device-checks.ts: whether all know the same of it.
 */
import { type CryptoBackend, type GroupLog, makeOp, pagesSince } from "@sotto/crypto";
import {
  asAccountId,
  asContentId,
  asGroupId,
  asOpId,
  bytesToHex,
  encodeContent,
  type GroupAction,
  hexToBytes,
} from "@sotto/wire";
import type { Client } from "./client.ts";
import type { DeviceWorld } from "./device-acts.ts";
import { type Account, GROUP, type People } from "./device-people.ts";
import { createGroupLiar } from "./group-liar.ts";
import { createRulers } from "./rulers.ts";

/** An account that nobody is. */
const STRANGER = new Uint8Array(20).fill(0xee);

/** Whoever has a device that was taken out: what it knew of the group before. */
interface Thief {
  readonly client: Client;
  readonly account: Account;
  readonly log: GroupLog;
}

export interface GroupWorld extends DeviceWorld {
  readonly crypto: CryptoBackend;
  /** All are admins, and act at once. */
  readonly isContested: boolean;
}

export type DeviceGroup = ReturnType<typeof createDeviceGroup>;

export function createDeviceGroup(setting: GroupWorld, people: People) {
  const { faults, decisions, oracle, crypto, accounts, trace } = setting;
  const { isContested, isHealing, random: world, again } = setting;
  const { nameOf, groupOf, rolesAt, membersAt, knows } = people;
  const { chatOf, chatsOf, accountOf, present } = people;
  const wasAdded = new Set<Account>();
  const thieves: Thief[] = [];
  const expelled = new Set<Account>();
  const rulers = createRulers({
    groupAt: (client) => groupOf(client)?.id,
    decisions,
    members: () => accounts.map((one) => ({ name: nameOf(one), devices: present(one) })),
    rolesAt,
    knows,
    trace,
  });
  const liar = createGroupLiar(setting, people);
  return { foundGroup, noteThief, checkThieves, endLies, wasAdded, wasOut };

  /** The first person's first device makes a group, and adds everybody whom it knows. */
  async function foundGroup(): Promise<void> {
    const [founder] = accounts;
    const by = founder?.devices[0];
    if (isHealing() || founder === undefined || by === undefined || founder.removed.has(by)) return;
    const act = decisions.next("group");
    if (groupOf(by) === undefined) {
      liar.start();
      again(1_000, foundGroup);
      if (!by.running || !act.take()) return;
      trace(`${by.name} makes a group`);
      await by.begin(GROUP, { kind: "start-group", id: GROUP });
      return;
    }
    if (!(await addCrowd(by))) {
      again(1_000, foundGroup);
      return;
    }
    const others = accounts.slice(1).filter((one) => chatOf(by, one) !== undefined);
    const missing = others.filter((one) => !wasAdded.has(one));
    for (const one of missing) {
      await by.feed(GROUP, { kind: "group-add", account: nameOf(one) });
      if (membersAt(by).has(nameOf(one))) wasAdded.add(one);
    }
    if (isContested && wasAdded.size > 0) await crownAll(by);
    else if (wasAdded.size < accounts.length - 1) again(1_000, foundGroup);
    else if (world.chance(0.4)) again(world.int(faults.phaseMs / 3), () => expel(by));
  }

  /** Before anybody who answers: from the first message on the group is a large one. */
  async function addCrowd(by: Client): Promise<boolean> {
    const missing = (): string | undefined => people.crowd.find((one) => !membersAt(by).has(one));
    for (let left = people.crowd.length; left > 0; left--) {
      const account = missing();
      if (account === undefined) break;
      await by.feed(GROUP, { kind: "group-add", account });
    }
    return missing() === undefined;
  }

  /** Whoever lies can stop the others for as long as it is a member (crypto/SPEC.md §11.6): the founder takes it out. */
  async function endLies(): Promise<void> {
    const target = liar.account();
    const founder = accounts[0];
    if (target === undefined || founder === undefined) return;
    const by = present(founder).find((one) => membersAt(one).has(nameOf(target)));
    if (by === undefined) return;
    trace(`${by.name} removes ${target.name}, who lies, from the group`);
    expelled.add(target);
    const group = groupOf(by)?.id;
    if (group !== undefined)
      await by.feed(group, { kind: "group-remove", account: nameOf(target) });
    if (membersAt(by).has(nameOf(target))) again(1_000, endLies);
  }

  /** From here on everybody may do everything. */
  async function crownAll(by: Client): Promise<void> {
    for (const one of wasAdded) {
      await by.feed(GROUP, { kind: "group-role", account: nameOf(one), role: "admin" });
    }
    await rule();
  }

  async function rule(): Promise<void> {
    if (isHealing()) return;
    again(world.exponential(faults.phaseMs / 12), rule);
    await rulers.act();
    const known = new Set(accounts.flatMap(present).flatMap((one) => [...membersAt(one)]));
    for (const one of accounts.slice(1)) if (known.has(nameOf(one))) wasAdded.add(one);
  }

  async function expel(by: Client): Promise<void> {
    if (isHealing() || accounts[0]?.removed.has(by) === true) return;
    const act = decisions.next("expel");
    const target = act.random.pick(accounts.slice(1));
    if (!membersAt(by).has(nameOf(target)) || !act.take()) return;
    trace(`${by.name} removes ${target.name} from the group`);
    expelled.add(target);
    for (const device of present(target)) noteThief(device, target);
    await by.feed(GROUP, { kind: "group-remove", account: nameOf(target) });
    if (membersAt(by).has(nameOf(target))) again(1_000, () => expel(by));
  }

  function noteThief(client: Client, account: Account): void {
    // Among admins nobody could tell a thief's work from the others'.
    if (isContested) return;
    const record = groupOf(client);
    const log = record === undefined ? undefined : client.disk.groups.get(record.id)?.log;
    if (log?.state.members.has(nameOf(account)) !== true) return;
    thieves.push({ client, account, log });
    again(500 + world.exponential(faults.phaseMs / 6), steal);
  }

  /**
   * A stolen device signs on as if it had not heard that it is out, and somebody in the group passes that on to those who
   * have heard. Not its own leave, and not its revoking of honest devices: those it can do (protocol/SPEC.md §11).
   */
  async function steal(): Promise<void> {
    if (isHealing()) return;
    again(world.exponential(faults.phaseMs / 6), steal);
    const act = decisions.next("thief");
    const by = act.random;
    const thief = by.pick(thieves);
    const others = accounts.filter((one) => one !== thief.account);
    const victims = accounts
      .flatMap((one) => present(one))
      .filter((one) => one.running && knowsOut(one, thief));
    if (victims.length === 0 || !act.take()) return;
    const victim = by.pick(victims);
    const someone = asAccountId(hexToBytes(nameOf(by.pick(others))) ?? STRANGER);
    const action = by.pick<Exclude<GroupAction, { kind: "create" }>>([
      { kind: "add", account: asAccountId(STRANGER) },
      { kind: "remove", account: someone },
      { kind: "role", account: someone, role: "admin" },
      { kind: "policy", adders: "members" },
      { kind: "rotateTopic" },
    ]);
    const env = { entropy: (length: number) => by.bytes(length), crypto, now: thief.client.now() };
    const made = await makeOp(thief.log, thief.client.disk.self, action, env);
    const record = groupOf(victim);
    if (!made.ok || record?.peer.state !== "group") return;
    trace(`${thief.client.name} is stolen: ${action.kind}, told to ${victim.name}`);
    const known = thief.log.heads.map((head) => asOpId(hexToBytes(head) ?? STRANGER));
    const group = asGroupId(made.log.group);
    const bringer = by.pick([thief.account, ...others].filter((one) => chatOf(victim, one)));
    const from = chatOf(victim, bringer)?.id ?? record.id;
    for (const page of pagesSince(made.log, known)) {
      const about = { id: asContentId(by.bytes(16)), time: { ms: victim.now(), counter: 0 } };
      const post = {
        kind: "told",
        account: nameOf(bringer),
        device: bytesToHex(bringer.devices[0]!.disk.self.cert.deviceId),
        content: encodeContent({ kind: "page", ...about, group, page }),
      } as const;
      const row = { id: bytesToHex(by.bytes(16)), from, to: record.id, sequence: 1, post };
      await victim.feed(record.id, { kind: "post", row });
    }
  }

  /** Before it knows, what the thief signs is what its account does. */
  function knowsOut(client: Client, { client: stolen, account }: Thief): boolean {
    const record = groupOf(client);
    const state = record === undefined ? undefined : client.disk.groups.get(record.id)?.log.state;
    if (state === undefined || chatsOf(client) === 0) return false;
    const device = bytesToHex(stolen.disk.self.cert.deviceId);
    if (state.revoked.has(`${nameOf(account)}/${device}`)) return true;
    return wasAdded.has(account) && !state.members.has(nameOf(account));
  }

  /** I11: what stolen devices signed has no effect anywhere. */
  function checkThieves(): void {
    if (isContested) return;
    for (const client of accounts.flatMap((one) => present(one))) {
      const record = groupOf(client);
      const state = record === undefined ? undefined : client.disk.groups.get(record.id)?.log.state;
      const own = accountOf(client);
      if (state === undefined || own === undefined || expelled.has(own)) continue;
      if (state.members.has(bytesToHex(STRANGER))) {
        oracle.fail("I11", `${client.name} takes a stranger for a member`);
      }
      if (state.adders !== "admins") oracle.fail("I11", `${client.name} has a stranger's policy`);
      for (const [account, { role }] of state.members) {
        const isFounder = account === nameOf(accounts[0]!);
        if ((role === "admin") !== isFounder) oracle.fail("I11", `${client.name} has other admins`);
      }
      for (const account of wasAdded) {
        if (!expelled.has(account) && !state.members.has(nameOf(account))) {
          oracle.fail("I11", `${client.name} misses ${account.name}`);
        }
      }
    }
  }

  function wasOut(account: Account | undefined): boolean {
    return account !== undefined && rulers.wasOut.has(nameOf(account));
  }
}
