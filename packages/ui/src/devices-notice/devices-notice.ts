import type { ConversationView } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";
import { nameOf } from "../shared/names.ts";

/**
 * What is to be known about the devices of a contact, or in the notes of the own account: quietly that some came or
 * went, until it is dismissed; loudly that they contradict each other. A conflict of a verified contact ends only by
 * comparing. Property: `view`. Events: `sotto-devices-seen`, `sotto-verify-open`, `sotto-devices-trust`.
 */
export class SottoDevicesNotice extends LitElement {
  static override readonly properties = { view: { attribute: false } };
  declare view: ConversationView | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
      }
      .notice {
        display: flex;
        align-items: center;
        gap: var(--s-space-3);
        padding: var(--s-space-2) var(--s-space-2) var(--s-space-2) var(--s-space-4);
        border-block-start: 1px solid var(--s-line);
        background: var(--s-surface);
        font-size: var(--s-size-s);
      }
      .notice > svg.icon {
        color: var(--s-text-quiet);
      }
      p {
        flex: 1;
        margin: 0;
      }
      .conflict {
        flex-wrap: wrap;
        padding: var(--s-space-3) var(--s-space-4);
        border-block-start: 0;
        background: var(--s-danger-surface);
      }
      .conflict p {
        flex-basis: 16rem;
      }
      .conflict > svg.icon {
        color: var(--s-danger);
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: var(--s-space-2);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.view = undefined;
  }

  override render(): TemplateResult {
    return html`<section aria-live="assertive" aria-atomic="true">${this.#conflict()}</section>
      <section aria-live="polite" aria-atomic="true">${this.#news()}</section>`;
  }

  #conflict(): TemplateResult | typeof nothing {
    const { view } = this;
    if (view === undefined || !view.devices.conflict) return nothing;
    const words = t().devices;
    const name = nameOf(view);
    if (view.kind === "notes") {
      return html`<div class="notice conflict">
        ${icons.warning()}
        <p>${words.conflictOwn}</p>
      </div>`;
    }
    return html`<div class="notice conflict">
      ${icons.warning()}
      <p>${view.verified ? words.conflictVerified(name) : words.conflict(name)}</p>
      <div class="actions">
        <button
          class="button primary"
          @click=${() => this.dispatchEvent(new SottoEvent("sotto-verify-open", undefined))}
        >
          ${words.compare}
        </button>
        ${
          view.verified
            ? nothing
            : html`<button
                class="button"
                @click=${() => this.dispatchEvent(new SottoEvent("sotto-devices-trust", undefined))}
              >
                ${words.trust}
              </button>`
        }
      </div>
    </div>`;
  }

  /** After the conflict, when there is one: who came and went is not clear before. */
  #news(): TemplateResult | typeof nothing {
    const sentence = this.view === undefined ? "" : newsOf(this.view);
    if (sentence === "") return nothing;
    return html`<div class="notice">
      ${icons.devices()}
      <p>${sentence}</p>
      <button
        class="icon-button"
        aria-label=${t().devices.dismiss}
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-devices-seen", undefined))}
      >
        ${icons.close()}
      </button>
    </div>`;
  }
}

/** Empty when there is nothing to say. */
function newsOf(view: ConversationView): string {
  const { added, removed, anew, conflict } = view.devices;
  if (conflict) return "";
  const lost = anew > 0 ? t().devices.anew(nameOf(view)) : "";
  const changed = added + removed > 0 ? changesOf(view) : "";
  return `${changed} ${lost}`.trim();
}

function changesOf(view: ConversationView): string {
  const { added, removed } = view.devices;
  const words = t().devices;
  if (view.kind === "notes") {
    if (removed === 0) return words.ownAdded(added);
    return added === 0 ? words.ownRemoved(removed) : words.ownChanged(added, removed);
  }
  const name = nameOf(view);
  if (removed === 0) return words.added(name, added);
  return added === 0 ? words.removed(name, removed) : words.changed(name, added, removed);
}

customElements.define("sotto-devices-notice", SottoDevicesNotice);
