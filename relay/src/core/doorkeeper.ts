/**
 * Who may make queues here: whoever showed a blind token lately, and on an open relay everybody.
 * Owns: epochs of the issuer's key, what a token admits to and for how long. Leaves to node/: where it is kept, who
 * gets tokens. Knows readers by a hash and a day, and nothing of how they came by their token.
 * Spec: SPEC.md §9.
 */
import { admissionAuthenticator, sha256 } from "@sotto/crypto";
import { deriveIssuer, type Issuer, tokenOutput } from "@sotto/crypto/issuer";
import { authTranscript, decodeAdmission, type Door, equalBytes } from "@sotto/wire";
import { ADMISSION_ROUND_DAYS, DAY_MS, TOKEN_EPOCH_DAYS, TOKEN_EPOCHS_GOOD } from "./limits.ts";

/** Synchronous: all of it is rare and small. What changes something is durable when it returns, or throws. */
export interface AdmissionStore {
  /** The day on which this reader's admission ends; undefined: none. */
  readerUntil(readerHash: Uint8Array): number | undefined;
  /** spent: this token was shown before. full: no room for more of this epoch. Both or neither are written. */
  spend(spent: {
    readonly epoch: number;
    readonly tokenHash: Uint8Array;
    readonly readerHash: Uint8Array;
    readonly untilDay: number;
  }): "ok" | "spent" | "full";
  renew(readerHash: Uint8Array, untilDay: number): void;
  addCode(codeHash: Uint8Array, uses: number, untilDay: number): "ok" | "full";
  hasCode(codeHash: Uint8Array, day: number): boolean;
  /**
   * Takes one use, and remembers which request it was for in the same transaction. False: it has no use left, or its
   * days are over.
   */
  takeCode(codeHash: Uint8Array, day: number, requestHash: Uint8Array): boolean;
  /** Remembers a request, as takeCode does, that no code was taken for. */
  putAnswered(requestHash: Uint8Array, day: number): void;
  /** Whether the same request was answered no more than ANSWERED_DAYS before this day. */
  hasAnswered(requestHash: Uint8Array, day: number): boolean;
  /** Forgets what ended before this day, and the tokens of epochs before this one. */
  sweep(day: number, epoch: number): void;
  close(): void;
}

export interface DoorkeeperOptions {
  readonly door: Door;
  /** Whether those who were not admitted may write to those who were. */
  readonly sendersOpen: boolean;
  /** How long a token admits. */
  readonly days: number;
  /** Ed25519, 32 bytes. */
  readonly relaySeed: Uint8Array;
  readonly relayKey: Uint8Array;
  readonly store: AdmissionStore;
  readonly now: () => number;
}

export interface Doorkeeper {
  readonly door: Door;
  readonly sendersOpen: boolean;
  /** The key for tokens of today, and its epoch. */
  issuer(): Issuer & { readonly epoch: number };
  /** Whole days since 1970. */
  today(): number;
  /**
   * admitted, or stranger: nothing was shown. refused: what was shown is no token, or was shown before.
   * A reader that is admitted already does not spend what it shows.
   */
  admit(
    readerKey: Uint8Array,
    admission: Uint8Array,
    nonce: Uint8Array,
  ): "admitted" | "stranger" | "refused";
}

export function createDoorkeeper(options: DoorkeeperOptions): Doorkeeper {
  const { door, sendersOpen, days, relaySeed, relayKey, store } = options;
  const issuers = new Map<number, Issuer>();
  const today = (): number => Math.floor(options.now() / DAY_MS);
  const epochOf = (day: number): number => Math.floor(day / TOKEN_EPOCH_DAYS);
  let sweptDay = -1;

  function issuerOf(epoch: number): Issuer {
    const known = issuers.get(epoch);
    if (known !== undefined) return known;
    const issuer = deriveIssuer(relaySeed, epoch);
    if (issuers.size >= TOKEN_EPOCHS_GOOD) issuers.delete(Math.min(...issuers.keys()));
    issuers.set(epoch, issuer);
    return issuer;
  }

  /** Rounded up, so that the day does not say on which of them somebody came first. */
  const untilDay = (day: number): number =>
    Math.ceil((day + days) / ADMISSION_ROUND_DAYS) * ADMISSION_ROUND_DAYS;

  function sweep(day: number): void {
    if (day === sweptDay) return;
    sweptDay = day;
    store.sweep(day, epochOf(day) - TOKEN_EPOCHS_GOOD + 1);
  }

  function isAdmitted(readerHash: Uint8Array, day: number): boolean {
    const until = store.readerUntil(readerHash);
    if (until === undefined || until < day) return false;
    // An invite is for good as long as one comes back; a token of an organisation has to be got again.
    if (door === "invite" && until < untilDay(day)) store.renew(readerHash, untilDay(day));
    return true;
  }

  function redeem(
    readerKey: Uint8Array,
    readerHash: Uint8Array,
    admission: Uint8Array,
    nonce: Uint8Array,
    day: number,
  ): boolean {
    const decoded = decodeAdmission(admission);
    if (!decoded.ok) return false;
    const { epoch, tokenNonce, authenticator } = decoded.value;
    const age = epochOf(day) - epoch;
    if (age < 0 || age >= TOKEN_EPOCHS_GOOD) return false;
    const output = tokenOutput(issuerOf(epoch), tokenNonce);
    const expected = admissionAuthenticator(output, authTranscript(nonce, relayKey, readerKey));
    if (!equalBytes(expected, authenticator)) return false;
    const tokenHash = sha256(tokenNonce);
    return store.spend({ epoch, tokenHash, readerHash, untilDay: untilDay(day) }) === "ok";
  }

  return {
    door,
    sendersOpen,
    today,
    issuer() {
      const epoch = epochOf(today());
      return { epoch, ...issuerOf(epoch) };
    },
    admit(readerKey, admission, nonce) {
      if (door === "open") return "admitted";
      const day = today();
      sweep(day);
      const readerHash = sha256(readerKey);
      if (isAdmitted(readerHash, day)) return "admitted";
      if (admission.length === 0) return "stranger";
      return redeem(readerKey, readerHash, admission, nonce, day) ? "admitted" : "refused";
    },
  };
}
