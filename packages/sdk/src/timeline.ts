/**
 * One conversation's history as a live list, in every tab alike: the newest page, or what stands around a message that was
 * asked for; more on both sides on demand.
 */
import type { MessagePage, MessageRow, Store } from "@sotto/protocol";
import { createLive } from "./live.ts";
import type { Live, Timeline } from "./messenger.ts";
import { viewMessage } from "./views.ts";

/** Rows read at a time. */
export const PAGE_ROWS = 50;

export interface LiveTimeline {
  readonly timeline: Live<Timeline>;
  loadOlder(): Promise<void>;
  loadNewer(): Promise<void>;
  loadNewest(): Promise<void>;
  /** `place`: an order key. */
  loadAround(place: string): Promise<void>;
  close(): void;
}

export function openTimeline(store: Store, conversation: string): LiveTimeline {
  const live = createLive<Timeline>({ messages: [], hasOlder: true, hasNewer: false });
  /** Ascending, and nothing is missing between two of them. */
  let rows: readonly MessageRow[] = [];
  let hasOlder = true;
  let hasNewer = false;
  /** What was committed while a read runs or waits: newer than what it brings. */
  let meanwhile: MessageRow[] = [];
  let turn: Promise<void> = Promise.resolve();
  const waiting = new Map<string, Promise<void>>();

  const show = (): void => live.set({ messages: rows.map(viewMessage), hasOlder, hasNewer });

  const merge = (more: readonly MessageRow[]): void => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const row of more) byId.set(row.id, row);
    rows = [...byId.values()].toSorted((a, b) => (a.order < b.order ? -1 : 1));
  };

  /** False when none of them is to be seen yet. */
  const take = (messages: readonly MessageRow[]): boolean => {
    const [oldest, newest] = [rows[0]?.order, rows.at(-1)?.order];
    const isNewer = ({ order }: MessageRow): boolean => oldest === undefined || order >= oldest;
    const isBeyond = ({ order }: MessageRow): boolean =>
      hasNewer && newest !== undefined && order > newest;
    // Beside what is loaded: it will come with its page. Where all was loaded, another device may bring more.
    const older = hasOlder
      ? []
      : messages.filter((row) => !isNewer(row)).toSorted((a, b) => (a.order < b.order ? -1 : 1));
    const visible = [
      ...older.slice(-PAGE_ROWS),
      ...messages.filter((row) => isNewer(row) && !isBeyond(row)),
    ];
    hasOlder ||= older.length > PAGE_ROWS;
    if (visible.length > 0) merge(visible);
    return visible.length > 0;
  };

  /** One read after another, as each begins where the one before ended; one that waits already is not asked for again. */
  function inTurn(name: string, read: () => Promise<void>): Promise<void> {
    const before = waiting.get(name);
    if (before !== undefined) return before;
    const result = turn.then(async () => {
      meanwhile = [];
      await read();
      take(meanwhile);
      show();
    });
    turn = result
      .catch(() => {
        // Whoever asked is told; the next one begins anew.
      })
      .finally(() => waiting.delete(name));
    waiting.set(name, result);
    return result;
  }

  const pageOf = (bounds: {
    readonly before?: string | undefined;
    readonly after?: string | undefined;
  }): Promise<MessagePage> => {
    const { before, after } = bounds;
    return store.messages(conversation, {
      limit: PAGE_ROWS,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    });
  };

  const loadOlder = async (): Promise<void> => {
    if (!hasOlder) return;
    await inTurn("older", async () => {
      const page = await pageOf({ before: rows[0]?.order });
      merge(page.rows);
      hasOlder = page.hasMore;
    });
  };

  const unwatch = store.watch((event) => {
    if (event.conversation !== conversation || event.messages.length === 0) return;
    if (waiting.size > 0) meanwhile.push(...event.messages);
    if (take(event.messages)) show();
  });

  void loadOlder().catch(() => {
    // A closed store: the messenger's storage state says so.
  });
  return {
    timeline: live,
    loadOlder,
    async loadNewer() {
      if (!hasNewer) return;
      await inTurn("newer", async () => {
        const page = await pageOf({ after: rows.at(-1)?.order });
        merge(page.rows);
        hasNewer = page.hasMore;
      });
    },
    async loadNewest() {
      if (!hasNewer) return;
      await inTurn("newest", async () => {
        ({ rows, hasMore: hasOlder } = await pageOf({}));
        hasNewer = false;
      });
    },
    loadAround: (place) =>
      inTurn(place, async () => {
        const [oldest, newest] = [rows[0]?.order, rows.at(-1)?.order];
        if (oldest !== undefined && newest !== undefined && oldest <= place && place <= newest)
          return;
        // With the row itself: what is longer comes after it.
        const [until, after] = await Promise.all([
          pageOf({ before: `${place}~` }),
          pageOf({ after: place }),
        ]);
        rows = [...until.rows, ...after.rows];
        hasOlder = until.hasMore;
        hasNewer = after.hasMore;
      }),
    close: unwatch,
  };
}
