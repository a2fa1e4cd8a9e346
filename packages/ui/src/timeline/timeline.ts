import type { ConversationView, MessageView, Timeline } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import "../avatar/avatar.ts";
import { dayKey, dayName, fullTime, timeOfDay } from "../i18n/dates.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";
import { nameOf } from "../shared/names.ts";
import { linkText } from "./link-text.ts";

/** Messages of one author closer together than this stand as one group. */
const GROUP_MS = 5 * 60_000;
/** Within this many pixels of the end, new messages keep the end in view. */
const AT_END_PX = 80;
/** Further messages are asked for this close to the first or the last one loaded. */
const NEAR_EDGE_PX = 400;
/** Room above the unread line when a conversation opens at it. */
const ABOVE_LINE_PX = 72;
/** A message of the last seconds came while looking on: only that one moves. */
const ARRIVED_MS = 2_000;
/** How long the message that somebody was led to is marked. */
const MARKED_MS = 3_000;
/** Up to three emoji and nothing else stand large. */
const EMOJI_ONLY = /^\p{RGI_Emoji}{1,3}$/v;

/** A message and where it stood, in pixels below the top edge of the view. */
interface Anchor {
  readonly id: string;
  readonly topPx: number;
}

/**
 * The history of one conversation. Keeps the reader's place: at the end it follows, elsewhere nothing moves.
 * Properties: `timeline`, `view`, `target` (a message to be led to once it is loaded; another object leads there again).
 * Events: `sotto-load-older`, `sotto-load-newer`, `sotto-load-newest`.
 */
export class SottoTimeline extends LitElement {
  static override readonly properties = {
    timeline: { attribute: false },
    view: { attribute: false },
    target: { attribute: false },
    away: { state: true },
    newCount: { state: true },
  };
  declare timeline: Timeline | undefined;
  declare view: ConversationView | undefined;
  declare target: { readonly conversation: string; readonly id: string } | undefined;
  /** Scrolled away from the end. */
  declare away: boolean;
  /** Arrived below while away. */
  declare newCount: number;

  /** What is read right now; undefined at the end. */
  #anchor: Anchor | undefined;
  /** Places of other conversations while they are not on screen. */
  readonly #places = new Map<string, Anchor>();
  #lastId: string | undefined;
  #reached: SottoTimeline["target"];
  /** Set when a conversation comes on screen, until its first messages are drawn. */
  /** The newest messages were asked for and have not come. */
  #isLeadingToEnd = false;
  #isOpening = true;
  /** How many were unread then: the line stays where it was drawn. */
  #unreadAtOpen = 0;
  #unreadFrom: string | undefined;
  /** Sizes of view and content when the place was last kept. */
  #measured = "";
  readonly #sizes = new ResizeObserver(() => this.#keepPlace());

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        position: relative;
        display: block;
        min-block-size: 0;
        background: var(--s-bg);
      }
      .coming {
        padding: 12px 16px;
        margin: 0;
        color: var(--s-text-quiet);
        font-size: var(--s-size-xs);
        text-align: center;
      }
      .scroller {
        block-size: 100%;
        overflow-y: auto;
        overflow-anchor: none;
        overscroll-behavior: contain;
        scrollbar-width: thin;
        scrollbar-color: var(--s-edge) transparent;
        scrollbar-gutter: stable both-edges;
        display: flex;
        flex-direction: column;
      }
      ul {
        list-style: none;
        inline-size: 100%;
        max-inline-size: 820px;
        margin: auto auto 0;
        padding: var(--s-space-4);
        display: flex;
        flex-direction: column;
      }
      li {
        display: flex;
        flex-direction: column;
        align-items: flex-start;
        margin-block-start: 2px;
      }
      li.first {
        margin-block-start: var(--s-space-3);
      }
      li.own {
        align-items: flex-end;
      }
      .day {
        position: sticky;
        inset-block-start: var(--s-space-2);
        z-index: 1;
        align-items: center;
        margin-block: var(--s-space-4) var(--s-space-1);
        pointer-events: none;
      }
      .day span {
        padding: 2px var(--s-space-3);
        border-radius: var(--s-radius-l);
        border: 1px solid var(--s-line);
        background: var(--s-bg);
        font-size: var(--s-size-xs);
        font-weight: 500;
        color: var(--s-text-quiet);
      }
      li.unread {
        flex-direction: row;
        align-items: center;
        gap: var(--s-space-3);
        margin-block: var(--s-space-4) var(--s-space-2);
        font-size: var(--s-size-xs);
        font-weight: 600;
        color: var(--s-accent);
      }
      li.unread::before,
      li.unread::after {
        content: "";
        flex: 1;
        block-size: 1px;
        background: var(--s-accent);
        opacity: 0.4;
      }
      .bubble {
        max-inline-size: min(560px, 84%);
        padding: 7px 13px;
        border-radius: var(--s-radius-l);
        background: var(--s-bubble-remote);
        overflow-wrap: anywhere;
      }
      .own .bubble {
        background: var(--s-bubble-own);
      }
      li.own:not(.last) .bubble {
        border-end-end-radius: var(--s-radius-s);
      }
      li.own:not(.first) .bubble {
        border-start-end-radius: var(--s-radius-s);
      }
      li:not(.own):not(.last) .bubble {
        border-end-start-radius: var(--s-radius-s);
      }
      li:not(.own):not(.first) .bubble {
        border-start-start-radius: var(--s-radius-s);
      }
      .text {
        white-space: pre-wrap;
      }
      .text a {
        color: var(--s-accent);
        unicode-bidi: isolate;
        text-underline-offset: 2px;
      }
      .bubble.large {
        display: flex;
        align-items: flex-end;
        padding: 0;
        background: none;
      }
      .large .text {
        font-size: 40px;
        line-height: 1.2;
      }
      @media (forced-colors: active) {
        .bubble {
          border: 1px solid;
        }
      }
      .reason {
        margin: var(--s-space-1) 0 0;
        font-size: var(--s-size-xs);
        color: var(--s-danger);
      }
      .meta {
        float: inline-end;
        display: inline-flex;
        align-items: center;
        gap: 3px;
        margin-inline-start: var(--s-space-3);
        margin-block-start: 5px;
        font-size: var(--s-size-xs);
        line-height: 1.4;
        color: var(--s-text-quiet);
        user-select: none;
      }
      .meta svg.icon {
        inline-size: 15px;
        block-size: 15px;
        stroke-width: 2.2;
      }
      .delivered {
        color: var(--s-accent);
      }
      .failed {
        color: var(--s-danger);
      }
      .bubble.arrived {
        animation: arrive var(--s-motion) ease-out;
      }
      @keyframes arrive {
        from {
          opacity: 0;
          transform: translateY(6px);
        }
      }
      @media (prefers-reduced-motion: reduce) {
        .bubble.arrived {
          animation: none;
        }
      }
      .empty {
        --avatar-size: 72px;
        margin: auto;
        max-inline-size: 320px;
        padding: var(--s-space-6);
        display: grid;
        justify-items: center;
        gap: var(--s-space-4);
        text-align: center;
        text-wrap: balance;
        color: var(--s-text-quiet);
      }
      .empty p {
        margin: 0;
      }
      .newest {
        position: absolute;
        inset-block-end: var(--s-space-2);
        inset-inline-end: var(--s-space-4);
        display: inline-flex;
        align-items: center;
        justify-content: center;
        gap: var(--s-space-1);
        min-inline-size: 44px;
        min-block-size: 44px;
        padding-inline: var(--s-space-3);
        border-radius: 22px;
        border: 1px solid var(--s-line);
        background: var(--s-bg);
        color: var(--s-text-quiet);
        box-shadow: var(--s-shadow-small);
        font-weight: 600;
      }
      .newest:hover {
        background: var(--s-surface-hover);
      }
      .newest.news {
        border-color: transparent;
        background: var(--s-accent);
        color: var(--s-on-accent);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.timeline = undefined;
    this.view = undefined;
    this.target = undefined;
    this.away = false;
    this.newCount = 0;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sizes.disconnect();
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("view") && changed.get("view")?.id !== this.view?.id) {
      this.#open(changed.get("view")?.id);
    }
    if (!changed.has("timeline")) return;
    const messages = this.timeline?.messages ?? [];
    if (this.#isOpening) this.#unreadFrom = firstUnread(messages, this.#unreadAtOpen);
    // What is loaded below an old message did not come just now.
    else if (changed.get("timeline")?.hasNewer !== true) this.#countNew(messages);
    else if (
      this.timeline?.hasNewer === false &&
      (this.#isLeadingToEnd || !messages.some(({ id }) => id === this.#lastId))
    ) {
      this.#stayAtEnd();
    }
    if (this.timeline?.hasNewer !== true) this.#isLeadingToEnd = false;
    this.#lastId = messages.at(-1)?.id;
  }

  #open(left: string | undefined): void {
    if (left !== undefined) {
      if (this.#anchor === undefined) this.#places.delete(left);
      else this.#places.set(left, this.#anchor);
    }
    this.#anchor = this.view === undefined ? undefined : this.#places.get(this.view.id);
    this.away = this.#anchor !== undefined;
    this.newCount = 0;
    this.#isOpening = true;
    this.#unreadAtOpen = this.view?.unread ?? 0;
    this.#unreadFrom = undefined;
  }

  /** Own messages bring the end into view; others only count when it is not. */
  #countNew(messages: readonly MessageView[]): void {
    const from = messages.findIndex((message) => message.id === this.#lastId) + 1;
    const added = from === 0 ? [] : messages.slice(from);
    if (added.some((message) => message.own)) this.#stayAtEnd();
    else if (this.away) this.newCount += added.length;
  }

  #stayAtEnd(): void {
    this.#anchor = undefined;
    this.away = false;
    this.newCount = 0;
  }

  override updated(changed: PropertyValues<this>): void {
    const scroller = this.#scroller();
    if (scroller === undefined) return;
    this.#sizes.observe(scroller);
    const list = scroller.querySelector("ul");
    if (list !== null) this.#sizes.observe(list);
    if (this.#isOpening && list !== null) {
      this.#isOpening = false;
      this.#toStart(scroller);
    } else this.#keepPlace();
    this.#toTarget(scroller);
    if (changed.has("timeline")) this.#askForMore(scroller);
  }

  /** Where a conversation opens: where it was left, else at the first unread message, else at the end. */
  #toStart(scroller: HTMLElement): void {
    const isLeft = this.#anchor !== undefined;
    this.#keepPlace();
    if (isLeft) return;
    const line = scroller.querySelector<HTMLElement>(".unread");
    if (line === null) return;
    const above = line.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
    if (above < ABOVE_LINE_PX) scroller.scrollTop -= ABOVE_LINE_PX - above;
    this.#see(scroller);
  }

  #toTarget(scroller: HTMLElement): void {
    const { target } = this;
    if (target === undefined || target === this.#reached || target.conversation !== this.view?.id) {
      return;
    }
    const row = scroller.querySelector(`[data-id="${CSS.escape(target.id)}"]`);
    if (row === null) return;
    this.#reached = target;
    const room = scroller.clientHeight - row.clientHeight;
    this.#anchor = { id: target.id, topPx: Math.max(ABOVE_LINE_PX, room / 2) };
    this.#keepPlace();
    this.#see(scroller);
    // A sheet that was open until now gives the focus back to what opened it.
    requestAnimationFrame(() => scroller.focus({ preventScroll: true }));
    row.querySelector(".bubble")?.animate(
      {
        outline: [
          "3px solid var(--s-accent)",
          "3px solid var(--s-accent)",
          "3px solid transparent",
        ],
      },
      MARKED_MS,
    );
  }

  #keepPlace(): void {
    const scroller = this.#scroller();
    if (scroller === undefined) return;
    this.#measured = measure(scroller);
    const anchor = this.#anchor;
    if (anchor === undefined) {
      scroller.scrollTop = scroller.scrollHeight;
      return;
    }
    const row = scroller.querySelector(`[data-id="${CSS.escape(anchor.id)}"]`);
    if (row !== null) scroller.scrollTop += topOf(row, scroller) - anchor.topPx;
  }

  #scroller(): HTMLElement | undefined {
    return this.renderRoot.querySelector<HTMLElement>(".scroller") ?? undefined;
  }

  override render(): TemplateResult {
    const { timeline, view } = this;
    if (timeline === undefined || view === undefined) return html``;
    const words = t().conversation;
    const { messages } = timeline;
    return html`
      <div
        class="scroller"
        role="group"
        tabindex="0"
        aria-label=${words.label(nameOf(view))}
        @scroll=${this.#onScroll}
      >
        ${view.catchingUp ? html`<p class="coming" role="status">${words.catchingUp}</p>` : nothing}
        ${
          messages.length === 0 && !timeline.hasOlder
            ? emptyState(view)
            : html`<ul role="list">
                ${repeat(
                  messages,
                  (message) => message.id,
                  (message, index) => this.#row(message, index),
                )}
              </ul>`
        }
      </div>
      ${this.away ? this.#newest() : nothing}
    `;
  }

  /** From here the arrow keys scroll. */
  focusMessages(): void {
    this.#scroller()?.focus();
  }

  #newest(): TemplateResult {
    const words = t().conversation;
    const count = this.newCount;
    return html`<button
      class="newest ${count > 0 ? "news" : ""}"
      aria-label=${count > 0 ? words.newMessages(count) : words.newest}
      @click=${this.#toEnd}
    >
      ${icons.down()}${count > 0 ? html`<span aria-hidden="true">${count}</span>` : nothing}
    </button>`;
  }

  #row(message: MessageView, index: number): TemplateResult {
    const messages = this.timeline?.messages ?? [];
    const before = messages[index - 1];
    const after = messages[index + 1];
    const isNewDay = before === undefined || dayKey(before.sentAt) !== dayKey(message.sentAt);
    const isUnreadFrom = message.id === this.#unreadFrom;
    const isFirst = isNewDay || isUnreadFrom || !sameGroup(before, message);
    const isLast = after === undefined || !sameGroup(message, after);
    const classes = [message.own ? "own" : "", isFirst ? "first" : "", isLast ? "last" : ""];
    const day = dayName(message.sentAt, Date.now());
    return html`${isNewDay ? html`<li class="day" aria-hidden="true"><span>${day}</span></li>` : nothing}
      ${
        isUnreadFrom
          ? html`<li class="unread" aria-hidden="true">
              <span>${t().conversation.unreadFrom}</span>
            </li>`
          : nothing
      }
      <li
        class=${classes.join(" ")}
        data-id=${message.id}
        data-status=${message.status}
        aria-posinset=${index + 1}
        aria-setsize=${this.timeline?.hasOlder === true || this.timeline?.hasNewer === true ? -1 : messages.length}
      >
        ${isNewDay ? html`<span class="hidden">${day}. </span>` : nothing}${
          isUnreadFrom
            ? html`<span class="hidden">${t().conversation.unreadFrom}. </span>`
            : nothing
        }${this.#bubble(message)}${
          message.status === "failed"
            ? html`<p class="reason" aria-hidden="true">${t().status.failed}</p>`
            : nothing
        }
      </li>`;
  }

  #bubble(message: MessageView): TemplateResult {
    const arrived = Date.now() - message.sentAt < ARRIVED_MS ? "arrived" : "";
    const large = EMOJI_ONLY.test(message.text) ? "large" : "";
    return html`<div class="bubble ${arrived} ${large}">
      <span class="hidden">${message.own ? t().conversation.you : (this.view?.name ?? "")}: </span
      ><span class="text" dir="auto">${linkText(message.text)}</span
      ><span class="meta"
        ><time datetime=${new Date(message.sentAt).toISOString()} title=${fullTime(message.sentAt)}
          >${timeOfDay(message.sentAt)}</time
        >${this.#sign(message)}</span
      >
    </div>`;
  }

  #sign(message: MessageView): TemplateResult | typeof nothing {
    if (!message.own || this.view?.kind === "notes") return nothing;
    const words = statusWords(message);
    const icon = {
      queued: icons.clock,
      relayed: icons.tick,
      delivered: icons.ticks,
      failed: icons.warning,
      received: icons.tick,
    }[message.status];
    return html`<span class=${message.status} title=${words}
      >${icon()}<span class="hidden">, ${words}</span></span
    >`;
  }

  readonly #onScroll = (event: Event): void => {
    const scroller = event.currentTarget;
    if (!(scroller instanceof HTMLElement)) return;
    // Sizes changed in this frame: the place moved under the reader, who did not go anywhere.
    if (measure(scroller) === this.#measured) this.#see(scroller);
    else this.#keepPlace();
    this.#askForMore(scroller);
  };

  /** Remembers what is on screen now. */
  #see(scroller: HTMLElement): void {
    const fromEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    if (this.#isLeadingToEnd && fromEnd <= AT_END_PX) return;
    this.#isLeadingToEnd = false;
    if (fromEnd <= AT_END_PX && this.timeline?.hasNewer !== true) {
      this.#stayAtEnd();
      return;
    }
    this.away = true;
    const row = firstVisible(scroller);
    const id = row?.dataset["id"];
    if (row !== undefined && id !== undefined) this.#anchor = { id, topPx: topOf(row, scroller) };
  }

  #askForMore(scroller: HTMLElement): void {
    if (scroller.scrollTop < NEAR_EDGE_PX && this.timeline?.hasOlder === true) {
      this.dispatchEvent(new SottoEvent("sotto-load-older", undefined));
    }
    const fromEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    if (fromEnd < NEAR_EDGE_PX && this.timeline?.hasNewer === true) {
      this.dispatchEvent(new SottoEvent("sotto-load-newer", undefined));
    }
  }

  readonly #toEnd = (): void => {
    if (this.timeline?.hasNewer === true) {
      this.#isLeadingToEnd = true;
      this.dispatchEvent(new SottoEvent("sotto-load-newest", undefined));
    }
    this.#stayAtEnd();
    this.#keepPlace();
    this.#scroller()?.focus();
  };
}

const topOf = (row: Element, scroller: Element): number =>
  row.getBoundingClientRect().top - scroller.getBoundingClientRect().top;

const measure = ({ clientHeight, scrollHeight }: Element): string =>
  `${clientHeight} of ${scrollHeight}`;

/** The first message that reaches into the view, found by halving: rows stand in order. */
function firstVisible(scroller: HTMLElement): HTMLElement | undefined {
  const rows = scroller.querySelectorAll<HTMLElement>("[data-id]");
  const top = scroller.getBoundingClientRect().top;
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.getBoundingClientRect().bottom ?? 0) > top) high = middle;
    else low = middle + 1;
  }
  return rows[low];
}

/** The id of the message that `unread` incoming ones, this one included, end the history with. */
function firstUnread(messages: readonly MessageView[], unread: number): string | undefined {
  const incoming = messages.filter((message) => !message.own);
  return unread === 0 ? undefined : incoming.at(-Math.min(unread, incoming.length))?.id;
}

const sameGroup = (a: MessageView | undefined, b: MessageView): boolean =>
  a !== undefined &&
  a.own === b.own &&
  Math.abs(b.sentAt - a.sentAt) < GROUP_MS &&
  dayKey(a.sentAt) === dayKey(b.sentAt);

/** How far a message got and, once it is there, which way it went. */
function statusWords({ status, path }: MessageView): string {
  const words = t().status;
  return status === "delivered" && path !== undefined ? words.deliveredBy[path] : words[status];
}

function emptyState(view: ConversationView): TemplateResult {
  const kind = view.kind === "notes" || view.kind === "invited" ? view.kind : "contact";
  return html`<div class="empty">
    <sotto-avatar .name=${view.name} .seed=${view.id} .kind=${kind}></sotto-avatar>
    <p>${emptyText(view)}</p>
  </div>`;
}

function emptyText(view: ConversationView): string {
  const words = t().conversation;
  switch (view.kind) {
    case "notes":
      return words.emptyNotes(view.devices.others + 1);
    case "invited":
      return words.emptyInvited;
    case "refused":
      return words.refused;
    case "expired":
      return words.expired;
    case "contact":
      return words.empty;
  }
}

customElements.define("sotto-timeline", SottoTimeline);

declare global {
  interface HTMLElementTagNameMap {
    "sotto-timeline": SottoTimeline;
  }
}
