/** Keys, the post-quantum handshake and the double ratchet, as pure functions. See SPEC.md. */
export * from "./backend.ts";
export * from "./device-list.ts";
export * from "./file-engine.ts";
export * from "./file-stream.ts";
export * from "./fingerprint.ts";
export { helloKeyOf } from "./handshake.ts";
export * from "./group-hold.ts";
export * from "./hub-auth.ts";
export * from "./identity.ts";
export * from "./invite.ts";
export { LABELS } from "./labels.ts";
export * from "./own-at-relay.ts";
export * from "./plea.ts";
export {
  adminsOf,
  type Denial,
  type GroupState,
  type Member,
  MEMBERS_MAX,
} from "./membership-fold.ts";
export { isCut, type LoggedOp } from "./membership-cuts.ts";
export * from "./membership-pages.ts";
export {
  ADMINS_OPS_MAX,
  BROUGHT_OPS_MAX,
  FOLDED_OPS_MAX,
  LATE_OPS_MAX,
  LOG_OPS_MAX,
  RESERVED_OPS_MAX,
  RESERVED_OPS_PER_ACCOUNT_MAX,
  SIBLING_OPS_MAX,
} from "./membership-strays.ts";
export * from "./membership.ts";
export * from "./prekeys.ts";
export {
  hkdfSha256,
  hmacSha256,
  isExchangeKey,
  isKemKey,
  isSignatureForm,
  sha256,
} from "./primitives.ts";
export { JUMP_MAX, OLD_CHAINS_MAX, SKIPPED_KEY_AGE_MS_MAX, SKIPPED_KEYS_MAX } from "./chains.ts";
export * from "./sender-chain.ts";
export * from "./session.ts";
export * from "./signal.ts";
export * from "./turns.ts";
export * from "./way.ts";
