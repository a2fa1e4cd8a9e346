import type { DeviceView, JoinDevicesResult } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { longDate } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import "../qr/qr.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/** What was asked for and could not be done. */
export type DeviceProblem = "link" | "remove";

/** "failed": the messenger itself could not do it, and nothing is known about the link. */
export type DeviceJoinFailure =
  | Extract<JoinDevicesResult, { ok: false }>
  | { readonly ok: false; readonly reason: "failed" };

/**
 * The devices of the own account: taking one away, linking another one, or linking this one.
 * Properties: `devices`; `link` (for another device, once it was made), `busy` (with a link, or with joining),
 * `problem`; `online` (the relay is there, so that a link works at once); `joinText` (what stands in the field at
 * first), `joinFailure`, `joined` (the other device has to confirm).
 * Events: `sotto-device-link`, `sotto-device-join`, `sotto-device-remove`.
 */
export class SottoDevicesPanel extends LitElement {
  static override readonly properties = {
    devices: { attribute: false },
    link: { attribute: false },
    busy: { attribute: false },
    problem: { attribute: false },
    online: { type: Boolean },
    joinText: { attribute: false },
    joinFailure: { attribute: false },
    joined: { type: Boolean },
    leaving: { state: true },
    copied: { state: true },
  };
  declare devices: readonly DeviceView[];
  declare link: string | undefined;
  declare busy: "link" | "join" | undefined;
  declare problem: DeviceProblem | undefined;
  declare online: boolean;
  declare joinText: string;
  declare joinFailure: DeviceJoinFailure | undefined;
  declare joined: boolean;
  /** The device that is asked about: is it really to be removed? */
  declare leaving: string | undefined;
  declare copied: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host,
      section,
      form,
      .other {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: var(--s-space-3);
      }
      section {
        gap: var(--s-space-2);
      }
      h3,
      p,
      ul {
        margin: 0;
      }
      h3 {
        font-size: var(--s-size-s);
        font-weight: 600;
        color: var(--s-text-quiet);
      }
      ul {
        padding: 0;
        list-style: none;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
      }
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: var(--s-space-2) var(--s-space-3);
        padding: var(--s-space-2) var(--s-space-3);
      }
      li + li {
        border-block-start: 1px solid var(--s-line);
      }
      li div {
        flex: 1;
        min-inline-size: 0;
      }
      li p.sure {
        flex: 1 1 100%;
      }
      .quiet-text,
      .sure,
      .error,
      summary {
        font-size: var(--s-size-s);
      }
      .here {
        font-weight: 600;
      }
      .id {
        display: block;
        font:
          var(--s-size-xs) ui-monospace,
          "Noto Sans Mono",
          monospace;
      }
      .danger {
        border-color: transparent;
        background: var(--s-danger);
        color: var(--s-bg);
      }
      .danger:hover:not(:disabled) {
        background: var(--s-danger);
      }
      sotto-qr {
        margin-inline: auto;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius-m);
      }
      .link {
        font-size: var(--s-size-s);
        text-overflow: ellipsis;
      }
      summary {
        min-block-size: 32px;
        cursor: pointer;
        color: var(--s-text-quiet);
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
    this.devices = [];
    this.link = undefined;
    this.busy = undefined;
    this.problem = undefined;
    this.online = true;
    this.joinText = "";
    this.joinFailure = undefined;
    this.joined = false;
    this.leaving = undefined;
    this.copied = false;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("link")) this.copied = false;
  }

  /** The button that asked for the link is gone: what is next gets the focus, and the code comes into view. */
  override updated(changed: PropertyValues<this>): void {
    if (!changed.has("link") || this.link === undefined || changed.get("busy") !== "link") return;
    this.renderRoot.querySelector<HTMLElement>(".copy")?.focus();
  }

  override render(): TemplateResult {
    const words = t().devices;
    const { devices, problem } = this;
    return html`<section>
      <h3>${words.title}</h3>
      ${
        devices.length === 0
          ? html`<p>${words.alone}</p>`
          : html`<ul>
              ${devices.map((device) => this.#row(device))}
            </ul>`
      }
      ${problem === "remove" ? html`<p class="error" role="alert">${words.removeFailed}</p>` : nothing}
      ${devices.length === 0 ? this.#join() : this.#other()}
      ${
        devices.length === 1 && this.link === undefined
          ? html`<details ?open=${this.joinText !== ""}>
              <summary>${words.haveLink}</summary>
              ${this.#join()}
            </details>`
          : nothing
      }
    </section>`;
  }

  #row({ id, current, addedAt }: DeviceView): TemplateResult {
    const words = t().devices;
    return html`<li>
      <div>
        <p class=${current ? "here" : ""}>${current ? words.current : words.other}</p>
        <p class="quiet-text">
          ${words.addedOn(longDate(addedAt))} <span class="id">${spaced(id)}</span>
        </p>
      </div>
      ${current ? nothing : this.leaving === id ? this.#sure(id) : this.#remove(id)}
    </li>`;
  }

  #remove(id: string): TemplateResult {
    const words = t().devices;
    return html`<button
      class="button"
      data-remove=${id}
      aria-label=${words.removeLabel(spaced(id))}
      @click=${() => this.#ask(id, ".keep")}
    >
      ${words.remove}
    </button>`;
  }

  #sure(id: string): TemplateResult {
    const words = t().devices;
    return html`<p class="sure" id="sure">${words.removeSure}</p>
      <button
        class="button danger"
        aria-describedby="sure"
        @click=${() => {
          this.leaving = undefined;
          this.dispatchEvent(new SottoEvent("sotto-device-remove", { id }));
        }}
      >
        ${words.removeYes}
      </button>
      <button
        class="button keep"
        aria-describedby="sure"
        @click=${() => this.#ask(undefined, `[data-remove="${id}"]`)}
      >
        ${words.keep}
      </button>`;
  }

  /** The button that had the focus is gone after this: `next` gets it. */
  #ask(id: string | undefined, next: string): void {
    this.leaving = id;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(next)?.focus());
  }

  #other(): TemplateResult {
    const words = t().devices;
    const { link } = this;
    if (link !== undefined) return this.#link(link);
    return html`${
        this.problem === "link"
          ? html`<p class="error" role="alert">${words.linkFailed}</p>`
          : nothing
      }
      <button
        class="button"
        ?disabled=${this.busy === "link"}
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-device-link", undefined))}
      >
        ${icons.devices()}${this.busy === "link" ? words.linking : words.link}
      </button>`;
  }

  #link(link: string): TemplateResult {
    const words = t().devices;
    return html`<div class="other">
      <p>${words.linkText}</p>
      <sotto-qr .text=${link} .label=${words.linkQr}></sotto-qr>
      <div>
        <label class="caption" for="link">${words.linkLabel}</label>
        <input
          id="link"
          class="field link"
          readonly
          .value=${link}
          @focus=${(event: FocusEvent) => {
            if (event.target instanceof HTMLInputElement) event.target.select();
          }}
        />
      </div>
      <button class="button primary copy" @click=${() => void this.#copy(link)}>
        ${this.copied ? icons.tick() : icons.copy()}
        <span aria-live="polite">${this.copied ? t().invite.copied : t().invite.copy}</span>
      </button>
      ${this.online ? nothing : html`<p class="quiet-text">${t().invite.inactive}</p>`}
    </div>`;
  }

  async #copy(link: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(link);
      this.copied = true;
    } catch {
      // No permission or no secure context: the selected field can be copied by hand.
      this.renderRoot.querySelector<HTMLInputElement>("#link")?.select();
    }
  }

  #join(): TemplateResult {
    const words = t().devices;
    if (this.joined) return html`<p role="status">${words.joined}</p>`;
    const { joinFailure } = this;
    return html`<form @submit=${this.#onSubmit}>
      <p>${words.joinText}</p>
      <div>
        <label class="caption" for="join">${words.joinLabel}</label>
        <input
          id="join"
          class="field link"
          autocomplete="off"
          autocapitalize="off"
          spellcheck="false"
          .value=${this.joinText}
        />
      </div>
      ${
        joinFailure === undefined
          ? nothing
          : html`<p class="problem" role="alert">${words.refused[joinFailure.reason]}</p>`
      }
      <button class="button primary" ?disabled=${this.busy === "join"}>
        ${this.busy === "join" ? words.joining : words.join}
      </button>
    </form>`;
  }

  readonly #onSubmit = (event: Event): void => {
    event.preventDefault();
    const text = this.renderRoot.querySelector<HTMLInputElement>("#join")?.value.trim() ?? "";
    if (text !== "") this.dispatchEvent(new SottoEvent("sotto-device-join", { text }));
  };
}

/** Easier to compare with what the other device shows. */
const spaced = (id: string): string => id.match(/.{1,4}/g)?.join(" ") ?? id;

customElements.define("sotto-devices-panel", SottoDevicesPanel);
