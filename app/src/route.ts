/**
 * Where the app is, in the address: which conversation, which sheet. Back does what a phone's back does.
 * Secrets of links stand behind the "#" of `/i` and `/d` and never become part of a request.
 */
import { type InvitePurpose, LINK_PATHS } from "@sotto/wire";

export type Sheet = "invite" | "join" | "settings" | "verify" | "restore" | "search";
const SHEETS: readonly Sheet[] = ["invite", "join", "settings", "verify", "restore", "search"];

export interface Route {
  readonly conversation: string | undefined;
  readonly sheet: Sheet | undefined;
  /** The whole link when the page was opened by an invite. */
  readonly invite: string | undefined;
  /** The same for a link that adds a device. */
  readonly deviceLink: string | undefined;
}

export const isList = ({ conversation, sheet, invite, deviceLink }: Route): boolean =>
  [conversation, sheet, invite, deviceLink].every((one) => one === undefined);

/** What this app keeps with an entry of the history that it made. `below`: what Back leads to. */
export interface Entry {
  readonly below: "list" | "app";
}

/** Undefined for the entry the page was opened with. */
export function entryOf(state: unknown): Entry | undefined {
  if (typeof state !== "object" || state === null || !("below" in state)) return undefined;
  return { below: state.below === "list" ? "list" : "app" };
}

/** The second identity of "Try with a second tab". */
export const DEMO_PROFILE = "demo";

export const profileOf = (url: URL): string | undefined =>
  url.searchParams.get("as") === DEMO_PROFILE ? DEMO_PROFILE : undefined;

export function readRoute(url: URL): Route {
  const sheet = url.searchParams.get("s");
  return {
    conversation: url.searchParams.get("c") ?? undefined,
    sheet: SHEETS.find((one) => one === sheet),
    // Also without its part behind the "#", which some messengers drop: the page then says so.
    invite: linkIn(url, "contact"),
    deviceLink: linkIn(url, "device"),
  };
}

/** The link as it was given, without what this page added to it. */
function linkIn(url: URL, purpose: InvitePurpose): string | undefined {
  const path = LINK_PATHS[purpose];
  return url.pathname === path.slice(0, -1)
    ? `${url.origin}${path}${url.hash.slice(1)}`
    : undefined;
}

/** Path and query of a route, keeping the profile. */
export function hrefOf(route: Partial<Route>, profile: string | undefined): string {
  const query = new URLSearchParams();
  if (profile !== undefined) query.set("as", profile);
  if (route.conversation !== undefined) query.set("c", route.conversation);
  if (route.sheet !== undefined) query.set("s", route.sheet);
  const text = query.toString();
  return text === "" ? "/" : `/?${text}`;
}

/** The same invite, opened by the second identity in this browser. */
export function secondTabLink(link: string): string {
  const url = new URL(link);
  url.searchParams.set("as", DEMO_PROFILE);
  // The link names the relay's public origin; the second tab belongs to the page at hand.
  return `${location.origin}${url.pathname}${url.search}${url.hash}`;
}
