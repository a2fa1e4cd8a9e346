import { isName, NAME_CHARACTERS_MAX } from "@sotto/wire";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/** Control characters and direction overrides come along when pasting, and no name may hold them. */
const INVISIBLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The own name, changed in place.
 * Property: `name`. Events: `sotto-rename` with a usable name.
 */
export class SottoNameField extends LitElement {
  static override readonly properties = {
    name: {},
    editing: { state: true },
    bad: { state: true },
  };
  declare name: string;
  declare editing: boolean;
  declare bad: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
        min-inline-size: 0;
      }
      form {
        display: flex;
        gap: var(--s-space-2);
      }
      .field {
        flex: 1;
        min-inline-size: 0;
      }
      .shown {
        display: inline-flex;
        align-items: center;
        gap: var(--s-space-2);
        max-inline-size: 100%;
        min-block-size: 44px;
        padding-inline: var(--s-space-2);
        margin-inline: calc(-1 * var(--s-space-2));
        border-radius: var(--s-radius-s);
        font-weight: 600;
      }
      .shown:hover {
        background: var(--s-surface-hover);
      }
      .shown bdi {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .shown svg.icon {
        inline-size: 15px;
        block-size: 15px;
        color: var(--s-text-quiet);
      }
      p {
        margin: var(--s-space-1) 0 0;
        font-size: var(--s-size-s);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.name = "";
    this.editing = false;
    this.bad = false;
  }

  override render(): TemplateResult {
    const words = t().name;
    if (!this.editing) {
      return html`<button
        class="shown"
        aria-label=${`${this.name}. ${words.edit}`}
        @click=${this.#edit}
      >
        <bdi>${this.name}</bdi>${icons.edit()}
      </button>`;
    }
    return html`<form @submit=${this.#save}>
        <input
          class="field"
          dir="auto"
          aria-label=${words.label}
          aria-invalid=${this.bad ? "true" : nothing}
          aria-describedby=${this.bad ? "error" : nothing}
          maxlength=${NAME_CHARACTERS_MAX * 2}
          autocomplete="nickname"
          .value=${this.name}
          @keydown=${(event: KeyboardEvent) => {
            if (event.key !== "Escape" || event.isComposing) return;
            event.preventDefault();
            this.#leave();
          }}
        />
        <button class="button primary">${words.save}</button>
      </form>
      ${this.bad ? html`<p class="error" id="error" role="alert">${words.bad}</p>` : nothing}`;
  }

  readonly #edit = (): void => {
    this.editing = true;
    this.bad = false;
    void this.updateComplete.then(() => {
      const field = this.renderRoot.querySelector("input");
      field?.focus();
      field?.select();
    });
  };

  /** Back to the button, and the focus with it. */
  #leave(): void {
    this.editing = false;
    void this.updateComplete.then(() => this.renderRoot.querySelector("button")?.focus());
  }

  readonly #save = (event: Event): void => {
    event.preventDefault();
    const typed = this.renderRoot.querySelector("input")?.value ?? "";
    const name = typed.replaceAll(INVISIBLE, "").trim();
    this.bad = !isName(name);
    if (this.bad) return;
    this.#leave();
    if (name !== this.name) this.dispatchEvent(new SottoEvent("sotto-rename", { name }));
  };
}

customElements.define("sotto-name-field", SottoNameField);
