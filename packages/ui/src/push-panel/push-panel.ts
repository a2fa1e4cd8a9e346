import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";

/**
 * on, off: what holds. The others say why it cannot be on: the browser knows no Web Push; it does once the app is on the
 * home screen; the person forbade it; no relay of this device wakes anybody.
 */
export type PushState = "on" | "off" | "unsupported" | "install" | "denied" | "unoffered";

/**
 * Whether this device is woken while the app is closed.
 * Properties: `state`, `busy`, `failed` (what was asked for last could not be done). Events: `sotto-push`.
 */
export class SottoPushPanel extends LitElement {
  static override readonly properties = {
    state: {},
    busy: { type: Boolean },
    failed: { type: Boolean },
  };
  declare state: PushState;
  declare busy: boolean;
  declare failed: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      section {
        display: grid;
        gap: var(--s-space-2);
      }
      h3,
      p {
        margin: 0;
      }
      h3 {
        font-size: var(--s-size-s);
        font-weight: 600;
        color: var(--s-text-quiet);
      }
      label {
        display: flex;
        align-items: center;
        gap: var(--s-space-2);
        min-block-size: 44px;
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.state = "off";
    this.busy = false;
    this.failed = false;
  }

  override render(): TemplateResult {
    const words = t().push;
    const { state } = this;
    const isPossible = state === "on" || state === "off";
    return html`<section>
      <h3>${words.title}</h3>
      <label
        ><input
          type="checkbox"
          aria-describedby="about"
          .checked=${state === "on"}
          ?disabled=${this.busy || !isPossible}
          @change=${this.#onChange}
        />${words.label}</label
      >
      <p id="about" class="quiet-text">${isPossible ? words.text : words[state]}</p>
      ${this.failed ? html`<p class="error" role="alert">${words.failed}</p>` : nothing}
    </section>`;
  }

  /** The box shows what holds, not what was asked for: the browser asks the person first. */
  readonly #onChange = ({ target }: Event): void => {
    if (target instanceof HTMLInputElement) target.checked = this.state === "on";
    this.dispatchEvent(new SottoEvent("sotto-push", { on: this.state === "off" }));
  };
}

customElements.define("sotto-push-panel", SottoPushPanel);
