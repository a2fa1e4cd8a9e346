/**
 * Admins and members who write operations that nobody signed, for tests that take signatures for good: thousands.
 * Owns: writing them. Leaves to the tests: shapes, and mocking the check.
 */
import { opIdOf, type OwnDevice, signerOf } from "@sotto/crypto";
import {
  asDeviceId,
  asGroupId,
  bytesToHex,
  type DeviceCert,
  encodeGroupOp,
  type GroupAction,
  type GroupOp,
  type GroupPage,
  type OpId,
} from "@sotto/wire";
import { accountOf, type Action, at, foundGroup } from "./group-support.ts";
import { seededEnv } from "./support.ts";

/** On a group of their own, of whom the first `admins` are admins. */
export async function writers(seed: string, count: number, admins = count) {
  const env = seededEnv(seed);
  const { people, log } = await foundGroup(count, env);
  const ops: GroupOp[] = [...log.ops.values()].map(({ op }) => op);
  const lamports = new Map(ops.map((op) => [bytesToHex(opIdOf(op)), op.lamport]));
  /** Of an operation that `tell` may leave out. */
  const draw = (own: OwnDevice, parents: readonly OpId[], action: GroupAction): GroupOp => {
    const ids = [...new Map(parents.map((id) => [bytesToHex(id), id]))].toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    );
    return {
      group: asGroupId(log.group),
      parents: ids.map(([, id]) => id),
      lamport: 1 + Math.max(...ids.map(([name]) => lamports.get(name) ?? 0)),
      signer: signerOf(own.cert),
      action,
      signature: new Uint8Array(64),
    };
  };
  const tell = (op: GroupOp): OpId => {
    const id = opIdOf(op);
    lamports.set(bytesToHex(id), op.lamport);
    ops.push(op);
    return id;
  };
  const write = (own: OwnDevice, parents: readonly OpId[], action: GroupAction): OpId =>
    tell(draw(own, parents, action));
  const last = ops.at(-1);
  if (last === undefined) throw new Error("an empty log");
  let head = opIdOf(last);
  for (const one of people.slice(1, admins)) {
    head = write(at(people, 0), [head], { kind: "role", account: accountOf(one), role: "admin" });
  }
  return { env, people, certs: people.map(({ cert }) => cert), ops, draw, tell, write, base: head };
}

export type Writers = Awaited<ReturnType<typeof writers>>;

export const rotate: Action = { kind: "rotateTopic" };

let serial = 0;
/** Of a device that nobody has, and another one each time. */
export const revoke = (): Action => {
  serial++;
  return {
    kind: "revoke",
    device: asDeviceId(Uint8Array.from([serial, serial >> 8, serial >> 16, 1, 1, 1, 1, 1])),
  };
};

export const pageOf = (ops: readonly GroupOp[], certs: readonly DeviceCert[]): GroupPage => ({
  certs,
  ops: ops.map(encodeGroupOp),
});
