/** Which keys do what anywhere on the screen. Leaves to the app: doing it. */
export type Shortcut = "previous" | "next" | "region" | "region-back" | "leave";

export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey)
    return undefined;
  if (event.key === "F6") return event.shiftKey ? "region-back" : "region";
  if (event.shiftKey) return undefined;
  if (event.altKey) {
    if (event.key === "ArrowUp") return "previous";
    return event.key === "ArrowDown" ? "next" : undefined;
  }
  return event.key === "Escape" ? "leave" : undefined;
}
