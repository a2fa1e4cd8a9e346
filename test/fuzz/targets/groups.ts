/**
 * A group among devices that know different parts of its log, and messages under chains whose owner writes what it
 * likes. Oracles: an operation counts only when its device signed it; whoever has the same operations has the same
 * group; a chain opens nothing twice and nothing that a limit forbids.
 */
import {
  accountIdOf,
  beginChain,
  createGroup,
  createOwnDevice,
  createRemoteSender,
  dealChain,
  type GroupLog,
  headsHash,
  isFromSender,
  makeOp,
  nobleBackend,
  openFromGroup,
  openLog,
  type OwnDevice,
  pagesSince,
  receiveOp,
  receivePage,
  type RemoteSender,
  restoreDevice,
  sealForGroup,
  type SendingChain,
  takeRecord,
} from "@sotto/crypto";
import { stateHash } from "../../../packages/crypto/test/group-support.ts";
import {
  asOpId,
  type AccountId,
  decodeGroupEnvelope,
  decodeGroupOp,
  decodeGroupPage,
  encodeGroupOp,
  encodeGroupPage,
  type GroupAction,
  type GroupOp,
  hexToBytes,
} from "@sotto/wire";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { createTape, type Tape } from "../tape.ts";
import { Finding, type Outcome, type Target } from "../target.ts";
import { editingBackend, envOf, readEdits, START, trusting } from "./parties.ts";

const OPERATIONS_MAX = 24;
/** Signing and checking are the only slow parts. */
const OPS_MAX = 10;

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

interface Side {
  readonly own: OwnDevice;
  log: GroupLog;
}

interface World {
  readonly sides: readonly Side[];
  readonly made: { readonly op: GroupOp; readonly by: OwnDevice }[];
  readonly accounts: readonly AccountId[];
}

interface Prepared {
  readonly devices: readonly OwnDevice[];
  readonly accounts: readonly AccountId[];
  readonly create: GroupOp;
}

/** Three accounts, the first with two devices. */
async function prepare(): Promise<Prepared> {
  const env = envOf(nobleBackend, 71);
  const first = await createOwnDevice(env);
  const devices = [
    first,
    await createOwnDevice(env),
    await createOwnDevice(env),
    await restoreDevice(first.rootSecret, env),
  ];
  const { op } = await createGroup(first, env);
  const accounts = devices.slice(0, 3).map(({ cert }) => accountIdOf(cert.rootKey));
  return { devices, accounts, create: op };
}

function begin({ devices, accounts, create }: Prepared): World {
  const [first] = devices;
  if (first === undefined) throw new Error("no device");
  const opened = openLog(create, first.cert);
  if (!opened.ok) throw new Finding("an honest group is refused");
  return { sides: devices.map((own) => ({ own, log: opened.log })), made: [], accounts };
}

/** Takes in `op`, and checks that the log before is what it was. */
function receive(side: Side, op: GroupOp, by: OwnDevice): ReturnType<typeof receiveOp> {
  const before = stateHash(side.log);
  const received = receiveOp(side.log, op, [by.cert]);
  if (!isSame(stateHash(side.log), before)) throw new Finding("a log was changed in place");
  return received;
}

async function act(world: World, side: Side, tape: Tape): Promise<void> {
  const account = tape.pick([world.accounts[0], ...world.accounts.slice(1)]);
  const other = world.sides[tape.below(4)];
  if (account === undefined || other === undefined || world.made.length >= OPS_MAX) return;
  const action = tape.pick<Exclude<GroupAction, { kind: "create" }>>([
    { kind: "add", account },
    { kind: "remove", account },
    { kind: "leave" },
    { kind: "role", account, role: "admin" },
    { kind: "role", account, role: "member" },
    { kind: "policy", adders: "members" },
    { kind: "policy", adders: "admins" },
    { kind: "rotateTopic" },
    { kind: "revoke", device: other.own.cert.deviceId },
  ]);
  const made = await makeOp(side.log, side.own, action, envOf(nobleBackend, 72));
  if (!made.ok) return;
  side.log = made.log;
  world.made.push({ op: made.op, by: side.own });
}

function deliver(side: Side, op: GroupOp, by: OwnDevice): void {
  const received = receive(side, op, by);
  if (!received.ok) throw new Finding(`an honest operation is refused: ${received.reason}`);
  side.log = received.log;
}

function deliverChanged(side: Side, op: GroupOp, by: OwnDevice, tape: Tape): void {
  const bytes = encodeGroupOp(op);
  for (let left = tape.below(3) + 1; left > 0; left--) {
    bytes[(tape.u8() * 256 + tape.u8()) % bytes.length] = tape.u8();
  }
  const changed = decodeGroupOp(bytes);
  if (!changed.ok || isSame(bytes, encodeGroupOp(op))) return;
  const received = receive(side, changed.value, by);
  if (received.ok && received.state !== "known") throw new Finding("an operation nobody signed");
}

function deliverPages(from: Side, to: Side): void {
  const heads = to.log.heads.map((head) => asOpId(hexToBytes(head) ?? new Uint8Array(32)));
  for (const page of pagesSince(from.log, heads)) {
    const decoded = decodeGroupPage(encodeGroupPage(page));
    if (!decoded.ok) throw new Finding("a page that nobody can read");
    const received = receivePage(to.log, decoded.value);
    if (received.refused.size > 0) throw new Finding("an operation of a page is refused");
    to.log = received.log;
  }
}

function groupLog(): Target {
  let prepared: Prepared | undefined;
  return {
    name: "group-log",
    covers: ["crypto.openLog"],
    maxBytes: 256,
    weight: 1,
    steps: { base: 2_000_000, perByte: 2_000 },
    async run(input): Promise<Outcome> {
      if (prepared === undefined) throw new Error("call seeds first");
      const world = begin(prepared);
      const tape = createTape(input);
      for (let count = 0; count < OPERATIONS_MAX && !tape.over(); count++) {
        const side = world.sides[tape.below(4)];
        const from = world.sides[tape.below(4)];
        if (side === undefined || from === undefined) continue;
        const choice = tape.below(8);
        const made = world.made[tape.below(Math.max(world.made.length, 1))];
        if (choice < 4) await act(world, side, tape);
        else if (choice === 4) deliverPages(from, side);
        else if (made === undefined) continue;
        else if (choice === 5) deliverChanged(side, made.op, made.by, tape);
        else deliver(side, made.op, made.by);
      }
      // In the end everybody has everything, each in another order.
      for (const [index, side] of world.sides.entries()) {
        const order = index % 2 === 0 ? world.made : world.made.toReversed();
        for (const { op, by } of order) deliver(side, op, by);
      }
      const [first, ...others] = world.sides;
      for (const { log } of others) {
        if (first === undefined || !isSame(headsHash(log), headsHash(first.log))) {
          throw new Finding("the same operations, another log");
        }
        if (!isSame(stateHash(log), stateHash(first.log))) {
          throw new Finding("the same operations, another group");
        }
      }
      return { accepted: world.made.length > 0 };
    },
    async seeds() {
      prepared ??= await prepare();
      return [
        Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 4, 0),
        Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0, 3, 1, 1, 0, 0, 0, 1),
        Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 3, 0, 4, 0, 3, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0, 3, 8),
      ];
    },
  };
}

interface Chain {
  readonly log: GroupLog;
  readonly chain: SendingChain;
  readonly sender: RemoteSender;
}

/** Two members, and a chain that one has dealt to the other. */
async function makeChain(): Promise<Chain> {
  const { devices, accounts, create } = await prepare();
  const env = envOf(stubBackend, 73);
  const [alice, bob] = devices;
  const account = accounts[1];
  if (alice === undefined || bob === undefined || account === undefined) throw new Error("few");
  const opened = openLog(create, alice.cert);
  if (!opened.ok) throw new Error("the group was refused");
  const added = await makeOp(opened.log, alice, { kind: "add", account }, envOf(nobleBackend, 74));
  if (!added.ok) throw new Error("the member was refused");
  const begun = await beginChain(added.log, alice, env);
  if (!begun.ok) throw new Error("no chain");
  const to = [{ account, device: bob.cert.deviceId }];
  const dealt = dealChain(begun.chain, added.log, to, START);
  if (!dealt.ok) throw new Error("not dealt");
  const { group, account: owner, device } = begun.chain;
  const sender = takeRecord(createRemoteSender(group, owner, device), dealt.record, START);
  if (sender === undefined) throw new Error("the record was refused");
  return { log: added.log, chain: dealt.chain, sender };
}

function groupMessage(): Target {
  const editing = trusting(editingBackend(stubBackend));
  let made: Chain | undefined;
  return {
    name: "group-message",
    covers: ["crypto.openFromGroup", "crypto.isFromSender"],
    maxBytes: 1_024,
    weight: 1,
    steps: { base: 400_000, perByte: 40_000 },
    async run(input): Promise<Outcome> {
      if (made === undefined) throw new Error("call seeds first");
      const { log, chain } = made;
      let { sender } = made;
      let accepted = false;
      const tape = createTape(input);
      for (let round = 0; round < 12 && !tape.over(); round++) {
        const env = { ...envOf(editing, 80 + round), now: START + tape.u8() * 3_600_000 };
        editing.edit(readEdits(tape, 2));
        // The owner stays where it is: what number it claims is in the header it writes.
        const sealed = await sealForGroup(chain, log, new Uint8Array(tape.u8()), {
          ...env,
          now: START,
        });
        if (!sealed.ok) throw new Finding("an honest message is refused");
        const decoded = decodeGroupEnvelope(sealed.envelope);
        if (!decoded.ok) throw new Finding("a group message is none");
        const before = structuredClone(sender);
        const found = await isFromSender(sender, decoded.value, env.crypto);
        const opened = await openFromGroup(sender, decoded.value, log, env);
        if (opened.ok && !found)
          throw new Finding("a message opens by a chain that did not make it");
        if (!isSame(fingerprintOf(before), fingerprintOf(sender))) {
          throw new Finding("a chain was changed in place");
        }
        if (!opened.ok) continue;
        const again = await openFromGroup(opened.sender, decoded.value, log, env);
        if (again.ok) throw new Finding("a group message opens twice");
        ({ sender } = opened);
        accepted = true;
      }
      return { accepted };
    },
    async seeds() {
      made ??= await makeChain();
      return [
        Uint8Array.of(0, 0, 5),
        Uint8Array.of(0, 1, 0, 0, 0, 4, 0, 0, 0, 3, 5, 0, 0, 5),
        Uint8Array.of(0, 1, 0, 0, 12, 1, 1, 5, 9, 1, 1, 0, 0, 1, 1, 5),
      ];
    },
  };
}

const fingerprintOf = (sender: RemoteSender): Uint8Array => Buffer.from(JSON.stringify(sender));

export const groupTargets: readonly Target[] = [groupLog(), groupMessage()];
