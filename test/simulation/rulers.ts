/**
 * Several admins of one group who act at the same time, each on what they know: promote, demote, remove, add again, leave.
 * Owns: who does what, and who was ever out. Leaves to simulate-devices.ts: the verdict.
 */
import type { Client } from "./client.ts";
import type { Decisions } from "./decisions.ts";
import type { Random } from "./random.ts";

export interface Member {
  /** Account id in hex. */
  readonly name: string;
  /** Devices that speak for it. */
  readonly devices: readonly Client[];
}

export interface RulersOptions {
  /** The group's record on that device. */
  readonly groupAt: (client: Client) => string | undefined;
  readonly decisions: Decisions;
  readonly members: () => readonly Member[];
  /** Account id to role, as that device knows it. */
  readonly rolesAt: (client: Client) => ReadonlyMap<string, string>;
  /** Whether that device has a conversation with the account: people add whom they can write to. */
  readonly knows: (client: Client, account: string) => boolean;
  readonly trace: (line: string) => void;
}

export interface Rulers {
  /** Accounts that were taken out of the group by somebody, or left it. */
  readonly wasOut: ReadonlySet<string>;
  /** Up to three devices act in the same moment. */
  act(): Promise<void>;
}

const AT_ONCE = [1, 2, 2, 3] as const;

export function createRulers({
  groupAt,
  decisions,
  members,
  rolesAt,
  knows,
  trace,
}: RulersOptions): Rulers {
  const wasOut = new Set<string>();

  async function actAs(client: Client, own: string, by: Random): Promise<void> {
    const group = groupAt(client);
    if (group === undefined) return;
    const known = rolesAt(client);
    const all = members().map(({ name }) => name);
    const someone = by.pick(all);
    const before = new Set(known.keys());
    const role = by.pick(["admin", "admin", "member"] as const);
    if (!before.has(someone)) {
      if (!knows(client, someone)) return;
      trace(`${client.name} adds ${someone.slice(0, 6)} again`);
      await client.feed(group, { kind: "group-add", account: someone });
    } else if (someone === own && by.chance(0.3)) {
      trace(`${client.name} leaves the group`);
      await client.feed(group, { kind: "group-leave" });
    } else if (someone !== own && by.chance(0.4)) {
      trace(`${client.name} removes ${someone.slice(0, 6)}`);
      await client.feed(group, { kind: "group-remove", account: someone });
    } else {
      trace(`${client.name} makes ${someone.slice(0, 6)} ${role}`);
      await client.feed(group, { kind: "group-role", account: someone, role });
    }
    const after = rolesAt(client);
    for (const name of before) if (!after.has(name)) wasOut.add(name);
  }

  return {
    wasOut,
    async act() {
      const act = decisions.next("rule");
      const by = act.random;
      const admins = members().flatMap(({ name, devices }) =>
        devices
          .filter((one) => one.running && rolesAt(one).get(name) === "admin")
          .map((client) => ({ client, name })),
      );
      if (admins.length === 0 || !act.take()) return;
      for (let left: number = by.pick(AT_ONCE); left > 0; left--) {
        const { client, name } = by.pick(admins);
        await actAs(client, name, by);
      }
    },
  };
}
