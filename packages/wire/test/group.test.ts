/** Limits and forms of what groups put on the wire: at each limit, and one past it. */
import {
  asAccountId,
  asGroupId,
  asOpId,
  compareBytes,
  concatBytes,
  decodeEnvelope,
  decodeGroupEnvelope,
  decodeGroupHeader,
  decodeGroupKey,
  decodeGroupOp,
  decodeGroupPage,
  encodeGroupHeader,
  encodeGroupKey,
  encodeGroupOp,
  encodeGroupPage,
  ENVELOPE_BYTES_MAX,
  GROUP_KEY_BYTES,
  GROUP_OP_BYTES_MAX,
  GROUP_PAGE_BYTES_MAX,
  type GroupOp,
  groupOpBody,
  isAscending,
  PAGE_OPS_MAX,
  PARENTS_MAX,
  asChainId,
  asDeviceId,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";

const idOf = (index: number) =>
  asOpId(Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? index : 7)));
const opWith = (parents: number): GroupOp => ({
  group: asGroupId(new Uint8Array(32).fill(1)),
  parents: Array.from({ length: parents }, (_, index) => idOf(index)),
  lamport: 5,
  signer: new Uint8Array(32).fill(2),
  action: { kind: "role", account: asAccountId(new Uint8Array(20).fill(3)), role: "admin" },
  signature: new Uint8Array(64).fill(4),
});
const LAMPORT_AT = 1 + 32 + 1 + 32;
const KIND_AT = LAMPORT_AT + 6 + 32;

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  return Uint8Array.from(bytes, (byte, index) => (index === at ? value : byte));
}

describe("an operation", () => {
  it("has up to 16 parents and 670 bytes", () => {
    const largest = encodeGroupOp(opWith(PARENTS_MAX));
    expect(largest).toHaveLength(GROUP_OP_BYTES_MAX);
    expect(decodeGroupOp(largest)).toStrictEqual({ ok: true, value: opWith(PARENTS_MAX) });
    expect(() => encodeGroupOp(opWith(PARENTS_MAX + 1))).toThrow(
      new RangeError("17 parents, at most 16"),
    );
    expect(decodeGroupOp(changed(largest, 33, PARENTS_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
    expect(decodeGroupOp(concatBytes(largest, Uint8Array.of(0)))).toEqual({
      ok: false,
      reason: "too-large",
    });
  });

  it("is signed over all but its signature", () => {
    const op = opWith(2);
    expect(groupOpBody(op)).toEqual(encodeGroupOp(op).slice(0, -op.signature.length));
  });

  it("lists its parents ascending, each once", () => {
    const op = opWith(2);
    for (const parents of [op.parents.toReversed(), [idOf(1), idOf(1)]]) {
      expect(decodeGroupOp(encodeGroupOp({ ...op, parents }))).toEqual({
        ok: false,
        reason: "malformed",
      });
    }
    expect(isAscending([])).toBe(true);
    expect(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(-1);
  });

  it("has parents, a lamport and a group unless it is a create, which has none of them", () => {
    const create: GroupOp = {
      ...opWith(0),
      group: asGroupId(new Uint8Array(32)),
      lamport: 0,
      action: { kind: "create", salt: new Uint8Array(16) },
    };
    expect(decodeGroupOp(encodeGroupOp(create)).ok).toBe(true);
    const bad: readonly GroupOp[] = [
      { ...create, group: asGroupId(new Uint8Array(32).fill(1)) },
      { ...create, group: asGroupId(new Uint8Array(32).with(31, 1)) },
      { ...create, lamport: 1 },
      { ...create, parents: [idOf(1)] },
      opWith(0),
      { ...opWith(1), lamport: 0 },
      { ...create, action: { kind: "leave" } },
    ];
    for (const op of bad) {
      expect(decodeGroupOp(encodeGroupOp(op))).toEqual({ ok: false, reason: "malformed" });
    }
  });

  it("of another version, kind, role or policy is unknown", () => {
    const bytes = encodeGroupOp(opWith(1));
    const policy = encodeGroupOp({ ...opWith(1), action: { kind: "policy", adders: "members" } });
    const unknown = { ok: false, reason: "unknown-type" };
    expect(decodeGroupOp(changed(bytes, 0, 2))).toEqual(unknown);
    for (const kind of [0, 9, 255])
      expect(decodeGroupOp(changed(bytes, KIND_AT, kind))).toEqual(unknown);
    expect(decodeGroupOp(changed(bytes, KIND_AT + 21, 2))).toEqual(unknown);
    expect(decodeGroupOp(changed(policy, KIND_AT + 1, 2))).toEqual(unknown);
  });
});

describe("a page", () => {
  const cert = {
    rootKey: new Uint8Array(32),
    deviceId: asDeviceId(new Uint8Array(8)),
    signingKey: new Uint8Array(32),
    dhKey: new Uint8Array(32),
    issuedAt: 0,
    signature: new Uint8Array(64),
  };

  it("holds 40 operations and 40 certificates, and 20,000 bytes", () => {
    const certs = Array.from({ length: PAGE_OPS_MAX }, () => cert);
    const ops = Array.from({ length: PAGE_OPS_MAX }, () => new Uint8Array(200));
    const full = encodeGroupPage({ certs, ops });
    expect(decodeGroupPage(full)).toStrictEqual({ ok: true, value: { certs, ops } });
    expect(() => encodeGroupPage({ certs: [...certs, cert], ops })).toThrow(RangeError);
    expect(() => encodeGroupPage({ certs, ops: [...ops, new Uint8Array(1)] })).toThrow(RangeError);
    expect(() => encodeGroupPage({ certs, ops: [] })).toThrow(
      new RangeError("page of 0 operations, 7123 bytes"),
    );
    expect(decodeGroupPage(changed(full, 1, PAGE_OPS_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
    expect(decodeGroupPage(changed(full, 2 + 178 * PAGE_OPS_MAX, PAGE_OPS_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
    expect(decodeGroupPage(Uint8Array.of(1, 0, 0))).toEqual({ ok: false, reason: "malformed" });
    expect(decodeGroupPage(Uint8Array.of(2, 0, 0))).toEqual({ ok: false, reason: "unknown-type" });
    const wide = Array.from({ length: 29 }, () => new Uint8Array(GROUP_OP_BYTES_MAX));
    const left = GROUP_PAGE_BYTES_MAX - 3 - 29 * (GROUP_OP_BYTES_MAX + 2) - 2;
    const exact = { certs: [], ops: [...wide, new Uint8Array(left)] };
    const bytes = encodeGroupPage(exact);
    expect(bytes).toHaveLength(GROUP_PAGE_BYTES_MAX);
    expect(decodeGroupPage(bytes)).toStrictEqual({ ok: true, value: exact });
    expect(() => encodeGroupPage({ certs: [], ops: [...wide, new Uint8Array(left + 1)] })).toThrow(
      RangeError,
    );
    expect(decodeGroupPage(new Uint8Array(GROUP_PAGE_BYTES_MAX + 1))).toEqual({
      ok: false,
      reason: "too-large",
    });
  });

  it("holds no operation longer than one can be", () => {
    const of = (length: number): Uint8Array =>
      concatBytes(Uint8Array.of(1, 0, 1, length >> 8, length & 0xff), new Uint8Array(length));
    expect(decodeGroupPage(of(GROUP_OP_BYTES_MAX)).ok).toBe(true);
    expect(decodeGroupPage(of(GROUP_OP_BYTES_MAX + 1))).toEqual({ ok: false, reason: "too-large" });
  });
});

describe("a chain's record", () => {
  it("has 117 bytes and one version", () => {
    const bytes = encodeGroupKey({
      chainId: asChainId(new Uint8Array(16)),
      next: 0xffff_ffff,
      chainKey: new Uint8Array(32),
      signingKey: new Uint8Array(32),
      heads: new Uint8Array(32),
    });
    expect(bytes).toHaveLength(GROUP_KEY_BYTES);
    expect(decodeGroupKey(changed(bytes, 0, 2))).toEqual({ ok: false, reason: "unknown-type" });
    expect(decodeGroupKey(concatBytes(bytes, Uint8Array.of(0)))).toEqual({
      ok: false,
      reason: "too-large",
    });
  });
});

describe("a group envelope", () => {
  it("has a bucket's size and its own type, which no pairwise reader takes", () => {
    for (const size of [256, ENVELOPE_BYTES_MAX]) {
      const bytes = changed(new Uint8Array(size), 0, 5);
      expect(decodeGroupEnvelope(bytes).ok).toBe(true);
      expect(decodeEnvelope(bytes)).toEqual({ ok: false, reason: "unknown-type" });
      for (const type of [0, 1, 2, 3, 4, 6, 255]) {
        expect(decodeGroupEnvelope(changed(bytes, 0, type))).toEqual({
          ok: false,
          reason: "unknown-type",
        });
      }
    }
    for (const size of [0, 255, 257, ENVELOPE_BYTES_MAX + 1]) {
      expect(decodeGroupEnvelope(new Uint8Array(size).fill(5))).toEqual({
        ok: false,
        reason: "malformed",
      });
    }
  });

  it("has a header whose flags are known, with zeros for the head where the heads are listed", () => {
    const header = { n: 1, head: new Uint8Array(8).fill(1), listed: false, last: true };
    const bytes = encodeGroupHeader(header);
    expect(bytes).toHaveLength(13);
    expect(decodeGroupHeader(changed(bytes, 12, 4))).toEqual({ ok: false, reason: "malformed" });
    expect(decodeGroupHeader(changed(bytes, 12, 1))).toEqual({ ok: false, reason: "malformed" });
    const listed = encodeGroupHeader({ ...header, head: new Uint8Array(8), listed: true });
    expect(decodeGroupHeader(listed).ok).toBe(true);
    expect(decodeGroupHeader(changed(listed, 4, 1))).toEqual({ ok: false, reason: "malformed" });
  });
});
