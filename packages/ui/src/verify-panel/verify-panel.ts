import type { SafetyNumber } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import "../qr/qr.ts";
import { base, controls } from "../shared/base.ts";
import { canScan, scanArea } from "../scan/scan.ts";
import { SottoEvent, type SottoEvents } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

const SAFETY_DIGITS = 60;

/**
 * Two people compare a number and know that nobody sits between them.
 * Properties: `name`, `number`, `verified`, `compare` (tests a pasted text). Events: `sotto-verified`.
 */
export class SottoVerifyPanel extends LitElement {
  static override readonly properties = {
    name: {},
    number: { attribute: false },
    verified: { type: Boolean },
    compare: { attribute: false },
    outcome: { state: true },
    scanning: { state: true },
    copied: { state: true },
  };
  declare name: string;
  declare number: SafetyNumber | undefined;
  declare verified: boolean;
  declare compare: (text: string) => Promise<boolean>;
  declare copied: boolean;
  declare outcome: "match" | "differ" | "incomplete" | "failed" | undefined;
  declare scanning: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: grid;
        gap: var(--s-space-4);
      }
      p {
        margin: 0;
      }
      ol {
        list-style: none;
        margin: 0;
        padding: var(--s-space-4);
        display: grid;
        grid-template-columns: repeat(4, 1fr);
        gap: var(--s-space-3) var(--s-space-2);
        border-radius: var(--s-radius-m);
        background: var(--s-surface);
        font:
          600 var(--s-size-l) / 1.3 ui-monospace,
          "Noto Sans Mono",
          monospace;
        text-align: center;
        font-variant-numeric: tabular-nums;
      }
      sotto-qr {
        max-inline-size: 200px;
        margin-inline: auto;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
      }
      .row {
        display: flex;
        gap: var(--s-space-2);
      }
      .row .field {
        flex: 1;
        min-inline-size: 0;
      }
      .match {
        color: var(--s-ok);
      }
      .state {
        display: flex;
        align-items: center;
        gap: var(--s-space-2);
        color: var(--s-ok);
        font-weight: 500;
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.name = "";
    this.number = undefined;
    this.verified = false;
    this.compare = () => Promise.resolve(false);
    this.outcome = undefined;
    this.scanning = false;
    this.copied = false;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    // Said of another number, it would be a lie.
    if (!changed.has("number")) return;
    this.outcome = undefined;
    this.copied = false;
  }

  override render(): TemplateResult {
    const words = t().verify;
    const { number } = this;
    if (number === undefined) return html`<p>${words.unknown}</p>`;
    return html`
      <p>${words.text(this.name)}</p>
      <ol aria-label=${words.number}>
        ${number.groups.map((group) => html`<li>${group}</li>`)}
      </ol>
      <button class="button quiet" @click=${() => void this.#copy(number)}>
        ${this.copied ? icons.tick() : icons.copy()}
        <span aria-live="polite">${this.copied ? t().invite.copied : words.copy}</span>
      </button>
      <sotto-qr .text=${number.qr} .label=${words.qr}></sotto-qr>
      ${canScan() ? scanArea(this.scanning, this.#toggleScan, this.#onScanned) : nothing}
      <form @submit=${(event: Event) => void this.#compare(event)}>
        <label class="caption" for="other">${words.compare}</label>
        <div class="row">
          <input id="other" class="field" autocomplete="off" inputmode="text" />
          <button class="button">${words.check}</button>
        </div>
      </form>
      <p class=${this.outcome === "match" ? "match" : "error"} role="status">
        ${this.outcome === undefined ? nothing : words[this.outcome]}
      </p>
      ${this.verified ? html`<p class="state">${icons.verified()}${words.verified}</p>` : nothing}
      <button
        class="button ${this.verified ? "" : "primary"}"
        @click=${() =>
          this.dispatchEvent(new SottoEvent("sotto-verified", { verified: !this.verified }))}
      >
        ${this.verified ? words.unmark : words.mark}
      </button>
    `;
  }

  /** For sending over another way of talking, and pasting below on the other device. */
  async #copy(number: SafetyNumber): Promise<void> {
    try {
      await navigator.clipboard.writeText(number.groups.join(" "));
      this.copied = true;
    } catch {
      // No permission: the digits on screen can be selected.
    }
  }

  readonly #toggleScan = (): void => {
    this.scanning = !this.scanning;
  };

  readonly #onScanned = async (event: CustomEvent<SottoEvents["sotto-scanned"]>): Promise<void> => {
    this.scanning = false;
    await this.#judge(event.detail.text);
  };

  async #judge(text: string): Promise<void> {
    const { number } = this;
    const outcome = await this.#outcomeOf(text);
    // By now the panel may show the number of someone else.
    if (this.number !== number) return;
    this.outcome = outcome;
    // Comparing is the verification: nobody should have to say it twice.
    if (outcome === "match" && !this.verified) {
      this.dispatchEvent(new SottoEvent("sotto-verified", { verified: true }));
    }
  }

  async #outcomeOf(text: string): Promise<"match" | "differ" | "incomplete" | "failed"> {
    try {
      if (await this.compare(text)) return "match";
      return isPartOfNumber(text) ? "incomplete" : "differ";
    } catch {
      return "failed";
    }
  }

  async #compare(event: Event): Promise<void> {
    event.preventDefault();
    const text = this.renderRoot.querySelector("input")?.value ?? "";
    if (text.trim() === "") return;
    await this.#judge(text);
  }
}

const isPartOfNumber = (text: string): boolean =>
  /^[\d\s]*$/.test(text) && text.replaceAll(/\s/g, "").length < SAFETY_DIGITS;

customElements.define("sotto-verify-panel", SottoVerifyPanel);
