/** Registers the worker that lets the app start offline. Trusted Types allow exactly this one script address. */
const WORKER_PATH = "/service-worker.js";

interface TrustedTypesFactory {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

export async function registerServiceWorker(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(trusted(WORKER_PATH));
  } catch {
    // Refused by the browser (private window): the app works, it only does not start offline.
  }
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
