/**
 * In place of libp2p's search for circuit relays, which walks the network at random: the app's node has its relay from the
 * page. What is left tells of a relay that is connected, or was before it was asked for.
 */
import type { Peer, PeerId, PeerStore, Topology } from "@libp2p/interface";

/** circuit-v2 §3: what a relay speaks. */
const HOP = "/libp2p/circuit/relay/0.2.0/hop";

interface Parts {
  readonly registrar: {
    register(protocol: string, topology: Topology): Promise<string>;
    unregister(id: string): void;
  };
  readonly peerStore: Pick<PeerStore, "all">;
}

export class RelayDiscovery extends EventTarget {
  readonly #parts: Parts;
  readonly #filter: Topology["filter"];
  #topology: string | undefined;

  constructor(parts: Parts, { filter }: Pick<Topology, "filter"> = {}) {
    super();
    this.#parts = parts;
    this.#filter = filter;
  }

  async start(): Promise<void> {
    this.#topology = await this.#parts.registrar.register(HOP, {
      ...(this.#filter === undefined ? {} : { filter: this.#filter }),
      onConnect: (peer) => this.#tell(peer),
    });
  }

  stop(): void {
    if (this.#topology !== undefined) this.#parts.registrar.unregister(this.#topology);
    this.#topology = undefined;
  }

  startDiscovery(): void {
    const speaksHop = ({ protocols }: Peer): boolean => protocols.includes(HOP);
    void this.#parts.peerStore.all({ filters: [speaksHop] }).then(
      (peers) => {
        for (const { id } of peers) this.#tell(id);
      },
      // The node is stopped: nobody waits for a relay any more.
      () => undefined,
    );
  }

  stopDiscovery(): void {}

  #tell(detail: PeerId): void {
    this.dispatchEvent(new CustomEvent("relay:discover", { detail }));
  }
}
