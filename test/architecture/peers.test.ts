/**
 * Other people's ratchets are AGPL and GPL: they are compared with, never shipped and never needed by what is.
 * Owns: where they may be named, and the licences of everything a published workspace installs.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  importsOf,
  packageOf,
  readJson,
  readWorkspaces,
  ROOT,
  withoutComments,
} from "./sources.ts";

const PEERS = [
  "@matrix-org/olm",
  "@nostr-dev-kit/ndk",
  "@nostr-dev-kit/sync",
  "@privacyresearch/libsignal-protocol-typescript",
  "@signalapp/libsignal-client",
  "@sotto/peers",
];
const isPeer = (name: string): boolean => PEERS.includes(name);

interface Manifest {
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const requiredBy = (manifest: Manifest): readonly string[] => [
  ...Object.keys(manifest.dependencies ?? {}),
  ...Object.keys(manifest.optionalDependencies ?? {}),
  ...Object.keys(manifest.peerDependencies ?? {}),
];

interface Locked extends Manifest {
  readonly license?: string;
  /** Of a workspace: where the link leads. */
  readonly resolved?: string;
  readonly link?: boolean;
}

const { packages: lock } = readJson("package-lock.json") as {
  readonly packages: Readonly<Record<string, Locked>>;
};

/** As Node does: beside the package that asks, or further up. Undefined: an optional one for another platform. */
function placeOf(name: string, asker: string): string | undefined {
  for (let folder = asker; ; folder = folder.slice(0, Math.max(folder.lastIndexOf("/"), 0))) {
    const place = folder === "" ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    const entry = lock[place];
    if (entry !== undefined) return entry.link === true ? entry.resolved : place;
    if (folder === "") return undefined;
  }
}

/** Everything that is installed with `workspace`, as places in the lock file. */
function installedWith(workspace: string): ReadonlySet<string> {
  const places = new Set([workspace]);
  for (const place of places) {
    for (const name of requiredBy(lock[place] ?? {})) {
      const next = placeOf(name, place);
      if (next !== undefined) places.add(next);
    }
  }
  return places;
}

const published = readWorkspaces().map(({ folder }) => folder);

describe("peers of the comparison", () => {
  it("are found where they belong, or this test reads nothing", () => {
    const declared = Object.keys(
      (readJson("test/peers/package.json") as Manifest).dependencies ?? {},
    );
    expect(PEERS.filter((name) => name !== "@sotto/peers" && !declared.includes(name))).toEqual([]);
    const installed = [...installedWith("test/peers")].map((place) => lock[place]?.license ?? "");
    expect(installed.filter((license) => /GPL/.test(license)).length).toBeGreaterThan(2);
  });

  it("live in workspaces that are never published", () => {
    expect((readJson("test/peers/package.json") as Manifest).private).toBe(true);
    expect((readJson("test/package.json") as Manifest).private).toBe(true);
  });

  it.each(["", ...published])("are in no manifest of %s", (folder) => {
    const manifest = readJson(join(folder, "package.json")) as Manifest;
    const all = [...requiredBy(manifest), ...Object.keys(manifest.devDependencies ?? {})];
    expect(all.filter(isPeer)).toEqual([]);
  });

  it("are imported by nothing outside test/", () => {
    const files = globSync(["packages/*/{src,test,kernel}/**/*.ts", "{app,relay}/**/*.ts"], {
      cwd: ROOT,
      exclude: ["**/node_modules/**", "**/dist/**"],
    });
    expect(files.length).toBeGreaterThan(200);
    const users = files.filter((file) => {
      const code = withoutComments(readFileSync(join(ROOT, file), "utf8"));
      return importsOf(code).some((module) => isPeer(packageOf(module)));
    });
    expect(users).toEqual([]);
  });
});

describe("what is installed with a published workspace", () => {
  it.each(published)("%s: nothing under the GPL or AGPL", (folder) => {
    const copyleft = [...installedWith(folder)].filter((place) =>
      /GPL/.test(lock[place]?.license ?? ""),
    );
    expect(copyleft).toEqual([]);
  });
});
