import type { InviteView } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { longDate } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import "../qr/qr.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/** How long the button says "Copied". */
const COPIED_MS = 2_000;

/**
 * A link to give to one person.
 * Properties: `invite` (undefined while it is made), `failed` (it could not be made),
 * `secondTab` (offers to follow the link as a second identity of this browser).
 * Events: `sotto-second-tab`, `sotto-retry`, `sotto-given` when the link was taken from here.
 */
export class SottoInvitePanel extends LitElement {
  static override readonly properties = {
    invite: { attribute: false },
    failed: { type: Boolean },
    secondTab: { attribute: false },
    copied: { state: true },
  };
  declare invite: InviteView | undefined;
  declare failed: boolean;
  declare secondTab: boolean;
  declare copied: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: grid;
        gap: var(--s-space-4);
      }
      p {
        margin: 0;
      }
      sotto-qr {
        margin-inline: auto;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
      }
      .link {
        font-size: var(--s-size-s);
        text-overflow: ellipsis;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: var(--s-space-2);
      }
      .actions .primary {
        flex: 1;
      }
      .note {
        font-size: var(--s-size-s);
        text-align: center;
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.invite = undefined;
    this.failed = false;
    this.secondTab = true;
    this.copied = false;
  }

  override render(): TemplateResult {
    const words = t().invite;
    if (this.failed) {
      return html`<p role="alert">${words.failed}</p>
        <button
          class="button primary"
          @click=${() => this.dispatchEvent(new SottoEvent("sotto-retry", undefined))}
        >
          ${words.retry}
        </button>`;
    }
    const { invite } = this;
    if (invite === undefined) return html`<p class="quiet-text">${words.making}</p>`;
    return html`
      <p>${words.text}</p>
      <sotto-qr .text=${invite.url} .label=${words.qr}></sotto-qr>
      <div>
        <label class="caption" for="link">${words.label}</label>
        <input
          id="link"
          class="field link"
          readonly
          .value=${invite.url}
          @focus=${(event: FocusEvent) => {
            if (event.target instanceof HTMLInputElement) event.target.select();
            this.#given();
          }}
        />
      </div>
      <div class="actions">
        <button class="button primary" @click=${() => void this.#copy(invite.url)}>
          ${this.copied ? icons.tick() : icons.copy()}
          <span aria-live="polite">${this.copied ? words.copied : words.copy}</span>
        </button>
        ${
          "share" in navigator
            ? html`<button
                class="button"
                @click=${() => {
                  this.#given();
                  void share(invite.url);
                }}
              >
                ${icons.share()}${words.share}
              </button>`
            : nothing
        }
      </div>
      ${
        this.secondTab
          ? html`<button
              class="button quiet"
              @click=${() => this.dispatchEvent(new SottoEvent("sotto-second-tab", undefined))}
            >
              ${icons.tabs()}${words.secondTab}
            </button>`
          : nothing
      }
      <p class="note quiet-text">
        ${invite.active ? words.until(longDate(invite.expiresAt)) : words.inactive}
      </p>
    `;
  }

  #given(): void {
    this.dispatchEvent(new SottoEvent("sotto-given", undefined));
  }

  async #copy(url: string): Promise<void> {
    this.#given();
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      // No permission or no secure context: the selected field can be copied by hand.
      this.renderRoot.querySelector("input")?.select();
      return;
    }
    this.copied = true;
    setTimeout(() => {
      this.copied = false;
    }, COPIED_MS);
  }
}

async function share(url: string): Promise<void> {
  try {
    await navigator.share({ url });
  } catch {
    // The person closed the system's sheet.
  }
}

customElements.define("sotto-invite-panel", SottoInvitePanel);
