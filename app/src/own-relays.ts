/**
 * The relays of this device in the settings: which there are, which are offered, adding and removing, being woken by them.
 * Owns: what the page's operator offers, and what the page's policy refuses. Leaves to the panel: how it looks; to
 * push.ts: being woken.
 */
import type { Messenger } from "@sotto/sdk";
import { LiveQuery, type SottoEvents } from "@sotto/ui";
import { isRelayUrl } from "@sotto/wire";
import { html, nothing, type ReactiveControllerHost, type TemplateResult } from "lit";
import { offeredIn } from "./offered-relays.ts";

type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

/** What is loaded only when it is needed, with the panels. */
type Push = import("./push.ts").Push;

export interface OwnRelays {
  follow(messenger: Messenger | undefined): void;
  /** They are looked at: measures anew, and asks what is offered. */
  open(messenger: Messenger): Promise<void>;
  render(attempt: (act: (messenger: Messenger) => Promise<void>) => void): TemplateResult;
}

/** `isMain`: of several people in one browser only one is woken, or its relays would see that they are one. */
export function createOwnRelays(host: ReactiveControllerHost, isMain: boolean): OwnRelays {
  let push: Push | undefined;
  const relays = new LiveQuery<Messenger["relays"]["value"]>(host);
  let offered: readonly string[] = [];
  /** Own relays that the page's policy keeps it from; a relay that only does not answer is not among them. */
  let blocked: ReadonlySet<string> = new Set();

  document.addEventListener("securitypolicyviolation", ({ blockedURI }) => {
    if (!URL.canParse(blockedURI)) return;
    const origin = `http${new URL(blockedURI).origin.slice(2)}`;
    if (relays.value?.some(({ url }) => url === origin) !== true || blocked.has(origin)) return;
    blocked = new Set([...blocked, origin]);
    host.requestUpdate();
  });

  async function load(messenger: Messenger): Promise<void> {
    const { openPush } = await import("./push.ts");
    if (isMain) push = openPush(messenger, host);
    host.requestUpdate();
  }

  return {
    follow(messenger) {
      relays.follow(messenger?.relays);
      const isAllowed = globalThis.Notification?.permission === "granted";
      if (messenger !== undefined && isAllowed) load(messenger).catch(() => undefined);
    },
    async open(messenger) {
      load(messenger).catch(() => undefined);
      void messenger.checkRelays().catch(() => undefined);
      const answer: unknown = await fetch("/info.json")
        .then((response) => response.json())
        .catch(() => undefined);
      offered = offeredIn(answer);
      host.requestUpdate();
    },
    render: (attempt) =>
      html`${push?.render() ?? nothing}<sotto-relays-panel
          slot="relays"
          .relays=${relays.value ?? []}
          .offered=${offered}
          .blocked=${blocked}
          .isRelayUrl=${isRelayUrl}
          @sotto-relay-add=${({ detail }: Named<"sotto-relay-add">) =>
            attempt((messenger) => messenger.addRelay(detail.url))}
          @sotto-relay-remove=${({ detail }: Named<"sotto-relay-remove">) =>
            attempt((messenger) => messenger.removeRelay(detail.url))}
        ></sotto-relays-panel>`,
  };
}
