import { css, html, LitElement, type TemplateResult } from "lit";
import { base } from "../shared/base.ts";
import { icons } from "../shared/icons.ts";

/** Calm colours that hold 4.5:1 against white letters: the classes `hue0` to `hue7`. */
const HUES = 8;

/**
 * Initials on a colour that stays the same for the same seed.
 * Properties: `name`, `seed` (chooses the colour), `kind` ("contact" | "notes" | "invited"), `online`.
 */
export class SottoAvatar extends LitElement {
  static override readonly properties = {
    name: {},
    seed: {},
    kind: {},
    online: { type: Boolean, reflect: true },
  };
  declare name: string;
  declare seed: string;
  declare kind: "contact" | "notes" | "invited";
  declare online: boolean;

  static override readonly styles = [
    base,
    css`
      :host {
        position: relative;
        display: inline-grid;
        flex: none;
        inline-size: var(--avatar-size, 44px);
        block-size: var(--avatar-size, 44px);
      }
      .face {
        display: grid;
        place-items: center;
        border-radius: 50%;
        background: var(--s-surface-hover);
        color: var(--s-text-quiet);
        font-weight: 600;
        font-size: calc(var(--avatar-size, 44px) * 0.36);
        line-height: 1;
        user-select: none;
      }
      .face svg {
        inline-size: 50%;
        block-size: 50%;
        fill: none;
        stroke: currentColor;
        stroke-width: 2;
        stroke-linecap: round;
        stroke-linejoin: round;
      }
      .hue {
        color: #ffffff;
      }
      .hue0 {
        background: hsl(212 60% 40%);
      }
      .hue1 {
        background: hsl(262 40% 48%);
      }
      .hue2 {
        background: hsl(322 45% 42%);
      }
      .hue3 {
        background: hsl(12 55% 42%);
      }
      .hue4 {
        background: hsl(32 70% 33%);
      }
      .hue5 {
        background: hsl(152 60% 27%);
      }
      .hue6 {
        background: hsl(182 65% 27%);
      }
      .hue7 {
        background: hsl(232 45% 48%);
      }
      :host([online])::after {
        content: "";
        position: absolute;
        inset-block-end: 0;
        inset-inline-end: 0;
        inline-size: 12px;
        block-size: 12px;
        border-radius: 50%;
        border: 2px solid var(--avatar-ring, var(--s-bg));
        background: var(--s-ok);
      }
    `,
  ];

  constructor() {
    super();
    this.name = "";
    this.seed = "";
    this.kind = "contact";
    this.online = false;
  }

  override render(): TemplateResult {
    if (this.kind === "notes")
      return html`<div class="face" aria-hidden="true">${icons.notes()}</div>`;
    if (this.kind === "invited" || this.name === "") {
      return html`<div class="face" aria-hidden="true">${icons.invite()}</div>`;
    }
    return html`<div class="face hue hue${hueOf(this.seed)}" aria-hidden="true">
      ${initialsOf(this.name)}
    </div>`;
  }
}

export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/u).slice(0, 2);
  const first = words.map((word) => Array.from(word)[0] ?? "");
  return first.join("").toLocaleUpperCase();
}

function hueOf(seed: string): number {
  let sum = 0;
  for (const character of seed) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  return sum % HUES;
}

customElements.define("sotto-avatar", SottoAvatar);
