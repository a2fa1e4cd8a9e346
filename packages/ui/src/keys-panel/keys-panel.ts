import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { longDate } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import type { RestoreFailure } from "../restore-panel/restore-panel.ts";

/** How the last thing that was asked for went. */
export type KeysOutcome =
  | { readonly kind: "saved" }
  | { readonly kind: "imported"; readonly messages: number; readonly unknown: number }
  | { readonly kind: "failed"; readonly of: "words" | "save" | "daily" }
  | { readonly kind: "failed"; readonly of: "import"; readonly reason: RestoreFailure };

/**
 * off, on: asked for or not. paused: the browser wants to ask the person again first. damaged: what is here would be less
 * than what the file has.
 */
export type DailyBackup = "off" | "on" | "paused" | "damaged";

/**
 * What brings an account back: its 24 words, and backup files.
 * Properties: `words` (once they were asked for), `busy` (with a file), `outcome`; `savedAt` (of the last file, by this
 * device), `daily` (undefined where the browser cannot write to a file again).
 * Events: `sotto-words`, `sotto-backup-save`, `sotto-backup-import`, `sotto-backup-daily`.
 */
export class SottoKeysPanel extends LitElement {
  static override readonly properties = {
    words: { attribute: false },
    busy: { attribute: false },
    outcome: { attribute: false },
    savedAt: { attribute: false },
    daily: { attribute: false },
  };
  declare words: readonly string[] | undefined;
  declare busy: "save" | "import" | undefined;
  declare outcome: KeysOutcome | undefined;
  declare savedAt: number | undefined;
  declare daily: DailyBackup | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      section,
      form,
      .words {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
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
      ol {
        margin: 0;
        padding: var(--s-space-3) var(--s-space-4) var(--s-space-3) 0;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
        background: var(--s-surface);
        columns: 2;
        list-style-position: inside;
        padding-inline-start: var(--s-space-4);
      }
      li {
        padding-block: 2px;
        break-inside: avoid;
        font-variant-numeric: tabular-nums;
      }
      li::marker {
        color: var(--s-text-quiet);
      }
      .quiet-text,
      .error,
      summary {
        font-size: var(--s-size-s);
      }
      summary {
        min-block-size: 32px;
        cursor: pointer;
        color: var(--s-text-quiet);
      }
      .choice {
        display: flex;
        align-items: center;
        gap: var(--s-space-2);
        min-block-size: 44px;
      }
      .said,
      .problem {
        padding: var(--s-space-3) var(--s-space-4);
        border-radius: var(--s-radius-m);
        background: var(--s-surface);
      }
      .problem {
        background: var(--s-warn-surface);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.words = undefined;
    this.busy = undefined;
    this.outcome = undefined;
    this.savedAt = undefined;
    this.daily = undefined;
  }

  override render(): TemplateResult {
    const words = t().keys;
    return html`<section>
      <h3>${words.title}</h3>
      <p>${words.text}</p>
      ${this.#words()}
      <form @submit=${this.#onSave}>
        <button class="button" ?disabled=${this.busy !== undefined}>
          ${this.busy === "save" ? words.saving : words.save}
        </button>
        <p class="quiet-text">
          ${this.savedAt === undefined ? words.neverSaved : words.savedOn(longDate(this.savedAt))}
        </p>
        <details>
          <summary>${words.withPassphrase}</summary>
          <label class="caption" for="passphrase">${words.passphrase}</label>
          <input
            id="passphrase"
            class="field"
            type="password"
            autocomplete="new-password"
            maxlength="1000"
          />
          <p class="quiet-text">${words.passphraseText}</p>
        </details>
      </form>
      ${this.#daily()}
      <details>
        <summary>${words.import}</summary>
        <label class="caption" for="file">${words.importText}</label>
        <input
          id="file"
          class="field"
          type="file"
          ?disabled=${this.busy !== undefined}
          @change=${this.#onImport}
        />
      </details>
      <div aria-live="polite">${this.#said()}</div>
    </section>`;
  }

  #words(): TemplateResult {
    const words = t().keys;
    const list = this.words;
    return html`<div class="words">
      <button
        class="button"
        aria-expanded=${list !== undefined}
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-words", { shown: list === undefined }))}
      >
        ${list === undefined ? words.show : words.hide}
      </button>
      ${
        list === undefined
          ? nothing
          : html`<ol translate="no">
                ${list.map((word) => html`<li>${word}</li>`)}
              </ol>
              <p class="quiet-text">${words.shown}</p>`
      }
    </div>`;
  }

  #daily(): TemplateResult | typeof nothing {
    const words = t().keys;
    const { daily } = this;
    if (daily === undefined) return nothing;
    return html`<label class="choice"
        ><input
          type="checkbox"
          .checked=${daily !== "off"}
          ?disabled=${this.busy !== undefined}
          @click=${this.#onDaily}
        />${words.daily}</label
      >
      ${
        daily === "paused"
          ? html`<p class="problem">${words.paused}</p>
              <button class="button" @click=${this.#onAllow}>${words.allow}</button>`
          : daily === "damaged"
            ? html`<p class="problem">${words.damaged}</p>`
            : nothing
      }`;
  }

  #said(): TemplateResult | typeof nothing {
    const words = t().keys;
    const { outcome } = this;
    switch (outcome?.kind) {
      case undefined:
        return nothing;
      case "saved":
        return html`<p class="said">${words.saved}</p>`;
      case "imported":
        return html`<p class="said">${words.imported(outcome.messages, outcome.unknown)}</p>`;
      case "failed":
        return html`<p class="problem" role="alert">
          ${outcome.of === "import" ? t().restore.refused[outcome.reason] : words.failed[outcome.of]}
        </p>`;
    }
  }

  readonly #onSave = (event: Event): void => {
    event.preventDefault();
    const field = this.renderRoot.querySelector<HTMLInputElement>("#passphrase");
    const passphrase = field?.value ?? "";
    if (field !== null) field.value = "";
    this.dispatchEvent(
      new SottoEvent("sotto-backup-save", {
        passphrase: passphrase === "" ? undefined : passphrase,
      }),
    );
  };

  readonly #onImport = ({ target }: Event): void => {
    if (!(target instanceof HTMLInputElement)) return;
    const file = target.files?.[0];
    target.value = "";
    if (file !== undefined) this.dispatchEvent(new SottoEvent("sotto-backup-import", { file }));
  };

  /** The box shows what holds, not what was asked for: the browser asks for a file first. */
  readonly #onDaily = (event: Event): void => {
    event.preventDefault();
    this.dispatchEvent(new SottoEvent("sotto-backup-daily", { on: this.daily === "off" }));
  };

  readonly #onAllow = (): void => {
    this.dispatchEvent(new SottoEvent("sotto-backup-daily", { on: true }));
  };
}

customElements.define("sotto-keys-panel", SottoKeysPanel);
