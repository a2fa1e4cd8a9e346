import type { Diagnostics, HubState, Me, StorageState } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { chooseLocale, chosenLocale, locale, followLocale, LOCALES, t } from "../i18n/i18n.ts";
import "../name-field/name-field.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { chooseTheme, currentTheme, THEMES } from "../shared/theme.ts";

/**
 * Name, language, appearance, and how things stand. Slots: the account's devices; `relays`.
 * Properties: `me`, `hub`, `storage`, `diagnostics`, `version` (of the build). Events: `sotto-rename` (from the name field), `sotto-hide-address`.
 */
export class SottoSettingsPanel extends LitElement {
  static override readonly properties = {
    me: { attribute: false },
    hub: { attribute: false },
    storage: { attribute: false },
    diagnostics: { attribute: false },
    version: {},
  };
  declare me: Me | undefined;
  declare hub: HubState;
  declare storage: StorageState;
  declare diagnostics: Diagnostics | undefined;
  declare version: string;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: grid;
        gap: var(--s-space-6);
      }
      section {
        display: grid;
        gap: var(--s-space-2);
      }
      h3 {
        margin: 0;
        font-size: var(--s-size-s);
        font-weight: 600;
        color: var(--s-text-quiet);
      }
      p {
        margin: 0;
      }
      fieldset {
        margin: 0;
        padding: 3px;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
        display: flex;
        background: var(--s-surface);
      }
      fieldset label {
        flex: 1;
        display: grid;
        place-items: center;
        min-block-size: 38px;
        padding-inline: var(--s-space-2);
        border-radius: 9px;
        cursor: pointer;
        text-align: center;
        font-size: var(--s-size-s);
      }
      fieldset label:has(:checked) {
        background: var(--s-bg);
        box-shadow: 0 1px 3px rgb(0 0 0 / 0.18);
        font-weight: 600;
      }
      @media (forced-colors: active) {
        fieldset label:has(:checked) {
          outline: 2px solid Highlight;
        }
      }
      fieldset label:has(:focus-visible) {
        outline: 2px solid var(--s-accent);
        outline-offset: 1px;
      }
      input[type="radio"] {
        position: absolute;
        opacity: 0;
        pointer-events: none;
      }
      .choice {
        display: flex;
        align-items: center;
        gap: var(--s-space-2);
        min-block-size: 44px;
      }
      dl {
        margin: 0;
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        gap: var(--s-space-1) var(--s-space-4);
        font-size: var(--s-size-s);
      }
      dt {
        color: var(--s-text-quiet);
      }
      dd {
        margin: 0;
        text-align: end;
        overflow-wrap: anywhere;
      }
      details {
        font-size: var(--s-size-s);
      }
      summary {
        min-block-size: 32px;
        cursor: pointer;
        color: var(--s-text-quiet);
      }
      .id {
        font-family: ui-monospace, "Noto Sans Mono", monospace;
        font-size: var(--s-size-xs);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.me = undefined;
    this.hub = "connecting";
    this.storage = { state: "ok", persisted: undefined };
    this.diagnostics = undefined;
    this.version = "";
  }

  override render(): TemplateResult {
    const words = t().settings;
    return html`
      <section>
        <h3>${words.profile}</h3>
        <sotto-name-field .name=${this.me?.name ?? ""}></sotto-name-field>
      </section>
      <section>
        <h3 id="language">${words.language}</h3>
        <fieldset aria-labelledby="language">
          ${radio("language", words.languageAuto, chosenLocale() === undefined, () =>
            chooseLocale(undefined),
          )}
          ${LOCALES.map(({ locale: code, name }) =>
            radio("language", name, chosenLocale() === code, () => chooseLocale(code), code),
          )}
        </fieldset>
      </section>
      <section>
        <h3 id="appearance">${words.appearance}</h3>
        <fieldset aria-labelledby="appearance">
          ${THEMES.map((theme) =>
            radio("theme", words.theme[theme], currentTheme() === theme, () => {
              chooseTheme(theme);
              this.requestUpdate();
            }),
          )}
        </fieldset>
      </section>
      <slot></slot>
      <section>
        <h3>${words.storage}</h3>
        <p>${storageSentence(this.storage)}</p>
      </section>
      <slot name="relays"></slot>
      <section>
        <h3>${words.network}</h3>
        <dl>
          <dt>${words.connection}</dt>
          <dd>${t().hub[this.hub]}</dd>
          <dt>${words.account}</dt>
          <dd class="id">${this.me?.accountId ?? ""}</dd>
        </dl>
        <label class="choice"
          ><input
            type="checkbox"
            aria-describedby="hide-address"
            .checked=${this.me?.hidesAddress ?? false}
            @click=${this.#onHide}
          />${words.hideAddress}</label
        >
        <p id="hide-address" class="quiet-text">${words.hideAddressText}</p>
        ${this.#details()}
      </section>
      <section>
        <h3>${words.about}</h3>
        <p class="quiet-text">${words.aboutText}</p>
        ${
          this.version === ""
            ? nothing
            : html`<p class="quiet-text id">${words.version(this.version)}</p>`
        }
      </section>
    `;
  }

  /** The box shows what holds, not what was asked for: that may fail. */
  readonly #onHide = (event: Event): void => {
    event.preventDefault();
    const hidden = this.me?.hidesAddress !== true;
    this.dispatchEvent(new SottoEvent("sotto-hide-address", { hidden }));
  };

  #details(): TemplateResult {
    const words = t().settings;
    const { diagnostics } = this;
    if (diagnostics === undefined) return html``;
    const dropped = refusals(diagnostics.dropped);
    return html`<details>
      <summary>${words.details}</summary>
      <dl>
        <dt>${words.role[diagnostics.role]}</dt>
        <dd>${words.direct(diagnostics.direct)}</dd>
        <dt>${words.dropped}</dt>
        <dd>${dropped === "" ? words.none : dropped}</dd>
        <dt>${words.damaged}</dt>
        <dd>${diagnostics.damagedRows}</dd>
        <dt>${words.faults}</dt>
        <dd>${diagnostics.faults}</dd>
        <dt>${words.engines}</dt>
        <dd>${engines(diagnostics.crypto)}</dd>
      </dl>
    </details>`;
  }
}

/** Which engine does what, and in brackets what is short: names for people who look for trouble, in no language. */
const engines = ({ operations }: Diagnostics["crypto"]): string =>
  Object.entries(operations)
    .map(([operation, { chosen, chosenShort }]) => {
      const short = chosenShort === chosen ? "" : ` (${chosenShort})`;
      return `${operation}: ${chosen}${short}`;
    })
    .join(", ");

/** How often each thing was refused, in words. */
function refusals(dropped: Diagnostics["dropped"]): string {
  const counts: Readonly<Record<string, number | undefined>> = dropped;
  const words: Readonly<Record<keyof Diagnostics["dropped"], string>> = t().settings.reasons;
  return Object.entries(words)
    .filter(([reason]) => counts[reason] !== undefined)
    .map(([reason, word]) => `${word}: ${counts[reason]}`)
    .join(", ");
}

const radio = (
  group: string,
  label: string,
  checked: boolean,
  choose: () => void,
  lang?: string,
): TemplateResult =>
  html`<label lang=${lang ?? locale()}
    ><input type="radio" name=${group} .checked=${checked} @change=${choose} />${label}</label
  >`;

function storageSentence(storage: StorageState): string {
  const words = t().settings;
  switch (storage.state) {
    case "ok":
      return storage.persisted === true ? words.persisted : words.stored;
    case "memory":
      return words.memory;
    case "full":
      return words.full;
    case "closed":
      return words.closed;
  }
}

customElements.define("sotto-settings-panel", SottoSettingsPanel);
