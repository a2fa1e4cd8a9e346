/**
 * The settings in sections `tls`, `push`, `operations` and `log`: certificates, the operator's own listener, what is written down.
 * Spec: CONFIG.md, made from this file.
 */
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../node/log-names.ts";
import type { Key } from "./keys.ts";
import { isPushContact } from "../node/push-contact.ts";
import { toBoolean, toText } from "./parse.ts";

/** Longer than any load balancer needs to look again. */
const DRAIN_GRACE_SECONDS_MAX = 300;

const key = <T>(entry: Key<T>): Key<T> => entry;

export const OPERATION_KEYS = {
  tlsCertificate: key<string | undefined>({
    name: "tls.certificate",
    flag: "--tls-certificate <file>",
    env: "SOTTO_TLS_CERTIFICATE",
    fallback: undefined,
    shown: "",
    unit: "file",
    sentence:
      "Certificate chain (PEM) to serve HTTPS with; read again when it changes and on SIGHUP. Needs tls.key.",
    parse: toText,
  }),
  tlsKey: key<string | undefined>({
    name: "tls.key",
    flag: "--tls-key <file>",
    env: "SOTTO_TLS_KEY",
    fallback: undefined,
    shown: "",
    unit: "file",
    sentence: "The certificate's private key (PEM).",
    parse: toText,
  }),
  pushContact: key<string | undefined>({
    name: "push.contact",
    flag: "--push-contact <address>",
    env: "SOTTO_PUSH_CONTACT",
    fallback: undefined,
    shown: "",
    unit: "mailto: or https: address",
    sentence:
      "Wakes people whose app is closed (Web Push) and tells the push services whom to ask; nobody is woken unless given.",
    parse: toPushContact,
  }),
  operationsHost: key({
    name: "operations.host",
    flag: "--operations-host <address>",
    env: "SOTTO_OPERATIONS_HOST",
    fallback: "127.0.0.1",
    shown: "127.0.0.1",
    unit: "address",
    sentence:
      "Address of the operator's listener (/metrics, /status.json); whoever reaches it sees how much this relay is used.",
    parse: toText,
  }),
  operationsPort: key<number | "off" | undefined>({
    name: "operations.port",
    flag: "--operations-port <number>",
    env: "SOTTO_OPERATIONS_PORT",
    fallback: undefined,
    shown: "one above server.port",
    unit: "port, or off",
    sentence: "Port of the operator's listener; 0 takes any free one.",
    parse: toPortOrOff,
  }),
  drainGrace: key({
    name: "operations.drain_grace",
    flag: "--drain-grace <seconds>",
    env: "SOTTO_DRAIN_GRACE",
    fallback: 0,
    shown: "0",
    unit: "seconds",
    sentence:
      "After SIGTERM /readyz says 503 for so long before clients are sent away, so that a load balancer notices first.",
    parse: toGrace,
  }),
  open: key({
    name: "operations.open",
    flag: "--no-open",
    env: "SOTTO_OPEN",
    fallback: true,
    shown: "true",
    unit: "true or false",
    sentence: "Open the app in a browser when started at a terminal and reached by localhost.",
    parse: toBoolean,
  }),
  logLevel: key<LogLevel>({
    name: "log.level",
    flag: "--log-level <level>",
    env: "SOTTO_LOG_LEVEL",
    fallback: "info",
    shown: "info",
    unit: LOG_LEVELS.join(", "),
    sentence: "How much goes to the standard error output; never an id, a key or an address.",
    parse: (text) => oneOf(LOG_LEVELS, text),
  }),
  logFormat: key<LogFormat>({
    name: "log.format",
    flag: "--log-format <format>",
    env: "SOTTO_LOG_FORMAT",
    fallback: "auto",
    shown: "auto",
    unit: LOG_FORMATS.join(", "),
    sentence: "One JSON object a line, or words; auto is words on a terminal.",
    parse: (text) => oneOf(LOG_FORMATS, text),
  }),
} as const;

function toPortOrOff(text: string): number | "off" {
  if (text === "off") return "off";
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new TypeError("0 to 65535, or off.");
  return port;
}

function toPushContact(text: string): string {
  if (!isPushContact(text)) throw new TypeError("An address such as mailto:me@example.com.");
  return text;
}

function toGrace(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds > DRAIN_GRACE_SECONDS_MAX) {
    throw new TypeError(`0 to ${DRAIN_GRACE_SECONDS_MAX}.`);
  }
  return seconds;
}

function oneOf<T extends string>(names: readonly T[], text: string): T {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new TypeError(`One of ${names.join(", ")}.`);
  return found;
}
