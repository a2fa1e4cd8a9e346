/** Puts elements on the page for one test and takes them away again. */
import type { LitElement } from "lit";
import { onTestFinished } from "vitest";

/** An element with these properties, drawn once. */
export async function mount<Element extends LitElement>(
  element: Element,
  values: Partial<Element> = {},
): Promise<Element> {
  Object.assign(element, values);
  document.body.append(element);
  onTestFinished(() => element.remove());
  await element.updateComplete;
  return element;
}

/** The first element inside that matches; fails the test when there is none. */
export function inside(element: LitElement, selector: string): HTMLElement {
  const found = element.renderRoot.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`nothing matches ${selector}`);
  return found;
}

/** Its only text field. */
export const fieldOf = (element: LitElement): HTMLInputElement | HTMLTextAreaElement =>
  inside(element, "input, textarea") as HTMLInputElement | HTMLTextAreaElement;

export const allInside = (element: LitElement, selector: string): readonly HTMLElement[] => [
  ...element.renderRoot.querySelectorAll<HTMLElement>(selector),
];

/** Text on screen and for assistive technology, white space folded. */
export const textOf = (node: Node | null): string =>
  (node?.textContent ?? "").replaceAll(/\s+/g, " ").trim();

/** Tag of what has the focus inside. */
export const focusedIn = (element: LitElement): string | undefined =>
  element.shadowRoot?.activeElement?.tagName;

/** Every event of this name from now on. */
export function listen(element: HTMLElement, name: string): readonly unknown[] {
  const details: unknown[] = [];
  element.addEventListener(name, (event) => {
    if (event instanceof CustomEvent) details.push(event.detail);
  });
  return details;
}

/** Markup that must stay text wherever someone else's words are shown. */
export const HOSTILE = `<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>\${1}&amp;`;
