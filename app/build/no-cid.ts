/**
 * In place of multiformats' CID, 1.2 KB gzip: libp2p makes one to read the multihash back from it, and takes one for the name
 * of a peer, which every peer and relay of ours writes in base 58.
 */
const refuse = (): never => {
  throw new Error("no CIDs");
};

export const CID = {
  createV0: refuse,
  createV1: <Multihash>(code: number, multihash: Multihash): Named<Multihash> => ({
    version: 1,
    code,
    multihash,
  }),
  parse: (_name: string): never => refuse(),
};

interface Named<Multihash> {
  readonly version: 1;
  readonly code: number;
  readonly multihash: Multihash;
}
