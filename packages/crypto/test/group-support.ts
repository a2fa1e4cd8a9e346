/**
 * Groups of people with deterministic randomness, and operations without signatures for tests of the fold alone.
 * Owns: founding, adding, passing on. Leaves to the tests: what must hold.
 */
import {
  createGroup,
  createOwnDevice,
  type CryptoEnv,
  type GroupLog,
  type GroupState,
  makeOp,
  openLog,
  type OwnDevice,
  pagesSince,
  receivePage,
  accountIdOf,
  sha256,
  opIdOf,
} from "@sotto/crypto";
import {
  type AccountId,
  asAccountId,
  asGroupId,
  asOpId,
  bytesToHex,
  decodeGroupOp,
  type GroupAction,
  type GroupOp,
  hexToBytes,
} from "@sotto/wire";
import { deviceKey, type LoggedOp } from "#src/membership-cuts.ts";
import { foldOps, judge } from "#src/membership-fold.ts";
import type { ReferenceState } from "./fold-reference.ts";
import { must, text } from "./support.ts";

export { stateHash } from "#src/state-hash.ts";

export type Action = Exclude<GroupAction, { kind: "create" }>;

export const accountOf = (own: OwnDevice): AccountId => accountIdOf(own.cert.rootKey);

/** As a log's maps name a device. */
export const nameOf = (own: OwnDevice): string =>
  deviceKey(bytesToHex(accountOf(own)), bytesToHex(own.cert.deviceId));

/** `count` people; the first founds the group and adds the others. */
export async function foundGroup(
  count: number,
  env: CryptoEnv,
): Promise<{ readonly people: readonly OwnDevice[]; readonly log: GroupLog }> {
  const people: OwnDevice[] = [];
  for (let index = 0; index < count; index++) people.push(await createOwnDevice(env));
  const founder = at(people, 0);
  let { log } = await createGroup(founder, env);
  for (const one of people.slice(1)) {
    log = await did(log, founder, { kind: "add", account: accountOf(one) }, env);
  }
  return { people, log };
}

/** The log after an operation that must be allowed. */
export async function did(
  log: GroupLog,
  own: OwnDevice,
  action: Action,
  env: CryptoEnv,
): Promise<GroupLog> {
  return must(await makeOp(log, own, action, env)).log;
}

/** A log built from nothing but what another one hands out. */
export function copyOf(log: GroupLog): GroupLog {
  const pages = pagesSince(log, []);
  const [first] = pages;
  const create = first === undefined ? undefined : decodeGroupOp(at(first.ops, 0));
  if (first === undefined || create?.ok !== true) throw new Error("no create in the first page");
  let copy = must(openLog(create.value, at(first.certs, 0))).log;
  for (const page of pages) copy = receivePage(copy, page).log;
  return copy;
}

/** `log` after everything `other` knows. */
export function merged(log: GroupLog, other: GroupLog): GroupLog {
  const known = log.heads.map((head) => asOpId(bytesOf(head)));
  return pagesSince(other, known).reduce((all, page) => receivePage(all, page).log, log);
}

export const rosterOf = ({ members }: GroupState): readonly string[] =>
  [...members.keys()].toSorted();

/** What a state says, in one form. */
export const told = ({ members, adders, revoked }: ReferenceState): string =>
  JSON.stringify([
    [...members]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([account, { role, since, addedBy, promotedBy }]) => {
        return [account, role, since, addedBy, promotedBy];
      }),
    adders,
    [...revoked].toSorted(),
  ]);

/** Person number `index` of tests of the fold: an account with one device, or several. */
export const accountAt = (index: number): AccountId =>
  asAccountId(sha256(text(`account ${index}`)).slice(0, 20));

/** Operations by people without keys: judged and folded as signed ones are, a hundred times as fast. */
export class Unsigned {
  readonly all = new Map<string, LoggedOp>();
  readonly group = asGroupId(new Uint8Array(32).fill(7));

  /** The founder is person 0. */
  create(salt = 0): string {
    return this.#add(0, "device", [], { kind: "create", salt: new Uint8Array(16).fill(salt) }, "");
  }

  /** Undefined when the person was not allowed to, by what is behind `parents`. */
  make(
    person: number,
    parents: readonly string[],
    action: Action,
    device = "device",
  ): string | undefined {
    const actor = { account: bytesToHex(accountAt(person)), device: bytesToHex(text(device)) };
    const judged = judge(this.stateOf(parents), action, actor);
    if (!judged.ok) return undefined;
    return this.#add(person, device, parents, action, judged.membership, judged.authority);
  }

  /** `make`, where refusal is a fault of the test. */
  did(person: number, parents: readonly string[], action: Action, device?: string): string {
    const id = this.make(person, parents, action, device);
    if (id === undefined) throw new Error(`person ${person} may not ${action.kind}`);
    return id;
  }

  /** The founder adds `people` one after the other, none of whom is there: not judged, as thousands take long. */
  grow(head: string, people: readonly number[]): string {
    const [create = ""] = this.all.keys();
    return people.reduce(
      (parent, person) =>
        this.#add(
          0,
          "device",
          [parent],
          { kind: "add", account: accountAt(person) },
          create,
          create,
        ),
      head,
    );
  }

  stateOf(heads: readonly string[]): GroupState {
    return foldOps(this.behind(heads));
  }

  behind(heads: readonly string[]): readonly LoggedOp[] {
    const found = new Set(heads);
    for (const id of found) for (const parent of this.all.get(id)?.parents ?? []) found.add(parent);
    return [...this.all.values()].filter(({ id }) => found.has(id));
  }

  #add(
    person: number,
    device: string,
    parents: readonly string[],
    action: GroupAction,
    membership: string,
    authority?: string,
  ): string {
    const named = [...new Set(parents)].toSorted();
    // As in every log: none that is behind another one.
    const past = named.flatMap((id) => this.all.get(id)?.parents ?? []);
    const behind = new Set(named.length > 1 ? this.behind(past).map(({ id: one }) => one) : []);
    const sorted = named.filter((id) => !behind.has(id));
    const highest = Math.max(-1, ...sorted.map((id) => this.all.get(id)?.op.lamport ?? 0));
    const actor = accountAt(person);
    const op: GroupOp = {
      group: this.group,
      parents: sorted.map((id) => asOpId(bytesOf(id))),
      lamport: highest + 1,
      signer: sha256(text(`${person}/${device}`)),
      action,
      signature: new Uint8Array(64),
    };
    const id = bytesToHex(opIdOf(op));
    this.all.set(id, {
      id,
      op,
      parents: sorted,
      actor,
      account: bytesToHex(actor),
      device: bytesToHex(text(device)),
      membership: membership === "" ? id : membership,
      authority: membership === "" ? id : authority,
    });
    return id;
  }
}

export function at<T>(list: readonly T[], index: number): T {
  const one = list[index];
  if (one === undefined) throw new RangeError(`nothing at ${index}`);
  return one;
}

function bytesOf(hex: string): Uint8Array {
  const bytes = hexToBytes(hex);
  if (bytes === undefined) throw new RangeError("not hex");
  return bytes;
}
