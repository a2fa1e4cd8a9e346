/** A reconciliation with a side that says anything, between true things: each step ends, and gives own items only. */
import {
  answerReconciliation,
  answerSketch,
  awaitReconciliation,
  beginReconciliation,
  continueReconciliation,
  createItemSet,
  createSummary,
  decodeSyncMessage,
  deriveSetKeys,
  eventId,
  type Item,
  type ItemSet,
  type Positions,
  wantedPositions,
} from "@sotto/sync";
import { createRandom } from "../../simulation/random.ts";
import { createTape, type Tape } from "../tape.ts";
import { Finding, type Target } from "../target.ts";

const ITEMS = 60;
const STEPS_MAX = 12;
/** Asking for more does the same, only longer. */
const CREDIT_MAX = 400;

interface Parties {
  readonly own: ItemSet;
  /** Genuine messages of both sides, in the order they were said. */
  readonly said: readonly Uint8Array[];
}

function prepare(): Parties {
  const random = createRandom(61);
  const keys = deriveSetKeys(new Uint8Array(32).fill(1));
  const all = Array.from({ length: ITEMS }, (_, at): Item => {
    return { id: eventId(1_000 * at, 0, new Uint8Array(8)), hash: random.bytes(8) };
  });
  const own = createItemSet(keys, all);
  const said: Uint8Array[] = [];
  for (const lacks of [[5], [5, 50], Array.from({ length: 40 }, (_, at) => at), [59], []]) {
    const items = all.filter((_, at) => !lacks.includes(at));
    const other = createItemSet(keys, items);
    const summary = createSummary(keys);
    for (const item of items) summary.add(item);
    said.push(summary.sketch());
    let initiator = beginReconciliation(other);
    let responder = awaitReconciliation(own);
    const toOwn = [...initiator.send];
    for (let next = toOwn.shift(); next !== undefined; next = toOwn.shift()) {
      said.push(next);
      const answer = answerReconciliation(responder, next);
      responder = answer.state;
      for (const one of answer.send) {
        said.push(one);
        initiator = continueReconciliation(initiator.state, one);
        toOwn.push(...initiator.send);
      }
    }
  }
  return { own, said };
}

/** A genuine message, one with a byte changed, or made up. */
function messageFrom(tape: Tape, said: readonly Uint8Array[]): Uint8Array {
  const genuine = Uint8Array.from(said[tape.u8() % said.length] ?? []);
  switch (tape.below(4)) {
    case 0: {
      const at = (tape.u8() * 256 + tape.u8()) % genuine.length;
      genuine[at] = tape.u8();
      return genuine;
    }
    case 1:
      return tape.take(tape.u8());
    default:
      return genuine;
  }
}

function isTooMuch(message: Uint8Array): boolean {
  const decoded = decodeSyncMessage(message);
  return decoded.ok && "credit" in decoded.value && decoded.value.credit > CREDIT_MAX;
}

export function reconciliationTarget(): Target {
  let prepared: Parties | undefined;
  const check = (own: ItemSet, give: Positions): void => {
    let before = -1;
    for (const at of give) {
      if (at <= before || at >= own.size) throw new Finding("it gives what is not in the set");
      before = at;
    }
  };
  return {
    name: "reconciliation",
    covers: [
      "sync.answerReconciliation",
      "sync.answerSketch",
      "sync.continueReconciliation",
      "sync.wantedPositions",
    ],
    maxBytes: 1_024,
    weight: 1,
    steps: { base: 12_000_000, perByte: 1_000 },
    run(input) {
      if (prepared === undefined) throw new Error("call seeds first");
      const { own, said } = prepared;
      const tape = createTape(input);
      let initiator = beginReconciliation(own);
      let responder = awaitReconciliation(own);
      let isAccepted = false;
      for (let left = STEPS_MAX; left > 0 && !tape.over(); left--) {
        const message = messageFrom(tape, said);
        if (isTooMuch(message)) continue;
        const answer = answerReconciliation(responder, message);
        responder = answer.state;
        check(own, answer.give);
        initiator = continueReconciliation(initiator.state, message);
        check(own, initiator.give);
        const sketch = answerSketch(own, [message]);
        if (sketch.kind === "decoded") check(own, sketch.give);
        check(own, wantedPositions(own, message) ?? new Uint32Array(0));
        isAccepted ||= answer.outcome !== "refused" || initiator.outcome !== "refused";
      }
      return { accepted: isAccepted };
    },
    seeds() {
      prepared ??= prepare();
      const { said } = prepared;
      const whole = said.flatMap((_, at) => [at, 2]);
      return [
        Uint8Array.from(whole),
        Uint8Array.of(0, 2, 1, 2, 2, 2),
        Uint8Array.of(1, 0, 0, 5, 9),
      ];
    },
  };
}
