import { existsSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import {
  importsOf,
  packageOf,
  readJson,
  readWorkspaces,
  ROOT,
  type Source,
  withoutComments,
  type Workspace,
} from "./sources.ts";

/** Who may import whom: own packages by folder, other people's by name. Arrows only point up this list. */
const LAYERS: Readonly<
  Record<string, { readonly own: readonly string[]; readonly third: readonly string[] }>
> = {
  "packages/wire": { own: [], third: [] },
  "packages/crypto": {
    own: ["wire"],
    third: [
      "@noble/ciphers",
      "@noble/curves",
      "@noble/hashes",
      "@noble/post-quantum",
      "@scure/bip39",
    ],
  },
  "packages/engines": { own: ["wire", "crypto"], third: [] },
  "packages/protocol": { own: ["wire", "crypto"], third: [] },
  "packages/sync": { own: ["wire", "crypto"], third: [] },
  // crypto: the proofs a client shows to a relay.
  "packages/transport": {
    own: ["wire", "crypto", "protocol"],
    third: [
      "@chainsafe/libp2p-noise",
      "@libp2p/circuit-relay-v2",
      "@libp2p/crypto",
      "@libp2p/identify",
      "@libp2p/peer-id",
      "@libp2p/webrtc",
      "@libp2p/websockets",
      "@libp2p/yamux",
      "@multiformats/multiaddr",
      "libp2p",
    ],
  },
  "packages/storage": { own: ["wire", "protocol", "sync"], third: ["dexie"] },
  "packages/sdk": {
    own: ["wire", "crypto", "engines", "protocol", "transport", "storage"],
    third: [],
  },
  // wire: what may be a name.
  "packages/ui": {
    own: ["wire", "sdk"],
    third: [
      "lit",
      "linkify-it",
      "qr",
      "@lit-labs/virtualizer",
      "@tanstack/virtual-core",
      "thumbhash",
      "marked",
    ],
  },
  "packages/bots": { own: ["sdk"], third: [] },
  relay: {
    own: ["wire", "crypto", "engines"],
    third: [
      "@chainsafe/libp2p-noise",
      "@libp2p/circuit-relay-v2",
      "@libp2p/crypto",
      "@libp2p/identify",
      "@libp2p/websockets",
      "@libp2p/yamux",
      "@multiformats/multiaddr",
      "commander",
      "libp2p",
      "jose",
      "pino",
      "prom-client",
      "jose",
      "qr",
      "smol-toml",
      "ws",
    ],
  },
  // wire: recognising an invite in the address bar.
  app: { own: ["wire", "ui", "sdk", "bots"], third: ["lit"] },
};

const workspaces = readWorkspaces();
const workspaceByName = new Map(workspaces.map((one) => [one.name, one]));

/** Modules imported by name, with the file that does. */
const importsByName = (workspace: Workspace): readonly { file: string; module: string }[] =>
  workspace.sources.flatMap(({ path, imports }) =>
    imports.filter((module) => !module.startsWith(".")).map((module) => ({ file: path, module })),
  );

const isNode = (module: string): boolean => module.startsWith("node:");

it("every workspace has its place in the layers", () => {
  expect(workspaces.map((one) => one.folder).filter((folder) => !(folder in LAYERS))).toEqual([]);
  expect(workspaces.filter((one) => one.sources.length === 0).map((one) => one.folder)).toEqual([]);
});

describe.each(workspaces)("$folder", (workspace) => {
  const layer = LAYERS[workspace.folder] ?? { own: [], third: [] };
  const named = importsByName(workspace).filter(({ module }) => !isNode(module));

  it("declares what it imports", () => {
    const undeclared = named.filter(
      ({ module }) =>
        packageOf(module) !== workspace.name && !workspace.dependencies.includes(packageOf(module)),
    );
    expect(undeclared).toEqual([]);
  });

  it("imports own packages only from the layers above it", () => {
    const wrong = named.filter(({ module }) => {
      const target = workspaceByName.get(packageOf(module));
      if (target === undefined || target === workspace) return false;
      return !layer.own.some((name) => target.folder === `packages/${name}`);
    });
    expect(wrong).toEqual([]);
  });

  it("imports other people's packages only from its list", () => {
    const wrong = named.filter(({ module }) => {
      const name = packageOf(module);
      return !workspaceByName.has(name) && !layer.third.includes(name);
    });
    expect(wrong).toEqual([]);
  });

  it("depends on nothing it does not import", () => {
    const used = new Set(named.map(({ module }) => packageOf(module)));
    expect(workspace.dependencies.filter((name) => !used.has(name))).toEqual([]);
  });

  it("reaches no file outside its own sources by path", () => {
    const outside = workspace.sources.flatMap(({ path, imports }) =>
      imports
        .filter((module) => module.startsWith("."))
        .map((module) => normalize(join(path, "..", module)))
        .filter((target) => !target.startsWith(join(workspace.folder, "src") + "/"))
        .map((target) => `${path} -> ${target}`),
    );
    expect(outside).toEqual([]);
  });

  it("publishes entries that exist, sources first", () => {
    const missing = Object.entries(workspace.exports).flatMap(([entry, target]) => {
      const source = typeof target === "string" ? target : target["@sotto/source"];
      const exists = source !== undefined && existsSync(join(ROOT, workspace.folder, source));
      return exists ? [] : [entry];
    });
    expect(missing).toEqual([]);
  });
});

describe("Node's own modules", () => {
  it("are imported by the relay's shell and the engine for Node only", () => {
    const users = workspaces
      .flatMap(importsByName)
      .filter(({ module }) => isNode(module))
      .map(({ file }) => file)
      .filter((file) => !/^(relay\/src\/(?!core\/)|packages\/engines\/src\/node\/)/.test(file));
    expect([...new Set(users)]).toEqual([]);
  });
});

describe("heavy or dangerous dependencies have one door", () => {
  const doors: readonly (readonly [string, RegExp, RegExp])[] = [
    ["@noble/*", /^@noble\//, /^packages\/crypto\/src\/(primitives|token|issuer|backup)\.ts$/],
    ["@scure/bip39", /^@scure\/bip39/, /^packages\/crypto\/src\/recovery\.ts$/],
    [
      "dexie",
      /^dexie$/,
      /^packages\/storage\/src\/(dexie|history|history-state|search|upgrades)\.ts$/,
    ],
    [
      "libp2p",
      /^(libp2p|@libp2p\/.*|@chainsafe\/libp2p-noise|@multiformats\/.*)$/,
      /^(packages\/transport\/src\/libp2p\/|relay\/src\/)/,
    ],
  ];

  it.each(doors)("%s", (_, dependency, door) => {
    const users = workspaces
      .flatMap(importsByName)
      .filter(({ module }) => dependency.test(module))
      .map(({ file }) => file);
    expect(users.length).toBeGreaterThan(0);
    expect(users.filter((file) => !door.test(file))).toEqual([]);
  });

  it("libp2p is loaded only when a direct link is wanted: never by a static import of its chunk", () => {
    const chunk = /\bfrom\s*"(@sotto\/transport\/libp2p|[^"]*\/libp2p\/index\.ts)"/g;
    const typeOnly = /\bimport\s+type\b[^;]*?from\s*"@sotto\/transport\/libp2p"/g;
    const eager = workspaces
      .flatMap(({ sources }) => sources)
      .filter(({ path }) => !path.startsWith("packages/transport/src/libp2p/"))
      .filter(({ code }) => [...code.replace(typeOnly, "").matchAll(chunk)].length > 0)
      .map(({ path }) => path);
    expect(eager).toEqual([]);
  });
});

it("nothing is compressed before it is sealed: its length would tell what it stands beside", () => {
  // The kernels come packed: that is the other way round, and never what anybody wrote.
  const unpacking = 'new DecompressionStream("deflate-raw")';
  const compressing = workspaces
    .filter(({ folder }) => folder.startsWith("packages/"))
    .flatMap(({ sources }) => sources)
    .filter(({ code }) =>
      /CompressionStream|\b(zlib|deflate|gzip|brotli|zstd|fflate|pako)/i.test(
        code.replaceAll(unpacking, ""),
      ),
    )
    .map(({ path }) => path);
  expect(compressing).toEqual([]);
});

describe("word lists", () => {
  it("are loaded only when a recovery phrase is asked for: never by a static import", () => {
    const eager = workspaces
      .flatMap(({ sources }) => sources)
      .filter(({ path, code }) => {
        const values = code.replace(/\bimport\s+type\b[^;]*;/g, "");
        return (
          /\bfrom\s*"@sotto\/crypto\/recovery"/.test(values) ||
          (path.startsWith("packages/crypto/") && /\bfrom\s*"\.\/recovery\.ts"/.test(values))
        );
      })
      .map(({ path }) => path);
    expect(eager).toEqual([]);
  });
});

const PURE = [
  "packages/wire/src/",
  "packages/crypto/src/",
  "packages/protocol/src/",
  "packages/sync/src/",
  "relay/src/core/",
];
const pureSources = workspaces
  .flatMap(({ sources }) => sources)
  .filter(({ path }) => PURE.some((folder) => path.startsWith(folder)));

/** Words outside strings. */
const found = (sources: readonly Source[], pattern: RegExp): readonly string[] =>
  sources
    .filter(({ code }) => pattern.test(code.replace(/"(?:\\.|[^"\\\n])*"/g, '""')))
    .map(({ path }) => path);

describe("pure code", () => {
  it("is found by this test", () => {
    for (const folder of PURE) {
      expect(
        pureSources.filter(({ path }) => path.startsWith(folder)).length,
        folder,
      ).toBeGreaterThan(2);
    }
  });

  it.each([
    ["a console", /\bconsole\s*\./],
    ["a clock", /\bDate\b|\bperformance\b|\bTemporal\b/],
    [
      "randomness of its own",
      /\bMath\s*\.\s*random\b|\bgetRandomValues\b|\brandomBytes\b|\brandomUUID\b/,
    ],
    ["timers", /\b(setTimeout|setInterval|setImmediate|queueMicrotask|requestAnimationFrame)\b/],
    [
      "the network or a disk",
      /\b(fetch\s*\(|WebSocket\b|indexedDB\b|localStorage\b|XMLHttpRequest\b)/,
    ],
    ["the global object", /\b(globalThis|window|document|navigator|process)\s*[.[]/],
  ])("uses no %s", (_, pattern) => {
    expect(found(pureSources, pattern)).toEqual([]);
  });

  it("declares no platform global but the two that turn text into bytes", () => {
    const declaring = pureSources
      .filter(({ code }) => /\bdeclare\s+(?!const \w+: unique symbol)/.test(code))
      .map(({ path }) => path);
    expect(declaring).toEqual(["packages/wire/src/utf8.ts"]);
  });

  it.each(["wire", "crypto", "protocol", "sync"])(
    "of %s is compiled without the types of any platform",
    (name) => {
      interface Config {
        readonly compilerOptions?: {
          readonly lib?: readonly string[];
          readonly types?: readonly string[];
        };
      }
      const root = (readJson("tsconfig.json") as Config).compilerOptions;
      expect(root?.lib).toEqual(["es2024"]);
      expect(root?.types).toEqual([]);
      const own = (readJson(`packages/${name}/tsconfig.json`) as Config).compilerOptions;
      expect(own?.lib).toBeUndefined();
      expect(own?.types).toBeUndefined();
      const references = pureSources
        .filter(({ path }) => path.startsWith(`packages/${name}/`))
        .filter(({ text }) => /^\s*\/\/\/\s*<reference/m.test(text));
      expect(references).toEqual([]);
    },
  );
});

describe("what these tests read", () => {
  it("is code without comments and with its strings", () => {
    const source = `import a from "x"; // from "no"\n/* import "no" */ const url = "https://y"; import("z");`;
    const code = withoutComments(source);
    expect(code).toBe(`import a from "x"; \n const url = "https://y"; import("z");`);
    expect(importsOf(code)).toEqual(["x", "z"]);
    expect(
      importsOf(`export * from "./a.ts";\nimport "./b.css";\nimport type { C } from "c/d";`),
    ).toEqual(["./a.ts", "./b.css", "c/d"]);
  });

  it("knows packages by their name without the path", () => {
    expect(packageOf("@sotto/transport/libp2p")).toBe("@sotto/transport");
    expect(packageOf("lit/directives/repeat.js")).toBe("lit");
  });
});
