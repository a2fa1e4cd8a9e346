/**
 * Which invites were copied, shared or opened: those belong to somebody. One that was only looked at is shown
 * again instead of making another.
 */
const STORAGE_KEY = "sotto-given";
/** Older ones have been opened or have ended. */
const GIVEN_MAX = 200;

export const isGiven = (id: string): boolean => read().includes(id);

export function markGiven(id: string): void {
  try {
    const ids = [id, ...read().filter((one) => one !== id)].slice(0, GIVEN_MAX);
    localStorage.setItem(STORAGE_KEY, JSON.stringify(ids));
  } catch {
    // A private window without storage: the next invite is a new one at worst.
  }
}

function read(): readonly string[] {
  try {
    const ids: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}
