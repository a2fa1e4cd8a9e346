/** Inputs and effects as the trace shows them. */
import type { Effect, Input } from "@sotto/protocol";

export function describeInput(input: Input): string {
  switch (input.kind) {
    case "frame":
      return `frame(${input.source.path}${"sequence" in input.source ? ` ${input.source.sequence}` : ""} ${input.blob.length}B type ${input.blob[0]})`;
    case "transmitted":
      return `transmitted(${input.path} ${input.outcome} ${input.id.slice(0, 6)})`;
    case "hub":
    case "direct":
      return `${input.kind}(${input.up})`;
    case "send-text":
      return `send-text(${input.id.slice(0, 6)})`;
    default:
      return input.kind;
  }
}

export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case "transmit":
      return `transmit(${effect.path} ${effect.id.slice(0, 6)} ${effect.blob.length}B)`;
    case "dropped":
      return `dropped(${effect.reason})`;
    case "ack":
      return `ack(${effect.sequence})`;
    case "commit":
      return `commit(v${effect.change.expectedVersion + 1})`;
    case "wake":
      return "wake";
    default:
      return effect.kind;
  }
}
