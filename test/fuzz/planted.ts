/** Deliberate bugs that the fuzzer must find; each is put into a source in memory while it is loaded. */
import type { Constants, Patch } from "../setup/patch.ts";

export interface PlantedBug {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** Where it shows, and as what. */
  readonly target: string;
  readonly shows: RegExp;
  /** It takes SMALL_LIMITS to get there. */
  readonly smallLimits?: true;
}

const CHAINS = "packages/crypto/src/chains.ts";
const BYTES = "packages/wire/src/bytes.ts";
const STREAM = "packages/transport/src/libp2p/frame-stream.ts";

export const PLANTED: readonly PlantedBug[] = [
  {
    name: "length-unchecked",
    target: "direct",
    shows: /^threw RangeError/,
    patches: [{ file: BYTES, from: `if (length > this.left()) refuse("truncated");`, to: "" }],
  },
  {
    name: "trailing-bytes-accepted",
    target: "direct",
    shows: /two forms/,
    patches: [{ file: BYTES, from: "reader.left() === 0 ?", to: "reader.left() >= 0 ?" }],
  },
  {
    name: "base64-not-canonical",
    target: "forms",
    shows: /two forms/,
    patches: [
      { file: BYTES, from: "(held & ((1 << bits) - 1)) === 0 ? bytes : undefined", to: "bytes" },
    ],
  },
  {
    name: "skipped-key-used-twice",
    target: "sequence",
    shows: /opens twice/,
    patches: [
      {
        file: CHAINS,
        from: "chain.keys.filter((one) => one !== found)",
        to: "chain.keys",
      },
    ],
  },
  {
    name: "turns-count-twice-against-late-messages",
    target: "sequence",
    shows: /does not open/,
    patches: [
      {
        file: CHAINS,
        from: "turn - chain.turn < OLD_CHAINS_MAX + 1",
        to: "(turn - chain.turn) * 2 < OLD_CHAINS_MAX + 1",
      },
    ],
  },
  {
    name: "small-order-keys-accepted",
    target: "contact-noble",
    shows: /^threw Error/,
    patches: [
      {
        file: "packages/crypto/src/primitives.ts",
        from: "!isAmong(publicKey, SMALL_ORDER_X25519)",
        to: "SMALL_ORDER_X25519.length > 0",
      },
    ],
  },
  {
    name: "frame-handed-out-a-byte-early",
    target: "frame-stream",
    shows: /pieces/,
    patches: [
      { file: STREAM, from: "bodyFilled < body.length", to: "bodyFilled + 1 < body.length" },
    ],
  },
  {
    name: "jump-one-too-far",
    target: "sequence",
    smallLimits: true,
    shows: /beyond a limit/,
    patches: [
      {
        file: CHAINS,
        from: "until - chain.next > JUMP_MAX",
        to: "until - chain.next > JUMP_MAX + 1",
      },
    ],
  },
  {
    name: "one-skipped-key-too-many",
    target: "sequence",
    smallLimits: true,
    shows: /more skipped keys/,
    patches: [{ file: CHAINS, from: "0) - SKIPPED_KEYS_MAX", to: "0) - SKIPPED_KEYS_MAX - 1" }],
  },
];

/** Limits small enough to be reached by a short sequence. */
export const SMALL_LIMITS: Constants = {
  JUMP_MAX: 6,
  SKIPPED_KEYS_MAX: 10,
  OLD_CHAINS_MAX: 2,
};
