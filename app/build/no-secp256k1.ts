/**
 * In place of the curve of `@noble/curves/secp256k1.js`, 7 KB gzip: libp2p takes peers that are named by such a key, and
 * every peer and relay of ours is named by an Ed25519 key. Whoever shows another one is refused while connecting.
 */
const refuse = (): never => {
  throw new Error("only Ed25519 keys");
};

export const secp256k1 = {
  sign: refuse,
  verify: refuse,
  getPublicKey: refuse,
  Point: { fromBytes: refuse },
  utils: { randomSecretKey: refuse },
} as const;
