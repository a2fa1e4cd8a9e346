import type { FoundMessage, SearchOptions } from "@sotto/sdk";

/** What of the history is looked for. */
export interface SearchFor extends SearchOptions {
  readonly query: string;
}

/** Every event of this package: it leaves shadow roots, and its detail is typed by name. */
export interface SottoEvents {
  "sotto-select": { readonly id: string };
  "sotto-back": undefined;
  "sotto-close": undefined;
  "sotto-verify-open": undefined;
  "sotto-identity-answer": { readonly accountId: string; readonly answer: "accept" | "reject" };
  "sotto-devices-seen": undefined;
  "sotto-devices-trust": undefined;
  "sotto-device-link": undefined;
  "sotto-device-join": { readonly text: string };
  "sotto-device-remove": { readonly id: string };
  "sotto-invite-open": undefined;
  "sotto-invite-new": undefined;
  "sotto-submit": { readonly text: string };
  "sotto-draft": { readonly text: string };
  "sotto-load-older": undefined;
  "sotto-load-newer": undefined;
  "sotto-load-newest": undefined;
  "sotto-search": SearchFor;
  "sotto-search-more": undefined;
  "sotto-found": Omit<FoundMessage, "ranges">;
  "sotto-join": { readonly text: string };
  "sotto-rename": { readonly name: string };
  "sotto-hide-address": { readonly hidden: boolean };
  "sotto-push": { readonly on: boolean };
  "sotto-given": undefined;
  "sotto-scanned": { readonly text: string };
  "sotto-verified": { readonly verified: boolean };
  "sotto-second-tab": undefined;
  "sotto-trust-relay": undefined;
  "sotto-relay-add": { readonly url: string };
  "sotto-relay-remove": { readonly url: string };
  "sotto-words": { readonly shown: boolean };
  "sotto-backup-save": { readonly passphrase: string | undefined };
  "sotto-backup-import": { readonly file: File };
  "sotto-backup-daily": { readonly on: boolean };
  "sotto-restore-file": { readonly file: File | undefined };
  /** One of the two secrets is there. */
  "sotto-restore": {
    readonly file: File | undefined;
    readonly phrase: string | undefined;
    readonly passphrase: string | undefined;
  };
  "sotto-update": undefined;
  "sotto-retry": undefined;
}

export class SottoEvent<Name extends keyof SottoEvents> extends CustomEvent<SottoEvents[Name]> {
  constructor(name: Name, detail: SottoEvents[Name]) {
    super(name, { detail, bubbles: true, composed: true });
  }
}
