import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/**
 * A modal sheet on the platform's own dialog: focus stays inside and returns, Escape closes.
 * Properties: `heading`, `open`. Slot: the content. Events: `sotto-close`.
 */
export class SottoSheet extends LitElement {
  static override readonly properties = { heading: {}, open: { type: Boolean } };
  declare heading: string;
  declare open: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      dialog {
        inline-size: min(440px, 100vw);
        max-inline-size: 100vw;
        max-block-size: min(92dvh, 780px);
        padding: 0;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-l);
        background: var(--s-bg);
        color: inherit;
        box-shadow: var(--s-shadow);
        overflow: hidden auto;
      }
      dialog::backdrop {
        background: rgb(10 14 18 / 0.45);
      }
      header {
        position: sticky;
        inset-block-start: 0;
        display: flex;
        align-items: center;
        justify-content: space-between;
        padding: var(--s-space-3) var(--s-space-3) var(--s-space-3) var(--s-space-6);
        background: var(--s-bg);
      }
      h2 {
        margin: 0;
        font-size: var(--s-size-xl);
        font-weight: 600;
      }
      .content {
        padding: 0 var(--s-space-6) var(--s-space-6);
      }
      @media (max-width: 520px) {
        dialog {
          inline-size: 100vw;
          margin: auto 0 0;
          border-radius: var(--s-radius-l) var(--s-radius-l) 0 0;
          border-width: 1px 0 0;
          padding-block-end: env(safe-area-inset-bottom);
        }
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.heading = "";
    this.open = false;
  }

  override updated(changed: PropertyValues<this>): void {
    if (!changed.has("open")) return;
    const dialog = this.renderRoot.querySelector("dialog");
    if (dialog === null) return;
    if (this.open && !dialog.open) dialog.showModal();
    else if (!this.open && dialog.open) dialog.close();
  }

  override render(): TemplateResult {
    return html`<dialog aria-labelledby="heading" @close=${this.#onClose} @click=${this.#onClick}>
      <header>
        <h2 id="heading">${this.heading}</h2>
        <button class="icon-button" aria-label=${t().close} @click=${this.#close}>
          ${icons.close()}
        </button>
      </header>
      <div class="content"><slot></slot></div>
    </dialog>`;
  }

  readonly #close = (): void => {
    this.renderRoot.querySelector("dialog")?.close();
  };

  readonly #onClose = (): void => {
    if (this.open) this.dispatchEvent(new SottoEvent("sotto-close", undefined));
  };

  /** A click on the backdrop hits the dialog itself. */
  readonly #onClick = (event: MouseEvent): void => {
    const dialog = event.currentTarget;
    if (event.target !== dialog || !(dialog instanceof HTMLDialogElement)) return;
    const box = dialog.getBoundingClientRect();
    const isInside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!isInside) dialog.close();
  };
}

customElements.define("sotto-sheet", SottoSheet);
