/** What to do next, as data: the engine of the messenger without I/O. See SPEC.md. */
export { pagesOfEnd } from "./group-end.ts";
export { isListMark, type ListMark, NO_LIST_MARK } from "@sotto/crypto";
export { ASK_AGAIN_MS, LATER_LISTS_MAX } from "./devices.ts";
export { NO_DEVICES } from "./directory.ts";
export { MISSING_PATIENCE_MS, OFFER_AGAIN_MS, OFFERS_MAX } from "./ways.ts";
export {
  isSameMessage,
  NOTICES_MAX,
  orderKey,
  OUTBOX_MAX,
  PREVIEW_CHARACTERS_MAX,
} from "./draft.ts";
export { asKnown, asTaken, step, WAKE_MAX_MS, WAKE_MIN_MS } from "./engine.ts";
export { RECEIVED_MAX } from "./received.ts";
export {
  AHEAD_MAX,
  COPIES_MAX,
  COPY_AFTER_MS,
  COPY_PAUSE_MS,
  DIRECT_AGAIN_MS,
  DIRECT_PATIENCE_MS,
  GONE_LATE_MS,
  GONE_PAUSE_MS,
  HEARD_AFTER_MS,
  IN_FLIGHT_MAX,
  LINK_PAUSE_MS,
  LOST_PAUSE_MS,
  OVERTAKEN_MS,
  QUOTA_PAUSE_MS,
  RECEIPT_GAP_MS,
  RECEIPT_ROWS_MAX,
  RENEW_AFTER_MS,
  RENEW_AGE_MS_MAX,
  RESEND_AFTER_MS,
} from "./outbox.ts";
export {
  ANSWER_PAGES_MAX,
  ANSWERS_MAX,
  INTRODUCTIONS_MAX,
  UNHELD_PAIRS_MAX,
} from "./group-inbox.ts";
export { TOLD_MAX } from "./group-outbox.ts";
export { GROUP_SENT_MAX, SEALED_AGAIN_MAX } from "./group-outbox.ts";
export {
  GROUPS_MAX,
  INTRODUCERS_MAX,
  PRESENTED_MAX,
  REFUSED_GROUPS_MAX,
  UNPRESENTED_MAX,
} from "./group-pairs.ts";
export { WAYS_MAX } from "./topic.ts";
export {
  beginsContact,
  GROUPS_HERE_MAX,
  type Route,
  routeOf,
  STRANGER_PAIRS_MAX,
  STRANGERS_MAX,
  UNLISTED_GROUPS_MAX,
} from "./route.ts";
export { accountAddress, groupAddress, memberAddress } from "./address.ts";
export { LOOK_BACK_MS } from "./past.ts";
export * from "./ports.ts";
export {
  ECHO_PATIENCE_MS,
  NEGOTIATE_PAUSE_MS,
  NEGOTIATE_PAUSE_MS_MAX,
  PROBE_EVERY_MS,
} from "./presence.ts";
export { QUEUE_TTL_HOURS } from "./queue.ts";
export {
  HELD_FRAMES_MAX,
  HELLOS_SEEN_MAX,
  BUNDLE_AGE_MS_MAX,
  CHANGE_KEPT_MS,
  NO_SPARES,
  PLEA_PAUSE_MS,
  REPAIR_PATIENCE_MS,
  REPAIR_PAUSE_MS,
  SPARE_AGE_MS_MAX,
  SPARE_KEPT_MS,
  SPARES_MAX,
} from "./repair.ts";
export * from "./step.ts";
