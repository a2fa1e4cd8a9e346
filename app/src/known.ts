/**
 * Whether this browser has had an identity: kept beside the database, so that one which the browser cleared away under
 * pressure, or a broken disk lost, is not taken for a first visit. Whoever clears all of the site's data clears this, too.
 */
const keyOf = (profile: string | undefined): string => `sotto-known-${profile ?? "main"}`;

export function isKnown(profile: string | undefined): boolean {
  try {
    return localStorage.getItem(keyOf(profile)) !== null;
  } catch {
    return false;
  }
}

export function noteKnown(profile: string | undefined): void {
  try {
    localStorage.setItem(keyOf(profile), "1");
  } catch {
    // Blocked or full: the next loss of the database looks like a first visit.
  }
}

export function forgetKnown(profile: string | undefined): void {
  localStorage.removeItem(keyOf(profile));
}
