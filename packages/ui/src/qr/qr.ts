import { css, html, LitElement, svg, type TemplateResult } from "lit";
import { encodeQR } from "qr";
import { base } from "../shared/base.ts";

/** The quiet zone that scanners are promised, in modules. */
const BORDER = 4;

/**
 * A QR code drawn as one path: sharp at any size, no image, no markup from strings.
 * Properties: `text` (what it carries), `label` (what assistive technology says).
 */
export class SottoQr extends LitElement {
  static override readonly properties = { text: {}, label: {} };
  declare text: string;
  declare label: string;

  static override readonly styles = [
    base,
    css`
      :host {
        display: block;
        inline-size: 100%;
        max-inline-size: 240px;
      }
      svg {
        display: block;
        inline-size: 100%;
        border-radius: var(--s-radius-m);
        background: #ffffff;
      }
    `,
  ];

  constructor() {
    super();
    this.text = "";
    this.label = "";
  }

  override render(): TemplateResult {
    if (this.text === "") return html``;
    const rows = encodeQR(this.text, "raw", { ecc: "medium", border: BORDER });
    const path = rows
      .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
      .join("");
    return html`<svg
      role="img"
      aria-label=${this.label}
      viewBox="0 0 ${rows.length} ${rows.length}"
      shape-rendering="crispEdges"
    >
      ${svg`<path d=${path} fill="#000000"></path>`}
    </svg>`;
  }
}

customElements.define("sotto-qr", SottoQr);
