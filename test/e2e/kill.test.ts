/**
 * A browser or its page is killed in the middle of writing: what had appeared is there afterwards, once and whole.
 * `SOTTO_KILLS=100 npx vitest run --project e2e test/e2e/kill.test.ts` for a long run.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfile, type Profile, type ProfileOptions } from "./support/browsers.ts";
import {
  composer,
  history,
  openConversation,
  type Person,
  sees,
  visit,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const KILLS = Number(process.env["SOTTO_KILLS"] ?? 10);
/** Of one round; a page of history shows them all. */
const TEXTS_MAX = 25;
const textOf = (round: number, at: number): string =>
  `round ${round}, text ${at}.${"x".repeat(17 * at)}`;

let relay: RelayProcess;
beforeAll(async () => {
  relay = await startRelayProcess();
});
afterAll(() => relay.dispose());

interface Browser {
  readonly browser: NonNullable<ProfileOptions["browser"]>;
  /** What is killed. */
  readonly part: "all of it" | "the page";
  readonly kills: number;
}

it.each<Browser>([
  { browser: "chromium", part: "all of it", kills: Math.ceil(KILLS / 2) },
  { browser: "chromium", part: "the page", kills: Math.floor(KILLS / 2) },
  { browser: "firefox", part: "all of it", kills: KILLS },
])(
  "$browser, $part, $kills times: nothing that had appeared is lost, doubled or cut",
  { timeout: 60_000 + KILLS * 20_000 },
  async ({ browser, part, kills }) => {
    const profile = await createProfile({ browser });
    try {
      let shown = 0;
      let person = await openNotes(profile);
      for (let round = 1; round <= kills; round++) {
        const appeared = await writeUntil(person, round, () =>
          profile.kill(part === "all of it" ? "browser" : "pages"),
        );
        if (part === "all of it") await profile.reopen();
        else await person.page.close();
        person = await openNotes(profile);
        const texts = (await history(person)).filter((text) => text.startsWith(`round ${round},`));
        expect(texts).toEqual(texts.map((_, at) => textOf(round, at)));
        expect(texts.length).toBeGreaterThanOrEqual(appeared);
        shown += texts.length;
        // And it goes on.
        await write(person, `after round ${round}`);
        await sees(person, `after round ${round}`);
      }
      // Killed while nothing was written, nothing would be shown by this.
      expect(shown).toBeGreaterThan(kills);
    } finally {
      await profile.dispose();
    }
  },
);

async function openNotes({ context }: Profile): Promise<Person> {
  const person = await visit(context, relay.url);
  await openConversation(person, "Notes to self");
  await composer(person).waitFor();
  return person;
}

/** Kills at a random moment. Resolves with how many texts of this round had appeared by then, seen from outside. */
async function writeUntil(
  person: Person,
  round: number,
  kill: () => Promise<void>,
): Promise<number> {
  const bubbles = person.page
    .locator("sotto-timeline li[data-status]")
    .filter({ hasText: `round ${round},` });
  let appeared = 0;
  const over = new AbortController();
  const dies = 1 + Math.floor(Math.random() * (TEXTS_MAX - 1));
  const reached = new Promise<void>((resolve) => {
    // What a killed browser is asked is never answered: nobody waits for these two.
    void (async () => {
      for (let at = 0; at < TEXTS_MAX && !over.signal.aborted; at++) {
        await write(person, textOf(round, at));
        if (at === dies) resolve();
      }
    })().catch(() => undefined);
    void (async () => {
      while (!over.signal.aborted) appeared = Math.max(appeared, await bubbles.count());
    })().catch(() => undefined);
  });
  await reached;
  await kill();
  over.abort();
  return appeared;
}
