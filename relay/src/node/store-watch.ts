/** Says when a store begins and ceases to fail: once each, however many commits that concerns. */
import { type Store, StoreError } from "../core/ports.ts";
import type { Log } from "./log.ts";

export function watchStore(store: Store, log: Log): Store {
  let fails = false;
  return {
    load: () => store.load(),
    async apply(operations) {
      try {
        await store.apply(operations);
      } catch (error) {
        const reason = error instanceof StoreError ? error.code : "broken";
        if (!fails) log({ event: "store-failed", reason });
        fails = true;
        throw error;
      }
      if (fails) log({ event: "store-recovered" });
      fails = false;
    },
    readMessages: (rows) => store.readMessages(rows),
    readBundle: (row) => store.readBundle(row),
    close: () => store.close(),
  };
}
