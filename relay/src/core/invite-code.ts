/** Codes that people read to one another: 80 bits as 16 letters and digits (Crockford's base 32), in fours. */
import { sha256 } from "@sotto/crypto";
import { utf8ToBytes } from "@sotto/wire";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
export const CODE_LETTERS = 16;
/** With what people put in between. */
export const CODE_CHARACTERS_MAX = 64;

/** `random`: CODE_LETTERS bytes, of which five bits each count. */
export function makeCode(random: Uint8Array): string {
  const letters = Array.from(random.subarray(0, CODE_LETTERS), (byte) => ALPHABET[byte & 31] ?? "");
  return letters.join("").replaceAll(/(.{4})(?=.)/g, "$1-");
}

/** What is kept of a code; undefined when the text is none. Forgives lower case, spaces, and O, I and L for digits. */
export function hashOfCode(text: string): Uint8Array | undefined {
  if (text.length > CODE_CHARACTERS_MAX) return undefined;
  const letters = text
    .toUpperCase()
    .replaceAll(/[\s-]/g, "")
    .replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1");
  const isCode = letters.length === CODE_LETTERS && /^[0-9A-HJKMNP-TV-Z]+$/.test(letters);
  return isCode ? sha256(utf8ToBytes(letters)) : undefined;
}
