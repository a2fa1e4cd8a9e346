/** What the loop needs from the code under test. */
import type { Random } from "../simulation/random.ts";

/** An oracle was broken. The message says which; it is the same for the same bug, whatever the input. */
export class Finding extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Finding";
  }
}

export interface Outcome {
  /** False when everything in the input was refused. */
  readonly accepted: boolean;
  /** What the decoder made of it; its size is held against the input's. */
  readonly result?: unknown;
  /** Messages that a sequence delivered. */
  readonly messages?: number;
}

export interface Target {
  readonly name: string;
  /** The exports it drives, for example "wire.decodeFrame". */
  readonly covers: readonly string[];
  readonly maxBytes: number;
  /** Share of the time, 1 for an ordinary one. */
  readonly weight: number;
  /**
   * Counts of all counters that one run may take: so many, so many more for each byte of the input, and for each
   * message of a sequence. What takes more is not linear in its input.
   */
  readonly steps: {
    readonly base: number;
    readonly perByte: number;
    readonly perMessage?: number;
  };
  /** Throws a Finding when an oracle is broken; anything else it throws is a finding as well. */
  run(input: Uint8Array): Outcome | Promise<Outcome>;
  /** Inputs to begin with, beside the corpus. The same each time. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Far too large: refused at once, in no more steps than an empty input is allowed. */
  oversized?(): readonly Uint8Array[];
  /** Another valid form near `input`; undefined when there is none. */
  vary?(
    input: Uint8Array,
    random: Random,
    dictionary: readonly Uint8Array[],
  ): Uint8Array | undefined;
}
