/** Every codec of wire, sync and storage: total, one form for each value, nothing larger than what it was read from. */
import * as fc from "fast-check";
import { decodeGrams, encodeGrams } from "@sotto/storage/grams";
import * as sync from "@sotto/sync";
import * as wire from "@sotto/wire";
import { CODECS as STORAGE_CODECS } from "../../../packages/storage/test/segments.ts";
import { CODECS as SYNC_CODECS } from "../../../packages/sync/test/codecs.ts";
import { CODECS } from "../../../packages/wire/test/codecs.ts";
import type { Random } from "../../simulation/random.ts";
import { mutateValue } from "../mutate.ts";
import { Finding, type Outcome, type Target } from "../target.ts";

const SEEDS = 24;
/** The largest unit on a link and a little more. */
const MAX_BYTES = 72_000;
const OVERSIZE = 10 * 1_048_576;
const LINEAR = { base: 4_000, perByte: 40 } as const;

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** The name under which `decode` is exported: a codec in those lists is a target without a further word. */
const exportOf = (decode: unknown): string =>
  Object.entries({ wire, sync })
    .flatMap(([name, exports]) =>
      Object.entries(exports)
        .filter(([, value]) => value === decode)
        .map(([key]) => `${name}.${key}`),
    )
    .join();

const named = [...CODECS, ...SYNC_CODECS].map((one) => ({ ...one, covers: exportOf(one.decode) }));

const codecTargets: readonly Target[] = [...named, ...STORAGE_CODECS].map(
  ({ name, covers, values, encode, decode }) => ({
    name,
    covers: [covers],
    maxBytes: MAX_BYTES,
    weight: 1,
    steps: LINEAR,
    run(input): Outcome {
      const decoded = decode(input);
      if (!decoded.ok) return { accepted: false };
      if (!isSame(encode(decoded.value), input)) throw new Finding("a value has two forms");
      return { accepted: true, result: decoded.value };
    },
    seeds: () => fc.sample(values, { seed: 1, numRuns: SEEDS }).map(encode),
    oversized() {
      const valid = fc.sample(values, { seed: 2, numRuns: 4 }).map(encode);
      return [new Uint8Array(), ...valid].map((front) => {
        const bytes = new Uint8Array(OVERSIZE);
        bytes.set(front);
        return bytes;
      });
    },
    vary(input, random: Random) {
      const decoded = decode(input);
      if (!decoded.ok) return undefined;
      const value = mutateValue(decoded.value, random);
      try {
        return encode(value);
      } catch {
        // Not every change leaves a value that has a form.
        return undefined;
      }
    },
  }),
);

const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));

const LINK = `https://sotto.example/i#${"A".repeat(67)}`;

const link: Target = {
  name: "link",
  covers: ["wire.linkToInvite"],
  maxBytes: 4_096,
  weight: 1,
  steps: LINEAR,
  run(input) {
    const found = wire.linkToInvite(latin(input));
    if (!found.ok) return { accepted: false };
    const { origin, purpose, invite } = found.value;
    const written = wire.inviteToLink(origin ?? "https://sotto.example", invite, purpose);
    const again = wire.linkToInvite(written);
    if (
      !again.ok ||
      again.value.purpose !== purpose ||
      !isSame(wire.encodeInvite(again.value.invite), wire.encodeInvite(invite))
    ) {
      throw new Finding("a link does not survive being written again");
    }
    return { accepted: true, result: found.value };
  },
  oversized: () =>
    ["https://a/i?", "http://a/i?a", " ", "A", "https://"].map((text) =>
      Uint8Array.from(Buffer.alloc(OVERSIZE, text)),
    ),
  seeds() {
    const code = wire.bytesToBase64Url(
      wire.encodeInvite({
        seed: new Uint8Array(16).fill(1),
        accountId: wire.asAccountId(new Uint8Array(20).fill(2)),
        relayPin: new Uint8Array(16).fill(3),
      }),
    );
    return [
      code,
      ` ${code}`,
      `https://sotto.example/i#${code}`,
      `https://sotto.example/d#${code}`,
      `see HTTP://[::1]:8080/i?lang=de#${code}.`,
      LINK,
    ].map(bytesOf);
  },
};

/** One text or byte form each, chosen by the first byte; each says what it found wrong. */
const FORMS: readonly (readonly [
  covers: string,
  check: (bytes: Uint8Array, text: string) => boolean,
])[] = [
  [
    "wire.hexToBytes",
    (_, text) => {
      const found = wire.hexToBytes(text);
      if (found !== undefined && wire.bytesToHex(found) !== text.toLowerCase()) {
        throw new Finding("hex has two forms");
      }
      return found !== undefined;
    },
  ],
  [
    "wire.base64UrlToBytes",
    (_, text) => {
      const found = wire.base64UrlToBytes(text);
      if (found !== undefined && wire.bytesToBase64Url(found) !== text) {
        throw new Finding("base64url has two forms");
      }
      return found !== undefined;
    },
  ],
  [
    "wire.bytesToUtf8",
    (bytes) => {
      const found = wire.bytesToUtf8(bytes);
      if (found !== undefined && !isSame(wire.utf8ToBytes(found), bytes)) {
        throw new Finding("UTF-8 has two forms");
      }
      return found !== undefined;
    },
  ],
  [
    "wire.isRelayUrl",
    (_, text) => {
      if (!wire.isRelayUrl(text)) return false;
      if (/[^\u0021-\u007e]|@|\?|#/.test(text))
        throw new Finding("a relay's URL is more than that");
      return true;
    },
  ],
  ["wire.isName", (bytes) => wire.isName(Buffer.from(bytes).toString("utf8"))],
  ["wire.isFileName", (bytes) => wire.isFileName(Buffer.from(bytes).toString("utf8"))],
  ["wire.isMediaType", (_, text) => wire.isMediaType(text)],
  ["wire.isBucket", (bytes) => wire.isBucket(bytes.length)],
];

const forms: Target = {
  name: "forms",
  covers: FORMS.map(([covers]) => covers),
  maxBytes: 4_096,
  weight: 1,
  steps: LINEAR,
  run(input) {
    const [, check] = FORMS[(input[0] ?? 0) % FORMS.length] ?? FORMS[0]!;
    const rest = input.subarray(1);
    return { accepted: check(rest, latin(rest)) };
  },
  seeds: () =>
    ["00ffAb", "AAEC", "é", "https://sotto.example:8443", "Alice", "a.txt", " "].map(
      (text, index) => Uint8Array.of(index, ...Buffer.from(text)),
    ),
};

/** What a search finds must be found again when the block is written anew: a block of one's own disk, sealed. */
const grams: Target = {
  name: "grams",
  covers: ["grams.decodeGrams"],
  maxBytes: 8_192,
  weight: 1,
  // Read, written and read again.
  steps: { base: 4_000, perByte: 160 },
  run(input) {
    const postings = decodeGrams(input);
    if (postings === undefined) return { accepted: false };
    for (const places of postings.values()) {
      if (places.some((place, at) => place < (places[at - 1] ?? 0))) {
        throw new Finding("places do not ascend");
      }
    }
    const again = encodeGrams(postings).flatMap(({ bytes }) => [...(decodeGrams(bytes) ?? [])]);
    const sorted = [...postings].toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (JSON.stringify(again) !== JSON.stringify(sorted)) {
      throw new Finding("grams do not survive being written again");
    }
    return { accepted: true, result: postings };
  },
  seeds: () =>
    fc
      .sample(
        fc.dictionary(
          fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
          fc.array(fc.nat(500), { maxLength: 6 }).map((all) => all.toSorted((a, b) => a - b)),
          { minKeys: 1, maxKeys: 12 },
        ),
        { seed: 1, numRuns: SEEDS },
      )
      .flatMap((all) => encodeGrams(new Map(Object.entries(all))).map(({ bytes }) => bytes)),
};

export const wireTargets: readonly Target[] = [...codecTargets, link, forms, grams];
