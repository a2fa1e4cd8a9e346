/** 24 words and the root secret behind them: both ways, as people type it, and what is said when it is wrong. */
import { createHash } from "node:crypto";
import { accountIdOf, createOwnDevice, restoreDevice } from "@sotto/crypto";
import {
  readRecoveryPhrase,
  RECOVERY_LANGUAGES,
  RECOVERY_TEXT_CHARACTERS_MAX,
  RECOVERY_WORDS,
  type RecoveryLanguage,
  recoveryWords,
} from "@sotto/crypto/recovery";
import { bytesToHex, hexToBytes } from "@sotto/wire";
import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { wordlist as chinese } from "@scure/bip39/wordlists/simplified-chinese.js";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flipBit, must, seededEnv } from "./support.ts";

const times = (count: number, text: string): string => `${text} `.repeat(count);

/** The published English vectors of 256 bits (trezor/python-mnemonic, vectors.json): entropy and phrase. */
const PUBLISHED: readonly (readonly [string, string])[] = [
  ["00".repeat(32), `${times(23, "abandon")}art`],
  [
    "7f".repeat(32),
    `${times(2, "legal winner thank year wave sausage worth useful")}legal winner thank year wave sausage worth title`,
  ],
  [
    "80".repeat(32),
    `${times(2, "letter advice cage absurd amount doctor acoustic avoid")}letter advice cage absurd amount doctor acoustic bless`,
  ],
  ["ff".repeat(32), `${times(23, "zoo")}vote`],
  [
    "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
    "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
  ],
  [
    "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863",
    "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside",
  ],
  [
    "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad",
    "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass reopen famous sing advance salt reform",
  ],
  [
    "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
    "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold",
  ],
];

/** SPEC.md §13 read once more, in bits, on OpenSSL's SHA-256. */
function referenceWords(secret: Uint8Array, list: readonly string[]): readonly string[] {
  const checksum = createHash("sha256").update(secret).digest()[0] ?? 0;
  const bits = [...secret, checksum].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from(
    { length: 24 },
    (_, word) => list[Number.parseInt(bits.slice(word * 11, word * 11 + 11), 2)] ?? "",
  );
}

const LISTS: Readonly<Record<RecoveryLanguage, readonly string[]>> = {
  english,
  "simplified-chinese": chinese,
};
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 });
const secret = hexToBytes("068e1b2c".repeat(8)) ?? new Uint8Array();
const inEnglish = recoveryWords(secret, "english");
const inChinese = recoveryWords(secret, "simplified-chinese");
const reading = (language: RecoveryLanguage): object => ({
  ok: true,
  rootSecret: secret,
  language,
});

describe("the word lists", () => {
  it.each(RECOVERY_LANGUAGES)("in %s are the published ones", (language) => {
    // SHA-256 of the words, one per line, as in the files of the BIP.
    const published = {
      english: "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda",
      "simplified-chinese": "5c5942792bd8340cb8b27cd592f1015edf56a8c5b26276ee18a482428e7c5726",
    };
    const text = `${LISTS[language].join("\n")}\n`;
    expect(createHash("sha256").update(text).digest("hex")).toBe(published[language]);
  });

  it.each(RECOVERY_LANGUAGES)("in %s hold nothing that reading would change", (language) => {
    for (const word of LISTS[language]) expect(word.normalize("NFKD").toLowerCase()).toBe(word);
    expect(new Set(LISTS[language]).size).toBe(2_048);
  });

  it("are two", () => {
    expect(RECOVERY_LANGUAGES).toEqual(["english", "simplified-chinese"]);
  });

  it("have no word in common: a phrase has one language", () => {
    expect(english.filter((word) => chinese.includes(word))).toEqual([]);
  });
});

describe("a recovery phrase", () => {
  it.each(PUBLISHED)("of the entropy %s is the published one", (entropy, phrase) => {
    const bytes = hexToBytes(entropy) ?? new Uint8Array();
    expect(recoveryWords(bytes, "english").join(" ")).toBe(phrase);
    const read = must(readRecoveryPhrase(phrase));
    expect([bytesToHex(read.rootSecret), read.language]).toEqual([entropy, "english"]);
  });

  it.each(RECOVERY_LANGUAGES)("in %s gives back any secret", (language) => {
    fc.assert(
      fc.property(secrets, (bytes) => {
        const words = recoveryWords(bytes, language);
        expect(words).toEqual(referenceWords(bytes, LISTS[language]));
        const expected = { ok: true, rootSecret: Uint8Array.from(bytes), language };
        expect(readRecoveryPhrase(words.join(" "))).toEqual(expected);
      }),
    );
  });

  it.each([`${inEnglish[4]}7`, `7${inEnglish[4]}`, "的x", "x的"])(
    "takes %j for one word, which no list has: neither a number in front of one nor two",
    (odd) => {
      expect(readRecoveryPhrase(inEnglish.with(4, odd).join(" "))).toEqual({
        ok: false,
        reason: "unknown-words",
        language: "english",
        positions: [5],
      });
    },
  );

  it("is read as English when no list has any of its words", () => {
    const words = inEnglish.map(() => "zzzz");
    expect(readRecoveryPhrase(words.join(" "))).toMatchObject({
      reason: "unknown-words",
      language: "english",
      positions: words.map((_, index) => index + 1),
    });
  });

  it("is made of 32 bytes and no other length", () => {
    for (const length of [0, 16, 31, 33]) {
      expect(() => recoveryWords(new Uint8Array(length), "english")).toThrow(
        new RangeError(`expected 32 bytes, got ${length}`),
      );
    }
  });

  it.each([
    ["in upper case", inEnglish.join(" ").toUpperCase()],
    ["one word per line, numbered", inEnglish.map((word, at) => `${at + 1}. ${word}`).join("\r\n")],
    ["numbered without a space", inEnglish.map((word, at) => `${at + 1}.${word}`).join(" ")],
    ["with commas", inEnglish.join(", ")],
    ["with wide, narrow and no-break spaces around", `\u3000${inEnglish.join("\u00a0\t")} \n`],
    ["in full-width letters", inEnglish.join(" ").replaceAll(/[a-z]/g, wide)],
  ])("in English is read %s", (_, text) => {
    expect(readRecoveryPhrase(text)).toEqual(reading("english"));
  });

  it.each([
    ["without spaces", inChinese.join("")],
    ["with wide spaces", inChinese.join("\u3000")],
    ["in lines of six", inChinese.map((one, at) => (at % 6 === 5 ? `${one}\n` : one)).join("")],
    ["with Chinese commas", inChinese.join("、")],
    ["numbered", inChinese.map((word, at) => `${at + 1}、${word}`).join("\n")],
  ])("in Chinese is read %s", (_, text) => {
    expect(readRecoveryPhrase(text)).toEqual(reading("simplified-chinese"));
  });

  it("restores the account on a new device", async () => {
    const own = await createOwnDevice(seededEnv("recovery"));
    for (const language of RECOVERY_LANGUAGES) {
      const text = recoveryWords(own.rootSecret, language).join(" ");
      const { rootSecret } = must(readRecoveryPhrase(text));
      const restored = await restoreDevice(rootSecret, seededEnv(`recovery, ${language}`));
      expect(accountIdOf(restored.cert.rootKey)).toEqual(accountIdOf(own.cert.rootKey));
      expect(restored.cert.deviceId).not.toEqual(own.cert.deviceId);
    }
  });
});

describe("a phrase with a mistake", () => {
  it.each([0, 1, 12, 23, 25, 48])("of %d words says how many there are", (count) => {
    const words = Array.from({ length: count }, (_, at) => inEnglish[at % 24] ?? "");
    expect(readRecoveryPhrase(words.join(" "))).toEqual({
      ok: false,
      reason: "word-count",
      words: count,
    });
  });

  it("says which words do not exist, counted from 1", () => {
    const words = inEnglish.with(0, "abandom").with(4, "b3arch").with(23, "的");
    expect(readRecoveryPhrase(words.join(" "))).toEqual({
      ok: false,
      reason: "unknown-words",
      language: "english",
      positions: [1, 5, 24],
    });
    expect(readRecoveryPhrase(inChinese.with(2, "abandon").join(" "))).toEqual({
      ok: false,
      reason: "unknown-words",
      language: "simplified-chinese",
      positions: [3],
    });
  });

  it("of two words exchanged is refused unless the checksum cannot tell", () => {
    let refused = 0;
    for (let at = 0; at < RECOVERY_WORDS - 1; at++) {
      const swapped = inEnglish.with(at, inEnglish[at + 1] ?? "").with(at + 1, inEnglish[at] ?? "");
      const read = readRecoveryPhrase(swapped.join(" "));
      if (!read.ok) {
        expect(read).toEqual({ ok: false, reason: "checksum", language: "english" });
        refused++;
      } else expect(read.rootSecret).not.toEqual(secret);
    }
    expect(refused).toBeGreaterThanOrEqual(RECOVERY_WORDS - 3);
  });

  it("in its last word is refused for all but the 8 words with the right checksum", () => {
    const accepted = english.filter(
      (word) => readRecoveryPhrase(inEnglish.with(23, word).join(" ")).ok,
    );
    expect(accepted).toHaveLength(8);
    expect(accepted).toContain(inEnglish[23]);
  });

  it("of one bit of the secret is another phrase", () => {
    for (let bit = 0; bit < 256; bit++) {
      expect(recoveryWords(flipBit(secret, bit), "english")).not.toEqual(inEnglish);
    }
  });

  it(`is looked at up to ${RECOVERY_TEXT_CHARACTERS_MAX} characters`, () => {
    const text = inEnglish.join(" ").padEnd(RECOVERY_TEXT_CHARACTERS_MAX);
    expect(readRecoveryPhrase(text)).toEqual(reading("english"));
    expect(readRecoveryPhrase(`${text} `)).toEqual({ ok: false, reason: "too-long" });
  });

  it("is a value, whatever the text, and never repeats what was typed", () => {
    const piece = fc.oneof(
      fc.constantFrom(...inEnglish, ...inChinese, "canary", "1.", "，", "\ud800", "ﬁ", "İ"),
      fc.string({ unit: "binary", maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom(" ", "", "\n"), (all, by) => {
        const read = readRecoveryPhrase(all.join(by));
        if (read.ok) return;
        const said = JSON.stringify(read);
        for (const word of ["canary", ...inEnglish, ...inChinese]) expect(said).not.toContain(word);
      }),
      { numRuns: 500 },
    );
  });
});

function wide(letter: string): string {
  return String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0);
}
