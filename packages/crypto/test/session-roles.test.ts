/** Who began a session, and with it who offers the first post-quantum exchange (SPEC.md §5.6). */
import {
  accept,
  decrypt,
  encrypt,
  isOlderThan,
  type MaybePromise,
  nobleBackend,
  reachedIn,
  type Session,
} from "@sotto/crypto";
import { expect, it } from "vitest";
import { stubBackend } from "../../../test/simulation/stub-crypto.ts";
import { asMessage, greeted, must, seededEnv, text } from "./support.ts";

it("the responder makes no public half before its first chain, which has a key of its own", async () => {
  const env = seededEnv("silent");
  const { bob, secrets, a, hello } = await greeted("silent", text("hello"));
  const made: Uint8Array[] = [];
  const dhPublic = (secret: Uint8Array): MaybePromise<Uint8Array> => {
    made.push(secret);
    return nobleBackend.dhPublic(secret);
  };
  const counting = { ...env, crypto: { ...nobleBackend, dhPublic } };
  const { session } = must(await accept(bob, secrets, hello, counting));
  expect(made).toEqual([]);
  expect(session.ownRatchetKey).toBeUndefined();
  const answer = await encrypt(session, text("answer"), counting);
  expect(made).toEqual([answer.session.ownRatchetSecret]);
  expect(answer.session.ownRatchetSecret).not.toEqual(secrets.signedPrekeySecret);
  const opened = must(await decrypt(a, asMessage(answer.envelope), env));
  expect(opened.session.remoteRatchetKey).toEqual(answer.session.ownRatchetKey);
});

it("the initiator offers the first exchange and the responder the second", async () => {
  const env = seededEnv("roles", stubBackend);
  const { bob, secrets, fresh, a, hello } = await greeted("roles", text("hello"), stubBackend);
  expect(fresh.initiator).toBe(true);
  expect(fresh.kem.step.kind).toBe("due");
  // Pieces of the key ride in the very first message.
  const accepted = must(await accept(bob, secrets, hello, env)).session;
  expect(accepted.initiator).toBe(false);
  if (accepted.kem.step.kind !== "awaiting") throw new Error("the responder offers too");
  expect(accepted.kem.step.received.length).toBeGreaterThan(0);

  // On a wide way the rest is done in three messages.
  const wide = { wide: true };
  const answer = await encrypt(accepted, text("answer"), env, wide);
  const answered = must(await decrypt(a, asMessage(answer.envelope), env)).session;
  expect(answered.kem.step).toMatchObject({ kind: "offering", received: [] });
  const key = await encrypt(answered, text("key"), env, wide);
  const keyed = must(await decrypt(answer.session, asMessage(key.envelope), env)).session;
  expect(keyed.kem.step.kind).toBe("answering");
  const ciphertext = await encrypt(keyed, text("ciphertext"), env, wide);
  const agreed = must(await decrypt(key.session, asMessage(ciphertext.envelope), env)).session;
  expect(agreed.kem.step.kind).toBe("ready");
  const mixing = await encrypt(agreed, text("mixing"), env);
  const mixed = must(await decrypt(ciphertext.session, asMessage(mixing.envelope), env)).session;
  expect([mixing.session, mixed].map(({ kem }) => [kem.epoch, kem.step.kind])).toEqual([
    [1, "awaiting"],
    [1, "due"],
  ]);
  expect([mixing.session, mixed].map(({ initiator }) => initiator)).toEqual([true, false]);
});

it("each side says how far it has read, and knows by it a state of its own that is older", async () => {
  const env = seededEnv("reached", stubBackend);
  const { bob, secrets, a, hello } = await greeted("reached", text("hello"), stubBackend);
  let sides = { alice: a, bob: must(await accept(bob, secrets, hello, env)).session };
  const history: { readonly alice: Session; readonly bob: Session }[] = [sides];
  const say = async (from: "alice" | "bob", count: number): Promise<void> => {
    const to = from === "alice" ? "bob" : "alice";
    for (let index = 0; index < count; index++) {
      const sealed = await encrypt(sides[from], text(`${index}`), env);
      const opened = must(await decrypt(sides[to], asMessage(sealed.envelope), env));
      sides = { ...sides, [from]: sealed.session, [to]: opened.session };
      history.push(sides);
    }
  };
  expect(reachedIn(sides.alice)).toEqual({ chain: 0, next: 0 });
  expect(reachedIn(sides.bob)).toEqual({ chain: 1, next: 1 });
  await say("alice", 2);
  await say("bob", 3);
  await say("alice", 1);
  await say("bob", 1);
  await say("bob", 1);
  await say("alice", 2);
  expect(reachedIn(sides.bob)).toEqual({ chain: 3, next: 2 });
  expect(reachedIn(sides.alice)).toEqual({ chain: 2, next: 2 });
  for (const [at, then] of history.entries()) {
    for (const [own, other] of [
      ["alice", "bob"],
      ["bob", "alice"],
    ] as const) {
      // What the other side had read by then is no news, to that state or a later one.
      for (const later of history.slice(at)) {
        expect(isOlderThan(later[own], reachedIn(then[other])), `${own} ${at}`).toBe(false);
      }
      // What it read later, of what this state has not sealed, is.
      for (const later of history.slice(at + 1)) {
        const sealedMore = later[own].sending !== then[own].sending;
        expect(isOlderThan(then[own], reachedIn(later[other])), `${own} ${at}`).toBe(sealedMore);
      }
    }
  }
});
