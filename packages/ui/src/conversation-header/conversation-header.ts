import type { ConversationView } from "@sotto/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import "../avatar/avatar.ts";
import { followLocale, t } from "../i18n/i18n.ts";
import "../link-state/link-state.ts";
import { base, controls } from "../shared/base.ts";
import { SottoEvent } from "../shared/events.ts";
import { icons } from "../shared/icons.ts";
import { nameOf } from "../shared/names.ts";

/**
 * Who this is and which path is in use.
 * Property: `view`. Events: `sotto-back`, `sotto-verify-open`, `sotto-invite-open`, `sotto-invite-new`.
 */
export class SottoConversationHeader extends LitElement {
  static override readonly properties = { view: { attribute: false } };
  declare view: ConversationView | undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      :host {
        --avatar-size: 40px;
        container-type: inline-size;
        display: block;
        border-block-end: 1px solid var(--s-line);
        background: var(--s-bg);
      }
      header {
        display: flex;
        align-items: center;
        gap: var(--s-space-3);
        min-block-size: 64px;
        padding-inline: var(--s-space-4) var(--s-space-3);
      }
      .who {
        flex: 1;
        min-inline-size: 0;
        display: grid;
        grid-template-columns: minmax(0, 1fr);
      }
      h1 {
        margin: 0;
        display: flex;
        align-items: center;
        gap: var(--s-space-1);
        font-size: var(--s-size-l);
        font-weight: 600;
        line-height: 1.3;
      }
      h1 bdi {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      h1 svg.icon {
        inline-size: 17px;
        block-size: 17px;
        color: var(--s-ok);
      }
      .hint {
        font-size: var(--s-size-s);
        color: var(--s-text-quiet);
      }
      /* Words make room for the name where there is little of it; assistive technology still hears them. */
      @container (max-width: 520px) {
        .button span {
          position: absolute;
          inline-size: 1px;
          block-size: 1px;
          overflow: hidden;
          clip-path: inset(50%);
          white-space: nowrap;
        }
        .button {
          padding-inline: var(--s-space-3);
        }
      }
      .back {
        display: none;
        margin-inline: calc(-1 * var(--s-space-3)) calc(-1 * var(--s-space-2));
      }
      :host([narrow]) .back {
        display: inline-grid;
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.view = undefined;
  }

  override render(): TemplateResult {
    const { view } = this;
    if (view === undefined) return html``;
    const words = t().conversation;
    const kind = view.kind === "notes" || view.kind === "invited" ? view.kind : "contact";
    return html`<header>
      <button
        class="icon-button back"
        aria-label=${words.back}
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-back", undefined))}
      >
        ${icons.back()}
      </button>
      <sotto-avatar .name=${view.name} .seed=${view.id} .kind=${kind}></sotto-avatar>
      <div class="who">
        <h1>
          <bdi>${nameOf(view)}</bdi>
          ${
            view.verified
              ? html`${icons.verified()}<span class="hidden">${t().list.verified}</span>`
              : nothing
          }
        </h1>
        ${
          view.kind === "refused" || view.kind === "expired"
            ? html`<span class="hint">${t().list[`${view.kind}Hint`]}</span>`
            : html`<sotto-link-state
                .of=${view.id}
                .link=${view.link}
                .devices=${view.devices.others + 1}
              ></sotto-link-state>`
        }
      </div>
      ${this.#action(view)}
    </header>`;
  }

  #action(view: ConversationView): TemplateResult | typeof nothing {
    const words = t().conversation;
    if (view.kind === "contact") {
      return html`<button
        class="button quiet"
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-verify-open", undefined))}
      >
        ${view.verified ? icons.verified() : icons.shield()}<span
          >${view.verified ? t().list.verified : words.more}</span
        >
      </button>`;
    }
    if (view.kind === "invited") {
      return html`<button
        class="button quiet"
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-invite-open", undefined))}
      >
        ${icons.link()}<span>${words.showInvite}</span>
      </button>`;
    }
    if (view.kind === "expired") {
      return html`<button
        class="button quiet"
        @click=${() => this.dispatchEvent(new SottoEvent("sotto-invite-new", undefined))}
      >
        ${icons.invite()}<span>${words.newInvite}</span>
      </button>`;
    }
    return nothing;
  }
}

customElements.define("sotto-conversation-header", SottoConversationHeader);
