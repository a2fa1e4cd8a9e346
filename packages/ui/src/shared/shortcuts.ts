/** Which keys do what anywhere on the screen. Leaves to the app: doing it. */
export type Shortcut =
  | "previous"
  | "next"
  | "region"
  | "region-back"
  | "leave"
  | "search"
  | "search-here";

/** With Ctrl or Command, and Shift. By where the keys are: other scripts have no such letters. */
const SEARCH: ReadonlyMap<string, Shortcut> = new Map([
  ["KeyF", "search"],
  ["KeyG", "search-here"],
]);

export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (event.defaultPrevented || event.isComposing) return undefined;
  if (event.ctrlKey || event.metaKey)
    return event.shiftKey && !event.altKey ? SEARCH.get(event.code) : undefined;
  if (event.key === "F6") return event.shiftKey ? "region-back" : "region";
  if (event.shiftKey) return undefined;
  if (event.altKey) {
    if (event.key === "ArrowUp") return "previous";
    return event.key === "ArrowDown" ? "next" : undefined;
  }
  return event.key === "Escape" ? "leave" : undefined;
}
