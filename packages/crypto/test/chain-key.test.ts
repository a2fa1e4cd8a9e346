/** The chain step has the shape of Signal's, so the fixed case of Signal's own tests applies to it. */
import { nobleBackend } from "@sotto/crypto";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@sotto/wire";
import { expect, it } from "vitest";
import { chainStep } from "#src/chains.ts";
import { hkdfSha256 } from "#src/primitives.ts";

/** Numbers of libsignal, rust/protocol/src/ratchet/keys.rs, test_chain_key_derivation. */
const LIBSIGNAL = {
  chainKey: "8ab72d6f4cc5ac0d387eaf463378ddb28edd07385b1cb01250c715982e7ad48f",
  nextChainKey: "28e8f8fee54b801eef7c5cfb2f17f32c7b334485bbb70fac6ec10342a246d15d",
  cipherKey: "bf51e9d75e0e31031051f82a2491ffc084fa298b7793bd9db620056febf45217",
  macKey: "c6c77d6a73a354337a56435e34607dfe48e3ace14e77314dc6abc172e7a7030b",
};

it("gives libsignal's message keys and next chain key", () => {
  const { messageKey, chainKey } = chainStep(
    hexToBytes(LIBSIGNAL.chainKey) ?? new Uint8Array(),
    nobleBackend.hmac,
  );
  expect(bytesToHex(chainKey)).toBe(LIBSIGNAL.nextChainKey);
  // Signal expands what we use as the message key itself.
  const expanded = hkdfSha256(
    messageKey,
    new Uint8Array(32),
    utf8ToBytes("WhisperMessageKeys"),
    64,
  );
  expect(bytesToHex(expanded)).toBe(LIBSIGNAL.cipherKey + LIBSIGNAL.macKey);
});
