import { CATALOGS } from "@sotto/ui/catalogs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const FOLDERS = ["../src", "../../../app/src"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);
/** What both languages write the same way. */
const SAME_IN_BOTH: ReadonlySet<string> = new Set([
  "app.name",
  "app.untitled",
  "app.unreadTitle",
  "status.received",
]);

type Leaf = readonly [key: string, value: unknown];

const isBranch = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

/** Every sentence with its dotted key. */
function leaves(branch: object, path = ""): readonly Leaf[] {
  return Object.entries(branch).flatMap(([key, value]: [string, unknown]): readonly Leaf[] =>
    isBranch(value) ? leaves(value, `${path}${key}.`) : [[`${path}${key}`, value]],
  );
}

const keys = (catalog: object): readonly string[] =>
  leaves(catalog)
    .map(([key]) => key)
    .toSorted();

/** A sentence with sample values put in: text where text fits, and a number that shows plurals. */
function say(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "function") return "";
  return String(value(7));
}

describe("the catalogs", () => {
  it("have the same keys in every language", () => {
    expect(keys(CATALOGS["zh-CN"])).toEqual(keys(CATALOGS.en));
  });

  it("take values in the same places", () => {
    const kind = ([key, value]: Leaf): string => `${key}: ${typeof value}`;
    expect(leaves(CATALOGS["zh-CN"]).map(kind).toSorted()).toEqual(
      leaves(CATALOGS.en).map(kind).toSorted(),
    );
  });

  it("say something for every key, each in its own language", () => {
    const english = new Map(leaves(CATALOGS.en));
    for (const [key, value] of leaves(CATALOGS["zh-CN"])) {
      if (SAME_IN_BOTH.has(key)) continue;
      expect(say(value), key).not.toBe("");
      expect(say(english.get(key)), key).not.toBe("");
      expect(say(value), key).not.toBe(say(english.get(key)));
      expect(say(value), key).toMatch(/\p{Script=Han}/u);
      expect(say(english.get(key)), key).not.toMatch(/\p{Script=Han}/u);
    }
  });

  it("name the value they are given", () => {
    const name = "Zoë";
    for (const catalog of Object.values(CATALOGS)) {
      expect(catalog.home.title(name)).toContain(name);
      expect(catalog.verify.text(name)).toContain(name);
      expect(catalog.conversation.label(name)).toContain(name);
      expect(catalog.list.own(name)).toContain(name);
    }
  });

  it("count in English as English does", () => {
    expect(CATALOGS.en.list.unread(1)).toBe("1 message unread");
    expect(CATALOGS.en.list.unread(2)).toBe("2 messages unread");
    expect(CATALOGS.en.conversation.newMessages(1)).toBe("1 new message");
    expect(CATALOGS.en.conversation.newMessages(2)).toBe("2 new messages");
  });

  it("never use words that only engineers know", () => {
    const technical = /fingerprint|public key|session|cross-signing|ratchet|会话密钥|公钥|指纹/i;
    for (const catalog of Object.values(CATALOGS)) {
      for (const [key, value] of leaves(catalog)) expect(say(value), key).not.toMatch(technical);
    }
  });
});

/** The text of each `html` template in a source, every value in it replaced by a space. */
function templates(source: string): readonly string[] {
  const found: string[] = [];
  for (let at = source.indexOf("html`"); at >= 0; at = source.indexOf("html`", at + 5)) {
    let text = "";
    let depth = 0;
    for (let index = at + 5; index < source.length; index += 1) {
      const two = source.slice(index, index + 2);
      if (depth === 0 && source[index] === "`") break;
      if (two === "${") depth += 1;
      if (depth === 0) text += source[index];
      else if (source[index] === "{" && two !== "${") depth += source[index - 1] === "$" ? 0 : 1;
      else if (source[index] === "}") {
        depth -= 1;
        text += " ";
      }
    }
    found.push(text);
  }
  return found;
}

/** Words a person would read that stand in a template instead of a catalog. */
const literals = (template: string): readonly string[] => [
  ...(template.replaceAll(/<[^>]*>/g, " ").match(/\p{L}{2,}/gu) ?? []),
  ...[...template.matchAll(/\b(?:aria-label|title|placeholder|alt)="([^"]*\p{L}[^"]*)"/gu)].map(
    (match) => match[1] ?? "",
  ),
];

describe("the templates", () => {
  it("are read as the next test needs", () => {
    const source = 'html`<p title="Hi there">Hello ${one({ a: html`<b>inner</b>` })} you</p>`';
    expect(templates(source).map(literals)).toEqual([["Hello", "you", "Hi there"], ["inner"]]);
  });

  it("hold no words of their own: every one of them is translated", async () => {
    let count = 0;
    for (const folder of FOLDERS) {
      const names = await readdir(folder, { recursive: true });
      for (const name of names.filter((one) => one.endsWith(".ts"))) {
        for (const template of templates(await readFile(join(folder, name), "utf8"))) {
          count += 1;
          expect(literals(template), name).toEqual([]);
        }
      }
    }
    expect(count).toBeGreaterThan(40);
  });
});
