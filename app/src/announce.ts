/** Speaks to screen readers without moving anything on screen. */
interface AriaNotifier {
  ariaNotify(text: string, options?: { priority: "normal" | "high" }): void;
}

const CHARACTERS_MAX = 200;

/** One visually hidden region for browsers that cannot be told directly. */
export function createAnnouncer(region: () => HTMLElement | null): (text: string) => void {
  return (text) => {
    const said = Array.from(text).slice(0, CHARACTERS_MAX).join("");
    if (canNotify(document)) document.ariaNotify(said, { priority: "normal" });
    else {
      const element = region();
      if (element !== null) element.textContent = said;
    }
  };
}

const canNotify = (target: object): target is AriaNotifier => "ariaNotify" in target;
