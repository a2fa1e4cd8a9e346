import type { ConversationView } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import "../avatar/avatar.ts";
import { shortWhen } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";
import { nameOf } from "../shared/names.ts";

/** Rows stay where they are this long while someone is about to hit one. */
const HOLD_MS = 400;

/**
 * All conversations, newest first. A row never moves away under the pointer or the focus at once.
 * Properties: `conversations`, `selected` (id), `hrefOf` (address of one, so that a middle click works),
 * `draftOf` (unsent text of one, shown before its last line).
 * Events: `sotto-select` with the id.
 */
export class SottoConversationList extends LitElement {
  static override readonly properties = {
    conversations: { attribute: false },
    selected: {},
    hrefOf: { attribute: false },
    draftOf: { attribute: false },
  };
  declare conversations: readonly ConversationView[];
  declare selected: string | undefined;
  declare hrefOf: (id: string) => string;
  declare draftOf: (id: string) => string;
  /** Ids in the order on screen. */
  #order: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: var(--s-space-2);
        display: grid;
        gap: 2px;
      }
      a {
        --avatar-ring: var(--s-surface);
        display: grid;
        grid-template-columns: auto minmax(0, 1fr) auto;
        column-gap: var(--s-space-3);
        align-items: center;
        padding: var(--s-space-2) var(--s-space-3);
        border-radius: var(--s-radius-m);
        color: inherit;
        text-decoration: none;
        transition: background var(--s-motion-fast);
      }
      a:hover {
        background: var(--s-surface-hover);
      }
      a[aria-current="page"] {
        --avatar-ring: var(--s-surface-selected);
        background: var(--s-surface-selected);
      }
      sotto-avatar {
        grid-row: span 2;
      }
      .name {
        display: flex;
        align-items: center;
        gap: var(--s-space-1);
        min-inline-size: 0;
        font-weight: 600;
      }
      .name bdi,
      .last {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .name svg.icon {
        inline-size: 15px;
        block-size: 15px;
        color: var(--s-ok);
      }
      .when {
        font-size: var(--s-size-xs);
        color: var(--s-text-quiet);
      }
      .last {
        font-size: var(--s-size-s);
        color: var(--s-text-quiet);
      }
      .draft {
        color: var(--s-accent);
        font-weight: 500;
      }
      .unread .when {
        color: var(--s-accent);
        font-weight: 600;
      }
      .unread .last {
        color: var(--s-text);
      }
      .count {
        justify-self: end;
        min-inline-size: 20px;
        padding-inline: 6px;
        border-radius: 10px;
        background: var(--s-accent);
        color: var(--s-on-accent);
        font-size: var(--s-size-xs);
        font-weight: 600;
        line-height: 20px;
        text-align: center;
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.conversations = [];
    this.selected = undefined;
    this.hrefOf = () => "/";
    this.draftOf = () => "";
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("conversations") || this.#timer !== undefined) return;
    const next = this.conversations.map((one) => one.id);
    if (!isMove(this.#order, next) || !this.matches(":hover, :focus-within")) {
      this.#order = next;
      return;
    }
    this.#timer = setTimeout(() => this.#release(), HOLD_MS);
  }

  #release(): void {
    this.#timer = undefined;
    this.#order = this.conversations.map((one) => one.id);
    this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What there is now, in the order on screen; what is not on screen yet comes first. */
  #inOrder(): readonly ConversationView[] {
    const places = new Map(this.#order.map((id, place) => [id, place]));
    return this.conversations.toSorted(
      (a, b) => (places.get(a.id) ?? -1) - (places.get(b.id) ?? -1),
    );
  }

  override render(): TemplateResult {
    const now = Date.now();
    return html`<ul role="list" aria-label=${t().list.label}>
      ${repeat(
        this.#inOrder(),
        (one) => one.id,
        (one) => this.#row(one, now),
      )}
    </ul>`;
  }

  #row(one: ConversationView, now: number): TemplateResult {
    const words = t().list;
    const name = nameOf(one);
    return html`<li>
      <a
        class=${one.unread > 0 ? "unread" : ""}
        href=${this.hrefOf(one.id)}
        aria-current=${one.id === this.selected ? "page" : nothing}
        data-id=${one.id}
        data-kind=${one.kind}
        @click=${(event: MouseEvent) => this.#select(event, one.id)}
      >
        <sotto-avatar
          .name=${one.name}
          .seed=${one.id}
          .kind=${avatarKind(one)}
          ?online=${one.link.state === "direct" || one.link.state === "relayed"}
        ></sotto-avatar>
        <span class="name">
          <bdi>${name}</bdi>
          ${
            one.verified
              ? html`${icons.verified()}<span class="hidden">${words.verified}</span>`
              : nothing
          }
        </span>
        <span class="when">${one.lastText === undefined ? "" : shortWhen(one.lastAt, now)}</span>
        ${this.#last(one)}
        ${
          one.unread > 0
            ? html`<span class="count"
                ><span aria-hidden="true">${one.unread > 99 ? "99+" : one.unread}</span
                ><span class="hidden">${words.unread(one.unread)}</span></span
              >`
            : html`<span></span>`
        }
      </a>
    </li>`;
  }

  /** Moves the focus to a conversation's row, or to the first one. */
  focusRow(id: string | undefined): void {
    void this.updateComplete.then(() => {
      const rows = [...this.renderRoot.querySelectorAll("a")];
      (rows.find((row) => row.dataset["id"] === id) ?? rows[0])?.focus();
    });
  }

  #last(one: ConversationView): TemplateResult {
    // What is being written right now is seen in the composer.
    const draft = one.id === this.selected ? "" : this.draftOf(one.id).trim();
    return draft === ""
      ? html`<span class="last"><bdi>${lastLine(one)}</bdi></span>`
      : html`<span class="last"
          ><span class="draft">${t().list.draft}</span> <bdi>${draft}</bdi></span
        >`;
  }

  #select(event: MouseEvent, id: string): void {
    // Another button or a modifier means "in another tab": the link itself does that.
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.dispatchEvent(new SottoEvent("sotto-select", { id }));
  }
}

/** Rows that were there change places; new rows at the top push all others down just the same. */
const isMove = (before: readonly string[], after: readonly string[]): boolean =>
  before.some((id, place) => after[place] !== id);

const avatarKind = (one: ConversationView): "contact" | "notes" | "invited" =>
  one.kind === "notes" || one.kind === "invited" ? one.kind : "contact";

function lastLine(one: ConversationView): string {
  const words = t().list;
  if (one.lastText !== undefined) {
    return one.lastOwn && one.kind !== "notes" ? words.own(one.lastText) : one.lastText;
  }
  switch (one.kind) {
    case "notes":
      return words.notesHint(one.devices.others + 1);
    case "invited":
      return words.invitedHint;
    case "refused":
      return words.refusedHint;
    case "expired":
      return words.expiredHint;
    case "contact":
      return words.newHint;
  }
}

customElements.define("sotto-conversation-list", SottoConversationList);
