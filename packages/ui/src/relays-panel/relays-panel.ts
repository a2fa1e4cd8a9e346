import type { RelayState } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";

/** As many as the messenger takes. */
const RELAYS_MAX = 3;
const SCHEME = "https://";

/**
 * The relays that keep this device's mailboxes: how each is doing, taking one away, adding one.
 * Properties: `relays`; `offered` (origins that this relay's operator names); `blocked` (origins that the page's policy
 * keeps it from); `isRelayUrl` (wire's: given, as a file loaded late would take its module out of the first one). Events: `sotto-relay-add`, `sotto-relay-remove`.
 */
export class SottoRelaysPanel extends LitElement {
  static override readonly properties = {
    relays: { attribute: false },
    offered: { attribute: false },
    blocked: { attribute: false },
    isRelayUrl: { attribute: false },
    bad: { state: true },
  };
  declare relays: readonly RelayState[];
  declare offered: readonly string[];
  declare blocked: ReadonlySet<string>;
  declare isRelayUrl: (url: string) => boolean;
  declare bad: boolean;

  static override readonly styles = [
    base,
    controls,
    css`
      :host,
      section {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
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
        overflow-wrap: anywhere;
      }
      form {
        display: flex;
        gap: var(--s-space-2);
      }
      form .field {
        flex: 1;
        min-inline-size: 0;
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
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.relays = [];
    this.offered = [];
    this.blocked = new Set();
    this.isRelayUrl = () => true;
    this.bad = false;
  }

  override render(): TemplateResult {
    const words = t().relays;
    const { relays } = this;
    const offered = this.offered.filter((origin) => relays.every(({ url }) => url !== origin));
    return html`<section>
      <h3>${words.title}</h3>
      <p class="quiet-text">${words.text}</p>
      <ul>
        ${relays.map((relay, at) => this.#row(relay, at === 0))}
        ${relays.length < RELAYS_MAX ? offered.map((origin) => this.#offer(origin)) : nothing}
      </ul>
      ${
        relays.length < RELAYS_MAX
          ? html`<details>
              <summary>${words.another}</summary>
              <form @submit=${this.#add} novalidate>
                <input
                  class="field"
                  type="url"
                  dir="ltr"
                  aria-label=${words.label}
                  aria-invalid=${this.bad ? "true" : nothing}
                  aria-describedby=${this.bad ? "error" : nothing}
                  placeholder=${SCHEME}
                  autocomplete="off"
                  autocapitalize="none"
                  spellcheck="false"
                />
                <button class="button">${words.add}</button>
              </form>
              ${
                this.bad ? html`<p class="error" id="error" role="alert">${words.bad}</p>` : nothing
              }
            </details>`
          : html`<p class="quiet-text">${words.full}</p>`
      }
    </section>`;
  }

  #row({ url, state, roundTripMs }: RelayState, isHome: boolean): TemplateResult {
    const words = t().relays;
    const isBlocked = state !== "online" && this.blocked.has(url);
    const ping = roundTripMs === undefined ? "" : ` · ${words.roundTrip(Math.round(roundTripMs))}`;
    return html`<li>
      <div>
        <p dir="ltr">${hostOf(url)}</p>
        <p class="quiet-text">
          ${isBlocked ? words.blocked : `${t().hub[state]}${ping}`}${isHome ? ` · ${words.home}` : ""}
        </p>
      </div>
      ${
        this.relays.length > 1
          ? html`<button
              class="button"
              aria-label=${words.removeLabel(hostOf(url))}
              @click=${() => this.dispatchEvent(new SottoEvent("sotto-relay-remove", { url }))}
            >
              ${words.remove}
            </button>`
          : nothing
      }
    </li>`;
  }

  #offer(url: string): TemplateResult {
    const words = t().relays;
    return html`<li>
      <div>
        <p dir="ltr">${hostOf(url)}</p>
        <p class="quiet-text">${words.offered}</p>
      </div>
      <button
        class="button"
        aria-label=${words.addLabel(hostOf(url))}
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-relay-add", { url }))}
      >
        ${words.add}
      </button>
    </li>`;
  }

  readonly #add = (event: Event): void => {
    event.preventDefault();
    const field = this.renderRoot.querySelector("input");
    const url = originOf(field?.value ?? "");
    this.bad = url === undefined || !this.isRelayUrl(url);
    if (url === undefined || field === null || this.bad) return;
    field.value = "";
    this.dispatchEvent(new SottoEvent("sotto-relay-add", { url }));
  };
}

/** Of any that `isRelayUrl` takes: with a port that there is none of, the platform does not. */
const hostOf = (url: string): string => url.replace(/^.*\/\//, "");

/** What people type or paste: with or without the scheme, with a path or without. */
function originOf(typed: string): string | undefined {
  const text = typed.trim();
  const full = /^\w+:\/\//.test(text) ? text : SCHEME + text;
  return URL.canParse(full) ? new URL(full).origin : undefined;
}

customElements.define("sotto-relays-panel", SottoRelaysPanel);
