/**
 * The simulator in a page: a seed and its options in, verdict, faults and trace out. The address holds what was asked
 * for, so that a failure can be handed on as a link: `?seed=3&faults=crash:16,write:9&bug=…&real=1`.
 */
import { nobleBackend } from "@sotto/crypto";
import { PLANTED_BUGS } from "../planted.ts";
import { listOf, shrink } from "../shrink.ts";
import { type RunOptions, simulate } from "../simulate.ts";

/** Lines shown; the hash is of all. */
const LINES_MAX = 20_000;

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${id}`);
  return found;
}

const form = element("form", HTMLFormElement);
const seed = element("seed", HTMLInputElement);
const faults = element("faults", HTMLInputElement);
const bug = element("bug", HTMLSelectElement);
const real = element("real", HTMLInputElement);
const reduce = element("shrink", HTMLInputElement);
const verdict = element("verdict", HTMLElement);
const hash = element("hash", HTMLElement);
const failures = element("failures", HTMLElement);
const decisions = element("decisions", HTMLElement);
const shown = element("trace", HTMLElement);

bug.append(new Option("none", ""), ...PLANTED_BUGS.map((one) => new Option(one, one)));

function optionsOf(): RunOptions {
  const planted = PLANTED_BUGS.find((one) => one === bug.value);
  const only = faults.value.trim();
  return {
    ...(planted === undefined ? {} : { bug: planted }),
    ...(real.checked ? { crypto: nobleBackend } : {}),
    ...(only === "" ? {} : { only: new Set(only === "none" ? [] : only.split(",")) }),
  };
}

async function run(): Promise<void> {
  const number = Number(seed.value);
  if (!Number.isSafeInteger(number)) {
    verdict.textContent = "A seed is a whole number.";
    return;
  }
  const query = new URLSearchParams({ seed: seed.value });
  if (faults.value !== "") query.set("faults", faults.value);
  if (bug.value !== "") query.set("bug", bug.value);
  if (real.checked) query.set("real", "1");
  history.replaceState(undefined, "", `?${query.toString()}`);
  verdict.textContent = "Running";
  const options = optionsOf();
  const lines: string[] = [];
  const result = await simulate(number, { ...options, trace: (line) => void lines.push(line) });
  hash.textContent = result.traceHash;
  failures.replaceChildren(
    ...result.failures.map((one) => {
      const item = document.createElement("li");
      item.textContent = one;
      return item;
    }),
  );
  decisions.textContent = result.decisions.map(({ id, at }) => `${at.toFixed(1)} ${id}`).join("\n");
  const cut = lines.length > LINES_MAX ? `\n… ${lines.length - LINES_MAX} more` : "";
  shown.textContent = lines.slice(0, LINES_MAX).join("\n") + cut;
  const counts = `${result.accepted} messages, ${result.steps} steps, ${result.events} events`;
  if (result.failures.length === 0) {
    verdict.textContent = `Holds: ${counts}`;
    return;
  }
  verdict.textContent = `Fails: ${counts}`;
  if (!reduce.checked || options.only !== undefined) return;
  verdict.textContent = `Reducing: ${counts}`;
  const shrunk = await shrink(number, options);
  if (shrunk === undefined) return;
  faults.value = listOf(shrunk.only);
  verdict.textContent = `Fails with ${shrunk.only.length} of ${shrunk.from}: run it again with these`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});

const asked = new URLSearchParams(location.search);
seed.value = asked.get("seed") ?? seed.value;
faults.value = asked.get("faults") ?? "";
bug.value = PLANTED_BUGS.find((one) => one === asked.get("bug")) ?? "";
real.checked = asked.get("real") === "1";
if (asked.has("seed")) void run();
