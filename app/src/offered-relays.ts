/** The relays that the page's server offers. A file of its own without a page around it: the fuzzer reads it, too. */
import { isRelayUrl } from "@sotto/wire";

/** As many as a relay names (its setting app.relays). */
export const OFFERED_MAX = 8;

/** Of `/info.json`: another server than a relay may answer anything. */
export function offeredIn(answer: unknown): readonly string[] {
  const relays: unknown =
    typeof answer === "object" && answer !== null && "relays" in answer ? answer.relays : [];
  return (Array.isArray(relays) ? relays : [])
    .filter((one): one is string => typeof one === "string" && isRelayUrl(one))
    .slice(0, OFFERED_MAX);
}
