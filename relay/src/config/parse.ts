/** What texts of several settings mean. Throws a TypeError that says what would be right. */

export function toText(text: string): string {
  if (text === "") throw new TypeError("Not empty.");
  return text;
}

export function toBoolean(text: string): boolean {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  if (/^(false|0|no|off)$/i.test(text)) return false;
  throw new TypeError("true or false.");
}
