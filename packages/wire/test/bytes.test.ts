import {
  asAccountId,
  asChainId,
  asContentId,
  asDeviceId,
  asEnvelopeId,
  asFileId,
  asGroupId,
  asLinkId,
  asOpId,
  asQueueId,
  asSendId,
  base64UrlToBytes,
  bytesToBase32,
  bytesToBase64Url,
  bytesToHex,
  bytesToUtf8,
  concatBytes,
  createReader,
  createWriter,
  decodeWith,
  equalBytes,
  hexToBytes,
  utf8ToBytes,
} from "@sotto/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

describe("text forms of bytes", () => {
  // RFC 4648 §10, without the padding.
  it.each([
    ["", "", ""],
    ["f", "Zg", "my"],
    ["fo", "Zm8", "mzxq"],
    ["foo", "Zm9v", "mzxw6"],
    ["foob", "Zm9vYg", "mzxw6yq"],
    ["fooba", "Zm9vYmE", "mzxw6ytb"],
    ["foobar", "Zm9vYmFy", "mzxw6ytboi"],
  ])("of %j are those of RFC 4648", (text, base64Url, base32) => {
    expect(bytesToBase64Url(utf8ToBytes(text))).toBe(base64Url);
    expect(base64UrlToBytes(base64Url)).toEqual(utf8ToBytes(text));
    expect(bytesToBase32(utf8ToBytes(text))).toBe(base32);
  });

  it("use the characters that a URL leaves alone", () => {
    expect(bytesToBase64Url(new Uint8Array([0xfb, 0xff, 0xfe]))).toBe("-__-");
  });

  it("agree with the platform and read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(bytesToBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
        expect(bytesToHex(bytes)).toBe(Buffer.from(bytes).toString("hex"));
        expect(base64UrlToBytes(bytesToBase64Url(bytes))).toEqual(new Uint8Array(bytes));
        expect(hexToBytes(bytesToHex(bytes))).toEqual(new Uint8Array(bytes));
        expect(hexToBytes(bytesToHex(bytes).toUpperCase())).toEqual(new Uint8Array(bytes));
      }),
    );
  });

  it.each(["A", "AAAAA", "AA=", "AA==", "A+", "A/", "A A", "é0", "Zh", "Zm9", "\u{1f600}"])(
    "in base64url are refused: %j",
    (text) => {
      expect(base64UrlToBytes(text)).toBeUndefined();
    },
  );

  it.each(["0", "0g", "0x00", " 00", "00 ", "０0"])("in hex are refused: %j", (text) => {
    expect(hexToBytes(text)).toBeUndefined();
  });

  it.each([
    ["a lone continuation byte", [0x80]],
    ["an overlong form", [0xc0, 0x80]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a cut-off character", [0xe4, 0xb8]],
    ["a code point past U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ])("in UTF-8 are refused with %s", (_, bytes) => {
    expect(bytesToUtf8(new Uint8Array(bytes))).toBeUndefined();
  });

  it("in UTF-8 keep a byte order mark", () => {
    expect(bytesToUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x41]))).toBe("\ufeffA");
  });
});

describe("comparing bytes", () => {
  it("looks at length and at every byte", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    expect(equalBytes(bytes, new Uint8Array([1, 2, 3]))).toBe(true);
    expect(equalBytes(bytes, new Uint8Array([1, 2]))).toBe(false);
    expect(equalBytes(new Uint8Array([1, 2]), bytes)).toBe(false);
    expect(equalBytes(new Uint8Array([1, 0]), new Uint8Array([1]))).toBe(false);
    for (const at of [0, 1, 2]) expect(equalBytes(bytes, bytes.with(at, 9)), `${at}`).toBe(false);
    expect(equalBytes(new Uint8Array(), new Uint8Array())).toBe(true);
  });
});

describe("the writer and the reader", () => {
  const numbers = [
    ["u8", 0xff, 1],
    ["u16", 0xffff, 2],
    ["u32", 0xffff_ffff, 4],
    ["u48", 0xffff_ffff_ffff, 6],
  ] as const;

  it.each(numbers)("carry %s from 0 to %d in %d bytes", (kind, max, length) => {
    for (const value of [0, 1, max - 1, max, Math.floor(max / 3)]) {
      const bytes = createWriter()[kind](value).done();
      expect(bytes).toHaveLength(length);
      expect(bytesToHex(bytes)).toBe(value.toString(16).padStart(length * 2, "0"));
      expect(createReader(bytes)[kind]()).toBe(value);
    }
  });

  it.each(numbers)("refuse to write a %s past %d, below 0 or no integer", (kind, max) => {
    for (const value of [max + 1, -1, 0.5, Number.NaN]) {
      expect(() => createWriter()[kind](value)).toThrow(
        new RangeError(`expected an integer from 0 to ${max}, got ${value}`),
      );
    }
  });

  it("carry a u64 as a bigint", () => {
    const bytes = createWriter().u64(0xffff_ffff_ffff_ffffn).done();
    expect(createReader(bytes).u64()).toBe(0xffff_ffff_ffff_ffffn);
  });

  it("carry a block of up to 65,535 bytes", () => {
    const block = new Uint8Array(65_535).fill(7);
    const bytes = createWriter().block(block).done();
    expect(createReader(bytes).block(65_535)).toEqual(block);
    expect(() => createWriter().block(new Uint8Array(65_536))).toThrow(RangeError);
  });

  it("read from the middle of a larger array", () => {
    const bytes = concatBytes(new Uint8Array(5), createWriter().u32(42).text("x").done());
    const reader = createReader(bytes.subarray(5));
    expect([reader.u32(), reader.text(1), reader.left()]).toEqual([42, "x", 0]);
  });
});

describe("decoding", () => {
  const read = (bytes: number[], max = 8): unknown =>
    decodeWith(new Uint8Array(bytes), max, (reader) => reader.block(2));

  it("says why it refused", () => {
    expect(read([0, 2, 1, 1])).toEqual({ ok: true, value: new Uint8Array([1, 1]) });
    expect(read([0])).toEqual({ ok: false, reason: "truncated" });
    expect(read([0, 2, 1])).toEqual({ ok: false, reason: "truncated" });
    expect(read([0, 3, 1, 1, 1])).toEqual({ ok: false, reason: "too-large" });
    expect(read([0, 0, 1])).toEqual({ ok: false, reason: "trailing" });
  });

  it("takes as many bytes as allowed and not one more", () => {
    expect(read([0, 2, 1, 1], 4)).toMatchObject({ ok: true });
    expect(read([0, 2, 1, 1], 3)).toEqual({ ok: false, reason: "too-large" });
  });

  it("does not hide a fault of the reading function", () => {
    const fault = new TypeError("fault");
    expect(() =>
      decodeWith(new Uint8Array(), 0, () => {
        throw fault;
      }),
    ).toThrow(fault);
  });
});

describe("ids", () => {
  it.each([
    ["queue", asQueueId, 24],
    ["send", asSendId, 24],
    ["link", asLinkId, 24],
    ["envelope", asEnvelopeId, 16],
    ["content", asContentId, 16],
    ["account", asAccountId, 20],
    ["device", asDeviceId, 8],
    ["file", asFileId, 16],
    ["group", asGroupId, 32],
    ["operation", asOpId, 32],
    ["chain", asChainId, 16],
  ] as const)("of a %s have one size", (_, as, length) => {
    expect(as(new Uint8Array(length))).toHaveLength(length);
    for (const wrong of [length - 1, length + 1]) {
      expect(() => as(new Uint8Array(wrong))).toThrow(
        new RangeError(`expected ${length} bytes, got ${wrong}`),
      );
    }
  });
});
