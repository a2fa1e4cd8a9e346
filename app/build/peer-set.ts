/** In place of libp2p's cuckoo filters, which save memory among very many peers: the app's node knows a few. */
import type { PeerId } from "@libp2p/interface";

/** Known ones beyond that count as new again. */
export const PEERS_MAX = 1_024;

class KnownSet<T> {
  readonly #names = new Set<string>();
  readonly #nameOf: (one: T) => string;

  constructor(nameOf: (one: T) => string) {
    this.#nameOf = nameOf;
  }

  has(one: T): boolean {
    return this.#names.has(this.#nameOf(one));
  }

  add(one: T): void {
    if (this.#names.size >= PEERS_MAX) this.#names.clear();
    this.#names.add(this.#nameOf(one));
  }

  remove(one: T): void {
    this.#names.delete(this.#nameOf(one));
  }
}

export const peerFilter = (): KnownSet<PeerId> => new KnownSet(String);
export { KnownSet as PeerFilter };
/** Of what names a peer: the bytes of its multihash. */
export const createScalableCuckooFilter = (): KnownSet<Uint8Array> =>
  new KnownSet((bytes) => bytes.join());
