/** A group of 200 as it lives: some with keys and pairwise sessions, on a network that loses order. */
import {
  awaitHeads,
  beginChain,
  createOwnDevice,
  createRemoteSender,
  type CryptoEnv,
  dealChain,
  decrypt,
  encrypt,
  type GroupLog,
  makeOp,
  membersAhead,
  openFromGroup,
  type OwnDevice,
  type RemoteSender,
  rotationDue,
  sealForGroup,
  type SendingChain,
  type Session,
  takeRecord,
  undealt,
} from "@sotto/crypto";
import { asAccountId, decodeGroupEnvelope, decodeGroupKey, encodeGroupKey } from "@sotto/wire";
import { expect, it } from "vitest";
import {
  accountOf,
  at,
  copyOf,
  did,
  foundGroup,
  merged,
  nameOf,
  stateHash,
} from "./group-support.ts";
import { asMessage, must, seededEnv, settledPair, text } from "./support.ts";

/** One device of a member: its copy of the log, its chain, and what it has of the others. */
interface Phone {
  readonly own: OwnDevice;
  log: GroupLog;
  chain: SendingChain | undefined;
  readonly senders: Map<OwnDevice, RemoteSender>;
}

/** Both ends of the session that carries records between two phones; one for all is enough to see that they fit. */
interface Courier {
  a: Session;
  b: Session;
}

async function say(
  from: Phone,
  others: readonly Phone[],
  words: string,
  courier: Courier,
  env: CryptoEnv,
): Promise<Uint8Array> {
  if (from.chain === undefined || rotationDue(from.chain, from.log, env.now) !== undefined) {
    from.chain = must(await beginChain(from.log, from.own, env)).chain;
  }
  const entitled = others
    .map(({ own }) => ({ account: accountOf(own), device: own.cert.deviceId }))
    .filter(({ account }) => from.log.state.members.has(Buffer.from(account).toString("hex")));
  const to = undealt(from.chain, entitled);
  if (to.length > 0) {
    const dealt = must(dealChain(from.chain, from.log, to, env.now));
    from.chain = dealt.chain;
    for (const { own, senders } of others) {
      if (!to.some(({ device }) => device === own.cert.deviceId)) continue;
      const sealed = await encrypt(courier.a, encodeGroupKey(dealt.record), env);
      const opened = must(await decrypt(courier.b, asMessage(sealed.envelope), env));
      [courier.a, courier.b] = [sealed.session, opened.session];
      const record = must(decodeGroupKey(opened.content)).value;
      const { group } = from.log;
      const known =
        senders.get(from.own) ??
        createRemoteSender(group, accountOf(from.own), from.own.cert.deviceId);
      const taken = takeRecord(known, record, env.now);
      if (taken !== undefined) senders.set(from.own, taken);
    }
  }
  const sealed = must(await sealForGroup(from.chain, from.log, text(words), env));
  from.chain = sealed.chain;
  return sealed.envelope;
}

/** What the phone reads, or why not. */
async function read(
  phone: Phone,
  from: Phone,
  envelope: Uint8Array,
  env: CryptoEnv,
): Promise<string> {
  const sender = phone.senders.get(from.own);
  if (sender === undefined) return "no chain";
  const group = must(decodeGroupEnvelope(envelope)).value;
  const opened = await openFromGroup(sender, group, phone.log, env);
  if (!opened.ok) {
    if (opened.reason === "unknown-heads") {
      phone.log = awaitHeads(phone.log, nameOf(from.own), opened.heads);
    }
    return opened.reason;
  }
  phone.senders.set(from.own, opened.sender);
  return Buffer.from(opened.content).toString();
}

it("200 members: talk, a removal that does not reach everybody at once, a leave, somebody back from a long absence", async () => {
  const env = seededEnv("two hundred");
  const { people, log: few } = await foundGroup(5, env);
  let log = few;
  for (let index = 5; index < 200; index++) {
    const account = asAccountId(new Uint8Array(20).fill(index));
    log = await did(log, at(people, 0), { kind: "add", account }, env);
  }
  const pair = await settledPair("two hundred");
  const courier: Courier = { a: pair.a, b: pair.b };
  const phones = people.map((own): Phone => ({ own, log, chain: undefined, senders: new Map() }));
  const [alice, bob, carol, dave, erin] = [0, 1, 2, 3, 4].map((index) => at(phones, index));
  if (!alice || !bob || !carol || !dave || !erin) throw new Error("too few");

  // Everybody hears everybody.
  for (const from of phones) {
    const rest = phones.filter((one) => one !== from);
    const envelope = await say(from, rest, "hello", courier, env);
    for (const one of rest) expect(await read(one, from, envelope, env)).toBe("hello");
  }

  // Alice removes Carol. Bob hears of it, Dave does not yet.
  const before = log;
  alice.log = await did(
    alice.log,
    alice.own,
    { kind: "remove", account: accountOf(carol.own) },
    env,
  );
  bob.log = merged(bob.log, alice.log);
  const secret = await say(bob, [alice, carol, dave, erin], "without Carol", courier, env);
  expect(await read(carol, bob, secret, env)).toBe("unknown-chain");
  expect(await read(alice, bob, secret, env)).toBe("without Carol");
  // Dave is shown that he is behind, and sends nothing that Carol could read.
  expect(await read(dave, bob, secret, env)).toBe("unknown-heads");
  expect(membersAhead(dave.log)).toEqual([accountOf(bob.own)]);
  if (dave.chain === undefined) throw new Error("no chain");
  expect(await sealForGroup(dave.chain, dave.log, text("to all"), env)).toEqual({
    ok: false,
    reason: "behind",
  });
  dave.log = merged(dave.log, bob.log);
  expect(await read(dave, bob, secret, env)).toBe("without Carol");
  const answer = await say(dave, [alice, bob, carol, erin], "now without her", courier, env);
  expect(await read(carol, dave, answer, env)).toBe("unknown-chain");
  expect(await read(bob, dave, answer, env)).toBe("now without her");

  // Carol goes on under what she knew; who has seen the removal takes nothing from her.
  const late = await say(carol, [alice, bob], "still here", courier, env);
  expect(await read(bob, carol, late, env)).toBe("not-a-member");
  expect(await makeOp(bob.log, carol.own, { kind: "leave" }, env)).toEqual({
    ok: false,
    reason: "not-a-member",
  });

  // Dave leaves: everybody's next message is under a new chain, without him.
  dave.log = await did(dave.log, dave.own, { kind: "leave" }, env);
  alice.log = merged(alice.log, dave.log);
  const after = await say(alice, [bob, carol, dave, erin], "only us", courier, env);
  expect(await read(dave, alice, after, env)).toBe("unknown-chain");
  expect(await read(carol, alice, after, env)).toBe("unknown-chain");

  // Erin was away all the time; records and messages were waiting for her.
  expect(erin.log).toBe(before);
  expect(await read(erin, alice, after, env)).toBe("unknown-heads");
  erin.log = merged(erin.log, alice.log);
  expect(await read(erin, bob, secret, env)).toBe("without Carol");
  expect(await read(erin, alice, after, env)).toBe("only us");
  expect(stateHash(erin.log)).toEqual(stateHash(alice.log));

  // Somebody new learns the members from the log alone, and hears what is said from then on.
  const frank: Phone = {
    own: await createOwnDevice(env),
    log: before,
    chain: undefined,
    senders: new Map(),
  };
  alice.log = await did(alice.log, alice.own, { kind: "add", account: accountOf(frank.own) }, env);
  frank.log = copyOf(alice.log);
  expect(frank.log.state.members.size).toBe(199);
  const welcome = await say(alice, [bob, erin, frank], "welcome", courier, env);
  expect(await read(frank, alice, welcome, env)).toBe("welcome");
  expect(await read(frank, alice, after, env)).toBe("duplicate");
  const thanks = await say(frank, [alice, bob, erin], "thanks", courier, env);
  expect(await read(alice, frank, thanks, env)).toBe("thanks");
}, 60_000);
