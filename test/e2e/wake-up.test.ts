/**
 * Being woken while the app is closed: what a person turns on, what the relay calls then, what they see.
 * The push service is one on this machine that checks every signature; Chromium has none to subscribe at without a
 * network, so that the endpoint, and nothing else, is put in its place.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { importJWK, jwtVerify } from "jose";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Relay, startRelay } from "sotto-relay";
import { makeCertificate } from "../../relay/test/certificates.ts";
import { launchChromium } from "./support/browsers.ts";
import {
  composer,
  inviteLink,
  type Person,
  sees,
  visit,
  WAIT_MS,
  write,
} from "./support/person.ts";

const APP = fileURLToPath(new URL("../../app/dist", import.meta.url));
const CONTACT = "mailto:operator@relay.example";

interface Call {
  readonly request: IncomingMessage;
  readonly bytes: number;
}

let directory: string;
let pushService: Server;
let endpoint: string;
let calls: Call[];
let relay: Relay;
let url: string;
let browser: Browser;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sotto-wake-up-"));
  const paths = makeCertificate(directory, "localhost");
  const ca = readFileSync(paths.certificate, "utf8");
  calls = [];
  pushService = createServer({ cert: ca, key: readFileSync(paths.key) }, (request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => {
      calls.push({ request, bytes });
      response.writeHead(201).end();
    });
  });
  pushService.listen(0, "127.0.0.1");
  await once(pushService, "listening");
  const { port } = pushService.address() as AddressInfo;
  endpoint = `https://localhost:${port}/bob`;
  relay = await startRelay({ port: 0, app: APP, pushContact: CONTACT, pushLoopback: { ca } });
  url = `http://127.0.0.1:${relay.port}`;
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  await relay.close();
  pushService.closeAllConnections();
  pushService.close();
  rmSync(directory, { recursive: true });
});

/** The browser's part of a subscription: it remembers the endpoint and the key, over reloads too. */
function standIn(endpointGiven: string): void {
  const read = (): unknown => JSON.parse(localStorage.getItem("stand-in") ?? "null");
  const toSubscription = (): unknown => {
    const key = read();
    if (typeof key !== "string") return null;
    const text = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
    return {
      endpoint: endpointGiven,
      expirationTime: null,
      options: { applicationServerKey: Uint8Array.from(text, (one) => one.charCodeAt(0)).buffer },
      unsubscribe: async () => localStorage.removeItem("stand-in"),
    };
  };
  Object.assign(PushManager.prototype, {
    getSubscription: async () => toSubscription(),
    async subscribe({ applicationServerKey }: { applicationServerKey: string }) {
      localStorage.setItem("stand-in", JSON.stringify(applicationServerKey));
      return toSubscription();
    },
  });
}

async function newcomer(): Promise<{ person: Person; context: BrowserContext }> {
  const context = await browser.newContext({ locale: "en-GB" });
  await context.grantPermissions(["notifications"], { origin: url });
  await context.addInitScript(standIn, endpoint);
  return { context, person: await visit(context, url) };
}

const box = ({ page }: Person) => page.locator("sotto-push-panel").getByRole("checkbox");

async function openSettings({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.locator("sotto-push-panel").waitFor();
}

async function closeSheet({ page }: Person): Promise<void> {
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
}

/** As a push service does it (RFC 8292 §4.2). */
async function contactIn({ request }: Call): Promise<unknown> {
  const [, token = "", key = ""] =
    /^vapid t=(\S+), k=(\S+)$/.exec(request.headers.authorization ?? "") ?? [];
  const point = Buffer.from(key, "base64url");
  const [x = "", y = ""] = [point.subarray(1, 33), point.subarray(33)].map((half) =>
    half.toString("base64url"),
  );
  const jwk = await importJWK({ kty: "EC", crv: "P-256", x, y }, "ES256");
  const audience = new URL(endpoint).origin;
  const { payload } = await jwtVerify(token, jwk, { audience, algorithms: ["ES256"] });
  return payload.sub;
}

it("turned on by a click, one empty signed request follows what is written to who is away; turned off, none", async () => {
  const [{ person: alice }, { person: bob, context }] = await Promise.all([newcomer(), newcomer()]);
  await openSettings(bob);
  await expect.poll(() => box(bob).isEnabled(), { timeout: WAIT_MS }).toBe(true);
  expect(await box(bob).isChecked()).toBe(false);
  await box(bob).click();
  await expect.poll(() => box(bob).isChecked(), { timeout: WAIT_MS }).toBe(true);
  await closeSheet(bob);
  await bob.page.goto(await inviteLink(alice));
  await bob.page.getByRole("button", { name: "Accept" }).or(composer(bob)).first().waitFor();
  await write(bob, "here");
  await alice.page.getByText("here").first().waitFor();
  await write(alice, "seen while open");
  await sees(bob, "seen while open");
  expect(calls).toHaveLength(0);

  await bob.page.close();
  await write(alice, "while away");
  await expect.poll(() => calls.length, { timeout: WAIT_MS }).toBe(1);
  await write(alice, "and again");
  await alice.page.getByText("and again").first().waitFor();
  const [call] = calls;
  if (call === undefined) throw new Error("no call");
  expect(call.bytes).toBe(0);
  expect(call.request).toMatchObject({ method: "POST", url: "/bob" });
  expect(await contactIn(call)).toBe(CONTACT);

  // Back: what was sent is there, and the page said by itself where to wake it, without a visit to the settings.
  const back = await visit(context, url);
  await back.page.getByText("and again").first().waitFor();
  expect(calls).toHaveLength(1);
  await openSettings(back);
  await expect.poll(() => box(back).isChecked(), { timeout: WAIT_MS }).toBe(true);
  await box(back).click();
  await expect.poll(() => box(back).isChecked(), { timeout: WAIT_MS }).toBe(false);
  expect(await back.page.evaluate(() => localStorage.getItem("stand-in"))).toBeNull();
  expect([...alice.problems, ...bob.problems, ...back.problems]).toEqual([]);
});

interface Scope {
  readonly registration: ServiceWorkerRegistration;
  /** What the browser took. */
  shown: (readonly [title: string, body: string, tag: string])[];
}

it("shows that there is mail, and nothing of it", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const { page } = await visit(context, url);
  await context.grantPermissions(["notifications"], { origin: url });
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const [worker] = context.serviceWorkers();
  if (worker === undefined) throw new Error("no service worker");
  // The app is closed: while it is looked at, it takes away what is shown.
  const elsewhere = await context.newPage();
  const devtools = await context.newCDPSession(elsewhere);
  await page.close();
  const registered = new Promise<string>((resolve) => {
    devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const [first] = registrations;
      if (first !== undefined) resolve(first.registrationId);
    });
  });
  await devtools.send("ServiceWorker.enable");
  const registrationId = await registered;
  // Not by asking for what is on the screen: the browser forgets a notification that is asked for before it is drawn.
  await worker.evaluate(() => {
    const scope = globalThis as unknown as Scope;
    const show = scope.registration.showNotification.bind(scope.registration);
    scope.shown = [];
    scope.registration.showNotification = async (title, options) => {
      await show(title, options);
      scope.shown.push([title, options?.body ?? "", options?.tag ?? ""]);
    };
  });
  const shown = (): Promise<readonly (readonly string[])[]> =>
    worker.evaluate(() => (globalThis as unknown as Scope).shown);
  await devtools.send("ServiceWorker.deliverPushMessage", {
    origin: url,
    registrationId,
    data: "",
  });
  await expect.poll(shown, { timeout: WAIT_MS }).toEqual([["New message", "", "mail"]]);
});
