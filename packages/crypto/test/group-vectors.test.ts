/**
 * The frozen vectors of groups, checked three ways: today's code makes the same bytes, a second implementation on other
 * primitives makes them too, and today's code opens what is frozen.
 */
import { createHash, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  createRemoteSender,
  type GroupLog,
  nobleBackend,
  openFromGroup,
  openLog,
  receiveOp,
  takeRecord,
} from "@sotto/crypto";
import {
  asAccountId,
  asDeviceId,
  asGroupId,
  bytesToHex,
  decodeDeviceCert,
  decodeGroupEnvelope,
  decodeGroupKey,
  decodeGroupOp,
} from "@sotto/wire";
import { expect, it } from "vitest";
import { GROUP_VECTORS, makeGroupVectors } from "../../../test/vectors/make-group.ts";
import { referenceHeaderKey, referenceGroupSeal } from "./group-reference.ts";
import { at, rosterOf, stateHash } from "./group-support.ts";
import { der } from "./reference.ts";
import { bytes, must, NOW, seededEntropy } from "./support.ts";

const vectors = JSON.parse(readFileSync(GROUP_VECTORS, "utf8")) as Awaited<
  ReturnType<typeof makeGroupVectors>
>;

const sha256 = (label: string, ...parts: readonly Uint8Array[]): string =>
  createHash("sha256")
    .update(Buffer.concat([Buffer.from(`${label}\0`, "ascii"), ...parts]))
    .digest("hex");

const certs = vectors.certificates.map(
  ({ certificate }) => must(decodeDeviceCert(bytes(certificate))).value,
);

/** The log after the step of that name. */
function logAt(name: string): GroupLog {
  const create = must(decodeGroupOp(bytes(at(vectors.steps, 0).op))).value;
  let { log } = must(openLog(create, at(certs, 0)));
  for (const step of vectors.steps) {
    if (step !== vectors.steps[0]) {
      log = must(receiveOp(log, must(decodeGroupOp(bytes(step.op))).value, certs)).log;
    }
    if (step.name === name) return log;
  }
  throw new Error(`no step ${name}`);
}

it("today's code makes the frozen bytes", async () => {
  expect(await makeGroupVectors()).toEqual(vectors);
});

it.each(vectors.certificates)(
  "a certificate is named as the spec says: $signer",
  ({ certificate, signer }) => {
    expect(sha256("sotto/1 gop signer", bytes(certificate))).toBe(signer);
  },
);

it.each(vectors.steps)("the second implementation agrees: $name", (step) => {
  const op = bytes(step.op);
  const body = op.slice(0, -64);
  expect(sha256("sotto/1 gop id", body)).toBe(step.id);
  const parents = op[33] ?? 0;
  const signer = bytesToHex(op.slice(40 + 32 * parents, 72 + 32 * parents));
  const certificate = vectors.certificates.find((one) => one.signer === signer)?.certificate;
  const signingKey = bytes(certificate ?? "").slice(43, 75);
  const message = Buffer.concat([Buffer.from("sotto/1 gop\0", "ascii"), body]);
  expect(verify(null, message, der.ed25519Public(signingKey), op.slice(-64))).toBe(true);
  const headsHash = sha256("sotto/1 gheads", ...step.heads.map(bytes));
  expect(headsHash).toBe(step.headsHash);
  const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
  const state = [
    bytes(at(vectors.steps, 0).id),
    bytes(headsHash),
    Uint8Array.of(step.adders === "admins" ? 0 : 1),
    u16(step.members.length),
    ...step.members.flatMap(({ account, admin }) => [bytes(account), Uint8Array.of(admin ? 1 : 0)]),
    u16(step.revoked.length),
    ...step.revoked.flatMap((key) => key.split("/").map(bytes)),
  ];
  expect(sha256("sotto/1 gstate", ...state)).toBe(step.stateHash);
});

it.each(vectors.steps)("the frozen operations lead there: $name", (step) => {
  const log = logAt(step.name);
  expect(bytesToHex(stateHash(log))).toBe(step.stateHash);
  expect(rosterOf(log.state)).toEqual(step.members.map(({ account }) => account));
});

it.each(vectors.messages)(
  "the second implementation seals, and today's code opens: $name",
  async (vector) => {
    const record = must(decodeGroupKey(bytes(vector.record))).value;
    const owner = {
      group: bytes(vector.group),
      account: bytes(vector.account),
      device: bytes(vector.device),
    };
    const chain = { ...owner, ...record, signingSecret: bytes(vector.signingSecret) };
    expect(referenceHeaderKey(chain).toString("hex")).toBe(vector.headerKey);
    const envelope = bytes(vector.envelope);
    const sealed = referenceGroupSeal(chain, {
      n: record.next,
      heads: vector.heads,
      content: bytes(vector.content),
      nonce: envelope.slice(9, 21),
      last: vector.last,
    });
    expect(sealed.toString("hex")).toBe(vector.envelope);
    const remote = createRemoteSender(
      asGroupId(owner.group),
      asAccountId(owner.account),
      asDeviceId(owner.device),
    );
    const receiver = takeRecord(remote, record, NOW);
    if (receiver === undefined) throw new Error("record refused");
    const step = vectors.steps.find(({ heads }) => heads.join() === vector.heads.join());
    const env = { entropy: seededEntropy("unused"), crypto: nobleBackend, now: NOW };
    const log = logAt(step?.name ?? "");
    const opened = must(
      await openFromGroup(receiver, must(decodeGroupEnvelope(envelope)).value, log, env),
    );
    expect(bytesToHex(opened.content)).toBe(vector.content);
  },
);
