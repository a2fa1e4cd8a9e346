/**
 * The devices of the own account in the settings: links between them, and removing one.
 * Owns: what was asked for and how it went. Leaves to the panel: how it looks; to the messenger: what it means.
 */
import type { JoinDevicesResult, Messenger } from "@sotto/sdk";
import { type DeviceJoinFailure, type DeviceProblem, type SottoEvents, t } from "@sotto/ui";
import { linkToInvite, bytesToBase32 } from "@sotto/wire";
import { html, nothing, type ReactiveControllerHost, type TemplateResult } from "lit";
import { joinFailureOf } from "./failures.ts";

/** The other device may still be telling the relay of its link: how often, and how far apart, this one asks. */
const TRIES_MAX = 4;
const PAUSE_MS = 500;

type Me = Messenger["me"]["value"];
type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

export interface OwnDevicesParts {
  readonly host: ReactiveControllerHost;
  readonly ready: Promise<Messenger>;
  readonly announce: (text: string) => void;
}

export interface OwnDevices {
  /** This device is not linked to any other and takes this link next: it stands in the field. */
  offer(text: string): void;
  /** This device came back from its phrase, and the link is of the same account. */
  expects(text: string, me: Me): boolean;
  /** What a page says that was opened by a device link: on a device of its account the way to join, else why not. */
  opened(text: string, me: Me): TemplateResult;
  /** Without what failed before, as a person expects who comes back. */
  forget(): void;
  render(me: Messenger["me"]["value"] | undefined, isOnline: boolean): TemplateResult;
}

function isOf(text: string, { accountId }: Me): boolean {
  const link = linkToInvite(text);
  return link.ok && bytesToBase32(link.value.invite.accountId) === accountId;
}

export function createOwnDevices({ host, ready, announce }: OwnDevicesParts): OwnDevices {
  /** With how many devices there were when it was made: one more has used it. */
  let link: { readonly url: string; readonly known: number } | undefined;
  let busy: "link" | "join" | undefined;
  let problem: DeviceProblem | undefined;
  let joinText = "";
  let joinFailure: DeviceJoinFailure | undefined;
  let joined = false;

  async function makeLink(): Promise<void> {
    busy = "link";
    problem = undefined;
    host.requestUpdate();
    try {
      const messenger = await ready;
      const { url } = await messenger.linkDevice();
      link = { url, known: messenger.me.value.devices.length };
    } catch {
      problem = "link";
    }
    busy = undefined;
    host.requestUpdate();
  }

  async function join(text: string): Promise<void> {
    busy = "join";
    joinText = text;
    joinFailure = undefined;
    host.requestUpdate();
    try {
      const result = await follow(await ready, text);
      if (result.ok) joined = true;
      else joinFailure = result;
    } catch (error) {
      joinFailure = { ok: false, reason: joinFailureOf(error) };
    }
    busy = undefined;
    host.requestUpdate();
  }

  async function follow(messenger: Messenger, text: string): Promise<JoinDevicesResult> {
    for (let tries = 1; ; tries++) {
      const result = await messenger.joinDevices(text);
      if (result.ok || result.reason !== "gone" || tries >= TRIES_MAX) return result;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async function remove(id: string): Promise<void> {
    problem = undefined;
    try {
      const messenger = await ready;
      await messenger.removeDevice(id);
    } catch {
      problem = "remove";
    }
    host.requestUpdate();
  }

  return {
    offer(text) {
      joinText = text;
      joinFailure = undefined;
      host.requestUpdate();
    },
    forget() {
      problem = undefined;
      if (busy === "join") return;
      joinText = "";
      joinFailure = undefined;
    },
    expects: (text, me) => me.devices.length === 0 && isOf(text, me),
    opened(text, me) {
      const words = t().devices;
      if (!linkToInvite(text).ok)
        return html`<p class="problem" role="alert">${words.refused.malformed}</p>`;
      if (!isOf(text, me)) return html`<p>${words.opened.stranger}</p>`;
      if (me.devices.some(({ current }) => current)) {
        return html`<p role="status">${joined ? words.joinedNow : words.opened.linked}</p>`;
      }
      if (joined) return html`<p role="status">${words.joined}</p>`;
      return html`<p>${words.opened.here}</p>
        ${
          joinFailure === undefined
            ? nothing
            : html`<p class="problem" role="alert">${words.refused[joinFailure.reason]}</p>`
        }
        <button class="button primary" ?disabled=${busy === "join"} @click=${() => void join(text)}>
          ${busy === "join" ? words.joining : words.join}
        </button>`;
    },
    render(me, isOnline) {
      const devices = me?.devices ?? [];
      if (link !== undefined && devices.length > link.known) {
        link = undefined;
        announce(t().devices.linked);
      }
      return html`<sotto-devices-panel
        .devices=${devices}
        .link=${link?.url}
        .busy=${busy}
        .problem=${problem}
        ?online=${isOnline}
        .joinText=${joinText}
        .joinFailure=${joinFailure}
        ?joined=${joined}
        @sotto-device-link=${() => void makeLink()}
        @sotto-device-join=${(event: Named<"sotto-device-join">) => void join(event.detail.text)}
        @sotto-device-remove=${(event: Named<"sotto-device-remove">) => void remove(event.detail.id)}
      ></sotto-devices-panel>`;
    },
  };
}
