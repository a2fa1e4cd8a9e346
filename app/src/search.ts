/**
 * Search over the messages of this device: what was asked for, and what was found so far.
 * Loaded where somebody searches. Leaves to the panel: how it looks; to the messenger: what matches.
 */
import type { ConversationView, FoundMessage, Messenger } from "@sotto/sdk";
import type { SearchFor, SottoEvents } from "@sotto/ui";
import "@sotto/ui/late";
import { html, type ReactiveControllerHost, type TemplateResult } from "lit";

type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

export interface Search {
  render(conversations: readonly ConversationView[]): TemplateResult;
  /** Over one conversation, or over all of them. */
  within(conversation: string | undefined): void;
}

export function createSearch(
  host: ReactiveControllerHost,
  messenger: Messenger,
  goTo: (found: SottoEvents["sotto-found"]) => void,
): Search {
  let wanted: SearchFor = { query: "" };
  let found: readonly FoundMessage[] | undefined;
  let next: string | undefined;
  let running: AbortController | undefined;
  let failed = false;

  /** Until the answer is there, the one before stays on screen. */
  async function ask(from?: string): Promise<void> {
    running?.abort();
    const own = new AbortController();
    running = own;
    failed = false;
    host.requestUpdate();
    try {
      const { query, ...options } = wanted;
      const page = await messenger.search(query, { ...options, from }, own.signal);
      if (running !== own) return;
      // Some of what is stored belongs to no conversation on screen.
      const shown = page.messages.filter(
        (one) => messenger.conversation(one.conversation) !== undefined,
      );
      found = from === undefined ? shown : [...(found ?? []), ...shown];
      next = page.next;
      if (shown.length === 0 && next !== undefined) return await ask(next);
    } catch {
      if (running !== own) return;
      failed = true;
    }
    running = undefined;
    host.requestUpdate();
  }

  function lookFor(wish: SearchFor): void {
    wanted = wish;
    void ask();
  }

  return {
    render: (conversations) =>
      html`<sotto-search-panel
        .conversations=${conversations}
        .wanted=${wanted}
        .found=${found}
        ?busy=${running !== undefined}
        ?hasMore=${next !== undefined}
        ?failed=${failed}
        @sotto-search=${({ detail }: Named<"sotto-search">) => lookFor(detail)}
        @sotto-search-more=${() => void ask(next)}
        @sotto-found=${({ detail }: Named<"sotto-found">) => goTo(detail)}
      ></sotto-search-panel>`,
    within: (conversation) => lookFor({ query: wanted.query, conversation }),
  };
}
