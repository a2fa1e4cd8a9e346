/** X25519 by kernel/x25519.as. Owns: handing bytes over. */
import { lazily, type Lazy } from "./load.ts";
import { X25519_BASE64 } from "./x25519-bytes.ts";

/** Where the kernel has its input and its output. */
const SECRET_AT = 0;
const POINT_AT = 32;
const RESULT_AT = 64;

export interface X25519 {
  exchange(secret: Uint8Array, point: Uint8Array): Uint8Array;
  publicKey(secret: Uint8Array): Uint8Array;
}

export const loadX25519 = (): Lazy<X25519> =>
  lazily(X25519_BASE64, ({ memory, call }) => {
    const [exchange, prepare, publicKey] = [call("exchange"), call("prepare"), call("publicKey")];
    // The kernel wipes all it used but this.
    const takeResult = (): Uint8Array => {
      const result = memory.slice(RESULT_AT, RESULT_AT + 32);
      memory.fill(0, RESULT_AT, RESULT_AT + 32);
      return result;
    };
    let prepared = false;
    return {
      exchange(secret, point) {
        memory.set(secret, SECRET_AT);
        memory.set(point, POINT_AT);
        exchange();
        return takeResult();
      },
      publicKey(secret) {
        // Once, and it takes as long as some ten exchanges.
        if (!prepared) prepare();
        prepared = true;
        memory.set(secret, SECRET_AT);
        publicKey();
        return takeResult();
      },
    };
  });
