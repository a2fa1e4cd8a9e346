/**
 * The recovery phrase: 24 words that are the account's root secret (BIP-39, 256 bits, no passphrase).
 * Owns: secret to words and back, reading what people type, saying what is wrong with it without repeating it.
 * Leaves to identity.ts: the new device. An entry of its own, so that word lists load only where they are needed.
 * Spec: SPEC.md §13.
 */
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { wordlist as simplifiedChinese } from "@scure/bip39/wordlists/simplified-chinese.js";

export const RECOVERY_WORDS = 24;
/** 24 English words with numbers in front and a line each take less than 300. */
export const RECOVERY_TEXT_CHARACTERS_MAX = 1_000;

const WORD_LISTS = { english, "simplified-chinese": simplifiedChinese } as const;

export type RecoveryLanguage = keyof typeof WORD_LISTS;

export const RECOVERY_LANGUAGES: readonly RecoveryLanguage[] = ["english", "simplified-chinese"];

const KNOWN: Readonly<Record<RecoveryLanguage, ReadonlySet<string>>> = {
  english: new Set(english),
  "simplified-chinese": new Set(simplifiedChinese),
};

export type RecoveryReading =
  | {
      readonly ok: true;
      /** 32 bytes. */
      readonly rootSecret: Uint8Array<ArrayBuffer>;
      readonly language: RecoveryLanguage;
    }
  /** No phrase has that many characters; nothing was looked at. */
  | { readonly ok: false; readonly reason: "too-long" }
  /** `words`: how many there are instead of 24. */
  | { readonly ok: false; readonly reason: "word-count"; readonly words: number }
  /** `positions`: which words are not in the list of the language most of them are from, counted from 1. */
  | {
      readonly ok: false;
      readonly reason: "unknown-words";
      readonly language: RecoveryLanguage;
      readonly positions: readonly number[];
    }
  /** Each word exists, together they are no phrase: one was mistaken for another, or their order is wrong. */
  | { readonly ok: false; readonly reason: "checksum"; readonly language: RecoveryLanguage };

/** 24 words. `rootSecret` of another length than 32 bytes throws a RangeError. */
export function recoveryWords(
  rootSecret: Uint8Array,
  language: RecoveryLanguage,
): readonly string[] {
  if (rootSecret.length !== 32) {
    throw new RangeError(`expected 32 bytes, got ${rootSecret.length}`);
  }
  return entropyToMnemonic(rootSecret, WORD_LISTS[language]).split(" ");
}

/**
 * Forgives what typing does to a phrase: upper case, full-width letters, line breaks, commas, numbers in front of
 * words, Chinese with or without spaces. Never throws, and no answer holds a word of the text.
 */
export function readRecoveryPhrase(text: string): RecoveryReading {
  if (text.length > RECOVERY_TEXT_CHARACTERS_MAX) return { ok: false, reason: "too-long" };
  const words = wordsOf(text);
  if (words.length !== RECOVERY_WORDS) {
    return { ok: false, reason: "word-count", words: words.length };
  }
  const { language, positions } = detect(words);
  if (positions.length > 0) return { ok: false, reason: "unknown-words", language, positions };
  try {
    // All words are known: what is left to fail is the checksum.
    const secret = mnemonicToEntropy(words.join(" "), WORD_LISTS[language]);
    return { ok: true, rootSecret: Uint8Array.from(secret), language };
  } catch {
    return { ok: false, reason: "checksum", language };
  }
}

/** Runs of letters and digits; those of digits alone number a list. A Chinese word is one character. */
function wordsOf(text: string): readonly string[] {
  const runs =
    text
      .normalize("NFKD")
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return runs
    .filter((run) => !/^\p{N}+$/u.test(run))
    .flatMap((run) => (/^\p{Script=Han}+$/u.test(run) ? Array.from(run) : [run]));
}

/** The language with the fewest words it does not know; English when there are as many in both. */
function detect(words: readonly string[]): {
  readonly language: RecoveryLanguage;
  readonly positions: readonly number[];
} {
  const unknownIn = (language: RecoveryLanguage): readonly number[] =>
    words.flatMap((word, index) => (KNOWN[language].has(word) ? [] : [index + 1]));
  const inEnglish = unknownIn("english");
  const inChinese = unknownIn("simplified-chinese");
  return inChinese.length < inEnglish.length
    ? { language: "simplified-chinese", positions: inChinese }
    : { language: "english", positions: inEnglish };
}
