/**
 * The whole screen: list, conversation, sheets. Draws before the messenger is there and follows it afterwards.
 * Owns: routes, layout, which element gets which value, what each event does.
 * Leaves to the elements: how things look; to the messenger: what they mean.
 */
import type {
  AcceptResult,
  Conversation,
  ConversationView,
  MessageView,
  Messenger,
} from "@sotto/sdk";
import {
  base,
  controls,
  followLocale,
  fullTime,
  icons,
  type JoinFailure,
  LiveQuery,
  nameOf,
  openDrafts,
  type Shortcut,
  shortcutOf,
  SottoComposer,
  SottoConversationList,
  type SottoEvents,
  t,
} from "@sotto/ui";
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { createAnnouncer } from "./announce.ts";
import { layout } from "./app-styles.ts";
import { joinFailureOf, sendFailureOf, type StartFailure } from "./failures.ts";
import {
  type Entry,
  entryOf,
  hrefOf,
  isList,
  profileOf,
  readRoute,
  type Route,
  secondTabLink,
} from "./route.ts";
import { isGiven, markGiven } from "./given-invites.ts";
import { forgetKnown } from "./known.ts";
import { createOwnDevices } from "./own-devices.ts";
import { createOwnRelays } from "./own-relays.ts";
import { isBackupDue } from "./backup-due.ts";

/** Width in pixels from which list and conversation stand side by side. */
const WIDE_PX = 720;

/** Browsers let a click open a tab for about five seconds. */
const ACTIVE_WAIT_MS = 3_000;
/** How often, and how far apart, a second tab asks for the invite it was opened with. */
const FRESH_TRIES_MAX = 20;
const FRESH_PAUSE_MS = 500;
/** An unused invite with less time left than this is not offered again: the screen promises seven days. */
const UNUSED_INVITE_MS = 6 * 24 * 3_600_000;

/** What is loaded only when it is needed. */
type Keys = import("./keys.ts").Keys;
type Search = import("./search.ts").Search;

type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

export class SottoApp extends LitElement {
  static override readonly properties = {
    messenger: { attribute: false },
    /** Set when the messenger could not be opened. */
    failure: { attribute: false },
    /** Shown until the messenger knows better: the name a new identity would get. */
    proposedName: { attribute: false },
    route: { state: true },
    wide: { state: true },
    joinText: { state: true },
    joinBusy: { state: true },
    joinFailure: { state: true },
    inviteFailed: { state: true },
    inviteOf: { state: true },
    safety: { state: true },
    composerError: { state: true },
    hasProblem: { state: true },
    /** Set when a new version waits: starts it. */
    restart: { attribute: false },
    version: { state: true },
  };
  declare messenger: Messenger | undefined;
  declare failure: StartFailure | undefined;
  declare proposedName: string;
  declare route: Route;
  declare wide: boolean;
  declare joinText: string;
  declare joinBusy: boolean;
  declare joinFailure: JoinFailure | undefined;
  declare inviteFailed: boolean;
  /** The conversation whose invite the sheet shows. */
  declare inviteOf: string | undefined;
  declare safety: Awaited<ReturnType<Conversation["safetyNumber"]>>;
  declare composerError: string;
  /** Something that was asked for could not be done. */
  declare hasProblem: boolean;
  declare restart: (() => void) | undefined;
  declare version: string;

  readonly #me = new LiveQuery<Messenger["me"]["value"]>(this);
  readonly #conversations = new LiveQuery<readonly ConversationView[]>(this);
  readonly #hub = new LiveQuery<Messenger["hub"]["value"]>(this);
  readonly #storage = new LiveQuery<Messenger["storage"]["value"]>(this);
  readonly #diagnostics = new LiveQuery<Messenger["diagnostics"]["value"]>(this);
  readonly #view = new LiveQuery<ConversationView>(this);
  readonly #timeline = new LiveQuery<Conversation["timeline"]["value"]>(this);
  readonly #announce = createAnnouncer(() => this.renderRoot.querySelector("#announcer"));
  readonly #profile = profileOf(new URL(location.href));
  readonly #drafts = openDrafts(this.#profile);
  readonly #width = matchMedia(`(min-width: ${WIDE_PX}px)`);
  readonly #hasTouch = matchMedia("(pointer: coarse)");
  /** What is asked for before the messenger is there waits for it. */
  readonly #ready = Promise.withResolvers<Messenger>();
  readonly #ownDevices = createOwnDevices({
    host: this,
    ready: this.#ready.promise,
    announce: this.#announce,
  });
  /** Words and backup files: loaded where they are looked at. */
  #keys: Keys | undefined;
  #search: Search | undefined;
  /** The message that was chosen among what was found. */
  #target: { readonly conversation: string; readonly id: string } | undefined;
  readonly #ownRelays = createOwnRelays(this, this.#profile === undefined);
  #shown: Conversation | undefined;
  #announced: string | undefined;
  #wasCutOff = false;
  /** Unread conversations as the icon of the installed app shows them. */
  #badge = 0;
  #askedToPersist = false;

  static override readonly styles = [base, controls, layout];

  constructor() {
    super();
    followLocale(this);
    this.messenger = undefined;
    this.failure = undefined;
    this.proposedName = "";
    this.route = readRoute(new URL(location.href));
    this.wide = this.#width.matches;
    this.joinText = this.route.invite ?? "";
    this.joinBusy = this.route.invite !== undefined;
    this.joinFailure = undefined;
    this.inviteFailed = false;
    this.inviteOf = undefined;
    this.safety = undefined;
    this.composerError = "";
    this.hasProblem = false;
    this.restart = undefined;
    this.version = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("popstate", this.#onPopState);
    addEventListener("keydown", this.#onKeyDown);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#width.addEventListener("change", this.#onWidth);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener("popstate", this.#onPopState);
    removeEventListener("keydown", this.#onKeyDown);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#width.removeEventListener("change", this.#onWidth);
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("messenger") && this.messenger !== undefined) {
      this.#follow();
      this.#ready.resolve(this.messenger);
      this.#keepBackup();
    }
    if (changed.has("failure") && isRestorable(this.failure)) void this.#loadKeys(undefined);
    if (!changed.has("messenger") && !changed.has("route")) return;
    if (this.route.sheet === undefined) this.#keys?.leave();
    this.#showConversation();
    if (this.route.sheet === "verify") void this.#loadSafety();
  }

  override firstUpdated(): void {
    if (this.route.invite !== undefined) void this.#join(this.route.invite);
    this.#resumeSheet();
  }

  override updated(): void {
    this.#readOn();
    this.#leaveAnsweredInvite();
    this.#title();
    this.#tellBackOnline();
  }

  #follow(): void {
    const { messenger } = this;
    this.#me.follow(messenger?.me);
    this.#conversations.follow(messenger?.conversations);
    this.#hub.follow(messenger?.hub);
    this.#ownRelays.follow(messenger);
    this.#storage.follow(messenger?.storage);
    this.#diagnostics.follow(messenger?.diagnostics);
  }

  /** Follows the conversation of the route; tells the old and the new one who is on screen. */
  #showConversation(): void {
    const id = this.#selected();
    const next = id === undefined ? undefined : this.messenger?.conversation(id);
    if (next === this.#shown) return;
    this.#shown?.setVisible(false);
    // What a search led to is left as well: next time it opens where it goes on.
    this.#shown?.loadNewest().catch(() => {
      // A closed store: the banner says so.
    });
    this.#leaveDevicesNotice();
    this.#shown = next;
    this.#view.follow(next?.view);
    this.#timeline.follow(next?.timeline);
    next?.setVisible(!document.hidden);
    this.composerError = "";
    this.#announced = undefined;
    this.safety = undefined;
  }

  /** It was on screen until now. During a conflict it was not, and comes after it. */
  #leaveDevicesNotice(): void {
    const shown = this.#shown;
    if (shown === undefined || document.hidden || shown.view.value.devices.conflict) return;
    shown.markDevicesSeen().catch(() => {
      // It is there again next time.
    });
  }

  #selected(): string | undefined {
    return this.route.conversation;
  }

  /** What is on screen counts as read; what arrives there is spoken. */
  #readOn(): void {
    const shown = this.#shown;
    if (shown === undefined || document.hidden) return;
    const isBehind = this.#timeline.value?.hasNewer === true;
    if (shown.view.value.unread > 0 && !isBehind) {
      shown.markRead().catch(() => {
        // It stays unread; the next look at it tries again.
      });
    }
    const last = this.#timeline.value?.messages.at(-1);
    if (isBehind) this.#announced = undefined;
    else if (last !== undefined && last.id !== this.#announced) this.#speak(shown, last);
  }

  #speak(shown: Conversation, last: MessageView): void {
    const isNew = this.#announced !== undefined && !last.own;
    this.#announced = last.id;
    if (isNew) this.#announce(`${nameOf(shown.view.value)}: ${last.text}`);
  }

  /** Someone opened the link while its sheet was still on screen: on to the conversation. */
  #leaveAnsweredInvite(): void {
    if (this.route.sheet !== "invite" || this.inviteOf === undefined) return;
    const view = this.#conversations.value?.find((one) => one.id === this.inviteOf);
    if (view?.kind !== "contact") return;
    const { inviteOf: conversation } = this;
    this.inviteOf = undefined;
    this.#go({ conversation }, "replace");
    this.#focusComposer();
  }

  #title(): void {
    const unread = this.#conversations.value?.filter((one) => one.unread > 0).length ?? 0;
    document.title = unread === 0 ? t().app.untitled : t().app.unreadTitle(unread);
    if (unread === this.#badge || !("setAppBadge" in navigator)) return;
    this.#badge = unread;
    navigator.setAppBadge(unread).catch(() => {
      // Not installed, or the browser shows no badges.
    });
  }

  /** That the connection went is said by the banner; that it came back would otherwise only be seen. */
  #tellBackOnline(): void {
    const hub = this.#hub.value;
    if (hub === "online" && this.#wasCutOff) this.#announce(t().backOnline);
    this.#wasCutOff =
      hub === "offline" || hub === "no-relay" || (this.#wasCutOff && hub !== "online");
  }

  override render(): TemplateResult {
    if (this.failure !== undefined) return this.#failure(this.failure);
    const hasConversation = this.route.conversation !== undefined;
    const showList = this.wide || (!hasConversation && !isOpenedByLink(this.route));
    const showMain = this.wide || !showList;
    return html`
      <a class="skip" href="#composer" @click=${this.#skip}>${t().app.skip}</a>
      <div id="announcer" class="hidden" aria-live="polite"></div>
      <sotto-banner
        .hub=${this.#hub.value ?? "connecting"}
        .storage=${this.#storage.value ?? { state: "ok", persisted: undefined }}
        .hasUpdate=${this.restart !== undefined}
        @sotto-trust-relay=${() => void this.#attempt((messenger) => messenger.trustRelay())}
        @sotto-update=${() => this.restart?.()}
      ></sotto-banner>
      ${this.route.sheet === undefined ? this.#problem() : nothing}
      <div class="panes ${this.wide ? "wide" : "narrow"}" @sotto-select=${this.#onSelect}>
        ${showList ? this.#list(showMain) : nothing} ${showMain ? this.#main() : nothing}
      </div>
      ${this.#sheets()}
    `;
  }

  #failure(failure: StartFailure): TemplateResult {
    const words = t().app;
    const isGone = failure === "gone";
    return html`<main class="center">
      <h1>${isGone ? words.gone : words.failed}</h1>
      <p class="lead">${words.failedHint[failure]}</p>
      ${
        isGone
          ? nothing
          : html`<button class="button primary" @click=${() => location.reload()}>
              ${words.reload}
            </button>`
      }
      ${
        isRestorable(failure) && this.#keys !== undefined
          ? html`<details class="card" ?open=${isGone}>
              <summary>${t().restore.title}</summary>
              ${this.#keys.restore()}
            </details>`
          : nothing
      }
      ${
        isGone
          ? html`<details class="card">
              <summary>${words.beginAnew}</summary>
              <p>${words.beginAnewText}</p>
              <button class="button" @click=${this.#onBeginAnew}>${words.beginAnew}</button>
            </details>`
          : nothing
      }
    </main>`;
  }

  readonly #onBeginAnew = (): void => {
    forgetKnown(this.#profile);
    location.reload();
  };

  #problem(): TemplateResult | typeof nothing {
    if (!this.hasProblem) return nothing;
    return html`<p class="problem" role="alert">${icons.warning()}${t().problem}</p>`;
  }

  /** Standing alone it is the main thing on the page. */
  #list(isBeside: boolean): TemplateResult {
    if (isBeside) return this.#nav();
    return html`<main class="alone">
      <h1 class="hidden">${t().list.label}</h1>
      ${this.#nav()}
    </main>`;
  }

  #nav(): TemplateResult {
    const conversations = this.#conversations.value ?? [];
    const isAlone = this.#isAlone();
    // The welcome beside the list has the same buttons, larger.
    const hasHome = isAlone && this.wide && this.route.conversation === undefined;
    const name = this.#me.value?.name ?? this.proposedName;
    return html`<nav aria-label=${t().list.label}>
      <header>
        <sotto-avatar .name=${name} .seed=${this.#me.value?.accountId ?? ""}></sotto-avatar>
        <sotto-name-field
          .name=${name}
          @sotto-rename=${(event: Named<"sotto-rename">) => void this.#rename(event.detail.name)}
        ></sotto-name-field>
        <button
          class="icon-button"
          aria-label=${t().search.title}
          @click=${() => this.#onSearch(undefined)}
        >
          ${icons.search()}
        </button>
        <button class="icon-button" aria-label=${t().settingsLabel} @click=${this.#onSettings}>
          ${icons.settings()}
        </button>
      </header>
      <div class="scroll">
        <sotto-conversation-list
          .conversations=${conversations}
          .selected=${this.route.conversation}
          .hrefOf=${(id: string) => hrefOf({ conversation: id }, this.#profile)}
          .draftOf=${(id: string) => this.#drafts.of(id)}
        ></sotto-conversation-list>
        ${isAlone && !this.wide ? this.#welcome() : nothing}
      </div>
      <footer>${hasHome ? nothing : this.#actions(isAlone && !this.wide)}</footer>
    </nav>`;
  }

  /** Nobody else is there yet. */
  #isAlone(): boolean {
    return (this.#conversations.value ?? []).every((one) => one.kind === "notes");
  }

  #actions(large: boolean): TemplateResult {
    const words = t().home;
    return html`<div class="actions ${large ? "large" : ""}">
      <button class="button primary" @click=${this.#onInvite}>
        ${icons.invite()}${words.invite}
      </button>
      <button class="button" @click=${this.#onJoinOpen}>${icons.link()}${words.code}</button>
      ${
        large && this.#isAlone()
          ? html`<button class="button quiet" @click=${() => this.#openRestore()}>
              ${icons.devices()}${t().restore.open}
            </button>`
          : nothing
      }
      ${
        large && this.#profile === undefined
          ? html`<button class="button quiet" @click=${() => void this.#secondTab()}>
              ${icons.tabs()}${words.secondTab}
            </button>`
          : nothing
      }
    </div>`;
  }

  #main(): TemplateResult {
    if (this.route.invite !== undefined) return this.#opening();
    if (this.route.deviceLink !== undefined) return this.#openedDeviceLink(this.route.deviceLink);
    const view = this.#view.value;
    if (view !== undefined) return this.#conversation(view);
    if (this.route.conversation !== undefined) {
      return html`<main class="center">
        <p class="quiet-text">
          ${this.messenger === undefined ? t().app.loading : t().conversation.gone}
        </p>
        ${this.messenger === undefined ? nothing : this.#toList()}
      </main>`;
    }
    return this.#home();
  }

  #home(): TemplateResult {
    const words = t().home;
    const isAlone = this.#isAlone();
    return html`<main class="center home">
      <img src="/icons/icon.svg" width="72" height="72" alt="" />
      <h1>${words.title(this.#me.value?.name ?? this.proposedName)}</h1>
      <p class="lead">${isAlone ? words.text : words.pick}</p>
      ${this.#actions(true)}
      ${
        isAlone
          ? html`<ul>
              ${words.points.map((point) => html`<li>${icons.tick()}${point}</li>`)}
            </ul>`
          : nothing
      }
    </main>`;
  }

  /** What a phone shows under the notes while nobody else is there. */
  #welcome(): TemplateResult {
    const words = t().home;
    return html`<section class="welcome home">
      <img src="/icons/icon.svg" width="64" height="64" alt="" />
      <h2>${words.title(this.#me.value?.name ?? this.proposedName)}</h2>
      <p class="lead">${words.text}</p>
      <ul>
        ${words.points.map((point) => html`<li>${icons.tick()}${point}</li>`)}
      </ul>
    </section>`;
  }

  #toList(): TemplateResult {
    return html`<button class="button quiet" @click=${() => this.#back(undefined)}>
      ${t().conversation.back}
    </button>`;
  }

  /** The page was opened by a link: the friend's side of the first minute. */
  #opening(): TemplateResult {
    const words = t().join;
    if (this.joinFailure === undefined) {
      return html`<main class="center">
        <img class="opening" src="/icons/icon.svg" width="64" height="64" alt="" />
        <p class="quiet-text" role="status">${words.connecting}</p>
      </main>`;
    }
    return html`<main class="center">
      <div class="card">
        <h1>${words.failedTitle}</h1>
        ${this.#joinPanel()} ${this.#toList()}
      </div>
    </main>`;
  }

  /** The page was opened by a link that adds a device. Nothing is done with it before somebody says so. */
  #openedDeviceLink(link: string): TemplateResult {
    const me = this.#me.value;
    return html`<main class="center">
      <div class="card" aria-live="polite">
        <h1>${t().devices.opened.title}</h1>
        ${
          me === undefined
            ? html`<p class="quiet-text">${t().app.loading}</p>`
            : this.#ownDevices.opened(link, me)
        }
        ${this.#toList()}
      </div>
    </main>`;
  }

  #joinPanel(): TemplateResult {
    return html`<sotto-join-panel
      .text=${this.joinText}
      .busy=${this.joinBusy}
      .failure=${this.joinFailure}
      @sotto-join=${(event: Named<"sotto-join">) => void this.#join(event.detail.text)}
    ></sotto-join-panel>`;
  }

  #conversation(view: ConversationView): TemplateResult {
    return html`<main class="conversation">
      <sotto-conversation-header
        .view=${view}
        ?narrow=${!this.wide}
        @sotto-back=${() => this.#back(view.id)}
        @sotto-verify-open=${this.#onVerify}
        @sotto-invite-open=${() => {
          this.inviteOf = view.id;
          this.#go({ ...this.route, sheet: "invite" });
        }}
        @sotto-invite-new=${this.#onInvite}
      ></sotto-conversation-header>
      <sotto-timeline
        .timeline=${this.#timeline.value}
        .view=${view}
        .target=${this.#target}
        @sotto-load-older=${this.#onLoadOlder}
        @sotto-load-newer=${() => void this.#attempt(() => this.#shown?.loadNewer())}
        @sotto-load-newest=${() => void this.#attempt(() => this.#shown?.loadNewest())}
      ></sotto-timeline>
      <sotto-identity-notice
        .view=${view}
        @sotto-verify-open=${this.#onVerify}
        @sotto-identity-answer=${({ detail }: Named<"sotto-identity-answer">) =>
          void this.#attempt(() => this.#shown?.answerIdentity(detail.accountId, detail.answer))}
      ></sotto-identity-notice>
      <sotto-devices-notice
        .view=${view}
        @sotto-verify-open=${this.#onVerify}
        @sotto-devices-trust=${() => void this.#attempt(() => this.#shown?.trustDevices())}
        @sotto-devices-seen=${() => {
          void this.#attempt(() => this.#shown?.markDevicesSeen());
          this.#focusComposer();
        }}
      ></sotto-devices-notice>
      ${
        view.kind === "refused" || view.kind === "expired"
          ? html`<div class="refused">
              <p>${t().conversation[view.kind]}</p>
              <button class="button" @click=${this.#onInvite}>
                ${icons.invite()}${t().home.invite}
              </button>
            </div>`
          : html`<sotto-composer
              id="composer"
              .of=${view.id}
              .draft=${this.#drafts.of(view.id)}
              .error=${this.composerError}
              @sotto-draft=${(event: Named<"sotto-draft">) =>
                this.#drafts.set(view.id, event.detail.text)}
              @sotto-submit=${(event: Named<"sotto-submit">) => void this.#send(event)}
            ></sotto-composer>`
      }
    </main>`;
  }

  #sheets(): TemplateResult {
    const { sheet } = this.route;
    const close = (): void => this.#closeSheet();
    return html`
      <sotto-sheet .heading=${t().invite.title} ?open=${sheet === "invite"} @sotto-close=${close}>
        ${
          sheet === "invite"
            ? html`<sotto-invite-panel
                .invite=${this.#conversations.value?.find((one) => one.id === this.inviteOf)?.invite}
                ?failed=${this.inviteFailed}
                .secondTab=${this.#profile === undefined}
                @sotto-retry=${this.#onInvite}
                @sotto-second-tab=${() => void this.#secondTab()}
                @sotto-given=${() => {
                  if (this.inviteOf !== undefined) markGiven(this.inviteOf);
                }}
              ></sotto-invite-panel>`
            : nothing
        }
      </sotto-sheet>
      <sotto-sheet .heading=${t().join.title} ?open=${sheet === "join"} @sotto-close=${close}>
        ${sheet === "join" ? this.#joinPanel() : nothing}
      </sotto-sheet>
      <sotto-sheet .heading=${t().verify.title} ?open=${sheet === "verify"} @sotto-close=${close}>
        ${sheet === "verify" ? html`${this.#problem()}${this.#verifyPanel()}` : nothing}
      </sotto-sheet>
      <sotto-sheet
        .heading=${t().settings.title}
        ?open=${sheet === "settings"}
        @sotto-close=${close}
      >
        ${
          sheet === "settings"
            ? html`${this.#problem()}<sotto-settings-panel
                  .me=${this.#me.value}
                  .hub=${this.#hub.value ?? "connecting"}
                  .storage=${this.#storage.value ?? { state: "ok", persisted: undefined }}
                  .diagnostics=${this.#diagnostics.value}
                  .version=${this.version}
                  @sotto-rename=${(event: Named<"sotto-rename">) =>
                    void this.#rename(event.detail.name)}
                  @sotto-hide-address=${(event: Named<"sotto-hide-address">) =>
                    void this.#attempt((messenger) => messenger.hideAddress(event.detail.hidden))}
                  >${this.#ownDevices.render(this.#me.value, this.#hub.value === "online")}${this.#keys?.settings() ?? nothing}${this.#ownRelays.render(
                    (act) => void this.#attempt(act),
                  )}</sotto-settings-panel
                >`
            : nothing
        }
      </sotto-sheet>
      <sotto-sheet .heading=${t().restore.title} ?open=${sheet === "restore"} @sotto-close=${close}>
        ${sheet === "restore" ? (this.#keys?.restore() ?? nothing) : nothing}
      </sotto-sheet>
      <sotto-sheet .heading=${t().search.title} ?open=${sheet === "search"} @sotto-close=${close}>
        ${
          sheet === "search"
            ? html`${this.#problem()}${this.#search?.render(this.#conversations.value ?? []) ?? nothing}`
            : nothing
        }
      </sotto-sheet>
    `;
  }

  /** Not asked for now, so a failure is not told: the settings say when a file was last written. */
  /** At the start, and whenever somebody comes back to an app that stays open for days. */
  #keepBackup(): void {
    const { messenger } = this;
    if (messenger === undefined || this.#profile !== undefined || !isBackupDue()) return;
    void this.#loadKeys(messenger).then((keys) => keys?.keepUp().catch(() => undefined));
  }

  /** `messenger`: undefined when none could be opened. Undefined when that part of the app could not be loaded. */
  async #loadKeys(messenger: Messenger | undefined): Promise<Keys | undefined> {
    const profile = this.#profile;
    try {
      const { createKeys } = await import("./keys.ts");
      this.#keys ??= createKeys(this, messenger, {
        name: this.proposedName,
        relayUrl: location.origin,
        ...(profile === undefined ? {} : { profile }),
      });
    } catch {
      this.hasProblem = true;
    }
    this.requestUpdate();
    return this.#keys;
  }

  #verifyPanel(): TemplateResult {
    const shown = this.#shown;
    const view = this.#view.value;
    const isDoubted = view?.newIdentity !== undefined || view?.devices.conflict === true;
    return html`<sotto-verify-panel
      .name=${view === undefined ? "" : nameOf(view)}
      .number=${this.safety}
      ?verified=${(view?.verified ?? false) && !isDoubted}
      .compare=${(text: string) => shown?.matchesSafetyNumber(text) ?? Promise.resolve(false)}
      @sotto-verified=${(event: Named<"sotto-verified">) =>
        void this.#attempt(() => shown && setVerified(shown, event.detail.verified))}
    ></sotto-verify-panel>`;
  }

  #go(route: Partial<Route>, how: "push" | "replace" = "push"): void {
    const next: Route = {
      conversation: route.conversation,
      sheet: route.sheet,
      invite: undefined,
      deviceLink: undefined,
    };
    const href = hrefOf(next, this.#profile);
    if (how === "replace") history.replaceState(history.state, "", href);
    else
      history.pushState({ below: isList(this.route) ? "list" : "app" } satisfies Entry, "", href);
    this.hasProblem = false;
    this.route = next;
  }

  #closeSheet(): void {
    if (this.route.sheet === undefined) return;
    // Back, so that the sheet does not stay behind in the history; unless the page began with it.
    if (entryOf(history.state) !== undefined) history.back();
    else this.#go({ conversation: this.route.conversation }, "replace");
  }

  readonly #onPopState = (): void => {
    const left = this.route.conversation;
    this.route = readRoute(new URL(location.href));
    this.hasProblem = false;
    if (isList(this.route) && left !== undefined && !this.wide) this.#focusRow(left);
    // Another link put into the address of an open tab changes only what stands behind the "#".
    if (this.route.deviceLink !== undefined) this.#ownDevices.forget();
    if (this.route.invite !== undefined) void this.#join(this.route.invite);
    this.#resumeSheet();
  };

  readonly #onKeyDown = (event: KeyboardEvent): void => {
    const shortcut = shortcutOf(event);
    if (shortcut === undefined || this.route.sheet !== undefined) return;
    if (this.#carryOut(shortcut)) event.preventDefault();
  };

  /** False when there is nothing to do here. */
  #carryOut(shortcut: Shortcut): boolean {
    switch (shortcut) {
      case "previous":
        return this.#step(-1);
      case "next":
        return this.#step(1);
      case "region":
        return this.#nextRegion(1);
      case "region-back":
        return this.#nextRegion(-1);
      case "leave":
        return this.#leave();
      case "search":
        return this.#onSearch(undefined);
      case "search-here":
        return this.#onSearch(this.route.conversation);
    }
  }

  /** The conversation above or below in the list. */
  #step(by: 1 | -1): boolean {
    const all = this.#conversations.value ?? [];
    const at = all.findIndex((one) => one.id === this.route.conversation);
    const next = at === -1 ? all.at(0) : all[at + by];
    if (next === undefined) return false;
    this.#go({ conversation: next.id }, at === -1 ? "push" : "replace");
    this.#focusComposer();
    return true;
  }

  /** Focus moves between list, messages and composer. */
  #nextRegion(by: 1 | -1): boolean {
    const list = this.#listElement();
    const timeline = this.renderRoot.querySelector("sotto-timeline");
    const composer = this.#composer();
    const regions = [
      ...(list === undefined
        ? []
        : [{ element: list, focus: () => list.focusRow(this.route.conversation) }]),
      ...(timeline === null ? [] : [{ element: timeline, focus: () => timeline.focusMessages() }]),
      ...(composer === undefined ? [] : [{ element: composer, focus: () => composer.focus() }]),
    ];
    const at = regions.findIndex(({ element }) => element.matches(":focus-within"));
    const start = by === 1 ? -1 : 0;
    const next = regions.at(((at === -1 ? start : at) + by) % Math.max(1, regions.length));
    next?.focus();
    return next !== undefined;
  }

  /** One step out: from anywhere to the composer, from the composer to the list. */
  #leave(): boolean {
    const composer = this.#composer();
    if (composer === undefined) return false;
    if (!composer.matches(":focus-within")) composer.focus();
    else if (this.wide) this.#listElement()?.focusRow(this.route.conversation);
    else this.#back(this.route.conversation);
    return true;
  }

  /** To the list, as the browser's own Back would where the list is what lies below. */
  #back(id: string | undefined): void {
    if (entryOf(history.state)?.below === "list") {
      history.back();
      return;
    }
    this.#go({}, "replace");
    this.#focusRow(id);
  }

  #focusRow(id: string | undefined): void {
    void this.updateComplete.then(() => this.#listElement()?.focusRow(id));
  }

  #listElement(): SottoConversationList | undefined {
    const list = this.renderRoot.querySelector("sotto-conversation-list");
    return list instanceof SottoConversationList ? list : undefined;
  }

  /** Which build this is; development builds have none. */
  async #loadVersion(): Promise<void> {
    if (this.version !== "") return;
    try {
      const manifest: unknown = await (await fetch("/integrity.json")).json();
      const isNamed = typeof manifest === "object" && manifest !== null && "version" in manifest;
      if (isNamed && typeof manifest.version === "string") this.version = manifest.version;
    } catch {
      // Offline before the first visit was complete, or a development server.
    }
  }

  readonly #onVisibility = (): void => {
    this.#shown?.setVisible(!document.hidden);
    this.#keepBackup();
    if (!document.hidden) this.requestUpdate();
  };

  readonly #onWidth = (): void => {
    this.wide = this.#width.matches;
  };

  readonly #onSelect = (event: Named<"sotto-select">): void => {
    this.#go({ conversation: event.detail.id });
    this.#focusComposer();
  };

  readonly #onSettings = (): void => {
    this.#ownDevices.forget();
    this.#go({ ...this.route, sheet: "settings" });
    this.#fillSettings();
  };

  #fillSettings(): void {
    void this.#loadVersion();
    void this.#attempt((messenger) => this.#ownRelays.open(messenger));
    void this.#ready.promise.then((messenger) => this.#loadKeys(messenger));
  }

  #onSearch(conversation: string | undefined): true {
    this.#go({ ...this.route, sheet: "search" });
    void this.#loadSearch(conversation);
    return true;
  }

  #loadSearch(conversation: string | undefined): Promise<void> {
    return this.#attempt(async (messenger) => {
      const { createSearch } = await import("./search.ts");
      this.#search ??= createSearch(this, messenger, (found) => void this.#goToFound(found));
      this.#search.within(conversation);
    });
  }

  /** Opens the conversation at that message. */
  async #goToFound({ conversation, message, place }: SottoEvents["sotto-found"]): Promise<void> {
    this.#target = { conversation, id: message.id };
    this.#go({ conversation }, "replace");
    await this.#attempt(async (messenger) => {
      const opened = messenger.conversation(conversation);
      if (opened === undefined) return;
      await opened.loadAround(place);
      const name = message.own ? t().conversation.you : nameOf(opened.view.value);
      this.#announce(t().search.found(name, message.text, fullTime(message.sentAt)));
    });
  }

  readonly #onVerify = (): void => {
    if (this.#shown !== undefined) this.#go({ ...this.route, sheet: "verify" });
  };

  #openRestore(): void {
    this.#go({ ...this.route, sheet: "restore" });
    this.#resumeSheet();
  }

  readonly #onJoinOpen = (): void => {
    this.#forgetJoin();
    this.#go({ ...this.route, sheet: "join" });
  };

  readonly #onLoadOlder = (): void => {
    this.#shown?.loadOlder().catch(() => {
      // Scrolling on asks again.
    });
  };

  /** Nobody must be shown the digits of someone else. */
  async #loadSafety(): Promise<void> {
    const shown = this.#shown;
    if (shown === undefined) return;
    try {
      const number = await shown.safetyNumber();
      if (this.#shown === shown) this.safety = number;
    } catch {
      if (this.#shown === shown) this.hasProblem = true;
    }
  }

  #rename(name: string): Promise<void> {
    return this.#attempt((messenger) => messenger.rename(name));
  }

  /** Does what was asked for as soon as the messenger is there, and says so when it cannot be done. */
  async #attempt(act: (messenger: Messenger) => Promise<void> | undefined): Promise<void> {
    this.hasProblem = false;
    try {
      await act(await this.#ready.promise);
    } catch {
      this.hasProblem = true;
    }
  }

  readonly #onInvite = (): void => {
    this.inviteOf = undefined;
    this.inviteFailed = false;
    this.#go(
      { ...this.route, sheet: "invite" },
      this.route.sheet === undefined ? "push" : "replace",
    );
    void this.#invite();
  };

  async #invite(): Promise<string | undefined> {
    try {
      const messenger = await this.#ready.promise;
      const unused = messenger.conversations.value.find(isUnusedInvite);
      const { conversation, url } = await messenger.invite(unused?.id);
      this.inviteOf = conversation;
      return url;
    } catch {
      this.inviteFailed = true;
      return undefined;
    }
  }

  /** A sheet that came with the address, by a reload or by going back to it, gets what it shows. */
  #resumeSheet(): void {
    if (this.route.sheet === "settings") this.#fillSettings();
    if (this.route.sheet === "join") this.#forgetJoin();
    if (this.route.sheet === "search") void this.#loadSearch(undefined);
    if (this.route.sheet === "restore") {
      void this.#ready.promise.then((messenger) => this.#loadKeys(messenger));
    }
    if (this.route.sheet === "invite" && this.inviteOf === undefined) void this.#resumeInvite();
  }

  /** The invite that was on screen: that of the conversation behind the sheet, else the newest one. */
  async #resumeInvite(): Promise<void> {
    const messenger = await this.#ready.promise;
    const waiting = messenger.conversations.value.filter((one) => one.kind === "invited");
    const shown = waiting.find((one) => one.id === this.route.conversation) ?? waiting[0];
    if (shown === undefined) await this.#invite();
    else this.inviteOf = shown.id;
  }

  /** Opens a second identity that follows an invite of this one, and shows this side of the conversation. */
  async #secondTab(): Promise<void> {
    const url = await this.#invite();
    if (url === undefined) {
      this.#go({ ...this.route, sheet: "invite" });
      return;
    }
    const { inviteOf: conversation } = this;
    if (conversation !== undefined) markGiven(conversation);
    await this.#untilActive(conversation);
    open(secondTabLink(url), "_blank", "noopener");
    this.inviteOf = undefined;
    this.#go({ conversation }, this.route.sheet === undefined ? "push" : "replace");
  }

  /** The relay holds the offer: the link can be followed. Does not wait longer than a click allows a new tab. */
  #untilActive(conversation: string | undefined): Promise<void> {
    const { messenger } = this;
    if (messenger === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      let leave: (() => void) | undefined;
      const end = (): void => {
        clearTimeout(timer);
        // The first call may come while subscribing, before there is a way to leave.
        queueMicrotask(() => leave?.());
        resolve();
      };
      const timer = setTimeout(end, ACTIVE_WAIT_MS);
      leave = messenger.conversations.subscribe((all) => {
        if (all.some((one) => one.id === conversation && one.invite?.active === true)) end();
      });
    });
  }

  /** The tab that made this one may still be telling the relay of the invite: until then it is not there. */
  async #accept(messenger: Messenger, text: string): Promise<AcceptResult> {
    for (let tries = 1; ; tries++) {
      const result = await messenger.accept(text);
      const mayCome = !result.ok && result.reason === "gone" && this.#profile !== undefined;
      if (!mayCome || tries >= FRESH_TRIES_MAX) return result;
      await new Promise((resolve) => setTimeout(resolve, FRESH_PAUSE_MS));
    }
  }

  async #join(text: string): Promise<void> {
    this.joinText = text;
    this.joinBusy = true;
    this.joinFailure = undefined;
    try {
      const messenger = await this.#ready.promise;
      const result = await this.#accept(messenger, text);
      if (!result.ok) {
        if (result.reason === "for-device" && this.#ownDevices.expects(text, messenger.me.value)) {
          this.#offerDeviceLink(text);
          return;
        }
        // Room is not what is missing where the database was taken away.
        const isClosed = this.#storage.value?.state === "closed";
        this.joinFailure =
          result.reason === "storage" && isClosed ? { ok: false, reason: "failed" } : result;
        return;
      }
      this.joinText = "";
      this.#go({ conversation: result.conversation }, "replace");
      this.#focusComposer();
    } catch (error) {
      this.joinFailure = { ok: false, reason: joinFailureOf(error) };
    } finally {
      this.joinBusy = false;
    }
  }

  /** On a device that came back from the recovery phrase the link of another one was pasted: it is asked first. */
  #offerDeviceLink(text: string): void {
    this.#ownDevices.offer(text);
    this.#go({ sheet: "settings" }, "replace");
    this.#fillSettings();
  }

  /** What came of an earlier link says nothing about the next one. */
  #forgetJoin(): void {
    if (this.joinBusy) return;
    this.joinText = "";
    this.joinFailure = undefined;
  }

  async #send(event: Named<"sotto-submit">): Promise<void> {
    const { text } = event.detail;
    const conversation = this.#shown;
    if (conversation === undefined) return;
    try {
      this.composerError = "";
      await conversation.loadNewest();
      await conversation.send(text);
      this.#keepHistory(conversation);
    } catch (error) {
      // Someone else may be on screen by now; the text goes back to where it was written.
      const composer = this.#composer();
      if (this.#shown !== conversation || composer === undefined) {
        this.#drafts.restore(conversation.id, text);
        return;
      }
      const storage = this.#storage.value?.state ?? "ok";
      this.composerError = t().composer[sendFailureOf(error, storage)];
      composer.restore(text);
    }
  }

  /** Once there is a conversation worth keeping, asks the browser not to clear it away. */
  #keepHistory(conversation: Conversation): void {
    const isAnswered = conversation.timeline.value.messages.some((message) => !message.own);
    if (!isAnswered || this.#askedToPersist) return;
    this.#askedToPersist = true;
    navigator.storage.persist().catch(() => {
      // Not in this browser: storage says so in the settings.
    });
  }

  #focusComposer(): void {
    // On a phone the keyboard would cover what one came to read.
    if (this.#hasTouch.matches) return;
    void this.updateComplete.then(() => this.#composer()?.focus());
  }

  #composer(): SottoComposer | undefined {
    const composer = this.renderRoot.querySelector("sotto-composer");
    return composer instanceof SottoComposer ? composer : undefined;
  }

  readonly #skip = (event: Event): void => {
    event.preventDefault();
    const target = this.#composer() ?? this.renderRoot.querySelector<HTMLElement>("main button");
    target?.focus();
  };
}

/** What there was can be brought back from words or a file. */
const isRestorable = (failure: StartFailure | undefined): boolean =>
  failure === "unreadable" || failure === "gone";

const isOpenedByLink = ({ invite, deviceLink }: Route): boolean =>
  invite !== undefined || deviceLink !== undefined;

/** Comparing also answers what the contact's devices say against each other; another identity comes first. */
function setVerified(conversation: Conversation, verified: boolean): Promise<void> {
  const { newIdentity, devices } = conversation.view.value;
  const isAnswer = verified && newIdentity === undefined && devices.conflict;
  return isAnswer
    ? conversation.trustDevices({ compared: true })
    : conversation.setVerified(verified);
}

/** Made, looked at, and never handed out or written into; fresh enough to be handed out now. */
const isUnusedInvite = ({ id, kind, lastText, invite }: ConversationView): boolean =>
  kind === "invited" &&
  lastText === undefined &&
  invite !== undefined &&
  invite.expiresAt - Date.now() > UNUSED_INVITE_MS &&
  !isGiven(id);

customElements.define("sotto-app", SottoApp);

declare global {
  interface HTMLElementTagNameMap {
    "sotto-app": SottoApp;
  }
}
