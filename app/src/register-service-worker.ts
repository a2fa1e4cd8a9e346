/**
 * Registers the worker that lets the app start offline, and starts a new version when someone says so.
 * Trusted Types allow exactly this one script address.
 */
const WORKER_PATH = "/service-worker.js";
/** What the waiting worker is told; service-worker.ts knows the same word. */
const ACTIVATE = "activate";
/** An open tab looks for a new version when it comes back on screen, at most this often. */
const LOOK_MS = 3_600_000;

interface TrustedTypesFactory {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

/** `offer` is called with the way to start a new version, once there is one. */
export async function registerServiceWorker(offer: (restart: () => void) => void): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  try {
    const registration = await navigator.serviceWorker.register(trusted(WORKER_PATH));
    followUpdates(registration, offer);
  } catch {
    // Refused by the browser (private window): the app works, it only does not start offline.
  }
}

function followUpdates(
  registration: ServiceWorkerRegistration,
  offer: (restart: () => void) => void,
): void {
  const { serviceWorker } = navigator;
  // The first version ever takes over without a word; every later one replaces the code of all open tabs.
  if (serviceWorker.controller !== null) {
    serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  }
  const restart = (waiting: ServiceWorker): void => {
    // The tab of the very first visit has no worker of its own, so nothing of it changes.
    if (serviceWorker.controller === null) {
      waiting.addEventListener("statechange", () => {
        if (waiting.state === "activated") location.reload();
      });
    }
    waiting.postMessage(ACTIVATE);
  };
  const look = (): void => {
    const { waiting } = registration;
    if (waiting !== null && registration.active !== null) offer(() => restart(waiting));
  };
  look();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", look);
  });
  let lookedAt = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - lookedAt < LOOK_MS) return;
    lookedAt = Date.now();
    registration.update().catch(() => {
      // Offline: the next time is soon enough.
    });
  });
}

function trusted(path: string): string {
  const factory = trustedTypes();
  if (factory === undefined) return path;
  const policy = factory.createPolicy("sotto-sw", {
    createScriptURL(url) {
      if (url !== WORKER_PATH) throw new TypeError("not the service worker");
      return url;
    },
  });
  return policy.createScriptURL(path);
}

const hasTrustedTypes = (scope: object): scope is { trustedTypes: TrustedTypesFactory } =>
  "trustedTypes" in scope && scope.trustedTypes !== undefined;

function trustedTypes(scope: object = globalThis): TrustedTypesFactory | undefined {
  return hasTrustedTypes(scope) ? scope.trustedTypes : undefined;
}
