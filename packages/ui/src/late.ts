/** The panels that no first screen shows, for apps that load them when they are asked for. Importing this registers them. */
export { type PushState, SottoPushPanel } from "./push-panel/push-panel.ts";
export { type DailyBackup, type KeysOutcome, SottoKeysPanel } from "./keys-panel/keys-panel.ts";
export { type RestoreFailure, SottoRestorePanel } from "./restore-panel/restore-panel.ts";
export { SottoSearchPanel } from "./search-panel/search-panel.ts";
export { SottoRelaysPanel } from "./relays-panel/relays-panel.ts";
