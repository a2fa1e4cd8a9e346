/** One line of what `sotto-relay doctor` found. */
export interface Check {
  readonly name: string;
  /** warn: works today. fail: somebody cannot use the relay, or everybody shares one limit. */
  readonly result: "ok" | "warn" | "fail";
  /** What was found, and for anything but ok what to do. */
  readonly words: string;
}

export const ok = (name: string, words: string): Check => ({ name, result: "ok", words });
export const warn = (name: string, words: string): Check => ({ name, result: "warn", words });
export const failed = (name: string, words: string): Check => ({ name, result: "fail", words });

/** How long a deployment may take for any one answer. */
export const ANSWER_MS = 10_000;

/** What Node calls it: ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED. */
export function codeOf(error: unknown): string {
  // What is wrong with a certificate is a text at run time, whatever the types say.
  if (typeof error === "string") return error;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
    if (at.name === "TimeoutError") return "no answer in time";
  }
  return "no answer";
}
