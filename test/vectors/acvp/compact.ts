/**
 * Writes ml_kem_768.json from NIST's ACVP files: one parameter set, prompts and answers side by side.
 *
 *     npx node test/vectors/acvp/compact.ts FOLDER
 *
 * FOLDER holds ML-KEM-keyGen-FIPS203 and ML-KEM-encapDecap-FIPS203, each with prompt.json.gz and
 * expectedResults.json.gz (source: ../wycheproof/README.md). Bytes become lower-case hex; nothing else is changed.
 * One value is added to each key pair: what FIPS 203 §6.3 answers for a ciphertext made for somebody else,
 * SHAKE256(z ‖ ciphertext), so that implicit rejection has an answer that no ML-KEM code computed.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

interface Group {
  readonly tgId: number;
  readonly parameterSet?: string;
  readonly function?: string;
  readonly dk?: string;
  readonly tests: readonly ({ readonly tcId: number } & Readonly<Record<string, string>>)[];
}

const SET = "ML-KEM-768";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("which folder?");

function groupsOf(mode: string, file: string): readonly Group[] {
  const bytes = gunzipSync(readFileSync(`${folder}/ML-KEM-${mode}-FIPS203/${file}.json.gz`));
  return (JSON.parse(bytes.toString()) as { testGroups: readonly Group[] }).testGroups;
}

/** The cases of one group, with what was asked and what must be answered. */
function casesOf(mode: string, operation: string | undefined) {
  const asked = groupsOf(mode, "prompt").find(
    (group) => group.parameterSet === SET && group.function === operation,
  );
  const answered = groupsOf(mode, "expectedResults").find(({ tgId }) => tgId === asked?.tgId);
  if (asked === undefined || answered === undefined) throw new Error(`no ${SET} in ${mode}`);
  const cases = asked.tests.map((test) => {
    const answer = answered.tests.find(({ tcId }) => tcId === test.tcId);
    if (answer === undefined) throw new Error(`no answer to ${test.tcId}`);
    return { tcId: test.tcId, value: (name: string) => lower(test[name] ?? answer[name]) };
  });
  return { cases, dk: asked.dk };
}

function lower(hex: string | undefined): string {
  if (hex === undefined || !/^[0-9A-Fa-f]+$/.test(hex)) throw new Error("not hex");
  return hex.toLowerCase();
}

const encaps = casesOf("encapDecap", "encapsulation").cases.map(({ tcId, value }) => ({
  tcId,
  ek: value("ek"),
  m: value("m"),
  c: value("c"),
  k: value("k"),
}));
const keyGen = casesOf("keyGen", undefined).cases.map(({ tcId, value }, index) => {
  const other = encaps[index];
  if (other === undefined) throw new Error("fewer ciphertexts than keys");
  const rejected = createHash("shake256", { outputLength: 32 })
    .update(Buffer.from(value("z") + other.c, "hex"))
    .digest("hex");
  return { tcId, d: value("d"), z: value("z"), ek: value("ek"), dk: value("dk"), rejected };
});
const { cases, dk } = casesOf("encapDecap", "decapsulation");
const decaps = {
  dk: lower(dk),
  cases: cases.map(({ tcId, value }) => ({ tcId, c: value("c"), k: value("k") })),
};

const target = new URL("ml_kem_768.json", import.meta.url);
writeFileSync(target, `${JSON.stringify({ keyGen, encaps, decaps }, undefined, 1)}\n`);
