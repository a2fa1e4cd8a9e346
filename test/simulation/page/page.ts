/**
 * The simulator in a page: a seed and its options in, verdict, faults and trace out. The address holds what was asked
 * for, so that a failure can be handed on as a link: `?seed=3&faults=crash:16,write:9&bug=…&devices=1&relays=2`, named as
 * the command line names it.
 */
import { PLANTED_BUGS } from "../planted.ts";
import { listOf, shrink } from "../shrink.ts";
import {
  commandOf,
  isRelayCount,
  optionsOf,
  RELAYS_MAX,
  runOf,
  type Settings,
} from "../settings.ts";

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
const relays = element("relays", HTMLInputElement);
const SWITCHES = ["devices", "admins", "lost", "crowd", "real", "twice"] as const;
const switchOf = (name: (typeof SWITCHES)[number]) => element(name, HTMLInputElement);
const reduce = element("shrink", HTMLInputElement);
const verdict = element("verdict", HTMLElement);
const hash = element("hash", HTMLElement);
const command = element("command", HTMLElement);
const failures = element("failures", HTMLElement);
const decisions = element("decisions", HTMLElement);
const shown = element("trace", HTMLElement);

bug.append(new Option("none", ""), ...PLANTED_BUGS.map((one) => new Option(one, one)));

function settingsOf(): Settings {
  return {
    devices: switchOf("devices").checked,
    admins: switchOf("admins").checked,
    relays: relays.value.trim() === "" ? undefined : Number(relays.value),
    lost: switchOf("lost").checked,
    crowd: switchOf("crowd").checked,
    bug: PLANTED_BUGS.find((one) => one === bug.value),
    real: switchOf("real").checked,
    twice: switchOf("twice").checked,
    only: faults.value.trim(),
  };
}

async function run(): Promise<void> {
  const number = Number(seed.value);
  if (!Number.isSafeInteger(number)) {
    verdict.textContent = "A seed is a whole number.";
    return;
  }
  const settings = settingsOf();
  if (settings.relays !== undefined && !isRelayCount(settings.relays)) {
    verdict.textContent = `Relays are a whole number from 1 to ${RELAYS_MAX}.`;
    return;
  }
  const query = new URLSearchParams({ seed: seed.value });
  if (faults.value !== "") query.set("faults", faults.value);
  if (bug.value !== "") query.set("bug", bug.value);
  if (relays.value !== "") query.set("relays", relays.value);
  for (const name of SWITCHES) if (switchOf(name).checked) query.set(name, "1");
  history.replaceState(undefined, "", `?${query.toString()}`);
  verdict.textContent = "Running";
  command.textContent = commandOf(number, settings);
  const options = optionsOf(settings);
  const once = runOf(settings);
  const lines: string[] = [];
  const result = await once(number, { ...options, trace: (line) => void lines.push(line) });
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
  const shrunk = await shrink(number, options, undefined, once);
  if (shrunk === undefined) return;
  faults.value = listOf(shrunk.only);
  command.textContent = commandOf(number, settingsOf());
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
relays.value = asked.get("relays") ?? "";
for (const name of SWITCHES) switchOf(name).checked = asked.get(name) === "1";
if (asked.has("seed")) void run();
