/**
 * In place of what `@libp2p/crypto` does with RSA, ECDSA and secp256k1, 10 KB gzip with the curve: libp2p takes peers that
 * are named by such keys, and every peer and relay of ours is named by an Ed25519 key. Whoever shows another one is
 * refused while connecting.
 */
const refuse = (): never => {
  throw new Error("only Ed25519 keys");
};

export const privateKeyLength = 32;
export const publicKeyLength = 33;
export const ECDSA_P_256_OID = "";
export const ECDSA_P_384_OID = "";
export const ECDSA_P_521_OID = "";
export const RSAES_PKCS1_V1_5_OID = "";
export {
  refuse as decodeDer,
  refuse as ECDSAPrivateKey,
  refuse as generateECDSAKeyPair,
  refuse as generateRSAKeyPair,
  refuse as generateSecp256k1KeyPair,
  refuse as jwkToRSAPrivateKey,
  refuse as pkcs1MessageToRSAPrivateKey,
  refuse as pkcs1ToRSAPrivateKey,
  refuse as pkiMessageToECDSAPrivateKey,
  refuse as pkiMessageToECDSAPublicKey,
  refuse as pkixMessageToRSAPublicKey,
  refuse as pkixToRSAPublicKey,
  refuse as unmarshalECDSAPrivateKey,
  refuse as unmarshalECDSAPublicKey,
  refuse as unmarshalSecp256k1PrivateKey,
  refuse as unmarshalSecp256k1PublicKey,
};
