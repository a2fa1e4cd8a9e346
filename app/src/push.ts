/**
 * Has this device woken by Web Push while the app is closed: asks the browser for a subscription, and tells the relays.
 * Loaded where the person looks at the settings, or allowed it before.
 * Owns: which relay's key, what becomes of a subscription. Leaves to the service worker: what is shown.
 *
 * A browser keeps one subscription per app, and it is called with one key only: that of the first own relay that wakes
 * anybody. Mail that another relay took, because that one was away, is seen when the app is opened next.
 * Spec: wire/SPEC.md §9.5.
 */
import type { Messenger } from "@sotto/sdk";
import type { SottoEvents } from "@sotto/ui";
// Registers the relays' panel as well.
import type { PushState } from "@sotto/ui/late";
import "@sotto/ui/late";
import { html, type ReactiveControllerHost, type TemplateResult } from "lit";

/** A subscription that ends sooner is exchanged for a new one. */
const RENEW_MS = 7 * 24 * 3_600_000;
/** service-worker.ts knows the same words. */
const CHANGED = "push-changed";
const TAG = "mail";

export interface Push {
  render(): TemplateResult;
}

let opened: Push | undefined;

/** The same one for every call. */
export const openPush = (messenger: Messenger, host: ReactiveControllerHost): Push =>
  (opened ??= createPush(messenger, host));

function createPush(messenger: Messenger, host: ReactiveControllerHost): Push {
  const isSupported = "PushManager" in globalThis && "Notification" in globalThis;
  // Browsers of iOS have it in installed apps only.
  const isTab = "standalone" in navigator && navigator.standalone === false;
  let state: PushState = !isSupported && isTab ? "install" : "unsupported";
  let busy = false;
  let failed = false;
  /** One after the other: two at once would undo each other's subscription. */
  let lane: Promise<unknown> = Promise.resolve();

  const offered = (): readonly string[] =>
    messenger.relays.value.flatMap(({ pushKey }) => pushKey ?? []);

  function inLane(act: () => Promise<void>): void {
    lane = lane.then(act).catch(() => {
      // The messenger was closed, or the browser's push service does not answer: the next change asks again.
    });
    void lane.then(() => host.requestUpdate());
  }

  /** Tells the relays what the browser holds, after exchanging what is of no use any more. */
  async function sync(): Promise<void> {
    if (!isSupported) return;
    // Never there where the browser refused the worker (private window).
    const { pushManager } = await navigator.serviceWorker.ready;
    let subscription = await pushManager.getSubscription();
    if (subscription !== null && isUseless(subscription)) {
      await subscription.unsubscribe();
      const [key] = offered();
      subscription = key === undefined ? null : await subscribe(pushManager, key).catch(() => null);
    }
    await tell(subscription);
  }

  /** Whoever looks at the app needs no notification any more. */
  async function clear(): Promise<void> {
    if (document.hidden || !isSupported) return;
    const registration = await navigator.serviceWorker.ready;
    const shown = await registration.getNotifications({ tag: TAG });
    for (const notification of shown) notification.close();
  }

  async function tell(subscription: PushSubscription | null): Promise<void> {
    const isOn = subscription !== null;
    const isDenied = Notification.permission === "denied";
    const canBe = isDenied ? "denied" : offered().length === 0 ? "unoffered" : "off";
    state = isOn ? "on" : canBe;
    await messenger.setPush(
      isOn ? { endpoint: subscription.endpoint, pushKey: keyOf(subscription) } : null,
    );
  }

  /** It ends soon; or every relay has been heard, and the one it was made for is not among them. */
  function isUseless(subscription: PushSubscription): boolean {
    const { expirationTime } = subscription;
    if (expirationTime !== null && expirationTime - Date.now() < RENEW_MS) return true;
    const isHeard = messenger.relays.value.every((relay) => relay.state === "online");
    return isHeard && offered().length > 0 && !offered().includes(keyOf(subscription));
  }

  async function turn(on: boolean): Promise<void> {
    const { pushManager } = await navigator.serviceWorker.ready;
    const known = await pushManager.getSubscription();
    if (!on) {
      await known?.unsubscribe();
      return tell(null);
    }
    const [key] = offered();
    if (key === undefined || (await asked) !== "granted") return tell(null);
    await known?.unsubscribe();
    await tell(await subscribe(pushManager, key));
  }

  /** What the person answered. Asked in the click itself: later the browser would not show its question. */
  let asked: Promise<NotificationPermission> | undefined;

  const onSet = ({ detail: { on } }: CustomEvent<SottoEvents["sotto-push"]>): void => {
    if (on) asked = Notification.requestPermission();
    busy = true;
    host.requestUpdate();
    failed = false;
    inLane(() =>
      turn(on)
        .catch(() => {
          failed = true;
        })
        .finally(() => {
          busy = false;
        }),
    );
  };

  let heard = "";
  messenger.relays.subscribe((relays) => {
    const now = relays.map(({ url, state: is, pushKey }) => [url, is, pushKey]).join();
    if (now !== heard) inLane(sync);
    heard = now;
  });
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (data === CHANGED) inLane(sync);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    inLane(clear);
    inLane(sync);
  });
  inLane(clear);

  return {
    render: () =>
      html`<sotto-push-panel
        slot="relays"
        .state=${state}
        .busy=${busy}
        .failed=${failed}
        @sotto-push=${onSet}
      ></sotto-push-panel>`,
  };
}

const subscribe = (manager: PushManager, key: string): Promise<PushSubscription> =>
  manager.subscribe({ userVisibleOnly: true, applicationServerKey: key });

function keyOf({ options: { applicationServerKey } }: PushSubscription): string {
  // Of a fixed length, so without padding to strip; wire's own would be a file more to load.
  const bytes = new Uint8Array(applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replace(
    /[+/=]/g,
    (c) => ({ "+": "-", "/": "_" })[c] ?? "",
  );
}
