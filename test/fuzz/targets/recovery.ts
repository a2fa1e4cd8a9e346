/** What people paste where their 24 words are asked for. */
import {
  readRecoveryPhrase,
  RECOVERY_LANGUAGES,
  RECOVERY_TEXT_CHARACTERS_MAX,
  RECOVERY_WORDS,
  recoveryWords,
} from "@sotto/crypto/recovery";
import { createRandom } from "../../simulation/random.ts";
import { Finding, type Target } from "../target.ts";

/** Oracles: a phrase is what its secret is written as, and what is said of a bad one fits 24 words. */
export const recoveryTarget = (): Target => ({
  name: "recovery",
  covers: ["recovery.readRecoveryPhrase"],
  maxBytes: 4_096,
  weight: 1,
  steps: { base: 4_000, perByte: 40 },
  run(input) {
    const text = Buffer.from(input).toString("utf8");
    const reading = readRecoveryPhrase(text);
    if (!reading.ok) {
      if ((reading.reason === "too-long") !== text.length > RECOVERY_TEXT_CHARACTERS_MAX) {
        throw new Finding("the limit of a phrase is elsewhere");
      }
      if (reading.reason === "word-count" && reading.words === RECOVERY_WORDS) {
        throw new Finding("24 words are not 24");
      }
      if (reading.reason === "unknown-words") {
        const isPlace = (one: number): boolean => one >= 1 && one <= RECOVERY_WORDS;
        if (!reading.positions.every(isPlace)) throw new Finding("there is no such word");
      }
      return { accepted: false };
    }
    const { rootSecret, language } = reading;
    const again = readRecoveryPhrase(recoveryWords(rootSecret, language).join(" "));
    if (!again.ok || Buffer.compare(again.rootSecret, rootSecret) !== 0) {
      throw new Finding("a phrase is not what its secret is written as");
    }
    return { accepted: true };
  },
  seeds() {
    const random = createRandom(81);
    const phrases = RECOVERY_LANGUAGES.flatMap((language) => {
      const words = recoveryWords(random.bytes(32), language);
      const numbered = words.map((word, at) => `${at + 1}. ${word.toUpperCase()}`);
      return [words.join(" "), words.join(""), numbered.join(",\n"), words.slice(1).join(" ")];
    });
    return phrases.map((phrase) => Uint8Array.from(Buffer.from(phrase)));
  },
  vary(_, random) {
    const words = recoveryWords(random.bytes(32), random.pick(RECOVERY_LANGUAGES));
    const typed = words.map((word, at) => {
      const text = random.chance(0.2) ? word.toUpperCase() : word;
      return random.chance(0.1) ? `${at + 1}) ${text}` : text;
    });
    const between = random.pick([" ", "\n", ", ", "\u3000", "\t-\r\n"]);
    return Uint8Array.from(Buffer.from(typed.join(between)));
  },
});
