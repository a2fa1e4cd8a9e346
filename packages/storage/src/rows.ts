/**
 * Is what the disk gave back still a row? Damaged rows are skipped and counted, so that one bad row
 * never keeps the rest of the history away.
 */
import type { ConversationRecord, MessageRow, OutboxRow, SelfRecord } from "@sotto/protocol";

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);
const isBytes = (value: unknown, length?: number): value is Uint8Array =>
  value instanceof Uint8Array && (length === undefined || value.length === length);
const isOptional = (value: unknown, is: (one: unknown) => boolean): boolean =>
  value === undefined || is(value);
const isTime = (value: unknown): boolean =>
  isFields(value) && isNumber(value["ms"]) && isNumber(value["counter"]);

export const isSelf = (row: unknown): row is SelfRecord =>
  isFields(row) &&
  isText(row["name"]) &&
  isBytes(row["rootSecret"], 32) &&
  isBytes(row["signingSecret"], 32) &&
  isBytes(row["dhSecret"], 32) &&
  isBytes(row["readerSecret"], 32) &&
  isCert(row["cert"]) &&
  isOptional(row["relayKey"], (key) => isBytes(key, 32));

export const isConversation = (row: unknown): row is ConversationRecord =>
  isFields(row) &&
  isText(row["id"]) &&
  isNumber(row["version"]) &&
  isNumber(row["createdAt"]) &&
  isNumber(row["unread"]) &&
  isTime(row["clock"]) &&
  isOptional(
    row["last"],
    (last) => isFields(last) && isText(last["text"]) && isTime(last["time"]),
  ) &&
  isPeer(row["peer"]);

export const isMessage = (row: unknown): row is MessageRow =>
  isFields(row) &&
  isText(row["id"]) &&
  isText(row["conversation"]) &&
  isText(row["order"]) &&
  isText(row["text"]) &&
  isText(row["status"]) &&
  typeof row["own"] === "boolean" &&
  isNumber(row["sentAt"]) &&
  isNumber(row["receivedAt"]);

export const isOutbox = (row: unknown): row is OutboxRow =>
  isFields(row) &&
  isText(row["id"]) &&
  isText(row["conversation"]) &&
  isNumber(row["sequence"]) &&
  isOptional(row["awaits"], isText) &&
  isOptional(row["relayedAt"], isNumber) &&
  (isBytes(row["envelope"]) || isBytes(row["content"])) &&
  isOptional(row["message"], isMessage);

const isCert = (value: unknown): boolean =>
  isFields(value) &&
  isBytes(value["rootKey"], 32) &&
  isBytes(value["signingKey"], 32) &&
  isBytes(value["dhKey"], 32);

function isPeer(peer: unknown): boolean {
  if (!isFields(peer)) return false;
  switch (peer["state"]) {
    case "notes":
    case "refused":
      return true;
    case "invited":
      return isQueue(peer["queue"]) && isInvite(peer["invite"]);
    case "open":
      return (
        isQueue(peer["queue"]) &&
        isContact(peer["contact"]) &&
        isBytes(peer["received"]) &&
        Array.isArray(peer["sessions"]) &&
        peer["sessions"].every(isSession) &&
        Array.isArray(peer["owed"])
      );
    default:
      return false;
  }
}

const isQueue = (queue: unknown): boolean =>
  isFields(queue) && isBytes(queue["queueId"], 24) && isBytes(queue["firstUse"], 16);

const isInvite = (invite: unknown): boolean =>
  isFields(invite) &&
  isBytes(invite["seed"], 16) &&
  isBytes(invite["bundle"]) &&
  isBytes(invite["kemSeed"], 64);

const isContact = (contact: unknown): boolean =>
  isFields(contact) &&
  isText(contact["name"]) &&
  isCert(contact["cert"]) &&
  Array.isArray(contact["addresses"]) &&
  isBytes(contact["sendSecret"], 32);

const isSession = (session: unknown): boolean =>
  isFields(session) &&
  isBytes(session["id"], 16) &&
  isBytes(session["rootKey"], 32) &&
  isBytes(session["transcript"], 32) &&
  Array.isArray(session["skipped"]);
