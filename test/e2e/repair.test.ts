/** What goes wrong with keys: a damaged ratchet heals unseen; somebody else in a contact's place is seen at once. */
import { createOwnDevice, nobleBackend } from "@sotto/crypto";
import { webcrypto } from "node:crypto";
import type { BrowserContext, Page } from "playwright-core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createProfile, type Profile } from "./support/browsers.ts";
import {
  composer,
  history,
  meet,
  openConversation,
  type Person,
  sees,
  seesLink,
  seesStatus,
  visit,
  write,
} from "./support/person.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let one: Profile;
let other: Profile;

beforeEach(async () => {
  relay = await startRelayProcess();
  [one, other] = await Promise.all([createProfile(), createProfile()]);
});
afterEach(async () => {
  await Promise.all([one.dispose(), other.dispose()]);
  await relay.dispose();
});

const SCREENS = new URL("output/identity/", import.meta.url).pathname;

/** Both have read what the other wrote, so that spare bundles have gone both ways. */
async function acquainted(): Promise<readonly [Person, Person]> {
  const [alice, bob] = await meet(one.context, other.context, relay.url);
  await write(bob, "hello");
  await sees(alice, "hello");
  await write(alice, "hello Bob");
  await sees(bob, "hello Bob");
  await seesStatus(alice, "hello Bob", "delivered");
  await expect.poll(() => hasSpare(alice.page)).toBe(true);
  await expect.poll(() => hasSpare(bob.page)).toBe(true);
  return [alice, bob];
}

/** The other side's spare bundle is stored here. */
const hasSpare = (page: Page): Promise<boolean> =>
  page.evaluate(async () => {
    const opened = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("sotto-main");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error("not opened"));
    });
    const all = await new Promise<{ peer: { spares?: { theirs?: unknown } } }[]>((resolve) => {
      const request = opened.transaction("conversations").objectStore("conversations").getAll();
      request.onsuccess = () => resolve(request.result as never);
    });
    opened.close();
    return all.some(({ peer }) => peer.spares?.theirs !== undefined);
  });

/** Changes what is stored, as a fault of the disk or a thief would, while the app is not running. */
async function tamper(
  context: BrowserContext,
  change: "damage" | { readonly self: Readonly<Record<string, number[] | object>> },
): Promise<void> {
  const page = await context.newPage();
  await page.goto(`${relay.url}/manifest.webmanifest`);
  await page.evaluate(async (what) => {
    const bytesIn = (value: unknown): unknown => {
      if (Array.isArray(value)) return Uint8Array.from(value as number[]);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, bytesIn(part)]));
    };
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("sotto-main");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error("not opened"));
    });
    const transaction = db.transaction(["conversations", "self"], "readwrite");
    const done = new Promise((resolve) => {
      transaction.oncomplete = resolve;
    });
    const cursor = transaction.objectStore("conversations").openCursor();
    cursor.onsuccess = () => {
      if (cursor.result === null) return;
      const record = cursor.result.value as { peer: { state: string; sessions: unknown[] } };
      if (record.peer.state === "open") {
        record.peer.sessions = what === "damage" ? [{ id: "of a failing disk" }] : [];
        cursor.result.update(record);
      }
      cursor.result.continue();
    };
    if (what !== "damage") {
      const self = transaction.objectStore("self").openCursor();
      self.onsuccess = () => {
        const record = self.result?.value as object;
        self.result?.update({ ...record, ...(bytesIn(what.self) as object) });
      };
    }
    await done;
    db.close();
  }, change);
  await page.close();
}

it("a ratchet that the disk damaged is replaced by itself: nothing is lost, and nobody sees an error", async () => {
  const [alice, bob] = await acquainted();
  await bob.page.close();
  await write(alice, "while you were away");
  await seesStatus(alice, "while you were away", "relayed");
  await tamper(other.context, "damage");
  const again = await visit(other.context, relay.url);
  await openConversation(again, /hello Bob|while you were away/);
  await sees(again, "while you were away");
  await seesStatus(alice, "while you were away", "delivered");
  await write(again, "and on");
  await sees(alice, "and on");
  expect(await history(again)).toEqual(await history(alice));
  expect(again.problems).toEqual([]);
});

it("somebody else in a contact's place is named, and nothing is sent before the person decides", async () => {
  const [alice, bob] = await acquainted();
  await bob.page.close();
  const thief = await createOwnDevice({
    entropy: (length) => webcrypto.getRandomValues(new Uint8Array(length)),
    crypto: nobleBackend,
    now: Date.now(),
  });
  const { cert, ...secrets } = thief;
  const list = (bytes: Uint8Array): number[] => Array.from(bytes);
  await tamper(other.context, {
    self: {
      rootSecret: list(secrets.rootSecret),
      signingSecret: list(secrets.signingSecret),
      dhSecret: list(secrets.dhSecret),
      cert: {
        ...cert,
        rootKey: list(cert.rootKey),
        deviceId: list(cert.deviceId),
        signingKey: list(cert.signingKey),
        dhKey: list(cert.dhKey),
        signature: list(cert.signature),
      },
    },
  });
  const eve = await visit(other.context, relay.url);
  await openConversation(eve, "hello Bob");
  await write(eve, "it is me");
  const notice = alice.page.locator("sotto-identity-notice section");
  await notice.getByText(/Somebody with new keys answers/).waitFor();
  await alice.page.screenshot({ path: `${SCREENS}notice.png` });
  await write(alice, "are you Bob?");
  await seesStatus(alice, "are you Bob?", "queued");
  expect(await history(alice)).not.toContain("it is me");

  await notice.getByRole("button", { name: "Compare safety number" }).click();
  const digits = alice.page.locator("sotto-verify-panel");
  await digits.waitFor();
  await alice.page.screenshot({ path: `${SCREENS}compare.png` });
  await alice.page.keyboard.press("Escape");
  await alice.page.locator("dialog[open]").waitFor({ state: "detached" });

  await notice.getByRole("button", { name: "Go on" }).click();
  await notice.getByText(/Somebody with new keys/).waitFor({ state: "detached" });
  await sees(alice, "it is me");
  await sees(eve, "are you Bob?");
  await seesStatus(alice, "are you Bob?", "delivered");
  await seesLink(alice, ["direct", "relayed"]);
  expect(await composer(alice).inputValue()).toBe("");
  expect(alice.problems).toEqual([]);
});
