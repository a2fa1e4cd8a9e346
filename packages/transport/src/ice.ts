/**
 * Which STUN and TURN servers the next peer connection may use, and whether there may be one at all.
 * Owns: keeping a credential until it is nearly over, waiting no longer for one than a dial can, hiding the address.
 * Leaves to hub.ts: asking the relay. Leaves to libp2p/ and calls: connections.
 * Spec: wire/SPEC.md §9.3.
 */
import { type IceServers, isTurnUrl } from "@sotto/wire";
import type { IceAnswer } from "./ports.ts";
import type { Timers } from "./timers.ts";

/** A dial goes on with what there is when the relay takes longer. */
export const ICE_ANSWER_MS = 1_000;
/** Of a credential's life, so that no connection begins with one that ends meanwhile. */
const FRESH_SHARE = 0.75;
/** TURN servers count what one name has open: ten at once is usual, and a connection takes one for each address. */
export const CREDENTIAL_USES_MAX = 4;
/** A relay that names no servers is asked again after so long. */
export const ICE_NONE_MS = 600_000;

export interface IceOptions {
  readonly ask: () => Promise<IceAnswer>;
  /** Asked at every use: nobody in a connection made from now on may see this device's address. */
  readonly isAddressHidden: () => boolean;
  readonly timers: Timers;
}

export interface Ice {
  /**
   * For one RTCPeerConnection; undefined: there must be none, for the address is hidden and nobody relays. Never
   * rejects. Without an answer of the relay, and with the address shown: no servers, which serves in one network.
   */
  configuration(this: void): Promise<RTCConfiguration | undefined>;
  /** Whether `configuration` would be one, without using it. */
  isPossible(this: void): Promise<boolean>;
  /** The relay is another one. */
  reset(): void;
}

interface Known {
  /** Undefined: there are none. */
  readonly servers: IceServers | undefined;
  readonly freshUntil: number;
  readonly endsAt: number;
  uses: number;
}

export function createIce({ ask, isAddressHidden, timers }: IceOptions): Ice {
  let known: Known | undefined;
  let asking: Promise<void> | undefined;

  function keep(answer: IceAnswer): void {
    const now = timers.now();
    if (answer.ok) {
      const lifeMs = answer.servers.ttlSeconds * 1_000;
      const { servers } = answer;
      known = { servers, freshUntil: now + FRESH_SHARE * lifeMs, endsAt: now + lifeMs, uses: 0 };
    } else if (answer.reason === "gone") {
      const freshUntil = now + ICE_NONE_MS;
      known = { servers: undefined, freshUntil, endsAt: freshUntil, uses: 0 };
    }
  }

  /** One question at a time; an answer that comes too late for this dial is there for the next. */
  function refresh(): Promise<void> {
    if (asking !== undefined) return asking;
    const asked: Promise<void> = ask().then(
      (answer) => {
        // After `reset` it is another relay's.
        if (asking === asked) keep(answer);
        if (asking === asked) asking = undefined;
      },
      () => {
        if (asking === asked) asking = undefined;
      },
    );
    asking = asked;
    return asked;
  }

  async function current(): Promise<Known | undefined> {
    const now = timers.now();
    const isWorn = known?.servers !== undefined && known.uses >= CREDENTIAL_USES_MAX;
    if (known !== undefined && now < known.freshUntil && !isWorn) return known;
    await within(refresh(), ICE_ANSWER_MS, timers);
    // What is left of the old one is better than nothing.
    return known !== undefined && timers.now() < known.endsAt ? known : undefined;
  }

  const mayBe = (servers: IceServers | undefined): boolean =>
    !isAddressHidden() || (servers?.urls.some(isTurnUrl) ?? false);

  return {
    async configuration() {
      const found = await current();
      // Not before: hidden while the relay was thinking is hidden.
      if (!mayBe(found?.servers)) return undefined;
      if (found !== undefined) found.uses++;
      return configurationOf(found?.servers, isAddressHidden());
    },
    async isPossible() {
      return !isAddressHidden() || mayBe((await current())?.servers);
    },
    reset() {
      known = undefined;
      asking = undefined;
    },
  };
}

function configurationOf(servers: IceServers | undefined, isHidden: boolean): RTCConfiguration {
  if (servers === undefined) return { iceServers: [] };
  const { username, credential } = servers;
  // With relays alone a STUN server would only be told an address that nobody may have.
  const urls = servers.urls.filter((url) => !isHidden || isTurnUrl(url));
  const iceServers = urls.map((url) =>
    isTurnUrl(url) ? { urls: url, username, credential } : { urls: url },
  );
  return isHidden ? { iceServers, iceTransportPolicy: "relay" } : { iceServers };
}

async function within(work: Promise<void>, ms: number, timers: Timers): Promise<void> {
  let cancel: (() => void) | undefined;
  const late = new Promise<void>((resolve) => {
    cancel = timers.after(ms, resolve);
  });
  await Promise.race([work, late]);
  cancel?.();
}
