/**
 * Keeps one whole version of the app, each file checked against its hash, so that it starts offline.
 * A new version waits until no tab uses the old one, or until a person says so in one of them. Owns: the cache, and what is shown when the relay wakes it. Leaves everything else to the network.
 */
declare const self: ServiceWorkerGlobalScope;

/** Replaced by the build; a new value makes the browser install the new version. */
const VERSION = "sotto-build-version";
const CACHE = `sotto-${VERSION}`;
const PAGE = "/index.html";
/** What a tab says when the person wants the new version; register-service-worker.ts knows the same word. */
const ACTIVATE = "activate";
/** push.ts knows the same words. */
const PUSH_CHANGED = "push-changed";
const MAIL_TAG = "mail";

/** Of the event; both are null where a browser does not say. */
interface PushChange extends ExtendableEvent {
  readonly oldSubscription?: PushSubscription | null;
  readonly newSubscription?: PushSubscription | null;
}

interface Manifest {
  readonly version: string;
  /** Path to "sha384-…". */
  readonly files: Readonly<Record<string, string>>;
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
self.addEventListener("message", (event) => {
  if (event.data === ACTIVATE) event.waitUntil(self.skipWaiting());
});
self.addEventListener("push", (event) => event.waitUntil(tellOfMail()));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(showApp());
});
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (event.request.mode === "navigate") {
    event.respondWith(fromCache(PAGE, event.request));
    event.waitUntil(refreshPolicy());
  } else event.respondWith(fromCache(url.pathname, event.request));
});

async function install(): Promise<void> {
  const answer = await fetch("/integrity.json", { cache: "no-store" });
  const manifest: Manifest = await answer.json();
  // Another version is being published right now: this install fails and the browser tries again later.
  if (manifest.version !== VERSION) throw new Error("the server serves another version");
  const cache = await caches.open(CACHE);
  await Promise.all(
    Object.entries(manifest.files).map(async ([path, integrity]) => {
      const response = await fetch(path, { integrity, cache: "no-cache" });
      if (!response.ok) throw new Error(`no ${path}`);
      await cache.put(path, response);
    }),
  );
}

/**
 * The wake-up is empty, so this says that there is mail and no more. Always something, also while the app is on
 * screen: browsers take the permission from a worker that is woken and shows nothing. One for all mail.
 */
async function tellOfMail(): Promise<void> {
  const windows = await self.clients.matchAll({ type: "window" });
  const silent = windows.some((window) => window.visibilityState === "visible");
  const title = inChinese() ? "有新消息" : "New message";
  await self.registration.showNotification(title, { tag: MAIL_TAG, silent });
}

/**
 * The browser or its push service ended the subscription. The relays learn of the next one from the app, which has the
 * keys: without a window the person is asked to open it, as nothing wakes this device until then.
 */
async function subscribeAgain({ oldSubscription, newSubscription }: PushChange): Promise<void> {
  const options = oldSubscription?.options;
  if (newSubscription == null && options !== undefined) {
    // Refused where the person took the permission back: then nobody is to be woken.
    await self.registration.pushManager.subscribe(options).catch(() => undefined);
  }
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const window of windows) window.postMessage(PUSH_CHANGED);
  if (windows.length > 0 || Notification.permission !== "granted") return;
  const title = inChinese()
    ? "打开 Sotto，以便继续收到新消息提醒"
    : "Open Sotto to be told of new messages again";
  await self.registration.showNotification(title, { tag: MAIL_TAG });
}

/** What the app is set to is out of a worker's reach; the browser's own language is not. */
const inChinese = (): boolean => navigator.language.startsWith("zh");

async function showApp(): Promise<void> {
  const [window] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (window === undefined) await self.clients.openWindow("/");
  else await window.focus();
}

async function forgetOthers(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names
      .filter((name) => name.startsWith("sotto-") && name !== CACHE)
      .map((name) => caches.delete(name)),
  );
}

async function fromCache(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? fetch(request);
}

/** Which relays the page may talk to comes with it, and its operator may name others while its bytes stay the same. */
async function refreshPolicy(): Promise<void> {
  const cache = await caches.open(CACHE);
  const known = await cache.match(PAGE);
  const now = await fetch(PAGE, { cache: "no-cache" }).catch(() => undefined);
  if (known === undefined || now?.ok !== true) return;
  if ((await now.clone().text()) === (await known.text())) await cache.put(PAGE, now);
}
