/**
 * In place of libp2p's own: the app's node knows one relay and the addresses that its contacts tell. It asks nobody for peers
 * or contents, and walks to no strangers.
 */
const nobody = (): never => {
  throw new Error("nobody to ask");
};

export class DefaultPeerRouting {
  readonly findPeer = nobody;
  readonly getClosestPeers = nobody;
}

export class CompoundContentRouting {
  readonly findProviders = nobody;
  readonly provide = nobody;
  readonly cancelReprovide = nobody;
  readonly put = nobody;
  readonly get = nobody;
}

export class RandomWalk {
  readonly walk = nobody;
}
