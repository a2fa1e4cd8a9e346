/**
 * Public test vectors pushed through whatever does our arithmetic: the reference, an engine, a browser's own code.
 * Owns: what suite 1 must answer to each case, worked out from the vector and SPEC.md §1.1 alone, never from our code.
 * Leaves to the caller: where the files come from, and which functions are asked.
 * Sources and licences: test/vectors/wycheproof/README.md.
 */
import type { CryptoBackend, MaybePromise } from "@sotto/crypto";
import { bytesToHex, hexToBytes } from "@sotto/wire";

export const VECTOR_FILES = {
  x25519: "wycheproof/x25519_test.json",
  ed25519: "wycheproof/eddsa_test.json",
  ed25519Later: "wycheproof/ed25519_v1_151.json",
  chaCha20Poly1305: "wycheproof/chacha20_poly1305_test.json",
  aesGcm: "wycheproof/aes_gcm_test.json",
  hkdf: "wycheproof/hkdf_sha256_test.json",
  hmac: "wycheproof/hmac_sha256_test.json",
  mlKem: "acvp/ml_kem_768.json",
  mlKemRejection: "wycheproof/mlkem_768_test.json",
  mlKemModulus: "wycheproof/mlkem_768_encaps_test.json",
} as const;

/** Reads one of VECTOR_FILES below test/vectors. */
export type ReadVectors = (file: string) => Promise<string>;

/** In a browser, from where `base` is served. */
export const fetchVectors =
  (base: string): ReadVectors =>
  async (file) => {
    const response = await fetch(`${base}/${file}`);
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    return response.text();
  };

/** What happened over one set of cases. Every case is in `accepted` or in `refused`. */
export interface Report {
  readonly accepted: number;
  readonly refused: number;
  /** One line per case that went otherwise than suite 1 says. */
  readonly differences: readonly string[];
}

export type BackendReport = Readonly<Record<keyof typeof EXPECTED, Report>>;

const report = (accepted: number, refused: number): Report => ({
  accepted,
  refused,
  differences: [],
});

/** The counts of the files as they are, so that neither a lost file nor a lost case can pass. */
export const EXPECTED = {
  /** 518 cases: 31 give zero, and 13 more encode a key in a second way. */
  x25519: report(474, 44),
  ed25519Keys: report(51, 0),
  ed25519Signing: report(84, 0),
  /** 145 cases, and number 151 of a later version. */
  ed25519Verifying: report(84, 62),
  sealing: report(233, 0),
  opening: report(233, 67),
  mlKemKeys: report(25, 0),
  mlKemEncapsulation: report(25, 0),
  /** 25 ciphertexts for the key, 25 for another one. A wrong ciphertext is not refused, it gives another secret. */
  mlKemDecapsulation: report(50, 0),
  /** Coefficients at and above the modulus, and one byte too many and too few. */
  mlKemBadKeys: report(0, 26),
  mlKemBadCiphertexts: report(0, 2),
  /** A ciphertext that differs from the right one only behind a zero byte, and the key of its seed. */
  mlKemRejection: report(2, 0),
  /** One coefficient of each key is 3,329 or 4,095. */
  mlKemModulus: report(0, 12),
  /** 174 cases: 108 tags were changed. */
  hmac: report(66, 108),
};

/** Asks `engine` everything there are vectors for. One case after the other: engines may share state. */
export async function runBackend(read: ReadVectors, engine: CryptoBackend): Promise<BackendReport> {
  const ed25519 = [
    ...(groupsOf(await read(VECTOR_FILES.ed25519), 145) as readonly Ed25519Group[]),
    ...(groupsOf(await read(VECTOR_FILES.ed25519Later), 1) as readonly Ed25519Group[]),
  ];
  const aead = groupsOf(await read(VECTOR_FILES.chaCha20Poly1305), 300) as readonly AeadGroup[];
  const mlKem = JSON.parse(await read(VECTOR_FILES.mlKem)) as MlKemFile;
  return {
    x25519: await runX25519(read, engine),
    ed25519Keys: await runEd25519Keys(ed25519, engine),
    ed25519Signing: await runEd25519Signing(ed25519, engine),
    ed25519Verifying: await runEd25519Verifying(ed25519, engine),
    sealing: await runSealing(aead, (key, nonce, aad, plaintext) =>
      engine.seal(key, nonce, aad, plaintext),
    ),
    opening: await runOpening(aead, (key, nonce, aad, sealed) =>
      engine.open(key, nonce, aad, sealed),
    ),
    mlKemKeys: await judge(
      mlKem.keyGen.map(({ tcId, d, z, ek }) => ({
        name: `${tcId}`,
        expected: ek,
        ask: () => engine.kemPublic(bytes(d + z)),
      })),
    ),
    mlKemEncapsulation: await judge(
      mlKem.encaps.map(({ tcId, ek, m, c, k }) => ({
        name: `${tcId}`,
        expected: c + k,
        ask: async () => joined(await engine.encaps(bytes(ek), bytes(m))),
      })),
    ),
    mlKemDecapsulation: await runDecapsulation(mlKem, engine),
    mlKemBadKeys: await runBadKemKeys(mlKem, engine),
    mlKemBadCiphertexts: await runBadCiphertexts(mlKem, engine),
    mlKemRejection: await runRejection(read, engine),
    mlKemModulus: await judge(
      (await modulusCases(read)).map(({ tcId, ek, m }) => ({
        name: `${tcId}`,
        expected: REFUSED,
        ask: async () => joined(await engine.encaps(bytes(ek), bytes(m))),
      })),
    ),
    hmac: await runHmac(read, engine.hmac),
  };
}

export type Hkdf = (
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
) => MaybePromise<Uint8Array>;
export type Hmac = (key: Uint8Array, message: Uint8Array) => MaybePromise<Uint8Array>;

/** 105 cases: 3 ask for more than 255 blocks. */
export const HKDF_EXPECTED = report(102, 3);

export async function runHkdf(read: ReadVectors, hkdf: Hkdf): Promise<Report> {
  const groups = groupsOf(await read(VECTOR_FILES.hkdf), 105) as readonly HkdfGroup[];
  return judge(
    casesOf(groups).map(({ tcId, ikm, salt, info, size, okm, result }) => ({
      name: `${tcId}`,
      expected: result === "valid" ? okm : REFUSED,
      ask: () => hkdf(bytes(ikm), bytes(salt), bytes(info), size),
    })),
  );
}

/** Half of the tags are cut to 16 bytes. */
export async function runHmac(read: ReadVectors, hmac: Hmac): Promise<Report> {
  const groups = groupsOf(await read(VECTOR_FILES.hmac), 174) as readonly HmacGroup[];
  return judge(
    casesOf(groups).map(({ tcId, key, msg, tag, result }) => ({
      name: `${tcId}`,
      expected: result === "valid" ? tag : REFUSED,
      ask: async () => {
        const whole = bytesToHex(await hmac(bytes(key), bytes(msg)));
        return whole.startsWith(tag) ? bytes(tag) : undefined;
      },
    })),
  );
}

/** The part of AES-GCM that files use: keys of 32 bytes, nonces of 12. Other sizes are not asked for. */
export const AES_256_GCM_EXPECTED = { sealing: report(21, 0), opening: report(21, 27) };

export async function runAes256Gcm(
  read: ReadVectors,
  aes: { readonly seal: Seal; readonly open: Open },
): Promise<typeof AES_256_GCM_EXPECTED> {
  const groups = (groupsOf(await read(VECTOR_FILES.aesGcm), 256) as readonly AeadGroup[]).filter(
    ({ keySize, ivSize }) => keySize === 256 && ivSize === 96,
  );
  return {
    sealing: await runSealing(groups, aes.seal),
    opening: await runOpening(groups, aes.open),
  };
}

/** Public keys with which every exchange is zero, in all encodings the vectors know: 14 different ones in 31 cases. */
export async function zeroOutputKeys(read: ReadVectors): Promise<readonly Uint8Array[]> {
  const cases = await x25519Cases(read);
  const keys = cases.filter(({ shared }) => shared === ZERO).map((one) => one.public);
  return [...new Set(keys)].map(bytes);
}

/**
 * What an X25519 without suite 1's rules differs in: it answers as RFC 7748 §5 computes. `takesZero`: it does not even
 * look at the result (§6.1 leaves that open).
 */
export async function lenientX25519(
  read: ReadVectors,
  takesZero: boolean,
): Promise<readonly string[]> {
  const cases = await x25519Cases(read);
  return cases
    .filter((one) => !isStrict(one) && (takesZero || one.shared !== ZERO))
    .map(({ tcId }) => `${tcId}: ${LENIENT}`);
}

export type Seal = CryptoBackend["seal"];
export type Open = CryptoBackend["open"];

interface Group<Case> {
  readonly tests: readonly (Case & { readonly tcId: number; readonly result: string })[];
}
type X25519Group = Group<{
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}>;
interface Ed25519Group extends Group<{ readonly msg: string; readonly sig: string }> {
  readonly key: { readonly pk: string; readonly sk?: string };
}
interface AeadGroup extends Group<
  Readonly<Record<"key" | "iv" | "aad" | "msg" | "ct" | "tag", string>>
> {
  readonly keySize: number;
  readonly ivSize: number;
}
type HkdfGroup = Group<
  Readonly<Record<"ikm" | "salt" | "info" | "okm", string>> & { readonly size: number }
>;
type HmacGroup = Group<Readonly<Record<"key" | "msg" | "tag", string>>>;
type RejectionGroup = Group<Readonly<Record<"seed" | "ek" | "c" | "K", string>>>;
type ModulusGroup = Group<Readonly<Record<"ek" | "m", string>>>;
export interface MlKemFile {
  readonly keyGen: readonly (Readonly<Record<"d" | "z" | "ek" | "dk" | "rejected", string>> & {
    readonly tcId: number;
  })[];
  readonly encaps: readonly (Readonly<Record<"ek" | "m" | "c" | "k", string>> & {
    readonly tcId: number;
  })[];
  readonly decaps: {
    readonly dk: string;
    readonly cases: readonly { readonly tcId: number; readonly c: string; readonly k: string }[];
  };
}

const REFUSED = "refused";
const TAKEN = "taken";
const ZERO = "00".repeat(32);
/** 2^255 - 19. */
const FIELD_PRIME = 2n ** 255n - 19n;

const LENIENT = "accepted with the vector's answer, must be refused";

const x25519Cases = async (read: ReadVectors): Promise<X25519Group["tests"]> =>
  casesOf(groupsOf(await read(VECTOR_FILES.x25519), 518) as readonly X25519Group[]);

/** "Acceptable" leaves the choice to us: SPEC.md §1.1 wants one encoding per key and no zero. */
const isStrict = (one: X25519Group["tests"][number]): boolean =>
  littleEndian(one.public) < FIELD_PRIME && one.shared !== ZERO;

const runX25519 = async (read: ReadVectors, engine: CryptoBackend): Promise<Report> =>
  judge(
    (await x25519Cases(read)).map((one) => ({
      name: `${one.tcId}`,
      expected: isStrict(one) ? one.shared : REFUSED,
      lenient: one.shared,
      ask: () => engine.dh(bytes(one.private), bytes(one.public)),
    })),
  );

const runEd25519Keys = (groups: readonly Ed25519Group[], engine: CryptoBackend): Promise<Report> =>
  judge(
    groups.flatMap(({ key: { pk, sk } }, index) =>
      sk === undefined
        ? []
        : [{ name: `group ${index}`, expected: pk, ask: () => engine.signPublic(bytes(sk)) }],
    ),
  );

const runEd25519Signing = (
  groups: readonly Ed25519Group[],
  engine: CryptoBackend,
): Promise<Report> =>
  judge(
    groups.flatMap(({ key: { sk }, tests }) =>
      tests
        .filter(({ result }) => result === "valid")
        .map(({ tcId, msg, sig }) => ({
          name: `${tcId}`,
          expected: sig,
          ask: () => engine.sign(bytes(sk ?? ""), bytes(msg)),
        })),
    ),
  );

const runEd25519Verifying = (
  groups: readonly Ed25519Group[],
  engine: CryptoBackend,
): Promise<Report> =>
  judge(
    groups.flatMap(({ key, tests }) =>
      tests.map(({ tcId, msg, sig, result }) => ({
        name: `${tcId}`,
        expected: result === "valid" ? TAKEN : REFUSED,
        ask: async () => {
          const taken = await engine.verify(bytes(key.pk), bytes(msg), bytes(sig));
          return taken ? TAKEN : undefined;
        },
      })),
    ),
  );

const runSealing = (groups: readonly AeadGroup[], seal: Seal): Promise<Report> =>
  judge(
    casesOf(groups)
      .filter(({ result }) => result === "valid")
      .map(({ tcId, key, iv, aad, msg, ct, tag }) => ({
        name: `${tcId}`,
        expected: ct + tag,
        ask: () => seal(bytes(key), bytes(iv), bytes(aad), bytes(msg)),
      })),
  );

const runOpening = (groups: readonly AeadGroup[], open: Open): Promise<Report> =>
  judge(
    casesOf(groups).map(({ tcId, key, iv, aad, msg, ct, tag, result }) => ({
      name: `${tcId}`,
      expected: result === "valid" ? msg : REFUSED,
      ask: () => open(bytes(key), bytes(iv), bytes(aad), bytes(ct + tag)),
    })),
  );

const runDecapsulation = ({ keyGen, encaps }: MlKemFile, engine: CryptoBackend): Promise<Report> =>
  judge(
    keyGen.flatMap(({ tcId, d, z, ek, rejected }, index) => {
      const foreign = encaps[index] ?? { c: "", m: "" };
      return [
        {
          name: `${tcId}, another key's ciphertext`,
          expected: rejected,
          ask: () => engine.decaps(bytes(d + z), bytes(foreign.c)),
        },
        {
          name: `${tcId}, its own`,
          expected: TAKEN,
          ask: async () => {
            const { ciphertext, sharedSecret } = await engine.encaps(bytes(ek), bytes(foreign.m));
            const secret = await engine.decaps(bytes(d + z), ciphertext);
            return bytesToHex(secret) === bytesToHex(sharedSecret) ? TAKEN : undefined;
          },
        },
      ];
    }),
  );

function runBadKemKeys({ encaps }: MlKemFile, engine: CryptoBackend): Promise<Report> {
  const { ek, m } = encaps[0] ?? { ek: "", m: "" };
  return judge(
    badKemKeys(bytes(ek)).map(([name, one]) => ({
      name,
      expected: REFUSED,
      ask: async () => joined(await engine.encaps(one, bytes(m))),
    })),
  );
}

function runBadCiphertexts({ keyGen, encaps }: MlKemFile, engine: CryptoBackend): Promise<Report> {
  const { d, z } = keyGen[0] ?? { d: "", z: "" };
  const { c } = encaps[0] ?? { c: "" };
  return judge(
    [
      ["a byte less", c.slice(2)],
      ["a byte more", `${c}00`],
    ].map(([name = "", one = ""]) => ({
      name,
      expected: REFUSED,
      ask: () => engine.decaps(bytes(d + z), bytes(one)),
    })),
  );
}

async function runRejection(read: ReadVectors, engine: CryptoBackend): Promise<Report> {
  const groups = groupsOf(await read(VECTOR_FILES.mlKemRejection), 1) as readonly RejectionGroup[];
  return judge(
    casesOf(groups).flatMap(({ tcId, seed, ek, c, K }) => [
      { name: `${tcId}, key`, expected: ek, ask: () => engine.kemPublic(bytes(seed)) },
      { name: `${tcId}`, expected: K, ask: () => engine.decaps(bytes(seed), bytes(c)) },
    ]),
  );
}

/** Of `m` the 32 bytes that FIPS 203 takes: the file has 64, and the key alone shall be a reason to refuse. */
async function modulusCases(
  read: ReadVectors,
): Promise<readonly { readonly tcId: number; readonly ek: string; readonly m: string }[]> {
  const groups = groupsOf(await read(VECTOR_FILES.mlKemModulus), 12) as readonly ModulusGroup[];
  return casesOf(groups).map(({ tcId, ek, m }) => ({ tcId, ek, m: m.slice(0, 64) }));
}

/** What an engine says of the cases of ML-KEM's modulus that takes every key. */
export const lenientModulus = async (read: ReadVectors): Promise<readonly string[]> =>
  (await modulusCases(read)).map(({ tcId }) => `${tcId}: accepted, must be refused`);

/** What an engine says that takes every ML-KEM key. */
export const lenientKemKeys = (): readonly string[] =>
  badKemKeys(new Uint8Array(1_184)).map(([name]) => `${name}: accepted, must be refused`);

function badKemKeys(key: Uint8Array): readonly (readonly [string, Uint8Array])[] {
  const bad: (readonly [string, Uint8Array])[] = [
    ["a byte less", key.slice(1)],
    ["a byte more", Uint8Array.of(...key, 0)],
  ];
  for (const index of [0, 1, 2, 255, 256, 511, 512, 767]) {
    for (const value of [3_329, 3_330, 4_095]) {
      bad.push([`coefficient ${index} is ${value}`, withCoefficient(key, index, value)]);
    }
  }
  return bad;
}

interface Question {
  readonly name: string;
  /** Hex, TAKEN or REFUSED. */
  readonly expected: string;
  /** Hex: what somebody may answer who does not refuse. */
  readonly lenient?: string;
  /** Bytes or a word; undefined or a throw is a refusal. */
  readonly ask: () => MaybePromise<Uint8Array | typeof TAKEN | undefined>;
}

async function judge(questions: readonly Question[]): Promise<Report> {
  let accepted = 0;
  const differences: string[] = [];
  for (const { name, expected, lenient, ask } of questions) {
    const answer = await answerTo(ask);
    if (answer !== REFUSED) accepted++;
    if (answer !== expected) differences.push(`${name}: ${kindOf(expected, answer, lenient)}`);
  }
  return { accepted, refused: questions.length - accepted, differences };
}

async function answerTo(ask: Question["ask"]): Promise<string> {
  try {
    const answer = await ask();
    if (answer === undefined) return REFUSED;
    return typeof answer === "string" ? answer : bytesToHex(answer);
  } catch {
    return REFUSED;
  }
}

function kindOf(expected: string, answer: string, lenient: string | undefined): string {
  if (answer === REFUSED) return "refused, must be accepted";
  if (expected === REFUSED && answer === lenient) return LENIENT;
  return expected === REFUSED ? "accepted, must be refused" : "another answer";
}

/** What a group looks like is up to the caller. Throws unless the file has exactly `count` cases. */
function groupsOf(json: string, count: number): readonly unknown[] {
  const file = JSON.parse(json) as {
    readonly numberOfTests: number;
    readonly testGroups: readonly { readonly tests: readonly unknown[] }[];
  };
  const found = file.testGroups.reduce((sum, { tests }) => sum + tests.length, 0);
  if (found !== count || file.numberOfTests !== count)
    throw new Error(`${found} cases of ${count}`);
  return file.testGroups;
}

const casesOf = <Case>(groups: readonly { readonly tests: readonly Case[] }[]): readonly Case[] =>
  groups.flatMap(({ tests }) => tests);

function bytes(hex: string): Uint8Array {
  const decoded = hexToBytes(hex);
  if (decoded === undefined) throw new Error("not hex in a vector");
  return decoded;
}

const littleEndian = (hex: string): bigint =>
  BigInt(`0x${bytesToHex(bytes(hex).toReversed()) || "0"}`);

const joined = ({
  ciphertext,
  sharedSecret,
}: {
  readonly ciphertext: Uint8Array;
  readonly sharedSecret: Uint8Array;
}): Uint8Array => Uint8Array.of(...ciphertext, ...sharedSecret);

/** Sets the `index`-th 12-bit little-endian coefficient of an encoded ML-KEM key. */
function withCoefficient(key: Uint8Array, index: number, value: number): Uint8Array {
  const copy = Uint8Array.from(key);
  const at = (index >> 1) * 3;
  const pair = (copy[at] ?? 0) | ((copy[at + 1] ?? 0) << 8) | ((copy[at + 2] ?? 0) << 16);
  const shift = index % 2 === 0 ? 0 : 12;
  const changed = (pair & ~(0xfff << shift)) | (value << shift);
  copy.set([changed & 0xff, (changed >> 8) & 0xff, (changed >> 16) & 0xff], at);
  return copy;
}
