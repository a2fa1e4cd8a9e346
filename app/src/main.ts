/**
 * Starts the app: draws at once, then loads the messenger and gives it to the screen.
 * Owns: the order of loading. Leaves to app-element.ts: everything on screen.
 */
import { applyTheme, currentTheme, friendlyName, locale } from "@sotto/ui";
import "./app-element.ts";
import { isKnown, noteKnown } from "./known.ts";
import { profileOf } from "./route.ts";
import { registerServiceWorker } from "./register-service-worker.ts";
import { startFailureOf } from "./failures.ts";

// Behind the "#" it is part of no request; it leaves the address bar at once.
const code = /^#code=([\w-]{1,64})$/.exec(location.hash)?.[1];
if (code !== undefined) history.replaceState(null, "", location.pathname + location.search);
const profile = profileOf(new URL(location.href));
document.documentElement.lang = locale();
if (profile !== undefined) document.documentElement.dataset["tint"] = profile;
applyTheme(currentTheme());

const name = friendlyName(locale(), randomBelow);
const app = document.querySelector("sotto-app");
if (app !== null) {
  app.proposedName = name;
  void start(app);
}

async function start(screen: HTMLElementTagNameMap["sotto-app"]): Promise<void> {
  try {
    const { openMessenger } = await import("@sotto/sdk");
    const messenger = await openMessenger({
      name,
      relayUrl: location.origin,
      admit: async (asked) => (await import("./admission-sheet.ts")).admit(asked, code),
      known: isKnown(profile),
      ...(profile === undefined ? {} : { profile }),
    });
    if (messenger.storage.value.state === "ok") noteKnown(profile);
    screen.messenger = messenger;
    // The page may come back out of the back/forward cache; then it opens everything again.
    addEventListener("pagehide", () => void messenger.close());
    addEventListener("pageshow", (event) => {
      if (event.persisted) location.reload();
    });
  } catch (error) {
    screen.failure = startFailureOf(error);
    return;
  }
  await registerServiceWorker((restart) => {
    screen.restart = restart;
  });
}

function randomBelow(below: number): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % below;
}
