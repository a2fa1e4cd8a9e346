/**
 * Loads our own sources with a counter in every statement, function and branch, so that the fuzzer sees what an input
 * reached; on the way it can plant a bug or shrink a limit.
 * Owns: the counters, and which modules have them. Must be installed before the first import of what it instruments.
 */
import { createInstrumenter } from "istanbul-lib-instrument";
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { applyConstants, applyPatches, type Constants, type Patch } from "../setup/patch.ts";

/** Counters there is room for: the instrumented packages use about a quarter. */
const COUNTERS_MAX = 32_768;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const INSTRUMENTED =
  /^(packages\/(wire|crypto|sync|storage)\/.*|relay\/src\/core\/.*|packages\/transport\/src\/(admission-answer|libp2p\/(frame-stream|init-channel|peer-address))|relay\/src\/(node\/(admission|stun-server)|doctor\/stun)|packages\/sdk\/src\/backup-rows|app\/src\/offered-relays)\.ts$/;
/** Sources only: the packages' own tests are read by targets, not measured. */
const TESTS = /\/test\//;
const GLOBAL = "__sottoCounters";

export interface InstrumentOptions {
  readonly patches?: readonly Patch[];
  readonly constants?: Constants;
}

export interface Instrumented {
  /** One per statement, function and branch loaded so far: how often it ran since they were last set to 0. */
  readonly counters: Uint32Array;
  /** Counters in use. */
  used(): number;
  /** Literals of the sources: what a decoder compares its input with. */
  dictionary(): readonly (number | string)[];
  /** Throws when a patch or constant has not met its file: call it once everything is loaded. */
  check(): void;
}

export function instrument({ patches = [], constants = {} }: InstrumentOptions = {}): Instrumented {
  const counters = new Uint32Array(COUNTERS_MAX);
  Object.defineProperty(globalThis, GLOBAL, { value: counters });
  const literals = new Set<number | string>();
  const unseen = new Set(patches.map((patch) => patch.file));
  const unset = new Set(Object.keys(constants));
  let used = 0;

  const transform = (file: string, original: string): string => {
    unseen.delete(file);
    const patched = applyConstants(applyPatches(file, original, patches), constants);
    for (const name of patched.replaced) unset.delete(name);
    const source = stripTypeScriptTypes(patched.source, { mode: "strip" });
    for (const literal of literalsOf(source)) literals.add(literal);
    const instrumenter = createInstrumenter({ esModules: true, compact: false });
    const flat = flatten(instrumenter.instrumentSync(source, file), used);
    used = flat.used;
    if (used > COUNTERS_MAX) throw new RangeError(`more than ${COUNTERS_MAX} counters`);
    return flat.code;
  };

  registerHooks({
    load(url, context, next) {
      const file = url.startsWith("file:") ? relative(ROOT, fileURLToPath(url)) : "";
      if (!INSTRUMENTED.test(file) || TESTS.test(file)) return next(url, context);
      const source = transform(file, readFileSync(fileURLToPath(url), "utf8"));
      return { format: "module", source, shortCircuit: true };
    },
  });

  return {
    counters,
    used: () => used,
    dictionary: () => [...literals],
    check() {
      const missing = [...unseen, ...unset];
      if (missing.length > 0) throw new Error(`never loaded: ${missing.join(", ")}`);
    },
  };
}

/**
 * The instrumenter counts in an object per module. One flat array instead costs a single addition per count, and is
 * cleared and read in one go.
 */
function flatten(code: string, first: number): { readonly code: string; readonly used: number } {
  const header = /^function (cov_\w+)\(\) \{/.exec(code);
  const name = header?.[1];
  if (name === undefined) throw new Error("the instrumenter writes its header differently now");
  const start = `\n${name}();\n`;
  const body = code.slice(code.indexOf(start) + start.length);
  const indexByCount = new Map<string, number>();
  const counted = body.replaceAll(
    new RegExp(`${name}\\(\\)\\.([sfb]\\[\\d+\\](?:\\[\\d+\\])?)\\+\\+`, "g"),
    (_, count: string) => {
      const index = indexByCount.get(count) ?? first + indexByCount.size;
      indexByCount.set(count, index);
      return `${GLOBAL}[${index}]++`;
    },
  );
  if (counted.includes(`${name}()`)) throw new Error("the instrumenter counts differently now");
  return { code: counted, used: first + indexByCount.size };
}

function literalsOf(source: string): readonly (number | string)[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const numbers = [...code.matchAll(/\b(0x[\da-f_]+|\d[\d_]*)\b/gi)].map(([text]) =>
    Number(text.replaceAll("_", "")),
  );
  const strings = [...code.matchAll(/"([^"\\\n]{1,64})"/g)].flatMap(([, text = ""]) => [text]);
  return [...numbers, ...strings];
}
