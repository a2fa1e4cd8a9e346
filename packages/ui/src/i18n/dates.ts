/** Dates and times in the language of the screen. */
import { formatLocale, t } from "./i18n.ts";

const DAY_MS = 24 * 3_600_000;

const STYLES = {
  time: { hour: "numeric", minute: "2-digit" },
  full: { dateStyle: "full", timeStyle: "short" },
  weekday: { weekday: "long", day: "numeric", month: "long" },
  weekdayYear: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
  short: { day: "numeric", month: "short" },
  long: { dateStyle: "long" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** By language and style: making one costs more than using it for a whole page of messages. */
const formats = new Map<string, Intl.DateTimeFormat>();

function format(style: keyof typeof STYLES, at: number): string {
  const locale = formatLocale();
  const key = `${locale} ${style}`;
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, STYLES[style]);
  formats.set(key, known);
  return known.format(at);
}

export const timeOfDay = (at: number): string => format("time", at);

export const fullTime = (at: number): string => format("full", at);

export const longDate = (at: number): string => format("long", at);

/** For a day separator. */
export function dayName(at: number, now: number): string {
  if (dayKey(at) === dayKey(now)) return t().conversation.today;
  if (dayKey(at) === dayKey(now - DAY_MS)) return t().conversation.yesterday;
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return format(isThisYear ? "weekday" : "weekdayYear", at);
}

/** For a row of the list: time today, else the day. */
export function shortWhen(at: number, now: number): string {
  if (dayKey(at) === dayKey(now)) return timeOfDay(at);
  if (dayKey(at) === dayKey(now - DAY_MS)) return t().list.yesterday;
  return format("short", at);
}

/** Equal for two instants on the same local day. */
export const dayKey = (at: number): string => new Date(at).toDateString();
