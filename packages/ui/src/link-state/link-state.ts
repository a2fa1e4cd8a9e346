import type { LinkState } from "@sotto/sdk";
import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { icons } from "../shared/icons.ts";

/** Words change only after a state has held this long, so that a flapping link does not flicker. */
const HOLD_MS = 1_500;
/** Most connections are there sooner than anyone could read that they are being made. */
const CONNECTING_MS = 1_000;

/**
 * Which path messages take right now, in plain words with an icon.
 * Properties: `link`, `devices` (of the own account, which notes are on), `of` (whose path it is: that of another conversation is shown at once).
 */
export class SottoLinkState extends LitElement {
  static override readonly properties = {
    link: { attribute: false },
    devices: { attribute: false },
    of: { attribute: false },
    shown: { state: true },
  };
  declare link: LinkState | undefined;
  declare devices: number;
  declare of: string;
  declare shown: LinkState | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: flex;
        min-inline-size: 0;
        /* The name above does not jump when there is something to say. */
        min-block-size: 1lh;
        font-size: var(--s-size-s);
        color: var(--s-text-quiet);
      }
      span {
        display: inline-flex;
        align-items: center;
        gap: var(--s-space-1);
        min-inline-size: 0;
      }
      .words {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      svg.icon {
        inline-size: 15px;
        block-size: 15px;
      }
      .direct {
        color: var(--s-ok);
      }
      .relayed {
        color: var(--s-relay);
      }
      .warn {
        color: var(--s-warn);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.link = undefined;
    this.devices = 1;
    this.of = "";
    this.shown = undefined;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("of")) this.#forget();
    else if (!changed.has("link")) return;
    if (this.link === undefined) return;
    const isFirst = this.shown === undefined;
    if (isFirst ? this.link.state !== "connecting" : this.shown?.state === this.link.state) {
      this.#show();
      return;
    }
    this.#timer ??= setTimeout(() => this.#show(), isFirst ? CONNECTING_MS : HOLD_MS);
  }

  #show(): void {
    this.#stop();
    this.shown = this.link;
  }

  #forget(): void {
    this.#stop();
    this.shown = undefined;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  override render(): TemplateResult {
    if (this.shown === undefined) return html``;
    const { kind, icon, words, hint } = describe(this.shown, this.devices);
    return html`<span class=${kind} title=${hint} data-state=${this.shown.state}>
      ${icon}<span class="words">${words}</span>
    </span>`;
  }
}

function describe(
  link: LinkState,
  devices: number,
): {
  kind: string;
  icon: TemplateResult;
  words: string;
  hint: string;
} {
  const words = t().link;
  switch (link.state) {
    case "notes":
      return { kind: "", icon: icons.notes(), words: words.notes(devices), hint: "" };
    case "direct": {
      const { roundTripMs } = link;
      const text =
        roundTripMs === undefined
          ? words.direct
          : words.directMs(Math.max(1, Math.round(roundTripMs)));
      return { kind: "direct", icon: icons.direct(), words: text, hint: words.directHint };
    }
    case "relayed":
      return {
        kind: "relayed",
        icon: icons.relayed(),
        words: words.relayed,
        hint: words.relayedHint,
      };
    case "away":
      return { kind: "", icon: icons.clock(), words: words.away, hint: words.awayHint };
    case "connecting":
      return { kind: "", icon: icons.clock(), words: words.connecting, hint: "" };
    case "offline":
      return {
        kind: "warn",
        icon: icons.offline(),
        words: words.offline(link.waiting),
        hint: "",
      };
    case "no-relay":
      return {
        kind: "warn",
        icon: icons.warning(),
        words: words.noRelay(link.waiting),
        hint: "",
      };
    case "invited":
      return { kind: "", icon: icons.clock(), words: words.invited, hint: "" };
  }
}

customElements.define("sotto-link-state", SottoLinkState);
