/**
 * Which sentence a rejection of the messenger deserves.
 * Owns: telling causes apart, by the code and message of a MessengerError. Leaves to the catalogs: the words.
 */
import type { MessengerError, StorageState } from "@sotto/sdk";

/** Why the app did not start. "general": nothing is known, for example that a script did not load. */
export type StartFailure = "general" | "other-tab" | "full" | "unreadable" | "gone";

export function startFailureOf(error: unknown): StartFailure {
  if (codeOf(error) !== "storage") return "general";
  const message = messageOf(error);
  if (message.includes("kept by another tab")) return "other-tab";
  if (message.includes("is gone")) return "gone";
  if (message.includes("unreadable")) return "unreadable";
  return isFull(message) ? "full" : "general";
}

/** Why a text was not taken. */
export type SendFailure = "limit" | "full" | "closed" | "failed";

/** `storage`: how it stands by now, for rejections that do not say. */
export function sendFailureOf(error: unknown, storage: StorageState["state"]): SendFailure {
  const code = codeOf(error);
  const message = messageOf(error);
  if (code === "limit") return "limit";
  if (code === "closed" || message.endsWith(": closed") || storage === "closed") return "closed";
  return isFull(message) || storage === "full" ? "full" : "failed";
}

/** An invite that could not even be tried: no room for it, or a fault. */
export const joinFailureOf = (error: unknown): "storage" | "failed" =>
  isFull(messageOf(error)) ? "storage" : "failed";

const isFull = (message: string): boolean => message.endsWith(": full");

/** The class itself is in a part of the app that may be what failed to load. */
const codeOf = (error: unknown): MessengerError["code"] | undefined =>
  isMessengerError(error) ? error.code : undefined;

const isMessengerError = (error: unknown): error is MessengerError =>
  error instanceof Error && error.name === "MessengerError" && "code" in error;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "");
