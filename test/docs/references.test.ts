import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { readTextFiles, ROOT, type TextFile } from "./files.ts";

const files = readTextFiles();
const textByPath = new Map(files.map(({ path, text }) => [path, text]));

/** "§4.2" of "crypto/SPEC.md §4.2", or of "SPEC.md §4.2" in a file of that package. */
interface Reference {
  readonly from: string;
  readonly spec: string;
  readonly section: string | undefined;
}

const MENTION = /(?:\b([a-z]+)\/)?\bSPEC\.md\b(?:[\s*]+§(\d+(?:\.\d+)*))?/g;

function referencesIn({ path, text }: TextFile): readonly Reference[] {
  const own = workspaceOf(path);
  return [...text.matchAll(MENTION)].flatMap(([, name, section]) => {
    // Files of no package may say "the SPEC.md of each package", but a section only of one they name.
    if (name === undefined && own === undefined && section === undefined) return [];
    const folder = name === undefined ? (own ?? "no package") : folderOf(name);
    return [{ from: path, spec: `${folder}/SPEC.md`, section }];
  });
}

const workspaceOf = (path: string): string | undefined =>
  /^(packages\/[^/]+|relay|app)(?=\/)/.exec(path)?.[0];

const folderOf = (name: string): string => (name === "relay" ? name : `packages/${name}`);

const headingsOf = (text: string): ReadonlySet<string> =>
  new Set([...text.matchAll(/^#{1,6}\s+§?(\d+(?:\.\d+)*)\.?\s/gm)].map((match) => match[1] ?? ""));

/** This file speaks of references that do not exist. */
const sources = files.filter(
  ({ path }) => /\.(ts|md|css|html|sh)$/.test(path) && path !== "test/docs/references.test.ts",
);

describe("a specification", () => {
  const references = sources.flatMap(referencesIn);

  it("is spoken of in the sources", () => {
    expect(references.filter(({ section }) => section !== undefined).length).toBeGreaterThan(20);
  });

  it("is there when it is spoken of", () => {
    expect(references.filter(({ spec }) => !textByPath.has(spec))).toEqual([]);
  });

  it("has each section that is spoken of", () => {
    const missing = references.filter(({ spec, section }) => {
      const text = textByPath.get(spec);
      return section !== undefined && text !== undefined && !headingsOf(text).has(section);
    });
    expect(missing).toEqual([]);
  });
});

/** Names of documents in a text, as written: "crypto/SPEC.md", "../README.md". */
const documentsIn = (text: string): readonly string[] =>
  [...text.matchAll(/[\w./-]*\w\.md\b/g)].map(([name]) => name);

/** Whether some file of the tree can be meant: a page that a stranger does not have is no reference. */
const isInTree = (name: string): boolean => {
  const tail = name.replace(/^(\.{0,2}\/)+/, "");
  return files.some(({ path }) => path === tail || path.endsWith(`/${tail}`));
};

describe("a document", () => {
  it("is in the repository when it is spoken of", () => {
    const missing = sources.flatMap(({ path, text }) =>
      documentsIn(text)
        .filter((name) => !isInTree(name))
        .map((name) => `${path} -> ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("a link in a document", () => {
  it("to a file of this repository leads somewhere", () => {
    const broken = files
      .filter(({ path }) => path.endsWith(".md"))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
          .map((match) => match[1] ?? "")
          .filter((target) => !/^[a-z]+:/.test(target))
          .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
          .map((target) => `${path} -> ${normalize(join(dirname(path), target))}`),
      );
    expect(broken).toEqual([]);
  });
});

describe("no file names", () => {
  const found = (pattern: RegExp): readonly string[] =>
    files.flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}`] : [])),
    );

  // Put together here, so that this file does not name them either.
  const hosts = ["npmjs", "npmmirror", "yarnpkg", "jfrog", "artifactory", "pypi", "crates"];

  it("a package registry", () => {
    expect(found(new RegExp(`(//|@|\\b)[\\w.-]*(${hosts.join("|")})[\\w-]*\\.[a-z]`, "i"))).toEqual(
      [],
    );
    expect(found(/(\/\/|@)registr[y][.:]/i)).toEqual([]);
  });

  it("a folder of somebody's machine", () => {
    const folders = ["home", "root", "Users", "work", "workspace", "mnt"].join("|");
    expect(found(new RegExp(`(^|[\\s"'\`(=:])/(${folders})/[\\w.-]`))).toEqual([]);
    expect(found(/\b[A-Z]:\\Users\\/)).toEqual([]);
  });
});

describe("what these tests read", () => {
  const read = (path: string, text: string): unknown =>
    referencesIn({ path, text }).map(({ spec, section }) => [spec, section]);

  it("are mentions of the own specification or of one that is named", () => {
    expect(read("packages/wire/src/hub.ts", "Spec: SPEC.md §9.")).toEqual([
      ["packages/wire/SPEC.md", "9"],
    ]);
    expect(read("relay/src/core/mailbox.ts", "Spec: SPEC.md §2.1, crypto/SPEC.md §9")).toEqual([
      ["relay/SPEC.md", "2.1"],
      ["packages/crypto/SPEC.md", "9"],
    ]);
    expect(read("test/e2e/a.ts", "see relay/SPEC.md\n * §3 and packages/wire/SPEC.md")).toEqual([
      ["relay/SPEC.md", "3"],
      ["packages/wire/SPEC.md", undefined],
    ]);
    expect(read("README.md", "each SPEC.md, and SPEC.md §3")).toEqual([
      ["no package/SPEC.md", "3"],
    ]);
  });

  it("are names of documents, with and without their folders", () => {
    const names = documentsIn("see ../README.md, `wire/SPEC.md` (security.md I9) and docs/*.md");
    expect(names).toEqual(["../README.md", "wire/SPEC.md", "security.md"]);
    expect(names.filter((name) => !isInTree(name))).toEqual(["security.md"]);
  });

  it("are headings with their numbers", () => {
    expect([...headingsOf("# Title\n\n## §3 Envelopes\n### 3.2 Padding\n## 4. Bundles\n")]).toEqual(
      ["3", "3.2", "4"],
    );
  });
});
