/**
 * Settings in words: for `config --print`, `config --explain`, and CONFIG.md.
 * Spec: CONFIG.md.
 */
import { type Key, KEYS } from "./keys.ts";
import { KEY_IDS, type Resolved } from "./resolve.ts";

/** The settings as a relay.toml that would say the same, with where each came from. */
export function printSettings({ settings, sources }: Resolved): string {
  const lines: string[] = [];
  let section = "";
  for (const id of KEY_IDS) {
    const [own = "", name = ""] = KEYS[id].name.split(".");
    if (own !== section) lines.push(...(section === "" ? [] : [""]), `[${own}]`);
    section = own;
    const value = toValue(KEYS[id], settings[id]);
    const line = `${name} = ${value === undefined ? '""' : JSON.stringify(value)} # ${sources[id]}`;
    lines.push(value === undefined ? `# ${line}` : line);
  }
  return `${lines.join("\n")}\n`;
}

/** As the file takes it; undefined: there is none. */
function toValue(entry: Key<unknown>, value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.join(",");
  return entry.isSecret === true && value !== undefined ? "(not shown)" : value;
}

export const explainKey = (entry: Key<unknown>): string =>
  `${entry.name}\n  ${entry.sentence}\n  unit: ${entry.unit}\n  default: ${entry.shown || "none"}\n  flag: ${entry.flag}\n  environment: ${entry.env}\n`;

/** The whole of CONFIG.md. */
export function configPage(): string {
  const sections = Object.values(KEYS).map(
    (entry: Key<unknown>) =>
      `## ${entry.name}\n\n${entry.sentence}\n\n- unit: ${entry.unit}\n- default: ${entry.shown === "" ? "none" : `\`${entry.shown}\``}\n- flag: \`${entry.flag}\`\n- environment: \`${entry.env}\`\n`,
  );
  return `# Settings of sotto-relay\n\nMade from \`src/config/keys.ts\` by \`sotto-relay config --page\`; a test compares.\n\nFlags beat the environment, the environment beats the file. The file is given by \`--config relay.toml\` or \`SOTTO_CONFIG\`. A name that is no setting keeps the relay from starting.\n\n${sections.join("\n")}`;
}
