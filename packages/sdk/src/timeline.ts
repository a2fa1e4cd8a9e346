/** One conversation's history as a live list: newest page first, older pages on demand, in every tab alike. */
import type { MessageRow, Store } from "@sotto/protocol";
import { createLive } from "./live.ts";
import type { Live, Timeline } from "./messenger.ts";
import { viewMessage } from "./views.ts";

/** Rows read at a time. */
export const PAGE_ROWS = 50;

export interface LiveTimeline {
  readonly timeline: Live<Timeline>;
  loadOlder(): Promise<void>;
  close(): void;
}

export function openTimeline(store: Store, conversation: string): LiveTimeline {
  const live = createLive<Timeline>({ messages: [], hasOlder: true });
  let rows: readonly MessageRow[] = [];
  let hasOlder = true;
  let loading: Promise<void> | undefined;

  const show = (): void => live.set({ messages: rows.map(viewMessage), hasOlder });

  const merge = (more: readonly MessageRow[]): void => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const row of more) byId.set(row.id, row);
    rows = [...byId.values()].toSorted((a, b) => (a.order < b.order ? -1 : 1));
  };

  const loadPage = async (): Promise<void> => {
    const before = rows[0]?.order;
    const page = await store.messages(conversation, {
      limit: PAGE_ROWS,
      ...(before === undefined ? {} : { before }),
    });
    // A row that a commit brought meanwhile is newer than the page's copy of it.
    const fresh = rows;
    merge(page.rows);
    merge(fresh);
    ({ hasMore: hasOlder } = page);
    show();
  };

  const loadOlder = (): Promise<void> => {
    if (!hasOlder) return Promise.resolve();
    loading ??= loadPage().finally(() => {
      loading = undefined;
    });
    return loading;
  };

  const unwatch = store.watch((event) => {
    if (event.conversation !== conversation || event.messages.length === 0) return;
    const oldest = rows[0]?.order;
    const isNewer = ({ order }: MessageRow): boolean => oldest === undefined || order >= oldest;
    // Older than what is loaded: it will come with its page. Where all was loaded, another device may bring more.
    const older = hasOlder
      ? []
      : event.messages
          .filter((row) => !isNewer(row))
          .toSorted((a, b) => (a.order < b.order ? -1 : 1));
    const visible = [...older.slice(-PAGE_ROWS), ...event.messages.filter(isNewer)];
    hasOlder ||= older.length > PAGE_ROWS;
    if (visible.length === 0) return;
    merge(visible);
    show();
  });

  void loadOlder().catch(() => {
    // A closed store: the messenger's storage state says so.
  });
  return { timeline: live, loadOlder, close: unwatch };
}
