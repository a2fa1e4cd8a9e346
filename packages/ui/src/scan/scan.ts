import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { followLocale, t } from "../i18n/i18n.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent, type SottoEvents } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";

/** Pictures looked at per second: a hand holds a code still for longer than that. */
const LOOK_EVERY_MS = 150;
/** Edge of the square that is searched, in pixels: enough for a version 6 code filling a third of it. */
const PICTURE_PX = 480;

/**
 * Reads a QR code with the camera. The picture never leaves this element; the camera stops when it is removed.
 * Events: `sotto-scanned` with the text, once.
 */
export class SottoScan extends LitElement {
  static override readonly properties = { problem: { state: true } };
  declare problem: boolean;
  #stream: MediaStream | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        display: block;
      }
      video {
        display: block;
        inline-size: 100%;
        aspect-ratio: 1;
        object-fit: cover;
        border-radius: var(--s-radius-m);
        background: #000000;
      }
      p {
        margin: var(--s-space-2) 0 0;
        font-size: var(--s-size-s);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.problem = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  override render(): TemplateResult {
    const words = t().scan;
    if (this.problem) return html`<p class="error" role="alert">${words.problem}</p>`;
    return html`<video muted playsinline aria-label=${words.label}></video>
      <p class="quiet-text">${words.hint}</p>`;
  }

  async #start(): Promise<void> {
    this.problem = false;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment" },
      });
      this.#stream = stream;
      // Removed while the browser was asking.
      if (!this.isConnected) {
        this.#stop();
        return;
      }
      await this.updateComplete;
      const video = this.renderRoot.querySelector("video");
      if (video === null) return;
      video.srcObject = stream;
      await video.play();
      const { default: decodeQR } = await import("qr/decode.js");
      this.#look(video, decodeQR);
    } catch {
      // No camera, no permission, or taken by another program.
      this.#stop();
      this.problem = true;
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
  }

  #look(video: HTMLVideoElement, decode: (picture: ImageData) => string): void {
    const text = readCode(video, decode);
    if (text !== undefined) {
      this.#stop();
      this.dispatchEvent(new SottoEvent("sotto-scanned", { text }));
      return;
    }
    this.#timer = setTimeout(() => this.#look(video, decode), LOOK_EVERY_MS);
  }
}

/** The text of a code in the middle square of the picture; undefined when there is none. */
function readCode(
  video: HTMLVideoElement,
  decode: (picture: ImageData) => string,
): string | undefined {
  const edge = Math.min(video.videoWidth, video.videoHeight);
  const canvas = new OffscreenCanvas(PICTURE_PX, PICTURE_PX);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (edge === 0 || context === null) return undefined;
  const [left, top] = [(video.videoWidth - edge) / 2, (video.videoHeight - edge) / 2];
  context.drawImage(video, left, top, edge, edge, 0, 0, PICTURE_PX, PICTURE_PX);
  try {
    return decode(context.getImageData(0, 0, PICTURE_PX, PICTURE_PX));
  } catch {
    return undefined;
  }
}

/** The button that opens and closes the camera, and the camera itself while it is open. */
export const scanArea = (
  open: boolean,
  toggle: () => void,
  scanned: (event: CustomEvent<SottoEvents["sotto-scanned"]>) => unknown,
): TemplateResult =>
  html`${open ? html`<sotto-scan @sotto-scanned=${scanned}></sotto-scan>` : nothing}
    <button type="button" class="button" @click=${toggle}>
      ${icons.scan()}${open ? t().scan.stop : t().scan.start}
    </button>`;

/** Whether this browser can offer a camera at all (never on plain http away from this machine). */
export const canScan = (): boolean => "mediaDevices" in navigator;

customElements.define("sotto-scan", SottoScan);
