/** The loop and the public API. */
export { createMessenger, type MessengerParts } from "./create-messenger.ts";
export { createLive, type LiveSource, selectLive } from "./live.ts";
export { INVITE_LIFETIME_MS } from "./leader.ts";
export * from "./messenger.ts";
export type { CryptoReport } from "@sotto/engines";
export { type AdmissionAsked, openMessenger, type OpenMessengerOptions } from "./open-messenger.ts";
export {
  createBroadcastPort,
  createWebLock,
  type LeaderLock,
  soleLeader,
  type TabPort,
} from "./tabs.ts";
export { PAGE_ROWS } from "./timeline.ts";
