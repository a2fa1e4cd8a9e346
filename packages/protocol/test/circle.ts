/** People in one group, of whom only the first knows everybody. */
import { accountIdOf } from "@sotto/crypto";
import { bytesToHex } from "@sotto/wire";
import { messageId } from "./fixture.ts";
import { createFleet, type Fleet, type Machine, start } from "./fleet.ts";

export const accountOf = (machine: Machine): string =>
  bytesToHex(accountIdOf(machine.self.cert.rootKey));

export const add = (admin: Machine, other: Machine): Promise<unknown> =>
  admin.feed(admin.groupOf(), { kind: "group-add", account: accountOf(other) });

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
