/**
 * What goes out to a group: each text is sealed once under this device's chain, and the same envelope goes to every
 * member's devices over the pairs with them, behind the chain's record where a device does not have it.
 * Owns: when to seal, for whom, and which sign a message has. Leaves to crypto/sender-chain.ts: chains; to the pairs:
 * delivery.
 * Spec: SPEC.md §11.
 */
import {
  beginChain,
  dealChain,
  isMemberDevice,
  type MemberDevice,
  membersAhead,
  rotationDue,
  sealForGroup,
  type SendingChain,
  undealt,
} from "@sotto/crypto";
import { asDeviceId, bytesToHex, encodeContent } from "@sotto/wire";
import { ASK_AGAIN_MS } from "./devices.ts";
import { newContentId, nextTime } from "./directory.ts";
import {
  changeLive,
  deleteOutbox,
  type Draft,
  post,
  putMessage,
  putOutbox,
  putSender,
  raiseStatus,
} from "./draft.ts";
import {
  accountFrom,
  bytesFrom,
  deviceKeyOf,
  groupIdOf,
  groupPeer,
  ownAccount,
  ownDevice,
} from "./group-log.ts";
import type { GroupPost, GroupRow, Recipient } from "./group-ports.ts";
import type { DeviceLink, OutboxRow } from "./ports.ts";

/** Accounts and devices remembered as told lately; beyond it the first is forgotten, and may be told again. */
export const TOLD_MAX = 1_000;

/** Texts that went out and that not everybody has: of older ones only the pairs know. */
export const GROUP_SENT_MAX = 256;

/** More texts than these are sealed again for a device that asks once in ASK_AGAIN_MS. */
export const SEALED_AGAIN_MAX = 8;

interface Target extends MemberDevice {
  /** Hex. */
  readonly name: string;
  readonly link: DeviceLink;
}

const ownKey = (draft: Draft): string => deviceKeyOf(ownAccount(draft), ownDevice(draft));

/** Whose it is this record knows: a damaged copy of that would keep everything here until the chain has aged. */
function chainOf(draft: Draft): SendingChain | undefined {
  const chain = draft.group.senders.get(ownKey(draft))?.chain;
  return (
    chain && {
      ...chain,
      group: groupIdOf(draft),
      account: accountFrom(ownAccount(draft)),
      device: draft.self.cert.deviceId,
    }
  );
}

function setChain(draft: Draft, chain: SendingChain | undefined): void {
  const { id } = draft.conversation;
  putSender(draft, { conversation: id, device: ownKey(draft), sender: undefined, chain, held: [] });
}

/** Devices of an account (hex) that there are pairs with. */
const linksOf = (draft: Draft, { roster }: GroupRow, account: string): readonly DeviceLink[] =>
  account === ownAccount(draft) ? draft.self.devices.links : (roster.get(account)?.devices ?? []);

/** Every device that is to have what is sent now, own ones included. */
function targetsOf(draft: Draft, group: GroupRow): readonly Target[] {
  const { log } = group;
  const targets: Target[] = [];
  for (const name of log.state.members.keys()) {
    for (const link of linksOf(draft, group, name)) {
      const account = accountFrom(name);
      const device = asDeviceId(bytesFrom(link.device));
      if (isMemberDevice(log.state, account, device)) targets.push({ account, device, name, link });
    }
  }
  return targets;
}

/** Seals what waits, and what went out before there was a way to somebody who is to have it. */
export async function sealForMembers(draft: Draft): Promise<void> {
  const { row } = draft.group;
  if (row === undefined || groupPeer(draft)?.member !== true) return;
  if (membersAhead(row.log).length > 0 || draft.outbox.length === 0) return;
  const targets = targetsOf(draft, row);
  for (const waiting of draft.outbox) {
    if (waiting.recipients === undefined) {
      await release(draft, row, firstRecipients(draft, row, waiting), targets, targets);
      continue;
    }
    const unreached = new Set(
      waiting.recipients.filter(({ has, devices }) => !has && devices.length === 0).map(nameOf),
    );
    const late = targets.filter(({ name }) => unreached.has(name));
    if (late.length > 0) await release(draft, row, waiting, late, targets);
  }
  const sent = draft.outbox.filter(({ recipients }) => recipients !== undefined);
  for (const { id } of sent.slice(0, Math.max(0, sent.length - GROUP_SENT_MAX))) {
    deleteOutbox(draft, id);
  }
}

const nameOf = ({ account }: Recipient): string => account;

/** Whoever is a member now is to have it; whoever comes later is not. Own devices count for no sign. */
function firstRecipients(draft: Draft, { log }: GroupRow, row: OutboxRow): OutboxRow {
  const own = ownAccount(draft);
  const recipients = [...log.state.members.keys()].map((account): Recipient => ({
    account,
    devices: [],
    has: account === own,
  }));
  return { ...row, recipients };
}

/** `to`: some of `entitled`. */
async function release(
  draft: Draft,
  { log }: GroupRow,
  row: OutboxRow,
  to: readonly Target[],
  entitled: readonly Target[],
): Promise<void> {
  const { awaits, content } = row;
  if (awaits === undefined || content === undefined) return;
  if (to.length > 0) {
    const chain = await readyChain(draft, log, to, entitled);
    const sealed =
      chain === undefined ? undefined : await sealForGroup(chain, log, content, draft.env);
    if (sealed?.ok !== true) return;
    setChain(draft, sealed.chain);
    const { envelope } = sealed;
    for (const { link } of to)
      post(draft, link.conversation, { kind: "release", awaits, envelope });
  }
  const recipients = (row.recipients ?? []).map((one): Recipient => {
    const fresh = to.filter(({ name }) => name === one.account).map(({ link }) => link.device);
    return { ...one, devices: [...new Set([...one.devices, ...fresh])] };
  });
  settleRow(draft, { ...row, recipients });
}

/** The chain to seal with, after everybody in `to` was given its record. */
async function readyChain(
  draft: Draft,
  log: GroupRow["log"],
  to: readonly Target[],
  entitled: readonly Target[],
): Promise<SendingChain | undefined> {
  const { env, self } = draft;
  let chain = chainOf(draft);
  if (chain === undefined || rotationDue(chain, log, env.now, entitled) !== undefined) {
    const begun = await beginChain(log, self, env);
    if (!begun.ok) return undefined;
    ({ chain } = begun);
  }
  const fresh = new Set(undealt(chain, to));
  if (fresh.size === 0) return chain;
  const dealt = dealChain(chain, log, [...fresh], env.now);
  if (!dealt.ok) return undefined;
  const id = newContentId(draft);
  const group = groupIdOf(draft);
  const time = nextTime(draft);
  const content = encodeContent({ kind: "key", id, time, group, key: dealt.record });
  for (const target of to) {
    if (!fresh.has(target)) continue;
    post(draft, target.link.conversation, { kind: "send", awaits: bytesToHex(id), content });
  }
  return dealt.chain;
}

/** Once in ASK_AGAIN_MS: others can make this device tell much by saying little. */
export function isTimeToTell(draft: Draft, whom: string): boolean {
  const { now } = draft.env;
  const at = draft.live.told.get(whom);
  if (at !== undefined && at <= now && now < at + ASK_AGAIN_MS) return false;
  const others = [...draft.live.told].filter(([one]) => one !== whom);
  changeLive(draft, { told: new Map([...others.slice(1 - TOLD_MAX), [whom, now]]) });
  return true;
}

/** One of an account's devices has it. */
export function onReached(
  draft: Draft,
  { awaits, account, device }: Extract<GroupPost, { kind: "reached" | "stale" }>,
): void {
  const row = draft.outbox.find((one) => one.awaits === awaits);
  if (row?.recipients === undefined) return;
  const recipients = row.recipients.map((one) =>
    one.account === account
      ? { ...one, has: true, devices: one.devices.filter((other) => other !== device) }
      : one,
  );
  settleRow(draft, { ...row, recipients });
}

/** A device cannot open a message. */
export const onStale = async (
  draft: Draft,
  { awaits, account, device }: Extract<GroupPost, { kind: "reached" | "stale" }>,
): Promise<void> => sealAgainFor(draft, account, device, (row) => row.awaits === awaits);

/**
 * What a device has not confirmed, sealed under another chain: the one that it was dealt may be damaged here or there, and
 * whoever has a chain takes no other record of it.
 */
export async function sealAgainFor(
  draft: Draft,
  account: string,
  device: string,
  isMeant: (row: OutboxRow) => boolean = () => true,
): Promise<void> {
  const { row } = draft.group;
  const due = draft.outbox.filter((one) => {
    const isAwaited = (to: Recipient): boolean =>
      to.account === account && to.devices.includes(device);
    return isMeant(one) && one.recipients?.some(isAwaited) === true;
  });
  if (row === undefined || due.length === 0 || membersAhead(row.log).length > 0) return;
  const targets = targetsOf(draft, row);
  const to = targets.filter(({ name, link }) => name === account && link.device === device);
  if (to.length === 0) return;
  const key = deviceKeyOf(account, device);
  if (due.length > SEALED_AGAIN_MAX && !isTimeToTell(draft, `${key}/again`)) return;
  const isDealt = chainOf(draft)?.dealt.has(key) === true;
  // Each other chain has to be dealt to all: what comes again soon is sealed under the one that is there.
  if (isDealt && isTimeToTell(draft, `${key}/anew`)) setChain(draft, undefined);
  for (const message of due) await release(draft, row, message, to, targets);
}

/** Delivered when every account has it; forgotten when every device has. */
function settleRow(draft: Draft, row: OutboxRow): void {
  const { recipients = [], message } = row;
  const own = ownAccount(draft);
  const others = recipients.filter(({ account }) => account !== own);
  const isThere = others.every(({ has }) => has);
  const isAnywhere = others.some(({ has }) => has);
  const status = isThere ? "delivered" : isAnywhere ? "relayed" : "queued";
  const raised = message === undefined ? undefined : raiseStatus(message, status, undefined);
  if (raised !== undefined && raised !== message) putMessage(draft, raised);
  const isSettled = isThere && recipients.every(({ devices }) => devices.length === 0);
  if (isSettled) deleteOutbox(draft, row.id);
  else putOutbox(draft, { ...row, message: raised });
}

/** Whoever is no member any more is not waited for, nor is a device that is gone from its account. */
export function pruneRecipients(draft: Draft): void {
  const group = draft.group.row;
  if (group === undefined) return;
  const { members } = group.log.state;
  for (const row of draft.outbox) {
    if (row.recipients === undefined) continue;
    let isLess = false;
    const recipients = row.recipients
      .filter(({ account }) => members.has(account))
      .map((one): Recipient => {
        const there = linksOf(draft, group, one.account);
        const devices = one.devices.filter((device) => there.some((l) => l.device === device));
        isLess ||= devices.length < one.devices.length;
        return { ...one, devices };
      });
    isLess ||= recipients.length < row.recipients.length;
    if (isLess) settleRow(draft, { ...row, recipients });
  }
}

/** This account is in the group no more: nothing is sealed for it any more. */
export function endSending(draft: Draft): void {
  for (const row of draft.outbox) {
    if (row.message !== undefined) {
      const failed = raiseStatus(row.message, "failed", undefined);
      if (failed !== row.message) putMessage(draft, failed);
    }
    deleteOutbox(draft, row.id);
  }
  if (chainOf(draft) !== undefined) setChain(draft, undefined);
}
