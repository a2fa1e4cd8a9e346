/**
 * The language of the screen: the browser's, or the one chosen here before.
 * Owns: choosing, remembering, telling elements. Leaves to the catalogs: every word.
 */
import type { ReactiveControllerHost } from "lit";
import { type Catalog, CATALOGS, type Locale } from "./catalogs.ts";

export type { Catalog, Locale } from "./catalogs.ts";

export const LOCALES: readonly { readonly locale: Locale; readonly name: string }[] = [
  { locale: "en", name: "English" },
  { locale: "zh-CN", name: "简体中文" },
];

const STORAGE_KEY = "sotto-locale";

const hosts = new Set<ReactiveControllerHost>();
let chosen = readChosen();
let current = chosen ?? localeFor(navigator.languages);

/** The catalog of the current language. Call it while rendering, never keep it. */
export const t = (): Catalog => CATALOGS[current];

export const locale = (): Locale => current;

/** For dates and numbers: the region a person asked the browser for, as far as it fits the language on screen. */
export const formatLocale = (): string =>
  navigator.languages.find(
    (language) => language.split("-")[0] === current.split("-")[0] && isLocale(language),
  ) ?? current;

/** Undefined: the browser decides. */
export const chosenLocale = (): Locale | undefined => chosen;

/** The first of a person's languages that there is a catalog for. */
export function localeFor(languages: readonly string[]): Locale {
  for (const language of languages) {
    const base = language.toLowerCase().split("-")[0];
    if (base === "zh") return "zh-CN";
    if (base === "en") return "en";
  }
  return "en";
}

export function chooseLocale(next: Locale | undefined): void {
  chosen = next;
  current = next ?? localeFor(navigator.languages);
  try {
    if (next === undefined) localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, next);
  } catch {
    // A private window without storage: the choice lasts as long as the page.
  }
  document.documentElement.lang = current;
  for (const host of hosts) host.requestUpdate();
}

/** Renders an element again when the language changes. */
export function followLocale(host: ReactiveControllerHost): void {
  host.addController({
    hostConnected: () => hosts.add(host),
    hostDisconnected: () => hosts.delete(host),
  });
}

/** Browsers can be told to send anything; Intl throws at what is not a language tag. */
function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

function readChosen(): Locale | undefined {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return LOCALES.find((one) => one.locale === stored)?.locale;
  } catch {
    return undefined;
  }
}
