/**
 * Conversations of 1,000 messages over a bad network: whatever is lost, late or repeated, each message that arrives
 * within the limits opens once, with its content, and the post-quantum ratchet turns meanwhile.
 */
import { decrypt, encrypt, OLD_CHAINS_MAX, type Session, SKIPPED_KEYS_MAX } from "@sotto/crypto";
import * as fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { runs } from "../../../test/setup/runs.ts";
import { stubBackend } from "../../../test/simulation/stub-crypto.ts";
import { asMessage, type Pair, seededEnv, settledPair, text } from "./support.ts";

const MESSAGES = 1_000;

let pair: Pair;
beforeAll(async () => {
  pair = await settledPair("long", stubBackend);
});

interface Sent {
  readonly envelope: Uint8Array;
  readonly content: Uint8Array;
  /** Which of its sender's chains it was sealed in. */
  readonly chain: number;
  opened: boolean;
}

it("opens each of 1,000 messages once, in any order, with losses and repetitions", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(),
        /** Chances in 100. */
        loss: fc.nat(30),
        repeat: fc.nat(30),
        /** How many may be under way; the next to arrive is any of them. */
        window: fc.oneof(
          { weight: 2, arbitrary: fc.integer({ min: 1, max: 60 }) },
          { weight: 1, arbitrary: fc.integer({ min: 61, max: MESSAGES }) },
        ),
        /** A side goes on writing with this chance in 100. */
        goesOn: fc.oneof(fc.integer({ min: 10, max: 95 }), fc.integer({ min: 96, max: 100 })),
        wide: fc.boolean(),
      }),
      async ({ seed, loss, repeat, window, goesOn, wide }) => {
        const env = seededEnv(`long ${seed}`, stubBackend);
        const dice = (sides: number): number =>
          new DataView(env.entropy(4).buffer).getUint32(0) % sides;
        const sessions: [Session, Session] = [pair.a, pair.b];
        const underWay: [Sent[], Sent[]] = [[], []];
        const chains: [number, number] = [0, 0];
        const seen: [number, number] = [0, 0];
        let arrived = 0;
        let writer: 0 | 1 = 0;

        const arrive = async (to: 0 | 1, message: Sent): Promise<void> => {
          const before = sessions[to];
          const result = await decrypt(before, asMessage(message.envelope), env);
          const expected = !message.opened && seen[to] - message.chain <= OLD_CHAINS_MAX;
          expect(result.ok).toBe(expected);
          if (!result.ok) return;
          expect(result.content).toEqual(message.content);
          message.opened = true;
          arrived++;
          sessions[to] = result.session;
          seen[to] = Math.max(seen[to], message.chain);
          const kept = result.session.skipped.reduce((sum, chain) => sum + chain.keys.length, 0);
          expect(kept).toBeLessThanOrEqual(SKIPPED_KEYS_MAX);
        };

        for (let count = 0; count < MESSAGES; count++) {
          if (dice(100) >= goesOn) writer = writer === 0 ? 1 : 0;
          const content = text(`${writer}: ${count}`);
          const turns = sessions[writer].stepDue;
          const sealed = await encrypt(sessions[writer], content, env, { wide });
          sessions[writer] = sealed.session;
          if (turns) chains[writer]++;
          if (dice(100) < loss) continue;
          const message = {
            envelope: sealed.envelope,
            content,
            chain: chains[writer],
            opened: false,
          };
          underWay[writer].push(message);
          if (dice(100) < repeat) underWay[writer].push(message);
          while (underWay[writer].length > window) {
            const [one] = underWay[writer].splice(dice(underWay[writer].length), 1);
            if (one !== undefined) await arrive(writer === 0 ? 1 : 0, one);
          }
        }
        for (const from of [0, 1] as const) {
          for (const message of underWay[from]) await arrive(from === 0 ? 1 : 0, message);
        }
        expect(arrived).toBeGreaterThan(0);
      },
    ),
    { numRuns: runs(30) },
  );
});
