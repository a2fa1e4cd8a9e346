import type { ConversationView, FoundMessage } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { fullTime, shortWhen } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { type SearchFor, SottoEvent } from "../shared/events.ts";
import { nameOf } from "../shared/names.ts";

/** Of a long message: so much before the first hit, and so much in all. UTF-16 units. */
const BEFORE_HIT = 40;
const EXCERPT_MAX = 240;
const DAY_MS = 24 * 3_600_000;

/**
 * Search over the messages of this device: words, filters, hits. Arrow keys choose a hit, Enter goes there.
 * Properties: `conversations`, `wanted` (what is searched for), `found` (undefined before the first answer), `busy` (it is
 * not the answer to what is `wanted` yet), `hasMore`, `failed`.
 * Events: `sotto-search`, `sotto-search-more`, `sotto-found`.
 */
export class SottoSearchPanel extends LitElement {
  static override readonly properties = {
    conversations: { attribute: false },
    wanted: { attribute: false },
    found: { attribute: false },
    busy: { type: Boolean },
    hasMore: { type: Boolean },
    failed: { type: Boolean },
    active: { state: true },
  };
  declare conversations: readonly ConversationView[];
  declare wanted: SearchFor;
  declare found: readonly FoundMessage[] | undefined;
  declare busy: boolean;
  declare hasMore: boolean;
  declare failed: boolean;
  /** Place of the chosen hit. */
  declare active: number;
  /** Once they were looked at they stay. */
  #hasFilters = false;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: flex;
        flex-direction: column;
        gap: var(--s-space-3);
        block-size: min(68dvh, 600px);
        /* Room for the focus ring under the head of the sheet. */
        padding-block-start: var(--s-space-1);
      }
      .filters {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: var(--s-space-2);
      }
      .filters .field {
        font-size: var(--s-size-s);
      }
      summary,
      .said {
        font-size: var(--s-size-s);
        color: var(--s-text-quiet);
      }
      summary {
        min-block-size: 32px;
        cursor: pointer;
      }
      .said {
        margin: 0;
      }
      [role="listbox"] {
        flex: 1;
        min-block-size: 0;
        margin-inline: calc(-1 * var(--s-space-3));
        overflow-y: auto;
        overscroll-behavior: contain;
      }
      [role="option"] {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        column-gap: var(--s-space-3);
        padding: var(--s-space-2) var(--s-space-3);
        border-radius: var(--s-radius-m);
        cursor: pointer;
      }
      [role="option"]:hover {
        background: var(--s-surface-hover);
      }
      [aria-selected="true"] {
        background: var(--s-surface-selected);
        outline: 2px solid var(--s-accent);
        outline-offset: -2px;
      }
      .name {
        overflow: hidden;
        font-weight: 600;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      time {
        font-size: var(--s-size-xs);
        color: var(--s-text-quiet);
      }
      .text {
        grid-column: span 2;
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 3;
        overflow: hidden;
        overflow-wrap: anywhere;
        font-size: var(--s-size-s);
      }
      mark {
        border-radius: 3px;
        background: var(--s-accent);
        color: var(--s-on-accent);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.conversations = [];
    this.wanted = { query: "" };
    this.found = undefined;
    this.busy = false;
    this.hasMore = false;
    this.failed = false;
    this.active = 0;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    this.#hasFilters ||= this.wanted.conversation !== undefined;
    // A new answer, not more of the one before: the first hit is meant.
    const before = changed.get("found");
    if (changed.has("found") && this.found?.[0] !== before?.[0]) this.active = 0;
  }

  override firstUpdated(): void {
    // The sheet around it gives the focus to its own first button.
    requestAnimationFrame(() => {
      this.#field()?.focus();
      this.#field()?.select();
    });
  }

  override updated(changed: PropertyValues<this>): void {
    if (!changed.has("active")) return;
    this.renderRoot.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  override render(): TemplateResult {
    const words = t().search;
    const hits = this.found ?? [];
    return html`
      <input
        class="field"
        role="combobox"
        inputmode="search"
        enterkeyhint="go"
        autocomplete="off"
        spellcheck="false"
        maxlength="256"
        dir="auto"
        aria-label=${words.label}
        aria-controls="hits"
        aria-expanded=${hits.length > 0}
        aria-activedescendant=${hits.length > 0 ? `hit${this.active}` : nothing}
        placeholder=${words.label}
        .value=${this.wanted.query}
        @input=${this.#onInput}
        @compositionend=${this.#onInput}
        @keydown=${this.#onKeyDown}
      />
      ${this.#filters()}
      <p class="said" role="status">${this.#said()}</p>
      <div id="hits" role="listbox" aria-label=${words.hits}>
        ${hits.map((hit, at) => this.#hit(hit, at))}
      </div>
      ${
        this.hasMore
          ? html`<button
              class="button"
              ?disabled=${this.busy}
              @click=${() => this.dispatchEvent(new SottoEvent("sotto-search-more", undefined))}
            >
              ${words.more}
            </button>`
          : nothing
      }
    `;
  }

  #filters(): TemplateResult {
    const words = t().search;
    const { conversation, own } = this.wanted;
    return html`<details ?open=${this.#hasFilters}>
      <summary>${words.filters}</summary>
      <div class="filters">
        <select id="conversation" class="field" aria-label=${words.where} @change=${this.#ask}>
          <option value="">${words.everywhere}</option>
          ${this.conversations.map(
            (one) =>
              html`<option value=${one.id} ?selected=${one.id === conversation}>
                ${nameOf(one)}
              </option>`,
          )}
        </select>
        <select id="who" class="field" aria-label=${words.who} @change=${this.#ask}>
          <option value="">${words.anyone}</option>
          <option value="own" ?selected=${own === true}>${words.own}</option>
          <option value="others" ?selected=${own === false}>${words.others}</option>
        </select>
        <label
          ><span class="caption">${words.from}</span
          ><input id="after" type="date" class="field" @change=${this.#ask}
        /></label>
        <label
          ><span class="caption">${words.until}</span
          ><input id="before" type="date" class="field" @change=${this.#ask}
        /></label>
      </div>
    </details>`;
  }

  #said(): string {
    const words = t().search;
    if (this.failed) return words.failed;
    if (this.wanted.query.trim() === "") return words.hint;
    if (this.busy) return words.searching;
    const count = this.found?.length ?? 0;
    return count === 0 ? words.none : words.count(count, this.hasMore);
  }

  #hit(hit: FoundMessage, at: number): TemplateResult {
    const { conversation, message } = hit;
    const view = this.conversations.find(({ id }) => id === conversation);
    const name = view === undefined ? "" : nameOf(view);
    return html`<div
      id=${`hit${at}`}
      role="option"
      aria-selected=${at === this.active}
      @click=${() => this.#choose(hit)}
    >
      <span class="name"
        ><bdi>${name}</bdi
        >${message.own && view?.kind !== "notes" ? ` · ${t().conversation.you}` : nothing}</span
      ><time datetime=${new Date(message.sentAt).toISOString()} title=${fullTime(message.sentAt)}
        >${shortWhen(message.sentAt, Date.now())}</time
      ><span class="text" dir="auto">${excerpt(hit)}</span>
    </div>`;
  }

  #field(): HTMLInputElement | undefined {
    return this.renderRoot.querySelector<HTMLInputElement>("[role=combobox]") ?? undefined;
  }

  #choose({ conversation, message, place }: FoundMessage): void {
    this.dispatchEvent(new SottoEvent("sotto-found", { conversation, message, place }));
  }

  /** What is still being put together from letters is not looked for. */
  readonly #onInput = (event: Event): void => {
    if (!(event instanceof InputEvent && event.isComposing)) this.#ask();
  };

  readonly #ask = (): void => {
    const valueOf = (id: string): string =>
      this.renderRoot.querySelector<HTMLInputElement | HTMLSelectElement>(`#${id}`)?.value ?? "";
    const [who, from, until] = [valueOf("who"), dayIn(valueOf("after")), dayIn(valueOf("before"))];
    const conversation = valueOf("conversation");
    this.dispatchEvent(
      new SottoEvent("sotto-search", {
        query: this.#field()?.value ?? "",
        conversation: conversation === "" ? undefined : conversation,
        own: who === "" ? undefined : who === "own",
        after: from,
        // The day itself is meant as well; some have 25 hours.
        before:
          until === undefined ? undefined : new Date(until + 1.5 * DAY_MS).setHours(0, 0, 0, 0),
      }),
    );
  };

  readonly #onKeyDown = (event: KeyboardEvent): void => {
    // Enter and arrows belong to an input method while it is at work.
    if (event.isComposing || event.keyCode === 229) return;
    const count = this.found?.length ?? 0;
    const hit = this.found?.[this.active];
    if (event.key === "Enter" && hit !== undefined && !this.busy) this.#choose(hit);
    else if (event.key === "ArrowDown") this.active = Math.min(this.active + 1, count - 1);
    else if (event.key === "ArrowUp") this.active = Math.max(this.active - 1, 0);
    else return;
    event.preventDefault();
  };
}

/** Midnight of a day as a date field gives it, here; ms since 1970. */
function dayIn(value: string): number | undefined {
  const at = new Date(`${value}T00:00`).getTime();
  return Number.isNaN(at) ? undefined : at;
}

/** The text around its first hit, as text: nothing of it is markup. */
function excerpt({ message: { text }, ranges }: FoundMessage): readonly unknown[] {
  const first = ranges[0]?.[0] ?? 0;
  const start = first > 2 * BEFORE_HIT ? wholeAt(text, first - BEFORE_HIT) : 0;
  const end = wholeAt(text, start + EXCERPT_MAX);
  const parts: unknown[] = start > 0 ? ["…"] : [];
  let at = start;
  for (const [from, to] of ranges) {
    if (from >= end) break;
    parts.push(text.slice(at, from), html`<mark>${text.slice(from, to)}</mark>`);
    at = to;
  }
  parts.push(text.slice(at, Math.max(at, end)), end < text.length ? "…" : "");
  return parts;
}

/** Not within a character of two units. */
const wholeAt = (text: string, at: number): number =>
  (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : Math.min(at, text.length);

customElements.define("sotto-search-panel", SottoSearchPanel);

declare global {
  interface HTMLElementTagNameMap {
    "sotto-search-panel": SottoSearchPanel;
  }
}
