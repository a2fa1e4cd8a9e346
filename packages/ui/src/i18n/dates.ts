/** Dates and times in the language of the screen. */
import { locale, t } from "./i18n.ts";

const DAY_MS = 24 * 3_600_000;

export const timeOfDay = (at: number): string =>
  new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit" }).format(at);

export const fullTime = (at: number): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "full", timeStyle: "short" }).format(at);

/** For a day separator. */
export function dayName(at: number, now: number): string {
  if (dayKey(at) === dayKey(now)) return t().conversation.today;
  if (dayKey(at) === dayKey(now - DAY_MS)) return t().conversation.yesterday;
  return new Intl.DateTimeFormat(locale(), {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(new Date(at).getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" }),
  }).format(at);
}

/** For a row of the list: time today, else the day. */
export function shortWhen(at: number, now: number): string {
  if (dayKey(at) === dayKey(now)) return timeOfDay(at);
  if (dayKey(at) === dayKey(now - DAY_MS)) return t().list.yesterday;
  return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short" }).format(at);
}

export const longDate = (at: number): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "long" }).format(at);

/** Equal for two instants on the same local day. */
export const dayKey = (at: number): string => new Date(at).toDateString();
