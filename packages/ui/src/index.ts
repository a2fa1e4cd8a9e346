/** Lit elements and what they share. Importing this registers every element but those of late.ts. */
export { SottoAvatar } from "./avatar/avatar.ts";
export { SottoBanner } from "./banner/banner.ts";
export { SottoComposer } from "./composer/composer.ts";
export { LiveQuery } from "./controllers/live-query.ts";
export { SottoConversationHeader } from "./conversation-header/conversation-header.ts";
export { SottoConversationList } from "./conversation-list/conversation-list.ts";
export { fullTime } from "./i18n/dates.ts";
export * from "./i18n/i18n.ts";
export { friendlyName } from "./i18n/names.ts";
export { SottoDevicesNotice } from "./devices-notice/devices-notice.ts";
export {
  type DeviceJoinFailure,
  type DeviceProblem,
  SottoDevicesPanel,
} from "./devices-panel/devices-panel.ts";
export { SottoIdentityNotice } from "./identity-notice/identity-notice.ts";
export { SottoInvitePanel } from "./invite-panel/invite-panel.ts";
export { type JoinFailure, SottoJoinPanel } from "./join-panel/join-panel.ts";
export { SottoLinkState } from "./link-state/link-state.ts";
export { SottoNameField } from "./name-field/name-field.ts";
export { SottoQr } from "./qr/qr.ts";
export { SottoScan } from "./scan/scan.ts";
export { SottoSettingsPanel } from "./settings-panel/settings-panel.ts";
export { base, controls } from "./shared/base.ts";
export { type Drafts, openDrafts } from "./shared/drafts.ts";
export { type SearchFor, SottoEvent, type SottoEvents } from "./shared/events.ts";
export { icons } from "./shared/icons.ts";
export { nameOf } from "./shared/names.ts";
export { type Shortcut, shortcutOf } from "./shared/shortcuts.ts";
export { applyTheme, currentTheme } from "./shared/theme.ts";
export { SottoSheet } from "./sheet/sheet.ts";
export { SottoTimeline } from "./timeline/timeline.ts";
export { SottoVerifyPanel } from "./verify-panel/verify-panel.ts";
