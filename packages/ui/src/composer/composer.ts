import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { joinTexts } from "../shared/drafts.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/** The protocol's limit for one text (wire's TEXT_BYTES_MAX), in bytes of UTF-8. */
const TEXT_BYTES_MAX = 16_384;
const KILOBYTE = 1_024;
/** The key code of every key that an input method takes for itself. */
const INPUT_METHOD_KEY = 229;
const encoder = new TextEncoder();

/**
 * Where a message is written. Enter sends, Shift+Enter breaks the line; an input method's Enter only confirms.
 * Properties: `draft` (text to start from), `of` (whose draft it is: another one replaces the text even when
 * both start equal), `error` (sentence to show).
 * Events: `sotto-submit` with the text, `sotto-draft` after each change.
 */
export class SottoComposer extends LitElement {
  static override readonly properties = {
    draft: { attribute: false },
    of: { attribute: false },
    error: {},
    text: { state: true },
  };
  declare draft: string;
  declare of: string;
  declare error: string;
  declare text: string;

  static override readonly shadowRootOptions = {
    ...LitElement.shadowRootOptions,
    delegatesFocus: true,
  };

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
        padding: var(--s-space-2) var(--s-space-4)
          max(var(--s-space-4), env(safe-area-inset-bottom));
        background: var(--s-bg);
      }
      form {
        max-inline-size: 788px;
        margin-inline: auto;
        display: flex;
        align-items: flex-end;
        gap: var(--s-space-2);
      }
      .box {
        flex: 1;
        display: flex;
        min-inline-size: 0;
        border: 1px solid var(--s-edge);
        border-radius: 22px;
        background: var(--s-bg);
      }
      .box:focus-within {
        outline: 2px solid var(--s-accent);
        outline-offset: -1px;
        border-color: transparent;
      }
      textarea {
        flex: 1;
        min-inline-size: 0;
        min-block-size: 42px;
        max-block-size: min(40dvh, 240px);
        padding: 10px var(--s-space-4);
        border: 0;
        background: none;
        resize: none;
        line-height: 1.45;
        field-sizing: content;
      }
      /* The box around it shows the focus. */
      textarea:focus-visible {
        outline: none;
      }
      textarea::placeholder {
        color: var(--s-text-quiet);
        opacity: 1;
      }
      .send {
        background: var(--s-accent);
        color: var(--s-on-accent);
        transition: background var(--s-motion-fast);
      }
      .send:hover:not(:disabled) {
        background: var(--s-accent-hover);
        color: var(--s-on-accent);
      }
      .send:disabled {
        background: var(--s-surface-hover);
        color: var(--s-text-quiet);
        opacity: 1;
      }
      .error {
        max-inline-size: 788px;
        margin: 0 auto var(--s-space-2);
        font-size: var(--s-size-s);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.draft = "";
    this.of = "";
    this.error = "";
    this.text = "";
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("draft") || changed.has("of")) this.text = this.draft;
  }

  override updated(): void {
    const field = this.#field();
    if (field === undefined || CSS.supports("field-sizing", "content")) return;
    field.rows = Math.min(8, this.text.split("\n").length);
  }

  #field(): HTMLTextAreaElement | undefined {
    return this.renderRoot.querySelector("textarea") ?? undefined;
  }

  override render(): TemplateResult {
    const words = t().composer;
    const over = encoder.encode(this.text).length - TEXT_BYTES_MAX;
    const error = over > 0 ? words.tooLong(Math.ceil(over / KILOBYTE)) : this.error;
    const canSend = this.text.trim() !== "" && over <= 0;
    return html`
      ${error === "" ? nothing : html`<p class="error" id="error" role="alert">${error}</p>`}
      <form @submit=${this.#onSubmit}>
        <div class="box">
          <textarea
            rows="1"
            dir="auto"
            enterkeyhint="send"
            aria-label=${words.label}
            aria-describedby=${error === "" ? nothing : "error"}
            placeholder=${words.placeholder}
            .value=${this.text}
            @input=${this.#onInput}
            @keydown=${this.#onKeyDown}
          ></textarea>
        </div>
        <button
          class="icon-button send"
          type="submit"
          aria-label=${words.send}
          ?disabled=${!canSend}
        >
          ${icons.send()}
        </button>
      </form>
    `;
  }

  readonly #onInput = (event: Event): void => {
    if (!(event.target instanceof HTMLTextAreaElement)) return;
    this.text = event.target.value;
    this.dispatchEvent(new SottoEvent("sotto-draft", { text: this.text }));
  };

  readonly #onKeyDown = (event: KeyboardEvent): void => {
    // WebKit ends the composition before the key that ended it arrives: only the key code still tells.
    const isInputMethod = event.isComposing || event.keyCode === INPUT_METHOD_KEY;
    if (event.key !== "Enter" || event.shiftKey || isInputMethod) return;
    event.preventDefault();
    this.#submit();
  };

  readonly #onSubmit = (event: Event): void => {
    event.preventDefault();
    this.#submit();
  };

  #submit(): void {
    const text = this.text.trim();
    if (text === "" || encoder.encode(text).length > TEXT_BYTES_MAX) return;
    this.text = "";
    const field = this.#field();
    if (field !== undefined) field.value = "";
    this.dispatchEvent(new SottoEvent("sotto-draft", { text: "" }));
    this.dispatchEvent(new SottoEvent("sotto-submit", { text }));
  }

  /** Puts back what could not be sent, in front of what was typed since. */
  restore(text: string): void {
    this.text = joinTexts(text, this.text);
    this.dispatchEvent(new SottoEvent("sotto-draft", { text: this.text }));
  }
}

customElements.define("sotto-composer", SottoComposer);
