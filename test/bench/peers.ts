/** Sotto beside other people's ratchets, in one run, in Node and in two browsers. The goals are ratios. */
import { nobleBackend, nobleFileEngine } from "@sotto/crypto";
import { libsignal } from "@sotto/peers/libsignal";
import {
  type Figure,
  FIRST_MESSAGE,
  measurePeers,
  oneWayAt,
  overheadAt,
  SIZES,
} from "@sotto/peers/measure";
import { createOlm } from "@sotto/peers/olm";
import { privacyresearch } from "@sotto/peers/privacyresearch";
import { createSotto } from "@sotto/peers/sotto";
import { CONTENT_BYTES_MAX, MESSAGE_HEADER_BYTES } from "@sotto/wire";
import { buildPage } from "./browser-page.ts";
import { chooseEngines } from "./chosen.ts";
import type { Measure } from "./main.ts";

export interface PeersReport {
  /** Which engine does what for Sotto. */
  readonly engines: string;
  readonly figures: readonly Figure[];
}

type Place = "Node" | "Chromium" | "Firefox";

/**
 * How many times as fast as the peer Sotto shall be at least, where both do the same. 64 KB are no such work: one chunk of
 * a file, with its tree hash and without a ratchet, stands there beside one ratchet message.
 */
const GOALS: Readonly<Record<string, Readonly<Record<string, Partial<Record<Place, number>>>>>> = {
  "set-up": { libsignal: { Node: 0.7 }, olm: { Node: 0.8, Chromium: 0.8 } },
  "ping-pong 32 B": {
    libsignal: { Node: 0.7 },
    olm: { Node: 2, Chromium: 2.5, Firefox: 1.5 },
    privacyresearch: { Chromium: 50 },
  },
  "one-way 32 B": { libsignal: { Node: 2 }, olm: { Node: 0.6, Chromium: 0.6, Firefox: 0.6 } },
  "one-way 1 KB": { libsignal: { Node: 1.8 }, olm: { Node: 1.3, Chromium: 1.3, Firefox: 1.3 } },
};
/** Bytes beyond a text of 32 B, before padding. */
const OVERHEAD_GOAL = 105;
/** Header, mark of the device list, length and the tag of the body: what Sotto adds to a content before padding. */
const SEALED_BYTES = MESSAGE_HEADER_BYTES + 12 + 16;

export async function benchPeers(): Promise<readonly Measure[]> {
  const engines = await chooseEngines();
  const figures = await measurePeers([
    createSotto("Sotto", engines.backend, engines.files),
    createSotto("Sotto on noble alone", nobleBackend, nobleFileEngine),
    libsignal,
    await createOlm(),
    privacyresearch,
  ]);
  const measures = report("Node", { engines: engines.described, figures });
  const page = await buildPage();
  try {
    for (const browser of ["chromium", "firefox"] as const) {
      const found = (await page.run(browser, "sottoBench()")) as PeersReport;
      measures.push(...report(browser === "chromium" ? "Chromium" : "Firefox", found));
    }
  } finally {
    await page.close();
  }
  return measures;
}

function report(place: Place, { engines, figures }: PeersReport): Measure[] {
  const works = [...new Set(figures.map(({ work }) => work))];
  const measures = works.flatMap((work) => {
    const [own, ...others] = figures.filter((one) => one.work === work);
    if (own === undefined) return [];
    return inBytes(work) ? bytesOf(place, own, others) : ratesOf(place, own, others);
  });
  return [
    { name: `${place}, engines of Sotto`, value: "chosen", unit: `(${engines})` },
    ...measures,
  ];
}

const CHUNK = `/s (as one chunk of a file, with its tree hash: a content has at most ${CONTENT_BYTES_MAX} B)`;

const isChunk = ({ work }: Figure): boolean =>
  SIZES.some(([size, bytes]) => work === oneWayAt(size) && bytes > CONTENT_BYTES_MAX);

const inBytes = (work: string): boolean =>
  work === FIRST_MESSAGE || SIZES.some(([size]) => work === overheadAt(size));

function ratesOf(place: Place, own: Figure, others: readonly Figure[]): Measure[] {
  const rate = own.value;
  const goals = GOALS[own.work] ?? {};
  return [
    rate === undefined
      ? refusal(place, own)
      : { name: nameOf(place, own), value: rate, unit: isChunk(own) ? CHUNK : "/s" },
    ...others.map(({ peer, value }) => {
      if (value === undefined) return { name: `  ${peer}`, value: "refuses", unit: "" };
      if (rate === undefined) return { name: `  ${peer}`, value, unit: "/s" };
      const goal = goals[peer]?.[place];
      const told = goal === undefined ? "" : `; goal: at least ${goal}`;
      return {
        name: isChunk(own) ? `  beside one ratchet message of ${peer}` : `  against ${peer}`,
        value: rate / value,
        unit: `× (${value.toFixed(0)}/s${told})`,
      };
    }),
  ];
}

function bytesOf(place: Place, own: Figure, others: readonly Figure[]): Measure[] {
  const { value } = own;
  const unit =
    own.work === overheadAt("32 B")
      ? `B, of it ${SEALED_BYTES} before padding (goal: at most ${OVERHEAD_GOAL})`
      : "B with padding";
  return [
    value === undefined ? refusal(place, own) : { name: nameOf(place, own), value, unit },
    ...others.map(({ peer, value: bytes }) => ({
      name: `  ${peer}`,
      value: bytes ?? "refuses",
      unit: bytes === undefined ? "" : "B",
    })),
  ];
}

const nameOf = (place: Place, { work, peer }: Figure): string => `${place}, ${work}: ${peer}`;

const refusal = (place: Place, figure: Figure): Measure => ({
  name: nameOf(place, figure),
  value: "refuses",
  unit: `(content of at most ${CONTENT_BYTES_MAX} B; longer is a file)`,
});
