/** Against the reference implementation's own vectors: key 00 01 … 07, input 00 01 … 07. */
import { expect, it } from "vitest";
import { halfSipHash } from "@sotto/sync";

it("is HalfSipHash-2-4 with 64 bits of output", () => {
  const out = { low: 0, high: 0 };
  halfSipHash(0x03020100, 0x07060504, 0x03020100, 0x07060504, out);
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(out.low, 0);
  bytes.writeUInt32LE(out.high, 4);
  expect(bytes.toString("hex")).toBe("edfee820bce4858c");
});
