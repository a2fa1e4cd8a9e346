/**
 * What groups cost, against one Ed25519 signature and against pairwise messages of the same run. A message costs its
 * sender the same in every group; a membership change costs a pairwise message for each member's device.
 */
import {
  accountIdOf,
  beginChain,
  createGroup,
  createOwnDevice,
  createRemoteSender,
  type CryptoEnv,
  dealChain,
  decrypt,
  encrypt,
  type GroupLog,
  makeOp,
  nobleBackend,
  openFromGroup,
  type OwnDevice,
  pagesSince,
  receiveOp,
  receivePage,
  openLog,
  sealForGroup,
  takeRecord,
} from "@sotto/crypto";
import {
  type AccountId,
  asAccountId,
  asDeviceId,
  decodeGroupEnvelope,
  decodeGroupOp,
  encodeGroupKey,
} from "@sotto/wire";
import { conversation, messageOf, rate } from "./crypto.ts";
import type { Measure } from "./main.ts";

const SIZES = [10, 100, 1_000];

interface Group {
  readonly own: OwnDevice;
  readonly log: GroupLog;
  readonly members: readonly AccountId[];
}

export async function benchGroups(): Promise<readonly Measure[]> {
  const env: CryptoEnv = {
    entropy: (length) => crypto.getRandomValues(new Uint8Array(length)),
    crypto: nobleBackend,
    now: Date.now(),
  };
  const seed = env.entropy(32);
  const content = env.entropy(32);
  const sign = await rate(async () => void (await nobleBackend.sign(seed, content)));
  const [from, to] = await conversation(env);
  const { session: settled } = await encrypt(from, content, env);
  let sending = settled;
  const pairwiseSend = await rate(async () => {
    sending = (await encrypt(sending, content, env)).session;
  });
  let [writer, reader] = [from, to];
  const pairwise = await rate(async () => {
    const sealed = await encrypt(writer, content, env);
    const opened = await decrypt(reader, messageOf(sealed.envelope), env);
    if (!opened.ok) throw new Error(opened.reason);
    [writer, reader] = [sealed.session, opened.session];
  });
  const measures: Measure[] = [
    { name: "Ed25519 signature (yardstick)", value: sign, unit: "/s" },
    { name: "pairwise message of 32 B: encrypt (yardstick)", value: pairwiseSend, unit: "/s" },
    { name: "pairwise message of 32 B: encrypt and decrypt", value: pairwise, unit: "/s" },
  ];
  for (const size of SIZES) {
    const group = await found(size, env);
    const { send, sendAndOpen } = await messages(group, content, env);
    const change = await rate(() => removeOne(group, settled, env));
    const receive = await rate(await receiving(group, env));
    measures.push(
      { name: `group of ${size}, message of 32 B: seal`, value: send, unit: "/s" },
      { name: "  costs as much as", value: sign / send, unit: "signatures" },
      {
        name: "  instead of a pairwise one for each, less",
        value: (size * send) / pairwiseSend,
        unit: "times",
      },
      { name: "  seal and open", value: sendAndOpen, unit: "/s" },
      { name: "    costs as much as", value: sign / sendAndOpen, unit: "signatures" },
      { name: "    of pairwise encrypt and decrypt", value: pairwise / sendAndOpen, unit: "times" },
      { name: "  a removal, new chain and dealing it to all", value: 1_000 / change, unit: "ms" },
      { name: "    costs as much as", value: sign / change, unit: "signatures" },
      {
        name: "    for each member, pairwise messages",
        value: pairwiseSend / change / size,
        unit: "",
      },
      { name: "  an operation received: checked and folded", value: 1_000 / receive, unit: "ms" },
      { name: "    costs as much as", value: sign / receive, unit: "signatures" },
    );
    if (size === 1_000) {
      const start = performance.now();
      join(group);
      const ms = performance.now() - start;
      measures.push(
        { name: `  joining: ${group.log.ops.size} operations checked`, value: ms, unit: "ms" },
        {
          name: "    costs, for each, as much as",
          value: (ms * sign) / 1_000 / group.log.ops.size,
          unit: "signatures",
        },
      );
    }
  }
  return measures;
}

/** `size` members, of whom one has keys. */
export async function found(size: number, env: CryptoEnv): Promise<Group> {
  const own = await createOwnDevice(env);
  let { log } = await createGroup(own, env);
  const members: AccountId[] = [];
  while (log.state.members.size < size) {
    const account = asAccountId(env.entropy(20));
    members.push(account);
    const made = await makeOp(log, own, { kind: "add", account }, env);
    if (!made.ok) throw new Error(made.reason);
    ({ log } = made);
  }
  return { own, log, members };
}

const deviceOf = (account: AccountId) => ({ account, device: asDeviceId(account.slice(0, 8)) });

export async function messages({ own, log, members }: Group, content: Uint8Array, env: CryptoEnv) {
  const begun = await beginChain(log, own, env);
  if (!begun.ok) throw new Error(begun.reason);
  const dealt = dealChain(begun.chain, log, members.map(deviceOf), env.now);
  if (!dealt.ok) throw new Error(dealt.reason);
  const { chain, record } = dealt;
  const remote = createRemoteSender(log.group, accountIdOf(own.cert.rootKey), own.cert.deviceId);
  const receiver = takeRecord(remote, record, env.now);
  if (receiver === undefined) throw new Error("record refused");
  const seal = async (): Promise<Uint8Array> => {
    const sealed = await sealForGroup(chain, log, content, env);
    if (!sealed.ok) throw new Error(sealed.reason);
    return sealed.envelope;
  };
  const send = await rate(async () => void (await seal()));
  const sendAndOpen = await rate(async () => {
    const decoded = decodeGroupEnvelope(await seal());
    if (!decoded.ok) throw new Error(decoded.reason);
    const opened = await openFromGroup(receiver, decoded.value, log, env);
    if (!opened.ok) throw new Error(opened.reason);
  });
  return { send, sendAndOpen };
}

/** The operation, the chain that follows from it, and a pairwise message with its record for everybody left. */
export async function removeOne(
  { own, log, members }: Group,
  session: Awaited<ReturnType<typeof conversation>>[0],
  env: CryptoEnv,
): Promise<void> {
  const [gone, ...left] = members;
  if (gone === undefined) throw new Error("nobody to remove");
  const made = await makeOp(log, own, { kind: "remove", account: gone }, env);
  if (!made.ok) throw new Error(made.reason);
  const begun = await beginChain(made.log, own, env);
  if (!begun.ok) throw new Error(begun.reason);
  const dealt = dealChain(begun.chain, made.log, left.map(deviceOf), env.now);
  if (!dealt.ok) throw new Error(dealt.reason);
  const record = encodeGroupKey(dealt.record);
  // One session for all: a message costs the same in each, and what it offers of the post-quantum ratchet is made once.
  let current = session;
  for (let index = 0; index < left.length; index++) {
    current = (await encrypt(current, record, env)).session;
  }
}

async function receiving({ own, log }: Group, env: CryptoEnv): Promise<() => Promise<void>> {
  const made = await makeOp(log, own, { kind: "rotateTopic" }, env);
  if (!made.ok) throw new Error(made.reason);
  return async () => {
    const received = receiveOp(log, made.op, []);
    if (!received.ok) throw new Error(received.reason);
    await Promise.resolve();
  };
}

/** Everything from the first operation on, as somebody does who has just been added. */
function join({ log, own }: Group): void {
  const pages = pagesSince(log, []);
  const first = decodeGroupOp(pages[0]?.ops[0] ?? new Uint8Array(0));
  const opened = first.ok ? openLog(first.value, own.cert) : undefined;
  if (opened?.ok !== true) throw new Error("no create");
  const joined = pages.reduce((all, page) => receivePage(all, page).log, opened.log);
  if (joined.state.members.size !== log.state.members.size) throw new Error("members missing");
}
