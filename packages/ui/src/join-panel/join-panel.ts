import type { AcceptResult } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { canScan, scanArea } from "../scan/scan.ts";
import { SottoEvent, type SottoEvents } from "../shared/events.ts";

/** "failed": the messenger itself could not do it, and nothing is known about the invite. */
export type JoinFailure =
  | Extract<AcceptResult, { ok: false }>
  | { readonly ok: false; readonly reason: "failed"; readonly origin?: never };

/**
 * Opens an invite someone gave: pasted here, or followed as a link (then `busy` and `failure` tell how it goes).
 * Properties: `text`, `busy`, `failure`. Events: `sotto-join` with the text.
 */
export class SottoJoinPanel extends LitElement {
  static override readonly properties = {
    text: { attribute: false },
    busy: { type: Boolean },
    failure: { attribute: false },
    scanning: { state: true },
  };
  declare text: string;
  declare busy: boolean;
  declare failure: JoinFailure | undefined;
  declare scanning: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host,
      form {
        display: grid;
        gap: var(--s-space-4);
      }
      p {
        margin: 0;
      }
      textarea {
        resize: none;
        font-size: var(--s-size-s);
        overflow-wrap: anywhere;
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
    this.text = "";
    this.busy = false;
    this.failure = undefined;
    this.scanning = false;
  }

  override render(): TemplateResult {
    const words = t().join;
    return html`
      ${canScan() ? scanArea(this.scanning, this.#toggleScan, this.#onScanned) : nothing}
      <form @submit=${this.#onSubmit}>
        <p>${words.text}</p>
        <div>
          <label class="caption" for="code">${words.label}</label>
          <textarea
            id="code"
            class="field"
            rows="3"
            spellcheck="false"
            autocapitalize="off"
            autocomplete="off"
            .value=${this.text}
            @input=${(event: InputEvent) => {
              if (event.target instanceof HTMLTextAreaElement) this.text = event.target.value;
            }}
          ></textarea>
        </div>
        ${this.failure === undefined ? nothing : this.#problem(this.failure)}
        <button class="button primary" ?disabled=${this.busy || this.text.trim() === ""}>
          ${this.busy ? words.connecting : this.failure?.reason === "unreachable" ? words.retry : words.go}
        </button>
      </form>
    `;
  }

  #problem(failure: JoinFailure): TemplateResult {
    const words = t().join;
    const { origin } = failure;
    return html`<div class="problem" role="alert">
      <p>${words[failure.reason]}</p>
      ${
        failure.reason === "other-relay" && origin !== undefined && isWebOrigin(origin)
          ? html`<p>
              <a href=${linkAt(origin, this.text)}>${words.openThere(new URL(origin).host)}</a>
            </p>`
          : nothing
      }
    </div>`;
  }

  readonly #toggleScan = (): void => {
    this.scanning = !this.scanning;
  };

  readonly #onScanned = (event: CustomEvent<SottoEvents["sotto-scanned"]>): void => {
    this.scanning = false;
    this.text = event.detail.text;
    this.dispatchEvent(new SottoEvent("sotto-join", { text: this.text }));
  };

  readonly #onSubmit = (event: Event): void => {
    event.preventDefault();
    this.dispatchEvent(new SottoEvent("sotto-join", { text: this.text }));
  };
}

const isWebOrigin = (origin: string): boolean =>
  /^https?:$/.test(URL.parse(origin)?.protocol ?? "");

/** The code stays behind the "#", so that no server sees it. */
const linkAt = (origin: string, text: string): string =>
  `${origin}/i#${/([A-Za-z0-9_-]{71})(?![A-Za-z0-9_-])/.exec(text)?.[1] ?? ""}`;

customElements.define("sotto-join-panel", SottoJoinPanel);
