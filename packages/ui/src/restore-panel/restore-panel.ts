import type { BackupRefusal, RecoveryRefusal } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";

/** Why nothing was restored. "full": no space; "failed": something else, and the same may be tried again. */
export type RestoreFailure = BackupRefusal | RecoveryRefusal["reason"] | "full" | "failed";

/**
 * Brings an account to this browser: from its 24 words, from a backup file, or from both.
 * Properties: `busy`, `failure`, `positions` (of words that are in no list, counted from 1), `takesPassphrase` (whether
 * the chosen file has one; undefined before one was chosen).
 * Events: `sotto-restore-file` (one was chosen), `sotto-restore`.
 */
export class SottoRestorePanel extends LitElement {
  static override readonly properties = {
    busy: { type: Boolean },
    failure: { attribute: false },
    positions: { attribute: false },
    takesPassphrase: { attribute: false },
    file: { state: true },
    byPassphrase: { state: true },
  };
  declare busy: boolean;
  declare failure: RestoreFailure | undefined;
  declare positions: readonly number[];
  declare takesPassphrase: boolean | undefined;
  declare file: File | undefined;
  declare byPassphrase: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      form,
      fieldset {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: var(--s-space-3);
      }
      fieldset {
        margin: 0;
        padding: 0;
        border: 0;
        gap: 0;
      }
      p {
        margin: 0;
      }
      .quiet-text {
        font-size: var(--s-size-s);
      }
      textarea {
        resize: vertical;
      }
      .choice {
        display: flex;
        align-items: center;
        gap: var(--s-space-2);
        min-block-size: 44px;
      }
      .problem {
        padding: var(--s-space-3) var(--s-space-4);
        border-radius: var(--s-radius-m);
        background: var(--s-warn-surface);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.busy = false;
    this.failure = undefined;
    this.positions = [];
    this.takesPassphrase = undefined;
    this.file = undefined;
    this.byPassphrase = false;
  }

  override render(): TemplateResult {
    const words = t().restore;
    const byPassphrase = this.byPassphrase && this.takesPassphrase === true;
    return html`<form @submit=${this.#onSubmit}>
      <p>${words.text}</p>
      <div>
        <label class="caption" for="file">${words.file}</label>
        <input id="file" class="field" type="file" ?disabled=${this.busy} @change=${this.#onFile} />
      </div>
      ${
        this.takesPassphrase === true
          ? html`<fieldset>
              <legend class="caption">${words.opensWith}</legend>
              ${this.#choice(words.byWords, !byPassphrase, false)}
              ${this.#choice(words.byPassphrase, byPassphrase, true)}
            </fieldset>`
          : nothing
      }
      ${
        byPassphrase
          ? html`<div>
              <label class="caption" for="passphrase">${words.passphrase}</label>
              <input
                id="passphrase"
                class="field"
                type="password"
                autocomplete="off"
                maxlength="1000"
                required
              />
            </div>`
          : html`<div>
              <label class="caption" for="words">${words.words}</label>
              <textarea
                id="words"
                class="field"
                rows="4"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                maxlength="1000"
                required
              ></textarea>
            </div>`
      }
      <p class="quiet-text">${this.file === undefined ? words.withoutFile : words.withFile}</p>
      ${
        this.failure === undefined
          ? nothing
          : html`<p class="problem" role="alert">
              ${
                this.failure === "unknown-words"
                  ? words.unknownWords(this.positions.join(", "))
                  : words.refused[this.failure]
              }
            </p>`
      }
      <button class="button primary" ?disabled=${this.busy}>
        ${this.busy ? words.restoring : words.restore}
      </button>
    </form>`;
  }

  #choice(label: string, checked: boolean, byPassphrase: boolean): TemplateResult {
    return html`<label class="choice"
      ><input
        type="radio"
        name="secret"
        .checked=${checked}
        @change=${() => {
          this.byPassphrase = byPassphrase;
        }}
      />${label}</label
    >`;
  }

  readonly #onFile = ({ target }: Event): void => {
    if (!(target instanceof HTMLInputElement)) return;
    this.file = target.files?.[0];
    this.dispatchEvent(new SottoEvent("sotto-restore-file", { file: this.file }));
  };

  readonly #onSubmit = (event: Event): void => {
    event.preventDefault();
    const valueOf = (id: string): string | undefined =>
      this.renderRoot.querySelector<HTMLInputElement | HTMLTextAreaElement>(id)?.value;
    this.dispatchEvent(
      new SottoEvent("sotto-restore", {
        file: this.file,
        phrase: valueOf("#words"),
        passphrase: valueOf("#passphrase"),
      }),
    );
  };
}

customElements.define("sotto-restore-panel", SottoRestorePanel);
