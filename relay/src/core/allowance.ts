/**
 * What one place on the network may use up of a relay, however many connections and keys it takes for it.
 * Owns: the buckets, that there are never too many of them, and which are forgotten first.
 * Leaves to node/places.ts: what a place is, and which network it is part of.
 * Places are only in memory, and forgotten soon after their buckets are full again.
 * Spec: SPEC.md §4.
 */
import {
  ALLOWANCES_MAX,
  ALLOWANCES_SWEEP_MS,
  APPEND_BYTE_INTERVAL_MS,
  APPEND_BYTES_BURST,
  BUNDLE_GET_INTERVAL_MS,
  CONNECT_BURST,
  CONNECT_INTERVAL_MS,
  PLACE_BUNDLE_GET_BURST,
  PLACE_TURN_BURST,
  PLACE_TURN_INTERVAL_MS,
  QUEUE_NEW_BURST,
  QUEUE_NEW_INTERVAL_MS,
  SCARCE_QUEUE_BURST,
} from "./limits.ts";
import { createTokenBucket, type TokenBucket } from "./token-bucket.ts";

export interface Allowance {
  readonly connects: TokenBucket;
  readonly queueNews: TokenBucket;
  /** The same queues again, counted from a smaller burst; asked only while queues are scarce. */
  readonly scarceQueueNews: TokenBucket;
  readonly appendBytes: TokenBucket;
  readonly bundleGets: TokenBucket;
  readonly turns: TokenBucket;
}

/** How much one place may use. */
export interface PlaceLimits {
  readonly connectBurst: number;
  readonly connectIntervalMs: number;
  readonly queueNewBurst: number;
  readonly queueNewIntervalMs: number;
  readonly scarceQueueBurst: number;
  readonly appendBytesBurst: number;
  readonly appendByteIntervalMs: number;
}

export const PLACE_LIMITS: PlaceLimits = {
  connectBurst: CONNECT_BURST,
  connectIntervalMs: CONNECT_INTERVAL_MS,
  queueNewBurst: QUEUE_NEW_BURST,
  queueNewIntervalMs: QUEUE_NEW_INTERVAL_MS,
  scarceQueueBurst: SCARCE_QUEUE_BURST,
  appendBytesBurst: APPEND_BYTES_BURST,
  appendByteIntervalMs: APPEND_BYTE_INTERVAL_MS,
};

/** `shares`: as much as so many ordinary places. */
export const createAllowance = (shares = 1, limits: PlaceLimits = PLACE_LIMITS): Allowance =>
  new PlaceAllowance(shares, limits);

/**
 * Most places are seen once and use one of these, and there are up to ALLOWANCES_MAX of them: a bucket is made when it
 * is first asked for.
 */
class PlaceAllowance implements Allowance {
  private readonly shares: number;
  private readonly limits: PlaceLimits;
  private ownConnects: TokenBucket | undefined;
  private ownQueueNews: TokenBucket | undefined;
  private ownScarceQueueNews: TokenBucket | undefined;
  private ownAppendBytes: TokenBucket | undefined;
  private ownBundleGets: TokenBucket | undefined;
  private ownTurns: TokenBucket | undefined;

  constructor(shares: number, limits: PlaceLimits) {
    this.shares = shares;
    this.limits = limits;
  }

  get connects(): TokenBucket {
    const { connectBurst, connectIntervalMs } = this.limits;
    return (this.ownConnects ??= this.bucket(connectBurst, connectIntervalMs));
  }

  get queueNews(): TokenBucket {
    const { queueNewBurst, queueNewIntervalMs } = this.limits;
    return (this.ownQueueNews ??= this.bucket(queueNewBurst, queueNewIntervalMs));
  }

  get scarceQueueNews(): TokenBucket {
    const { scarceQueueBurst, queueNewIntervalMs } = this.limits;
    return (this.ownScarceQueueNews ??= this.bucket(scarceQueueBurst, queueNewIntervalMs));
  }

  get appendBytes(): TokenBucket {
    const { appendBytesBurst, appendByteIntervalMs } = this.limits;
    return (this.ownAppendBytes ??= this.bucket(appendBytesBurst, appendByteIntervalMs));
  }

  get bundleGets(): TokenBucket {
    return (this.ownBundleGets ??= this.bucket(PLACE_BUNDLE_GET_BURST, BUNDLE_GET_INTERVAL_MS));
  }

  get turns(): TokenBucket {
    return (this.ownTurns ??= this.bucket(PLACE_TURN_BURST, PLACE_TURN_INTERVAL_MS));
  }

  isFull(now: number): boolean {
    const all = [
      this.ownConnects,
      this.ownQueueNews,
      this.ownScarceQueueNews,
      this.ownAppendBytes,
      this.ownBundleGets,
      this.ownTurns,
    ];
    return all.every((bucket) => bucket?.isFull(now) ?? true);
  }

  /** Of what takes long to come back. */
  hasUsedMuch(now: number): boolean {
    const { ownQueueNews, ownScarceQueueNews, ownAppendBytes } = this;
    // Asked at each message: without a list.
    return (
      ownAppendBytes?.isSpent(now) === true ||
      ownQueueNews?.isSpent(now) === true ||
      ownScarceQueueNews?.isSpent(now) === true
    );
  }

  private bucket(burst: number, intervalMs: number): TokenBucket {
    return createTokenBucket(this.shares * burst, intervalMs / this.shares);
  }
}

/** Taken from both or from neither. */
function both(one: TokenBucket, other: TokenBucket): TokenBucket {
  const waitMs = (now: number, amount?: number): number =>
    Math.max(one.waitMs(now, amount), other.waitMs(now, amount));
  return {
    waitMs,
    take(now, amount) {
      const wait = waitMs(now, amount);
      if (wait > 0) return wait;
      one.take(now, amount);
      other.take(now, amount);
      return 0;
    },
    spend(now, amount) {
      one.spend(now, amount);
      other.spend(now, amount);
    },
    owe(now, amount) {
      one.owe(now, amount);
      other.owe(now, amount);
    },
    isFull: (now) => one.isFull(now) && other.isFull(now),
    isSpent: (now) => one.isSpent(now) || other.isSpent(now),
  };
}

const joined = (one: Allowance, other: Allowance): Allowance => ({
  get connects() {
    return both(one.connects, other.connects);
  },
  get queueNews() {
    return both(one.queueNews, other.queueNews);
  },
  get scarceQueueNews() {
    return both(one.scarceQueueNews, other.scarceQueueNews);
  },
  get appendBytes() {
    return both(one.appendBytes, other.appendBytes);
  },
  get bundleGets() {
    return both(one.bundleGets, other.bundleGets);
  },
  get turns() {
    return both(one.turns, other.turns);
  },
});

/** Somewhere that has an allowance: as much as `shares` ordinary places. */
export interface Place {
  readonly name: string;
  readonly shares: number;
  /** What it is part of, with an allowance of its own for all of it. */
  readonly network?: Place | undefined;
}

interface Kept {
  readonly allowance: PlaceAllowance;
  /** The how-manieth question last put it at the end. */
  readonly movedAt: number;
}

/**
 * While as many questions come as there are places, one place is put at the end at most so often. A map keeps what was
 * deleted in its chains until it grows: one that put a busy place at the end each time walked through thousands.
 */
const MOVES_PER_ROUND = 16;

export interface Allowances {
  /** The same buckets for the same place; to be asked for at each use, as full ones are replaced. */
  of(place: Place): Allowance;
  readonly size: number;
}

/**
 * Each call takes the first place out; false: there is none. It goes on where it was: asked for its first key anew,
 * a map passes over all that were deleted before it.
 */
function forgetterOf(places: Map<string, Kept>): () => boolean {
  let keys = places.keys();
  return () => {
    let next = keys.next();
    // Whoever was passed is gone, and who comes is behind; an iterator that came to the end stays there.
    if (next.done === true) next = (keys = places.keys()).next();
    return next.done !== true && places.delete(next.value);
  };
}

export function createAllowances(
  now: () => number,
  max: number = ALLOWANCES_MAX,
  limits: PlaceLimits = PLACE_LIMITS,
): Allowances {
  /**
   * Least recently asked for first. Those that used up much are apart, so that a crowd of places that were seen
   * once pushes out one another and not them.
   */
  const little = new Map<string, Kept>();
  const much = new Map<string, Kept>();
  const forgetLittle = forgetterOf(little);
  const forgetMuch = forgetterOf(much);
  let sweptAt = now();
  let asked = 0;

  /** A bucket that is full again is as good as a new one. */
  function sweep(): void {
    const at = now();
    // Also after the clock was set back.
    if (Math.abs(at - sweptAt) < ALLOWANCES_SWEEP_MS) return;
    sweptAt = at;
    for (const places of [little, much]) {
      for (const [place, { allowance }] of places) if (allowance.isFull(at)) places.delete(place);
    }
  }

  /** Everything is in use: the place that was not asked for the longest goes. */
  function makeRoom(): void {
    if (little.size + much.size < max) return;
    if (!forgetLittle()) forgetMuch();
  }

  function find({ name, shares }: Place): PlaceAllowance {
    sweep();
    asked++;
    const knownLittle = little.get(name);
    const known = knownLittle ?? much.get(name);
    const isLittle = knownLittle !== undefined;
    if (known !== undefined && isLittle === !known.allowance.hasUsedMuch(now())) {
      if (asked - known.movedAt <= (little.size + much.size) / MOVES_PER_ROUND) {
        return known.allowance;
      }
    }
    little.delete(name);
    much.delete(name);
    if (known === undefined) makeRoom();
    const allowance = known?.allowance ?? new PlaceAllowance(shares, limits);
    const places = allowance.hasUsedMuch(now()) ? much : little;
    places.set(name, { allowance, movedAt: asked });
    return allowance;
  }

  return {
    of(place) {
      const allowance = find(place);
      return place.network === undefined ? allowance : joined(allowance, find(place.network));
    },
    get size() {
      return little.size + much.size;
    },
  };
}
