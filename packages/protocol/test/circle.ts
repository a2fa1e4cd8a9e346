/** People in one group, of whom only the first knows everybody. */
import { accountIdOf, type CryptoEnv, type GroupLog, nobleBackend } from "@sotto/crypto";
import {
  asContentId,
  asGroupId,
  asOpId,
  bytesToHex,
  encodeContent,
  type GroupPage,
  hexToBytes,
} from "@sotto/wire";
import { entropy, messageId } from "./fixture.ts";
import { createFleet, type Fleet, type Machine, start } from "./fleet.ts";

export const accountOf = (machine: Machine): string =>
  bytesToHex(accountIdOf(machine.self.cert.rootKey));

export const add = (admin: Machine, other: Machine): Promise<unknown> =>
  admin.feed(admin.groupOf(), { kind: "group-add", account: accountOf(other) });

export const remove = (admin: Machine, other: Machine): Promise<unknown> =>
  admin.feed(admin.groupOf(), { kind: "group-remove", account: accountOf(other) });

export const fromHex = (hex: string): Uint8Array => hexToBytes(hex) ?? new Uint8Array(0);

export const groupIdIn = (machine: Machine): string => {
  const peer = machine.slices.get(machine.groupOf())?.conversation?.peer;
  return peer?.state === "group" ? peer.group : "";
};

export const logOf = (machine: Machine): GroupLog => {
  const log = machine.slices.get(machine.groupOf())?.group?.row?.log;
  if (log === undefined) throw new Error("no log");
  return log;
};

export const idsOf = (log: GroupLog) => log.heads.map((head) => asOpId(fromHex(head)));

export const envOf = (now: number): CryptoEnv => ({ entropy, crypto: nobleBackend, now });

/** Pages that a device of `from` tells `to`. */
export async function bring(
  to: Machine,
  from: Machine,
  pages: readonly GroupPage[],
): Promise<void> {
  const group = asGroupId(fromHex(groupIdIn(to)));
  for (const page of pages) {
    const about = { id: asContentId(entropy(16)), time: { ms: 1, counter: 0 } };
    const content = encodeContent({ kind: "page", ...about, group, page });
    const device = bytesToHex(from.self.cert.deviceId);
    const told = { kind: "told", account: accountOf(from), device, content } as const;
    const row = { id: messageId(), from: to.chatWith(from), to: to.groupOf(), sequence: 1 };
    await to.feed(to.groupOf(), { kind: "post", row: { ...row, post: told } });
  }
}

/** In place of the one it has. */
export function setLog(machine: Machine, log: GroupLog): void {
  const id = machine.groupOf();
  const slice = machine.slices.get(id);
  const row = slice?.group?.row;
  if (slice?.group === undefined || row === undefined) throw new Error("no group");
  machine.slices.set(id, { ...slice, group: { ...slice.group, row: { ...row, log } } });
}

export const say = (machine: Machine, text: string): Promise<string> =>
  machine.write(machine.groupOf(), text);

export const read = (machine: Machine): readonly string[] => machine.shown(machine.groupOf());

/** Each a single round of waking everybody. */
export async function seconds(fleet: Fleet, count: number): Promise<void> {
  for (let passed = 0; passed < count; passed++) {
    fleet.now += 999;
    await fleet.pass(1);
  }
}

/** Ann knows everybody; the others do not know each other. All are in Ann's group. */
export async function circle(
  names: readonly string[],
  fleet = createFleet(),
): Promise<{
  readonly fleet: Fleet;
  readonly people: readonly Machine[];
}> {
  const people: Machine[] = [];
  for (const name of names) {
    const machine = await fleet.person(name);
    await start(machine);
    people.push(machine);
  }
  const [ann, ...others] = people;
  if (ann === undefined) throw new Error("nobody");
  for (const other of others) await fleet.connect(ann, other);
  await ann.begin({ kind: "start-group", id: messageId() });
  for (const other of others) {
    await add(ann, other);
    await fleet.settle();
  }
  await seconds(fleet, 1);
  return { fleet, people };
}
