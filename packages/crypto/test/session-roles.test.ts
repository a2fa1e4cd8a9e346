/** Who began a session, and with it who offers the first post-quantum exchange (SPEC.md §5.6). */
import { accept, decrypt, encrypt } from "@sotto/crypto";
import { expect, it } from "vitest";
import { stubBackend } from "../../../test/simulation/stub-crypto.ts";
import { asMessage, greeted, must, seededEnv, text } from "./support.ts";

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
