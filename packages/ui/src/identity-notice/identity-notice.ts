import type { ConversationView } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/**
 * That somebody else answers in this contact's place, and what can be done; nothing while the contact is who it was.
 * A verified contact cannot be replaced by one press: only comparing leads on.
 * Property: `view`. Events: `sotto-verify-open`, `sotto-identity-answer`.
 */
export class SottoIdentityNotice extends LitElement {
  static override readonly properties = { view: { attribute: false } };
  declare view: ConversationView | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
      }
      section:not(:empty) {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: var(--s-space-3);
        padding: var(--s-space-3) var(--s-space-4);
        background: var(--s-danger-surface);
        font-size: var(--s-size-s);
      }
      p {
        flex: 1 1 16rem;
        margin: 0;
      }
      svg.icon {
        color: var(--s-danger);
      }
      div {
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
    return html`<section aria-live="assertive" aria-atomic="true">${this.#content()}</section>`;
  }

  #content(): TemplateResult | typeof nothing {
    const { view } = this;
    const accountId = view?.newIdentity;
    if (view === undefined || accountId === undefined) return nothing;
    const words = t().identity;
    const answer = (choice: "accept" | "reject") => () =>
      this.dispatchEvent(new SottoEvent("sotto-identity-answer", { accountId, answer: choice }));
    return html`${icons.warning()}
      <p>${view.verified ? words.changedVerified(view.name) : words.changed(view.name)}</p>
      <div>
        <button
          class="button primary"
          @click=${() => this.dispatchEvent(new SottoEvent("sotto-verify-open", undefined))}
        >
          ${words.compare}
        </button>
        ${
          view.verified
            ? nothing
            : html`<button class="button" @click=${answer("accept")}>${words.accept}</button>`
        }
        <button class="button" @click=${answer("reject")}>${words.reject}</button>
      </div>`;
  }
}

customElements.define("sotto-identity-notice", SottoIdentityNotice);
