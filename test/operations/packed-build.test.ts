/** What the app's build packs says the same as before. */
import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { wordlist as simplifiedChinese } from "@scure/bip39/wordlists/simplified-chinese.js";
import { describe, expect, it } from "vitest";
import { inGb2312, sharingStarts } from "../../app/build/packed-words.ts";

/** The list that this code makes. */
async function listOf(code: string): Promise<unknown> {
  const made: { readonly wordlist: unknown } = await import(
    /* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`
  );
  return made.wordlist;
}

describe("the packed lists of words", () => {
  it("are the English list, and less than two thirds of it", async () => {
    const code = sharingStarts(english);
    expect(await listOf(code)).toEqual(english);
    expect(code.length).toBeLessThan((english.join("\n").length * 2) / 3);
  });

  it("keep words that are the beginning of others, or twice there", async () => {
    const words = ["act", "action", "action", "actor", "b"];
    expect(await listOf(sharingStarts(words))).toEqual(words);
  });

  it("are the Chinese list, with characters that are not common", async () => {
    const code = inGb2312(simplifiedChinese);
    expect(code).toContain('others = "酯铒徙"');
    expect(await listOf(code)).toEqual(simplifiedChinese);
  });
});
