import type { HubState, StorageState } from "@sotto/sdk";
import { css, html, LitElement, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/**
 * What is wrong right now and what to do, or nothing. The gravest thing wins.
 * Properties: `hub`, `storage`, `hasUpdate` (a new version waits). Events: `sotto-trust-relay`, `sotto-update`.
 */
export class SottoBanner extends LitElement {
  static override readonly properties = {
    hub: { attribute: false },
    storage: { attribute: false },
    hasUpdate: { type: Boolean },
  };
  declare hub: HubState;
  declare storage: StorageState;
  declare hasUpdate: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
      }
      div {
        display: flex;
        align-items: center;
        gap: var(--s-space-3);
        padding: var(--s-space-2) var(--s-space-4);
        background: var(--s-warn-surface);
        font-size: var(--s-size-s);
      }
      div.grave {
        background: var(--s-danger-surface);
      }
      span {
        flex: 1;
      }
      svg.icon {
        color: var(--s-warn);
      }
      .grave svg.icon {
        color: var(--s-danger);
      }
      .button {
        min-block-size: 36px;
        font-size: var(--s-size-s);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.hub = "connecting";
    this.storage = { state: "ok", persisted: undefined };
    this.hasUpdate = false;
  }

  override render(): TemplateResult {
    return html`<section aria-live="polite" aria-atomic="true">${this.#content()}</section>`;
  }

  #content(): TemplateResult {
    const words = t().banner;
    if (this.storage.state === "closed") {
      return grave(
        words.closed,
        html`<button class="button" @click=${() => location.reload()}>${words.reload}</button>`,
      );
    }
    if (this.storage.state === "full") return grave(words.full, html``);
    if (this.hub === "relay-changed") {
      return grave(
        words.relayChanged,
        html`<button
          class="button"
          @click=${() => this.dispatchEvent(new SottoEvent("sotto-trust-relay", undefined))}
        >
          ${words.trust}
        </button>`,
      );
    }
    if (this.hub === "offline") return note(words.offline);
    if (this.hub === "no-relay") return note(words.noRelay);
    if (this.hasUpdate) {
      return note(
        words.update,
        html`<button
          class="button"
          @click=${() => this.dispatchEvent(new SottoEvent("sotto-update", undefined))}
        >
          ${words.restart}
        </button>`,
        icons.update(),
      );
    }
    if (this.storage.state === "memory") return note(words.memory, html``, icons.warning());
    return html``;
  }
}

const note = (
  sentence: string,
  action: TemplateResult = html``,
  icon: TemplateResult = icons.offline(),
): TemplateResult => html`<div>${icon}<span>${sentence}</span>${action}</div>`;

const grave = (sentence: string, action: TemplateResult): TemplateResult =>
  html`<div class="grave">${icons.warning()}<span>${sentence}</span>${action}</div>`;

customElements.define("sotto-banner", SottoBanner);
