/**
 * T-04: keys that nobody asked for (Matrix 2022: forwarded room keys were taken from anybody). Nothing here asks for keys
 * of a group and nothing answers such a question: a chain comes from the device that owns it, through that device's own
 * session, and whoever passes it on gives it another name.
 */
import {
  beginChain,
  createRemoteSender,
  dealChain,
  type GroupLog,
  openFromGroup,
  type OwnDevice,
  type RemoteSender,
  sealForGroup,
  takeRecord,
} from "@sotto/crypto";
import { decodeGroupEnvelope, type GroupEnvelope, type GroupKey } from "@sotto/wire";
import { beforeAll, describe, expect, it } from "vitest";
import { accountOf, foundGroup } from "../../packages/crypto/test/group-support.ts";
import { must, seededEnv, text } from "../../packages/crypto/test/support.ts";

const env = seededEnv("unasked keys");
let log: GroupLog;
let owner: OwnDevice;
let other: OwnDevice;
/** What the owner said before the record was dealt, and after. */
const before: GroupEnvelope[] = [];
let after: GroupEnvelope;
let record: GroupKey;

beforeAll(async () => {
  const group = await foundGroup(9, env);
  const [first, second, reader] = group.people;
  if (first === undefined || second === undefined || reader === undefined) throw new Error("few");
  [log, owner, other] = [group.log, first, second];
  let { chain } = must(await beginChain(log, owner, env));
  const say = async (what: string): Promise<GroupEnvelope> => {
    const sealed = must(await sealForGroup(chain, log, text(what), env));
    chain = sealed.chain;
    return must(decodeGroupEnvelope(sealed.envelope)).value;
  };
  for (const what of ["one", "two", "three"]) before.push(await say(what));
  const to = { account: accountOf(reader), device: reader.cert.deviceId };
  const dealt = must(dealChain(chain, log, [to], env.now));
  ({ record } = dealt);
  ({ chain } = dealt);
  after = await say("four");
});

/** Who a reader takes a record for that came through a session with `device`. */
const from = (device: OwnDevice): RemoteSender =>
  createRemoteSender(log.group, accountOf(device), device.cert.deviceId);

function taking(sender: RemoteSender, given: GroupKey): RemoteSender {
  const taken = takeRecord(sender, given, env.now);
  if (taken === undefined) throw new Error("no record");
  return taken;
}

describe("a chain's record", () => {
  it("from its owner opens what the owner says from then on", async () => {
    const opened = await openFromGroup(taking(from(owner), record), after, log, env);
    expect(opened).toMatchObject({ ok: true, content: text("four") });
  });

  it("passed on by another member opens nothing, in that member's name or the owner's", async () => {
    const passed = taking(from(other), record);
    for (const envelope of [...before, after]) {
      expect(await openFromGroup(passed, envelope, log, env)).toMatchObject({ ok: false });
      expect(await openFromGroup(from(owner), envelope, log, env)).toMatchObject({ ok: false });
    }
  });

  it("opens nothing from before it was dealt, whatever number it is given", async () => {
    for (const next of [0, 1, 2, 3]) {
      const taken = taking(from(owner), { ...record, next });
      for (const envelope of before) {
        expect(await openFromGroup(taken, envelope, log, env), `${next}`).toMatchObject({
          ok: false,
        });
      }
    }
  });

  it("that says something else of a chain that is there changes nothing", async () => {
    const known = taking(from(owner), record);
    for (const change of [
      { chainKey: new Uint8Array(32).fill(1) },
      { next: 0 },
      { heads: new Uint8Array(32).fill(2) },
      { signingKey: other.cert.signingKey },
    ]) {
      expect(taking(known, { ...record, ...change })).toBe(known);
    }
    expect(await openFromGroup(known, after, log, env)).toMatchObject({ ok: true });
  });
});
