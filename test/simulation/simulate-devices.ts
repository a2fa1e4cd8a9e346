/**
 * One run with several devices for each person: they are linked and removed while everything fails, then there is
 * peace, then the verdict.
 * Owns: what people with several devices do, and what must hold for an account. Leaves to simulate.ts: two people with a
 * device each, and the faults that only they can suffer; to oracle.ts: what must hold for each device.
 */
import {
  accountIdOf,
  deriveInviteKeys,
  type GroupLog,
  makeOp,
  type OwnDevice,
  pagesSince,
} from "@sotto/crypto";
import type { ConversationId, ConversationRecord, DropReason, MessageRow } from "@sotto/protocol";
import {
  asAccountId,
  asContentId,
  asGroupId,
  asOpId,
  bytesToHex,
  encodeContent,
  equalBytes,
  type GroupAction,
  hexToBytes,
} from "@sotto/wire";
import { type Client, createClient } from "./client.ts";
import { createDecisions } from "./decisions.ts";
import { createEvilRelay } from "./evil-relay.ts";
import { startFaults } from "./fault-schedule.ts";
import { drawFaults, type Faults, healed, isTampered } from "./faults.ts";
import type { Network } from "./endpoint.ts";
import { createFullNetwork } from "./full-network.ts";
import { accountsFor, identitiesFor } from "./identities.ts";
import { createOracle, MARKER } from "./oracle.ts";
import { createRandom, type Random } from "./random.ts";
import { createRulers } from "./rulers.ts";
import { blamingClocks, type Run } from "./run-again.ts";
import { createScheduler } from "./scheduler.ts";
import {
  EVENTS_MAX,
  FAULTY_EVENTS_MAX,
  REPAIR_PHASE_MS,
  type RunOptions,
  type RunResult,
} from "./simulate.ts";
import { stubBackend } from "./stub-crypto.ts";
import { createSeveralRelays } from "./several-relays.ts";
import { createThinNetwork } from "./thin-network.ts";

const NOTES = "notes";
const GROUP = "circle";
const WRITES_MAX = 14;
/** An account that nobody is. */
const STRANGER = new Uint8Array(20).fill(0xee);

/** Whoever has a device that was taken out: what it knew of the group before. */
interface Thief {
  readonly client: Client;
  readonly account: Account;
  readonly log: GroupLog;
}

/** One person, the devices they have had, in the order in which they came. */
interface Account {
  readonly name: string;
  readonly devices: Client[];
  /** Not linked yet. */
  readonly spare: Client[];
  readonly removed: Set<Client>;
  /** A change of the list is under way: two at once would be two histories (protocol/SPEC.md §10). */
  isChanging: boolean;
}

interface Written {
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

export const simulateDevices: Run = blamingClocks(simulateOnce);

async function simulateOnce(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const random = createRandom(seed ^ 0x0d3f1ce5);
  const faults: Faults = {
    ...drawFaults(random.fork()),
    // What takes a whole store or makes a device lie is between two devices: simulate.ts has it.
    evictionMean: 0,
    putBackMean: 0,
    forgeMean: 0,
    sessionLoss: 0,
    relayWipe: 0,
    relayRestore: 0,
    ...options.faults,
  };
  const scheduler = createScheduler();
  const decisions = createDecisions(seed, () => scheduler.now, options.only);
  const crypto = options.crypto ?? stubBackend;
  const oracle = createOracle({
    scheduler,
    crypto,
    random: createRandom(~seed),
    isTampered: isTampered(faults),
  });
  let hash = 0x811c9dc5;
  const trace = (line: string): void => {
    const full = `${scheduler.now.toFixed(1)} ${line}`;
    for (let at = 0; at < full.length; at++) {
      hash = Math.imul(hash ^ full.charCodeAt(at), 0x01000193);
    }
    options.trace?.(full);
  };
  let healing = false;
  const current = (): Faults => (healing ? healed(faults) : faults);
  trace(JSON.stringify(faults));

  const { relayKey } = await identitiesFor(crypto);
  const makeRelay = (by: Random): Network =>
    (faults.stack === "full" ? createFullNetwork : createThinNetwork)({
      scheduler,
      random: by,
      decisions,
      evil: createEvilRelay(decisions, current, trace),
      watch: { carried: oracle.carried, fail: oracle.fail },
      faults,
      crypto,
      relayKey,
      trace,
      okBeforeFlush: false,
    });
  const first = random.fork();
  const beside = createRandom(seed ^ 0x5e1a);
  const relays = Array.from({ length: faults.relays }, (_, relay) => relay);
  // Everybody has queues at all of them. That one of them ends for good is between two devices: simulate.ts has it.
  const network =
    faults.relays === 1
      ? makeRelay(first)
      : createSeveralRelays({
          networks: relays.map((relay) => makeRelay(relay === 0 ? first : beside.fork())),
          homesOf: () => relays,
          scheduler,
          random: beside.fork(),
          trace,
        });
  const made: Client[] = [];
  const deviceOf = (name: string, device: OwnDevice, isFirst: boolean): Client => {
    const client = createClient({
      name,
      device,
      isFirst,
      crypto,
      relayKey,
      scheduler,
      random: random.fork(),
      decisions,
      faults: current,
      tellsTwice: seed % 4 === 0,
      network,
      oracle,
      skewMs: 0,
      bug: options.bug,
      trace,
    });
    made.push(client);
    return client;
  };
  /** All are admins, and act at once. */
  const isContested = options.admins === true;
  const people = random.pick([2, 2, 2, 3]);
  const accounts: Account[] = (await accountsFor(crypto))
    .slice(0, isContested ? 3 : people)
    .map((devices, index) => {
      const count = random.pick([1, 2, 2, 3]);
      const [first, ...spare] = devices
        .slice(0, count)
        .map((device, at) => deviceOf(`person${index}.${at}`, device, at === 0));
      return {
        name: `person${index}`,
        devices: first === undefined ? [] : [first],
        spare,
        removed: new Set(),
        isChanging: false,
      };
    });
  const world = random.fork();
  const written = new Map<string, Written>();
  const wasAdded = new Set<Account>();
  const thieves: Thief[] = [];
  const expelled = new Set<Account>();

  const again = (ms: number, run: () => void | Promise<void>): void => {
    scheduler.after(ms, run);
  };
  for (const client of made) {
    await client.start();
    await takeNotes(client);
  }
  accounts.forEach((account, index) => {
    const other = accounts[index + 1] ?? (index === accounts.length - 1 ? undefined : accounts[0]);
    if (other !== undefined) meet(account, other, `meet${index}`);
    for (const _ of account.spare) again(world.int(faults.phaseMs * 0.6), () => link(account));
    if (world.chance(0.5)) {
      again(faults.phaseMs * (0.5 + world.next() / 2), () => remove(account));
    }
  });
  const isGrouped = world.chance(0.6) || isContested;
  const rulers = createRulers({
    groupAt: (client) => groupOf(client)?.id,
    decisions,
    members: () => accounts.map((one) => ({ name: nameOf(one), devices: present(one) })),
    rolesAt,
    knows,
    trace,
  });
  if (isGrouped) again(faults.phaseMs * (0.1 + world.next() * 0.3), foundGroup);
  again(world.int(2_000), write);
  for (const client of made) {
    const by = world.fork();
    again(by.int(5_000), () => look(client, by));
  }
  startFaults({
    faults,
    decisions,
    scheduler,
    network,
    clients: made,
    oracle,
    trace,
    isHealing: () => healing,
    canWipe: () => false,
  });

  await scheduler.runUntil(faults.phaseMs, () => scheduler.events > FAULTY_EVENTS_MAX);
  const healedAt = scheduler.now;
  healing = true;
  network.faults = healed(faults);
  network.startRelay();
  for (const client of made) {
    client.diskFull = false;
    network.setSlow(client, false);
    network.partition(client, false);
    network.disconnect(client);
  }
  trace("healed");
  let settledAt: number | undefined;
  let unsettled: string | undefined;
  await scheduler.runUntil(healedAt + REPAIR_PHASE_MS, () => {
    unsettled = whatIsUnsettled();
    settledAt = unsettled === undefined ? (settledAt ?? scheduler.now) : undefined;
    const isOver = settledAt !== undefined && scheduler.now > settledAt + 2_000;
    return isOver || scheduler.events > EVENTS_MAX;
  });
  if (scheduler.events > EVENTS_MAX) oracle.fail("I9", "events without end");
  if (unsettled !== undefined) oracle.fail("I4", unsettled);
  network.atTheEnd();
  for (const [id, text] of written) checkText(id, text);
  checkThieves();
  await oracle.atTheEnd(new Set<DropReason>());
  return {
    seed,
    failures: oracle.failures,
    broken: oracle.broken,
    decisions: decisions.taken,
    traceHash: (hash >>> 0).toString(16).padStart(8, "0"),
    steps: made.reduce((sum, client) => sum + client.steps, 0),
    events: scheduler.events,
    accepted: oracle.accepted_,
    restored: oracle.restored,
    simulatedMs: scheduler.now,
    settledAfterMs: settledAt === undefined ? undefined : settledAt - healedAt,
  };

  /** As an app does with every start. */
  async function takeNotes(client: Client): Promise<void> {
    if (client.disk.conversations.has(NOTES)) return;
    await client.begin(NOTES, { kind: "start-notes", id: NOTES });
    again(1_000, () => takeNotes(client));
  }

  /** In peace people look in now and then: a silent pair would never learn that the other device is there. */
  async function look(client: Client, by: Random): Promise<void> {
    again(healing ? 600_000 : by.exponential(10_000), () => look(client, by));
    const wanted = healing ? !by.chance(0.3) : by.chance(0.5);
    for (const { id, peer } of client.disk.conversations.values()) {
      if (peer.state === "open") await client.feed(id, { kind: "want", wanted });
    }
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

  /** Every device that speaks for the account knows the same list, and each of them is in it. */
  function agrees({ devices, removed }: Account): boolean {
    const present = devices.filter((device) => !removed.has(device));
    const versions = present.map(({ disk }) => disk.self.devices.lists.at(-1)?.version);
    const count = present[0]?.disk.self.devices.lists.at(-1)?.devices.length;
    return versions.every((one) => one === versions[0]) && count === present.length;
  }

  function link(account: Account): void {
    if (healing || account.spare.length === 0) return;
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
      const settled = (): void => {
        if (agrees(account)) account.isChanging = false;
        else again(500, settled);
      };
      settled();
    };
    done();
  }

  async function remove(account: Account): Promise<void> {
    if (healing) return;
    const speaking = present(account);
    const isBusy = account.isChanging || !agrees(account);
    if (isBusy || speaking.length < 2) {
      again(1_000, () => remove(account));
      return;
    }
    const act = decisions.next("remove");
    const target = act.random.pick(speaking);
    const by = act.random.pick(speaking.filter((one) => one !== target));
    // A device that nobody has met has nobody to introduce it when the last that it knows is gone.
    if (accounts.some(({ isChanging }) => isChanging) || !staysConnected(target)) {
      again(1_000, () => remove(account));
      return;
    }
    if (!act.take()) return;
    noteThief(target, account);
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
      const settled = (): void => {
        if (agrees(account)) account.isChanging = false;
        else again(500, settled);
      };
      settled();
    };
    await ask();
  }

  /** The first person's first device makes a group, and adds everybody whom it knows. */
  async function foundGroup(): Promise<void> {
    const [founder] = accounts;
    const by = founder?.devices[0];
    if (healing || founder === undefined || by === undefined || founder.removed.has(by)) return;
    const act = decisions.next("group");
    if (groupOf(by) === undefined) {
      again(1_000, foundGroup);
      if (!by.running || !act.take()) return;
      trace(`${by.name} makes a group`);
      await by.begin(GROUP, { kind: "start-group", id: GROUP });
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

  /** From here on everybody may do everything. */
  async function crownAll(by: Client): Promise<void> {
    for (const one of wasAdded) {
      await by.feed(GROUP, { kind: "group-role", account: nameOf(one), role: "admin" });
    }
    await rule();
  }

  async function rule(): Promise<void> {
    if (healing) return;
    again(world.exponential(faults.phaseMs / 12), rule);
    await rulers.act();
    const known = new Set(accounts.flatMap(present).flatMap((one) => [...membersAt(one)]));
    for (const one of accounts.slice(1)) if (known.has(nameOf(one))) wasAdded.add(one);
  }

  async function expel(by: Client): Promise<void> {
    if (healing || accounts[0]?.removed.has(by) === true) return;
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
    if (healing) return;
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

  function chatsOf(client: Client): number {
    return accounts.filter((one) => chatOf(client, one) !== undefined).length;
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

  function nameOf(account: Account): string {
    return bytesToHex(accountIdOf(account.devices[0]!.disk.self.cert.rootKey));
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

  function wasOut(account: Account | undefined): boolean {
    return account !== undefined && rulers.wasOut.has(nameOf(account));
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

  function clientOf(device: string): Client | undefined {
    return made.find(({ disk }) => bytesToHex(disk.self.cert.deviceId) === device);
  }

  async function write(): Promise<void> {
    if (healing || written.size >= WRITES_MAX) return;
    const act = decisions.next("write");
    const by = act.random;
    again(by.chance(0.3) ? by.int(60) : by.exponential(faults.phaseMs / (WRITES_MAX + 2)), write);
    const account = by.pick(accounts);
    const author = by.pick(account.devices.filter((one) => !account.removed.has(one)));
    const group = groupOf(author);
    if (group?.peer.state === "group" && group.peer.member && by.chance(0.4)) {
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
    const gone = accounts.filter((one) => wasAdded.has(one) && !members.has(nameOf(one)));
    const text = `${MARKER} ${written.size + 1} of ${author.name} to all ${MARKER}`;
    const id = bytesToHex(by.bytes(16));
    await author.feed(record.id, { kind: "send-text", id, text });
    if (author.disk.messages.get(record.id)?.has(id) !== true) return;
    written.set(id, {
      author,
      conversation: record.id,
      text,
      to: GROUP,
      reached: reached.map(clientOf).filter((one) => one !== undefined),
      excluded: gone.flatMap(({ devices }) => devices),
    });
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

  /** Why it is not over yet. */
  function whatIsUnsettled(): string | undefined {
    for (const account of accounts) {
      if (!agrees(account)) return `${account.name}'s devices know different lists`;
      for (const client of account.devices.filter((one) => !isRemoved(one))) {
        const reason = whatIsOpen(client, account);
        if (reason !== undefined) return `${client.name}: ${reason}`;
      }
    }
    return whatIsOpenInGroup();
  }

  function whatIsOpen(client: Client, account: Account): string | undefined {
    if (client.disk.posts.size > 0) return `${client.disk.posts.size} posts wait`;
    const members = membersAt(client);
    for (const [id, { peer, listed }] of client.disk.conversations) {
      if (peer.state === "invited") return `${id} is still invited`;
      if (peer.state === "group" && peer.member) {
        const texts = client.disk.outbox.get(id)?.size ?? 0;
        if (texts > 0) return `${texts} in the outbox of the group`;
      }
      if (peer.state !== "open" || peer.retired) continue;
      // Somebody known from the group alone, whom this device was to meet there before one of the two was out.
      const theirs = bytesToHex(accountIdOf(peer.contact.cert.rootKey));
      const isShared = members.has(nameOf(account)) && members.has(theirs);
      if (!listed && !isShared && peer.sessions.length === 0) continue;
      const waiting = client.disk.outbox.get(id)?.size ?? 0;
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
      oracle.fail("I1", `text ${short} is gone from its author`);
      return;
    }
    for (const client of excluded) {
      // Added again, and the text was sealed only then.
      if (to === GROUP && wasOut(accountOf(client))) continue;
      const has = [...client.disk.messages.values()].some((rows) => rows.has(id));
      if (has) oracle.fail("I11", `${client.name} reads ${short} after it was removed`);
    }
    if (isRemoved(author)) return;
    if (to === GROUP) {
      checkGroupText(short, id, { author, text, reached, own });
      return;
    }
    for (const client of reached) {
      if (isRemoved(client) || client === author) continue;
      const about = accountOf(client) === to ? accountOf(author) : to;
      const where = about === undefined ? NOTES : chatOf(client, about)?.id;
      const row = where === undefined ? undefined : client.disk.messages.get(where)?.get(id);
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
      if (row === undefined) oracle.fail("I1", `text ${short} never arrived at ${client.name}`);
      else if (row.text !== text || row.order !== own.order) {
        oracle.fail("I2", `text ${short} arrived changed at ${client.name}`);
      }
    }
    if (own.status !== "delivered") oracle.fail("I4", `group text ${short} ends as ${own.status}`);
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
