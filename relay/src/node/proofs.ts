/**
 * The relay's cryptography: OpenSSL, whose no to a signature is the last word here.
 * Elsewhere a no is asked again of the implementation that decides for everybody, so that all devices agree on what
 * was signed. Whether a client is who it says concerns this relay alone, honest clients' signatures are alike
 * to both, and a second look would more than double what each false proof costs.
 */
import { type CryptoBackend, isSignatureForm } from "@sotto/crypto";
import { nodeBackend, nodeEngine } from "@sotto/engines/node";

export const proofBackend: CryptoBackend = {
  ...nodeBackend,
  verify(publicKey, message, signature) {
    if (!isSignatureForm(publicKey, signature)) return false;
    try {
      return nodeEngine.operations.verify?.(publicKey, message, signature) ?? false;
    } catch {
      // A key that is no point.
      return false;
    }
  },
};
