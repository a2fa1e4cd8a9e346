/**
 * What the machine says about its network. Hints only: a connection is judged by its answers.
 */
export interface NetworkHints {
  isOnline(): boolean;
  /** back: the network, the page or the machine may just have come back. gone: the network may be lost. */
  listen(hint: (kind: "back" | "gone") => void): () => void;
}

/** Of the page this runs in; without a page (Node, a worker) always online and silent. */
export const pageHints: NetworkHints = {
  isOnline: () => typeof document === "undefined" || navigator.onLine,
  listen(hint) {
    if (typeof document === "undefined") return () => undefined;
    const back = (): void => hint("back");
    const gone = (): void => hint("gone");
    const seen = (): void => {
      if (document.visibilityState === "visible") hint("back");
    };
    globalThis.addEventListener("online", back);
    globalThis.addEventListener("offline", gone);
    // A page out of the back/forward cache has dead sockets and hears no close event.
    globalThis.addEventListener("pageshow", back);
    document.addEventListener("visibilitychange", seen);
    return () => {
      globalThis.removeEventListener("online", back);
      globalThis.removeEventListener("offline", gone);
      globalThis.removeEventListener("pageshow", back);
      document.removeEventListener("visibilitychange", seen);
    };
  },
};
