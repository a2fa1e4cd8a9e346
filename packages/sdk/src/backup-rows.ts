/**
 * Stored rows as lines of text: what structured cloning keeps and JSON does not.
 * Owns: bytes, maps, sets, and which lines there are. Leaves to storage's checks: whether a row is one.
 * Spec: docs/backups.md, crypto/SPEC.md §16.
 */
import type {
  ConversationRecord,
  GroupRow,
  MessageRow,
  OutboxRow,
  PostRow,
  SelfRecord,
  SenderRow,
} from "@sotto/protocol";
import {
  isConversation,
  isGroup,
  isMessage,
  isOutbox,
  isPost,
  isSelf,
  isSender,
} from "@sotto/storage";
import { base64UrlToBytes, bytesToBase64Url } from "@sotto/wire";

/** Raised with every change of a stored row; what reads older ones brings them up. */
export const ROWS_FORMAT = 1;
/**
 * UTF-16 units. The longest is of a group whose log is full: LOG_OPS_MAX operations of PARENTS_MAX parents take some
 * 3,000 each, and of a device that waits for a group's operations: HELD_MESSAGES_PER_ACCOUNT_MAX texts of 64 KiB.
 */
export const LINE_CHARACTERS_MAX = 67_108_864;
/** Messages, or envelopes that wait, in one line. */
export const LINE_ROWS = 100;

export type Line =
  | { readonly kind: "begin"; readonly format: number; readonly madeAt: number }
  | { readonly kind: "self"; readonly self: SelfRecord }
  /** What stands between it and the next one is of it. */
  | { readonly kind: "conversation"; readonly conversation: ConversationRecord }
  | { readonly kind: "posts"; readonly rows: readonly PostRow[] }
  | { readonly kind: "group"; readonly row: GroupRow }
  | { readonly kind: "sender"; readonly row: SenderRow }
  | { readonly kind: "outbox"; readonly rows: readonly OutboxRow[] }
  /** Ascending. */
  | { readonly kind: "messages"; readonly rows: readonly MessageRow[] }
  | { readonly kind: "end"; readonly conversations: number; readonly messages: number };

const BYTES = "$bytes";
const MAP = "$map";
const SET = "$set";

/**
 * Without the line's end. Throws a RangeError for a line that readLine would not take back as it was: one that is too
 * long, or has a value that JSON does not keep.
 */
export function lineOf(line: Line): string {
  const text = JSON.stringify(line, (_, value: unknown) => {
    if (value instanceof Uint8Array) return { [BYTES]: bytesToBase64Url(value) };
    if (value instanceof Map) return { [MAP]: [...value] };
    if (value instanceof Set) return { [SET]: [...value] };
    if (!isKept(value)) throw new RangeError("a row has a value that no line keeps");
    return value;
  });
  if (text.length > LINE_CHARACTERS_MAX) throw new RangeError("a row is too long for a line");
  return text;
}

function isKept(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
  return Object.getPrototypeOf(value) === Object.prototype;
}

/** Undefined for what is no line of this format. A row that the checks refuse is none. */
export function readLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text, (_, one: unknown) => {
      if (typeof one !== "object" || one === null) return one;
      if (BYTES in one && typeof one[BYTES] === "string") return base64UrlToBytes(one[BYTES]);
      if (SET in one && Array.isArray(one[SET])) return new Set(one[SET]);
      // An entry that is no pair makes `Map` throw, and the line none.
      return MAP in one && Array.isArray(one[MAP]) ? new Map(one[MAP]) : one;
    });
  } catch {
    return undefined;
  }
  return isLine(value) ? value : undefined;
}

function isLine(line: unknown): line is Line {
  if (!isFields(line)) return false;
  switch (line["kind"]) {
    case "begin":
      return isCount(line["format"]) && isCount(line["madeAt"]);
    case "self":
      return isSelf(line["self"]);
    case "conversation":
      return isConversation(line["conversation"]);
    case "posts":
      return all(line["rows"], isPost);
    case "group":
      return isGroup(line["row"]);
    case "sender":
      return isSender(line["row"]);
    case "outbox":
      return all(line["rows"], isOutbox);
    case "messages":
      return all(line["rows"], isMessage);
    case "end":
      return isCount(line["conversations"]) && isCount(line["messages"]);
    default:
      return false;
  }
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

const all = (value: unknown, is: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(is);

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
