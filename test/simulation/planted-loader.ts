/**
 * Loads the whole simulator a second time with a deliberate bug in our sources: a real difference of one file, made
 * in memory. Every module of ours that is loaded from there on carries the bug's name in its address.
 * Owns: the module hooks. Leaves to setup/patch.ts: finding the place, and failing loudly without it.
 */
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { applyPatches, type Patch } from "../setup/patch.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NAME = "planted";

type Simulator = Pick<typeof import("./simulate.ts"), "simulate">;
type DevicesSimulator = typeof import("./simulate-devices.ts");

export interface PlantedLoader {
  /** The simulation of people with a device each, or with several. Throws when a patch did not meet its file. */
  load(name: string, patches: readonly Patch[], devices: boolean): Promise<Simulator["simulate"]>;
}

export function createPlantedLoader(): PlantedLoader {
  const planted = new Map<string, readonly Patch[]>();
  const met = new Set<string>();

  const nameOf = (url: string | undefined): string | undefined =>
    url?.startsWith("file:") === true
      ? (new URL(url).searchParams.get(NAME) ?? undefined)
      : undefined;

  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const name = nameOf(context.parentURL);
      const isOurs = resolved.url.startsWith("file:") && !resolved.url.includes("/node_modules/");
      if (name === undefined || !isOurs) return resolved;
      const url = new URL(resolved.url);
      url.searchParams.set(NAME, name);
      return { ...resolved, url: url.href };
    },
    load(url, context, next) {
      const name = nameOf(url);
      if (name === undefined) return next(url, context);
      const path = fileURLToPath(new URL(url));
      const file = relative(ROOT, path);
      met.add(`${name} ${file}`);
      const source = applyPatches(file, readFileSync(path, "utf8"), planted.get(name) ?? []);
      return {
        format: "module",
        source: stripTypeScriptTypes(source, { mode: "strip" }),
        shortCircuit: true,
      };
    },
  });

  return {
    async load(name, patches, devices) {
      planted.set(name, patches);
      const run = devices
        ? ((await import(`./simulate-devices.ts?${NAME}=${name}`)) as DevicesSimulator)
            .simulateDevices
        : ((await import(`./simulate.ts?${NAME}=${name}`)) as Simulator).simulate;
      const missed = patches.filter((patch) => !met.has(`${name} ${patch.file}`));
      if (missed.length > 0) {
        throw new Error(`${name}: never loaded ${missed.map((patch) => patch.file).join(", ")}`);
      }
      return run;
    },
  };
}
