/** The primitives that libsignal exposes, in the shapes of our own. */
import { hkdf as signalHkdf, PrivateKey, PublicKey } from "@signalapp/libsignal-client";
import { DigestingPassThrough } from "@signalapp/libsignal-client/dist/incremental_mac.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** Its public keys carry a type byte in front. */
const SIGNAL_KEY_TYPE = Uint8Array.of(5);
const signalPublic = (key: Uint8Array): PublicKey =>
  PublicKey.deserialize(Uint8Array.from([...SIGNAL_KEY_TYPE, ...key]));

/** It exposes no ChaCha20-Poly1305, no plain Ed25519, no AES-GCM at once and of ML-KEM no encapsulation. */
export const libsignalPrimitives = {
  name: "libsignal",
  dhPublic: (secret: Bytes): Uint8Array =>
    PrivateKey.deserialize(secret).getPublicKey().getPublicKeyBytes(),
  dh: (secret: Bytes, remote: Bytes): Uint8Array =>
    PrivateKey.deserialize(secret).agree(signalPublic(remote)),
  hkdf: (ikm: Bytes, salt: Bytes, info: Bytes, length: number): Uint8Array =>
    signalHkdf(length, ikm, info, salt),
  hmac(key: Bytes, bytes: Bytes): Promise<Uint8Array> {
    // Longer than the data, so that there is one chunk and its MAC is that of everything.
    const digester = new DigestingPassThrough(key, { kind: "everyN", n: bytes.length + 1 });
    return new Promise((resolve, reject) => {
      digester.on("error", reject);
      digester.on("data", () => undefined);
      digester.on("end", () => {
        resolve(digester.getFinalDigest());
      });
      digester.end(bytes);
    });
  },
};

/** Signal signs with its X25519 keys: XEdDSA, by `PrivateKey.sign`. 64 bytes. */
export const signalSign = (secret: Bytes, message: Bytes): Uint8Array =>
  PrivateKey.deserialize(secret).sign(message);
