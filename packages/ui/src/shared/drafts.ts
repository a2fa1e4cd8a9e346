/**
 * Unsent texts by conversation. They live as long as the tab: a reload or an update loses nothing,
 * and nothing stays behind on disk once the tab is closed.
 */
const KEY = "sotto-drafts";

export interface Drafts {
  of(conversation: string): string;
  set(conversation: string, text: string): void;
  /** Puts back what could not be sent, in front of what was typed since. */
  restore(conversation: string, text: string): void;
}

/** `unsent` before what was typed since. */
export const joinTexts = (unsent: string, newer: string): string =>
  newer === "" ? unsent : `${unsent}\n${newer}`;

/** Two identities in one tab never see each other's drafts. */
export function openDrafts(profile: string | undefined): Drafts {
  const key = profile === undefined ? KEY : `${KEY}-${profile}`;
  const texts = new Map<string, string>(read(key));

  const textOf = (conversation: string): string => texts.get(conversation) ?? "";

  function set(conversation: string, text: string): void {
    if (text === "") texts.delete(conversation);
    else texts.set(conversation, text);
    try {
      sessionStorage.setItem(key, JSON.stringify([...texts]));
    } catch {
      // Full or refused: the draft lasts as long as the page.
    }
  }

  return {
    of: textOf,
    set,
    restore: (conversation, text) => set(conversation, joinTexts(text, textOf(conversation))),
  };
}

function read(key: string): readonly (readonly [string, string])[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(key) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isEntry) : [];
  } catch {
    return [];
  }
}

const isEntry = (entry: unknown): entry is readonly [string, string] =>
  Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "string";
