/**
 * Writes group.json: what a group's log and chains give for fixed keys. Run it only to freeze a new version; a
 * difference in a frozen file means that two versions do not understand each other.
 *
 *     npx node --conditions=@sotto/source test/vectors/make-group.ts
 *
 * Owns: the content of group.json. Leaves to packages/crypto/test/group-vectors.test.ts: checking it with a second
 * implementation.
 */
import {
  adminsOf,
  beginChain,
  createGroup,
  createOwnDevice,
  type CryptoEnv,
  dealChain,
  type GroupLog,
  headsHash,
  makeOp,
  type OwnDevice,
  receiveOp,
  sealForGroup,
  signerOf,
} from "@sotto/crypto";
import {
  asAccountId,
  bytesToHex as hex,
  encodeDeviceCert,
  encodeGroupKey,
  encodeGroupOp,
  utf8ToBytes,
} from "@sotto/wire";
import { accountOf, type Action, stateHash } from "../../packages/crypto/test/group-support.ts";
import { must, seededEnv } from "../../packages/crypto/test/support.ts";
import { freeze } from "./freeze.ts";

export const GROUP_VECTORS = new URL("group.json", import.meta.url);

/** Byte arrays are lower-case hex throughout. The same on every run. */
export async function makeGroupVectors() {
  const env = seededEnv("sotto group vectors 1");
  const [alice, bob, carol] = [
    await createOwnDevice(env),
    await createOwnDevice(env),
    await createOwnDevice(env),
  ];
  const steps: ReturnType<typeof stepOf>[] = [];
  let log = (await createGroup(alice, env)).log;
  steps.push(stepOf("alice creates", log));
  const did = async (name: string, own: OwnDevice, action: Action): Promise<void> => {
    log = must(await makeOp(log, own, action, env)).log;
    steps.push(stepOf(name, log));
  };
  await did("alice adds bob", alice, { kind: "add", account: accountOf(bob) });
  await did("alice adds carol", alice, { kind: "add", account: accountOf(carol) });
  await did("alice makes bob an admin", alice, {
    kind: "role",
    account: accountOf(bob),
    role: "admin",
  });
  const messages = [await messageOf("one head, last of its chain", log, alice, carol, env)];
  const beside = must(await makeOp(log, bob, { kind: "policy", adders: "members" }, env));
  await did("alice removes carol", alice, { kind: "remove", account: accountOf(carol) });
  log = must(receiveOp(log, beside.op, [bob.cert])).log;
  steps.push(stepOf("bob lets members add, beside the removal", log));
  messages.push(await messageOf("two heads", log, alice, bob, env));
  await did("bob revokes a device of his, after both", bob, {
    kind: "revoke",
    device: alice.cert.deviceId,
  });
  await did("alice asks for new topics", alice, { kind: "rotateTopic" });
  for (let index = 0; index < 7; index++) {
    const account = asAccountId(new Uint8Array(20).fill(0xa0 + index));
    await did(`bob adds ${index + 3}`, bob, { kind: "add", account });
  }
  messages.push(await messageOf("first of many", log, bob, alice, env));
  return {
    about:
      "A group of Sotto, version 1: operations with what they add up to, and messages. Bytes are hex. Written by make-group.ts; see packages/crypto/SPEC.md, section 11.",
    certificates: [alice, bob, carol].map(({ cert }) => ({
      certificate: hex(encodeDeviceCert(cert)),
      signer: hex(signerOf(cert)),
    })),
    steps,
    messages,
  };
}

/** The last operation of a log, and the log with it. */
function stepOf(name: string, log: GroupLog) {
  const last = [...log.ops.values()].at(-1);
  if (last === undefined) throw new RangeError("empty log");
  const admins = new Set(adminsOf(log.state));
  return {
    name,
    op: hex(encodeGroupOp(last.op)),
    id: last.id,
    heads: log.heads,
    headsHash: hex(headsHash(log)),
    members: [...log.state.members]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([account, member]) => ({ account, admin: admins.has(member) })),
    adders: log.state.adders,
    revoked: [...log.state.revoked].toSorted(),
    stateHash: hex(stateHash(log)),
  };
}

async function messageOf(
  name: string,
  log: GroupLog,
  from: OwnDevice,
  to: OwnDevice,
  env: CryptoEnv,
) {
  const begun = must(await beginChain(log, from, env)).chain;
  const device = { account: accountOf(to), device: to.cert.deviceId };
  const { chain, record } = must(dealChain(begun, log, [device], env.now));
  const content = utf8ToBytes(`to all: ${name}`);
  const sealed = must(await sealForGroup(chain, log, content, env));
  return {
    name,
    group: hex(log.group),
    account: hex(chain.account),
    device: hex(chain.device),
    record: hex(encodeGroupKey(record)),
    signingSecret: hex(chain.signingSecret),
    headerKey: hex(chain.headerKey),
    heads: log.heads,
    last: sealed.chain.ended,
    content: hex(content),
    envelope: hex(sealed.envelope),
  };
}

if (import.meta.main) await freeze(GROUP_VECTORS, await makeGroupVectors());
