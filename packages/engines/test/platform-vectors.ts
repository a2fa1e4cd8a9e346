/**
 * Public vectors through every engine of a platform: as we use it, and bare, without the checks in front of it.
 * Owns: what is asked. Leaves to the tests: what each platform answers.
 */
import { type CryptoBackend, nobleBackend } from "@sotto/crypto";
import {
  backendOf,
  createKernelEngine,
  createWebCryptoEngine,
  createWebCryptoFileEngine,
  type Engine,
  type Operation,
} from "@sotto/engines";
import { OPERATIONS } from "#src/engine.ts";
import { KEM_CIPHERTEXT_BYTES } from "@sotto/wire";
import {
  AES_256_GCM_EXPECTED,
  EXPECTED,
  lenientKemKeys,
  lenientModulus,
  lenientX25519,
  type ReadVectors,
  type Report,
  runAes256Gcm,
  runBackend,
} from "../../crypto/test/wycheproof.ts";

/** Only what went otherwise than suite 1 says, by set of cases: each set's counts are compared first. */
export type Differences = Readonly<Record<string, readonly string[]>>;

/** What a platform's own engines answer. Plain data: it may come from another browser. */
export interface PlatformReport {
  /** What its WebCrypto cannot do at all; noble stands in for it, as in the choice of engines. */
  readonly missing: readonly Operation[];
  /** With the checks in front, as the choice of engines uses them. */
  readonly checked: Readonly<Record<"webcrypto" | "kernel", Differences>>;
  /** Without them, and with a platform's no as the last word on a signature. */
  readonly bare: Readonly<Record<"webcrypto" | "kernel", Differences>>;
  readonly aes256Gcm: Awaited<ReturnType<typeof runAes256Gcm>>;
}

export async function runPlatform(
  read: ReadVectors,
  subtle: SubtleCrypto,
): Promise<PlatformReport> {
  const whole = createWebCryptoEngine({ subtle, drafts: true });
  const missing = await missingOf(whole);
  const known = Object.entries(whole.operations).filter(
    ([name]) => !missing.includes(name as Operation),
  );
  const webcrypto: Engine = { ...whole, operations: Object.fromEntries(known) };
  const kernel = createKernelEngine();
  return {
    missing,
    checked: {
      webcrypto: await throughChecks(read, webcrypto),
      kernel: await throughChecks(read, kernel),
    },
    bare: {
      webcrypto: await bare(read, webcrypto),
      kernel: await bare(read, kernel),
    },
    aes256Gcm: await runAes256Gcm(read, createWebCryptoFileEngine(subtle)),
  };
}

export interface Platform {
  readonly missing: readonly Operation[];
  /** Numbers of the X25519 cases that its bare WebCrypto refuses as suite 1 does, though it takes the others. */
  readonly refusesToo?: readonly number[];
}

/**
 * All that may be otherwise: bare engines take second encodings of X25519 keys, and the kernel zero
 * results and every ML-KEM key and ciphertext too.
 */
export async function expectedOf(
  read: ReadVectors,
  { missing, refusesToo = [] }: Platform,
): Promise<PlatformReport> {
  const secondEncodings = await lenientX25519(read, false);
  const taken = secondEncodings.filter((line) => !refusesToo.includes(Number.parseInt(line, 10)));
  return {
    missing,
    checked: { webcrypto: {}, kernel: {} },
    bare: {
      webcrypto: { x25519: taken },
      kernel: {
        x25519: await lenientX25519(read, true),
        mlKemBadKeys: lenientKemKeys(),
        mlKemModulus: await lenientModulus(read),
        mlKemBadCiphertexts: ["a byte less", "a byte more"].map(
          (name) => `${name}: accepted, must be refused`,
        ),
      },
    },
    aes256Gcm: AES_256_GCM_EXPECTED,
  };
}

/** Asks each operation once, with input that every engine must take. */
async function missingOf(engine: Engine): Promise<readonly Operation[]> {
  const missing: Operation[] = [];
  for (const operation of OPERATIONS) {
    try {
      await PROBES[operation](backendOf(engine));
    } catch {
      missing.push(operation);
    }
  }
  return missing;
}

const SEED = new Uint8Array(64).fill(7);
const SECRET = SEED.subarray(32);
const NONCE = SEED.subarray(52);
const PROBES: Readonly<Record<Operation, (backend: CryptoBackend) => unknown>> = {
  dh: async (one) => one.dh(SECRET, await nobleBackend.dhPublic(SECRET)),
  dhPublic: (one) => one.dhPublic(SECRET),
  signPublic: (one) => one.signPublic(SECRET),
  sign: (one) => one.sign(SECRET, SEED),
  // A no is enough: one that cannot even say that is not there.
  verify: async (one) =>
    one.verify(await nobleBackend.signPublic(SECRET), SEED, new Uint8Array(64)),
  kemPublic: (one) => one.kemPublic(SEED),
  encaps: async (one) => one.encaps(await nobleBackend.kemPublic(SEED), SECRET),
  decaps: (one) => one.decaps(SEED, new Uint8Array(KEM_CIPHERTEXT_BYTES)),
  seal: (one) => one.seal(SECRET, NONCE, SEED, SEED),
  open: (one) => one.open(SECRET, NONCE, SEED, SEED),
  hmac: (one) => one.hmac(SECRET, SEED),
};

/** One engine as a back-end: what suite 1 refuses never reaches it, and noble has the last word on signatures. */
export const throughChecks = (read: ReadVectors, engine: Engine): Promise<Differences> =>
  differencesOf(read, backendOf(engine));

/** The same without the checks and the last word. */
export const bare = (read: ReadVectors, engine: Engine): Promise<Differences> =>
  differencesOf(read, { ...nobleBackend, ...engine.operations });

async function differencesOf(read: ReadVectors, backend: CryptoBackend): Promise<Differences> {
  const reports = await runBackend(read, backend);
  return gather(Object.entries(reports), EXPECTED);
}

function gather(
  reports: readonly (readonly [string, Report])[],
  expected: Readonly<Record<string, Report>>,
): Differences {
  const found: Record<string, readonly string[]> = {};
  for (const [set, { accepted, refused, differences }] of reports) {
    const counts = expected[set];
    if (counts === undefined || accepted + refused !== counts.accepted + counts.refused) {
      throw new Error(`${set}: ${accepted + refused} cases`);
    }
    if (differences.length > 0) found[set] = differences;
  }
  return found;
}
