import {
  createOwnDevice,
  HELD_MESSAGES_MAX,
  HELD_MESSAGES_PER_ACCOUNT_MAX,
  type HeldMessage,
  holdMessage,
  makeOp,
  releaseMessages,
  SKIPPED_KEY_AGE_MS_MAX,
} from "@sotto/crypto";
import { asAccountId, bytesToHex } from "@sotto/wire";
import { expect, it } from "vitest";
import { accountOf, at, did, foundGroup } from "./group-support.ts";
import { must, NOW, seededEnv } from "./support.ts";

const from = (account: number, heads: readonly string[] = []): HeldMessage => ({
  account: asAccountId(new Uint8Array(20).fill(account)),
  envelope: new Uint8Array(256),
  heads,
  heldAt: NOW,
});

it("keeps 1,000 messages and 100 of one account, and refuses one more", () => {
  let held: readonly HeldMessage[] = [];
  for (let account = 0; account < HELD_MESSAGES_MAX / HELD_MESSAGES_PER_ACCOUNT_MAX; account++) {
    for (let index = 0; index < HELD_MESSAGES_PER_ACCOUNT_MAX; index++) {
      const more = holdMessage(held, from(account));
      if (more === undefined) throw new Error("refused within the limit");
      held = more;
    }
    if (account === 0) expect(holdMessage(held, from(account))).toBeUndefined();
  }
  expect(held).toHaveLength(HELD_MESSAGES_MAX);
  expect(holdMessage(held, from(200))).toBeUndefined();
});

it("gives back in order what all heads are here for, also of who is added by them, and drops the rest after 14 days", async () => {
  const env = seededEnv("hold");
  const { people, log } = await foundGroup(2, env);
  const [alice, bob] = [at(people, 0), at(people, 1)];
  const carol = await createOwnDevice(env);
  const add = { kind: "add", account: accountOf(carol) } as const;
  const made = must(await makeOp(log, alice, add, env));
  const head = bytesToHex(made.id);
  const message = (own: typeof bob, ...heads: readonly string[]): HeldMessage => ({
    account: accountOf(own),
    envelope: new Uint8Array(1),
    heads,
    heldAt: NOW,
  });
  const first = message(bob, head.slice(0, 16));
  const second = message(bob, head, "00".repeat(8));
  const third = message(carol, head);
  const held = [first, second, third];
  expect(releaseMessages(held, log, NOW)).toEqual({ ready: [], held });
  const other = await did(log, alice, { kind: "rotateTopic" }, env);
  expect(releaseMessages(held, other, NOW)).toEqual({ ready: [], held });
  const end = NOW + SKIPPED_KEY_AGE_MS_MAX;
  expect(releaseMessages(held, made.log, end)).toEqual({ ready: [first, third], held: [second] });
  expect(releaseMessages(held, made.log, end + 1)).toEqual({ ready: [], held: [] });
});
