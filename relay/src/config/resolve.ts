/**
 * From flags, environment and relay.toml to settings: flags beat the environment, the environment beats the file.
 * Owns: precedence and what is told about a wrong file. Leaves to keys.ts: what each text means.
 * Spec: CONFIG.md.
 */
import { parse } from "smol-toml";
import { type Key, type KeyId, KEYS, type Settings } from "./keys.ts";

type Source = "flag" | "environment" | "file" | "domain" | "default";

export interface Resolved {
  readonly settings: Settings;
  readonly sources: Readonly<Record<KeyId, Source>>;
}

export interface Sources {
  /** Texts by key; a key that was not given is absent. */
  readonly flags: Readonly<Partial<Record<KeyId, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of relay.toml. */
  readonly file?: string | undefined;
  /** Whether a file is there and may be read; nothing is, unless given. */
  readonly hasFile?: (path: string) => boolean;
}

/** A typing error is at most so many letters away from what was meant. */
const TYPO_LETTERS_MAX = 3;

const isKeyId = (text: string): text is KeyId => Object.hasOwn(KEYS, text);
export const KEY_IDS: readonly KeyId[] = Object.keys(KEYS).filter(isKeyId);

/** By `section.key`. */
export const findKey = (name: string): Key<unknown> | undefined =>
  Object.values(KEYS).find((entry) => entry.name === name);

/** Throws a TypeError that names the setting, where it stands, and what would be right. */
export function resolveSettings({ flags, env, file, hasFile }: Sources): Resolved {
  const fileTexts = file === undefined ? new Map<string, string>() : readFileTexts(file);
  const settings: Partial<Record<KeyId, unknown>> = {};
  const sources: Partial<Record<KeyId, Source>> = {};
  for (const id of KEY_IDS) {
    const entry: Key<unknown> = KEYS[id];
    const given: readonly (readonly [Source, string, string | undefined])[] = [
      ["flag", entry.flag.split(" ", 1)[0] ?? "", flags[id]],
      ["environment", entry.env, env[entry.env]],
      ["file", `relay.toml: ${entry.name}`, fileTexts.get(entry.name)],
    ];
    settings[id] = entry.fallback;
    sources[id] = "default";
    for (const [source, where, text] of given) {
      if (text === undefined) continue;
      settings[id] = parseAt(entry, where, text);
      sources[id] = source;
      break;
    }
  }
  // Every key of KEYS was set above, by its own parse or its own fallback; a loop cannot tell the compiler.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const resolved = { settings: settings as Settings, sources: sources as Record<KeyId, Source> };
  const { tlsCertificate, tlsKey } = resolved.settings;
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new TypeError("tls.certificate and tls.key: both or neither.");
  }
  const { door, oidcIssuer, oidcAudience, oidcJwks } = resolved.settings;
  if (door === "oidc" && [oidcIssuer, oidcAudience, oidcJwks].includes(undefined)) {
    throw new TypeError('admission.door = "oidc" needs admission.issuer, .audience and .jwks.');
  }
  return fromDomain(resolved, hasFile ?? (() => false));
}

/**
 * What follows from a domain and was not given: with certbot's certificate there, HTTPS on all addresses; without it
 * HTTP on loopback for a proxy on this machine, whose word about addresses then counts.
 */
function fromDomain(resolved: Resolved, hasFile: (path: string) => boolean): Resolved {
  const { domain } = resolved.settings;
  if (domain === undefined) return resolved;
  const folder = `/etc/letsencrypt/live/${domain}`;
  const [tlsCertificate, tlsKey] = [`${folder}/fullchain.pem`, `${folder}/privkey.pem`];
  const hasOwn = resolved.settings.tlsCertificate !== undefined;
  const hasCertbot = !hasOwn && hasFile(tlsCertificate) && hasFile(tlsKey);
  const implied: Partial<Settings> = {
    publicUrl: `https://${domain}`,
    ...(hasOwn || hasCertbot ? { host: "::", port: 443 } : { trustProxy: true }),
    ...(hasCertbot ? { tlsCertificate, tlsKey } : {}),
  };
  const settings = { ...resolved.settings };
  const sources = { ...resolved.sources };
  for (const id of KEY_IDS) {
    if (sources[id] !== "default" || !(id in implied)) continue;
    Object.assign(settings, { [id]: implied[id] });
    sources[id] = "domain";
  }
  return { settings, sources };
}

/** The port of the operator's listener; undefined: none. Beside the relay's own, so that two relays do not meet. */
export function operationsPortOf({ operationsPort, port }: Settings): number | undefined {
  if (operationsPort === "off") return undefined;
  return operationsPort ?? (port === 0 || port === 65_535 ? 0 : port + 1);
}

function parseAt(entry: Key<unknown>, where: string, text: string): unknown {
  try {
    return entry.parse(text);
  } catch (error) {
    throw new TypeError(`${where}: ${error instanceof Error ? error.message : "wrong"}`, {
      cause: error,
    });
  }
}

/** Texts by `section.key`. A value that is no text, number, truth or list of texts is refused. */
function readFileTexts(file: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [section, table] of Object.entries(parse(file))) {
    if (typeof table !== "object" || Array.isArray(table) || table instanceof Date) {
      throw new TypeError(`relay.toml: ${unknown(section)}`);
    }
    for (const [name, value] of Object.entries(table)) {
      const full = `${section}.${name}`;
      if (findKey(full) === undefined) throw new TypeError(`relay.toml: ${unknown(full)}`);
      const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
      if (typeof value === "object" && !isList) {
        throw new TypeError(`relay.toml: ${full}: one value.`);
      }
      texts.set(full, isList ? value.join(" ") : String(value));
    }
  }
  return texts;
}

/** What to say about a name that is no setting. */
export function unknown(name: string): string {
  const [nearest] = Object.values(KEYS)
    .map((entry) => ({
      name: entry.name,
      letters: Math.min(
        distance(name, entry.name),
        distance(name, entry.name.split(".")[1] ?? entry.name),
      ),
    }))
    .toSorted((one, other) => one.letters - other.letters);
  const isNear = nearest !== undefined && nearest.letters <= TYPO_LETTERS_MAX;
  return `there is no setting ${name}${isNear ? `; did you mean ${nearest.name}?` : "."}`;
}

/** Levenshtein. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, letter] of Array.from(one).entries()) {
    const next = [index + 1];
    for (const [column, against] of Array.from(other).entries()) {
      const replaced = (row[column] ?? 0) + (letter === against ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
