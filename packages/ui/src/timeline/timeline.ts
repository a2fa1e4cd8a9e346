import type { ConversationView, MessageView, Timeline } from "@sotto/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
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
/** Older messages are asked for this close to the top. */
const NEAR_TOP_PX = 400;

/**
 * The history of one conversation.
 * Properties: `timeline`, `view`. Events: `sotto-load-older`.
 */
export class SottoTimeline extends LitElement {
  static override readonly properties = {
    timeline: { attribute: false },
    view: { attribute: false },
    away: { state: true },
  };
  declare timeline: Timeline | undefined;
  declare view: ConversationView | undefined;
  /** Scrolled away from the end. */
  declare away: boolean;
  /** Distance from the end before the last render, so that rows put above do not move what is read. */
  #fromEnd = 0;
  #topId: string | undefined;

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
      .scroller {
        block-size: 100%;
        overflow-y: auto;
        overflow-anchor: none;
        overscroll-behavior: contain;
        scrollbar-gutter: stable;
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
        margin-block-start: 2px;
      }
      li.first {
        margin-block-start: var(--s-space-3);
      }
      li.own {
        justify-content: flex-end;
      }
      .day {
        position: sticky;
        inset-block-start: var(--s-space-2);
        z-index: 1;
        align-self: center;
        margin-block: var(--s-space-4) var(--s-space-1);
        padding: 2px var(--s-space-3);
        border-radius: var(--s-radius-l);
        background: var(--s-surface);
        border: 1px solid var(--s-line);
        font-size: var(--s-size-xs);
        color: var(--s-text-quiet);
      }
      .bubble {
        max-inline-size: min(560px, 84%);
        padding: 7px 12px;
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
        margin: auto;
        max-inline-size: 340px;
        padding: var(--s-space-6);
        text-align: center;
        color: var(--s-text-quiet);
      }
      .newest {
        position: absolute;
        inset-block-end: var(--s-space-3);
        inset-inline-end: var(--s-space-4);
        background: var(--s-bg);
        border: 1px solid var(--s-line);
        box-shadow: var(--s-shadow);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.timeline = undefined;
    this.view = undefined;
    this.away = false;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get("view");
    if (before !== undefined && before.id !== this.view?.id) {
      this.away = false;
      this.#topId = undefined;
    }
    const scroller = this.#scroller();
    if (scroller !== undefined) this.#fromEnd = scroller.scrollHeight - scroller.scrollTop;
  }

  override updated(changed: PropertyValues<this>): void {
    if (!changed.has("timeline")) return;
    const scroller = this.#scroller();
    if (scroller === undefined) return;
    const topId = this.timeline?.messages[0]?.id;
    const grewAbove = this.#topId !== undefined && topId !== this.#topId;
    this.#topId = topId;
    if (!this.away) scroller.scrollTop = scroller.scrollHeight;
    else if (grewAbove) scroller.scrollTop = scroller.scrollHeight - this.#fromEnd;
    this.#askForOlder(scroller);
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
        ${
          messages.length === 0 && !timeline.hasOlder
            ? html`<p class="empty">${emptyText(view)}</p>`
            : html`<ul role="list">
                ${repeat(
                  messages,
                  (message) => message.id,
                  (message, index) => this.#row(message, messages[index - 1], messages[index + 1]),
                )}
              </ul>`
        }
      </div>
      ${
        this.away
          ? html`<button
              class="icon-button newest"
              aria-label=${words.newest}
              @click=${this.#toEnd}
            >
              ${icons.down()}
            </button>`
          : nothing
      }
    `;
  }

  #row(
    message: MessageView,
    before: MessageView | undefined,
    after: MessageView | undefined,
  ): TemplateResult {
    const isNewDay = before === undefined || dayKey(before.sentAt) !== dayKey(message.sentAt);
    const isFirst = isNewDay || !sameGroup(before, message);
    const isLast = after === undefined || !sameGroup(message, after);
    const classes = [message.own ? "own" : "", isFirst ? "first" : "", isLast ? "last" : ""];
    // A message of the last seconds came while looking on: only that one moves.
    const arrived = Date.now() - message.sentAt < 2_000;
    return html`${
        isNewDay ? html`<li class="day">${dayName(message.sentAt, Date.now())}</li>` : nothing
      }
      <li class=${classes.join(" ")} data-status=${message.status}>
        <div class="bubble ${arrived ? "arrived" : ""}">
          <span class="hidden"
            >${message.own ? t().conversation.you : (this.view?.name ?? "")}: </span
          ><span class="text" dir="auto">${linkText(message.text)}</span
          ><span class="meta"
            ><time
              datetime=${new Date(message.sentAt).toISOString()}
              title=${fullTime(message.sentAt)}
              >${timeOfDay(message.sentAt)}</time
            >${this.#sign(message)}</span
          >
        </div>
      </li>`;
  }

  #sign(message: MessageView): TemplateResult | typeof nothing {
    if (!message.own || this.view?.kind === "notes") return nothing;
    const words = t().status[message.status];
    const icon = {
      queued: icons.clock,
      relayed: icons.tick,
      delivered: icons.ticks,
      failed: icons.warning,
      received: icons.tick,
    }[message.status];
    return html`<span class=${message.status} title=${words}
      >${icon()}<span class="hidden">${words}</span></span
    >`;
  }

  readonly #onScroll = (event: Event): void => {
    const scroller = event.currentTarget;
    if (!(scroller instanceof HTMLElement)) return;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    this.away = fromEnd > AT_END_PX;
    this.#askForOlder(scroller);
  };

  #askForOlder(scroller: HTMLElement): void {
    if (scroller.scrollTop < NEAR_TOP_PX && this.timeline?.hasOlder === true) {
      this.dispatchEvent(new SottoEvent("sotto-load-older", undefined));
    }
  }

  readonly #toEnd = (): void => {
    const scroller = this.#scroller();
    if (scroller === undefined) return;
    this.away = false;
    scroller.scrollTop = scroller.scrollHeight;
  };
}

const sameGroup = (a: MessageView | undefined, b: MessageView): boolean =>
  a !== undefined &&
  a.own === b.own &&
  Math.abs(b.sentAt - a.sentAt) < GROUP_MS &&
  dayKey(a.sentAt) === dayKey(b.sentAt);

function emptyText(view: ConversationView): string {
  const words = t().conversation;
  switch (view.kind) {
    case "notes":
      return words.emptyNotes;
    case "invited":
      return words.emptyInvited;
    case "refused":
      return words.refused;
    case "contact":
      return words.empty;
  }
}

customElements.define("sotto-timeline", SottoTimeline);
