/** What a page reads of `/info.json`, which another server than a relay may answer with anything. */
import { isRelayUrl, RELAY_URL_BYTES_MAX } from "@sotto/wire";
import { OFFERED_MAX, offeredIn } from "../../../app/src/offered-relays.ts";
import { mutateJson } from "../mutate.ts";
import { Finding, type Target } from "../target.ts";

const OFFERS: readonly unknown[] = [
  null,
  { relays: 1 },
  { relays: ["https://one.example", "https://two.example:8443", "http://localhost:8787"] },
  { relays: Array.from({ length: OFFERED_MAX + 1 }, (_, at) => `https://relay-${at}.example`) },
  { relays: ["https://one.example/path", 7, null, { length: 3 }, ["https://two.example"]] },
];

export const offeredRelaysTarget: Target = {
  name: "offered-relays",
  covers: ["offeredRelays.offeredIn"],
  maxBytes: 2_048,
  weight: 1,
  steps: { base: 200, perByte: 4 },
  run(input) {
    let answer: unknown;
    try {
      answer = JSON.parse(Buffer.from(input).toString("utf8"));
    } catch {
      return { accepted: false };
    }
    const offered = offeredIn(answer);
    if (offered.length > OFFERED_MAX) throw new Finding("more are offered than the limit");
    for (const url of offered) {
      if (!isRelayUrl(url) || url.length > RELAY_URL_BYTES_MAX) {
        throw new Finding("what is no relay is offered");
      }
    }
    return { accepted: offered.length > 0, result: offered };
  },
  seeds: () => OFFERS.map((offer) => Uint8Array.from(Buffer.from(JSON.stringify(offer)))),
  vary: mutateJson,
};
