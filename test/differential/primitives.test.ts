import { describe, expect, it } from "vitest";
import { type Compared, comparePrimitives } from "./primitives.ts";

const CASES = 150;

describe("our primitives answer as those of OpenSSL, WebCrypto and libsignal do", () => {
  it(`in ${CASES} random cases of each`, async () => {
    const compared: Compared = new Map();
    for (let at = 0; at < CASES; at++) await comparePrimitives(`primitives ${at}`, compared);
    expect(Object.fromEntries([...compared].map(([name, count]) => [name, count / CASES]))).toEqual(
      {
        "X25519 public key": 3,
        X25519: 3,
        "X25519 with any key": 3,
        "Ed25519 public key": 2,
        "Ed25519 signature": 2,
        "Ed25519 verified": 2,
        "Ed25519 refused": 4,
        "SHA-256": 2,
        HMAC: 3,
        HKDF: 3,
        "ChaCha20-Poly1305": 2,
        "ChaCha20-Poly1305 opened": 2,
        "ChaCha20-Poly1305 refused": 2,
        "AES-256-GCM": 2,
        "AES-256-GCM opened": 2,
        "AES-256-GCM refused": 2,
        "ML-KEM-768 public key": 1,
        "ML-KEM-768": 6,
        "ML-KEM-768 rejected": 6,
      },
    );
  }, 120_000);
});
