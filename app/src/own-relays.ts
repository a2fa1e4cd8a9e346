/**
 * The relays of this device in the settings: which there are, which are offered, adding and removing.
 * Owns: what the page's operator offers, and what the page's policy refuses. Leaves to the panel: how it looks.
 */
import type { Messenger } from "@sotto/sdk";
import { LiveQuery, type SottoEvents } from "@sotto/ui";
import { isRelayUrl } from "@sotto/wire";
import { html, type ReactiveControllerHost, type TemplateResult } from "lit";

/** As many as a relay names (its setting app.relays). */
const OFFERED_MAX = 8;

type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

export interface OwnRelays {
  follow(messenger: Messenger | undefined): void;
  /** They are looked at: measures anew, and asks what is offered. */
  open(messenger: Messenger): Promise<void>;
  render(attempt: (act: (messenger: Messenger) => Promise<void>) => void): TemplateResult;
}

export function createOwnRelays(host: ReactiveControllerHost): OwnRelays {
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

  return {
    follow(messenger) {
      relays.follow(messenger?.relays);
    },
    async open(messenger) {
      void messenger.checkRelays().catch(() => undefined);
      const answer: unknown = await fetch("/info.json")
        .then((response) => response.json())
        .catch(() => undefined);
      offered = offeredIn(answer);
      host.requestUpdate();
    },
    render: (attempt) =>
      html`<sotto-relays-panel
        slot="relays"
        .relays=${relays.value ?? []}
        .offered=${offered}
        .blocked=${blocked}
        @sotto-relay-add=${({ detail }: Named<"sotto-relay-add">) =>
          attempt((messenger) => messenger.addRelay(detail.url))}
        @sotto-relay-remove=${({ detail }: Named<"sotto-relay-remove">) =>
          attempt((messenger) => messenger.removeRelay(detail.url))}
      ></sotto-relays-panel>`,
  };
}

/** Another server than a relay may answer anything. */
function offeredIn(answer: unknown): readonly string[] {
  const relays: unknown =
    typeof answer === "object" && answer !== null && "relays" in answer ? answer.relays : [];
  return (Array.isArray(relays) ? relays : [])
    .filter((one): one is string => typeof one === "string" && isRelayUrl(one))
    .slice(0, OFFERED_MAX);
}
