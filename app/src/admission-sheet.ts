/**
 * "This relay asks for an invite code": loaded only where a relay asks. Closed without a code, everything that needs
 * none goes on, and the next connection asks again.
 */
import type { AdmissionAsked } from "@sotto/sdk";
import { base, controls, followLocale, locale } from "@sotto/ui";
import { ADMISSION_WORDS } from "./admission-words.ts";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";

class AdmissionSheet extends LitElement {
  static override readonly properties = { asked: { attribute: false }, text: {} };
  declare asked: AdmissionAsked;
  declare text: string;
  answer: (code: string | undefined) => void = () => undefined;

  static override readonly styles = [
    base,
    controls,
    css`
      form {
        display: grid;
        gap: var(--s-space-3);
      }
    `,
  ];

  constructor() {
    super();
    followLocale(this);
    this.asked = { door: "invite" };
    this.text = "";
  }

  override render(): TemplateResult {
    const words = ADMISSION_WORDS[locale()];
    const { door, problem } = this.asked;
    return html`<sotto-sheet
      open
      .heading=${words.title}
      @sotto-close=${() => this.answer(undefined)}
    >
      <p>${words[door]}</p>
      ${
        door === "invite"
          ? html`<form @submit=${this.#send}>
              <input
                class="field"
                autofocus
                aria-label=${words.label}
                aria-invalid=${problem === undefined ? nothing : "true"}
                aria-describedby=${problem === undefined ? nothing : "error"}
                autocomplete="off"
                autocapitalize="characters"
                spellcheck="false"
                maxlength="64"
                required
                .value=${this.text}
              />
              ${
                problem === undefined
                  ? nothing
                  : html`<p class="error" id="error" role="alert">${words[problem]}</p>`
              }
              <button class="button primary">${words.send}</button>
            </form>`
          : nothing
      }
    </sotto-sheet>`;
  }

  readonly #send = (event: Event): void => {
    event.preventDefault();
    const code = this.renderRoot.querySelector("input")?.value.trim() ?? "";
    if (code !== "") this.answer(code);
  };
}

customElements.define("sotto-admission-sheet", AdmissionSheet);

/** What was typed last, to be mended. */
let typed = "";

let isGivenTried = false;

/**
 * `given`: the code of the link that the page was opened with; tried once. Otherwise resolves with what was typed, with
 * undefined when the sheet was closed.
 */
export async function admit(
  asked: AdmissionAsked,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined && asked.door === "invite" && !isGivenTried) {
    isGivenTried = true;
    return given;
  }
  const sheet = new AdmissionSheet();
  sheet.asked = asked;
  sheet.text = typed;
  document.body.append(sheet);
  const code = await new Promise<string | undefined>((resolve) => {
    sheet.answer = resolve;
  });
  sheet.remove();
  typed = code ?? "";
  return code;
}
