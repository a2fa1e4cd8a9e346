/** Base64 where there is no Uint8Array.fromBase64 yet. */
export const base64ToBytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/** Base64url without padding, as in a JWK. */
export const base64UrlToBytes = (text: string): Uint8Array<ArrayBuffer> =>
  base64ToBytes(text.replaceAll("-", "+").replaceAll("_", "/"));
