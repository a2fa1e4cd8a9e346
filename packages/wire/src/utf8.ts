/**
 * The two platform constructors that ES2024 lacks and every platform has.
 * Nothing else in the pure packages may declare a platform global.
 */
declare const TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> };
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Lone surrogates become U+FFFD, as the platform defines. */
export const utf8ToBytes = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

/** Undefined when the bytes are not valid UTF-8. */
export function bytesToUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
