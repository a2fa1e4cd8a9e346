/**
 * The fastest engine that is right, for each operation, found while the reference already serves.
 * Owns: trying out, falling back, counting failures, the report. Leaves to engine.ts: which inputs are refused.
 * Spec: crypto/SPEC.md §1.2.
 */
import { type CryptoBackend, type MaybePromise, nobleBackend } from "@sotto/crypto";
import {
  type Engine,
  guardedBackend,
  nobleEngine,
  type Operation,
  OPERATIONS,
  type Operations,
  type Run,
  TAG_BYTES,
} from "./engine.ts";
import { judge, type Verdict } from "./known-answers.ts";
import { speedProbeOf } from "./speed-probes.ts";

export interface Clock {
  /** Milliseconds from any start; may be coarse. */
  now(): number;
  /** Resolves when the page has nothing more urgent to do. */
  pause(): Promise<void>;
  /** Calls back once after `ms`; the returned function cancels that. */
  after(ms: number, run: () => void): () => void;
}

/** After this many failures of one operation at run time an engine is not asked for it again. */
export const ENGINE_FAILURES_MAX = 3;
/**
 * A call without an answer for this many milliseconds has failed: whatever waits for it stands still. Far more than any
 * engine needs, for when a machine wakes up its timers may end before its engines go on.
 */
export const ENGINE_SILENT_MS = 10_000;
/** Trying out works this long at a time, in milliseconds, and then pauses: less than a frame. */
export const SLICE_MS = 4;
/** One round of timing, in milliseconds: at most 10 operations × 4 engines × 3 rounds of it, some 200 ms in all. */
export const ROUND_MS = 2;
/** Ends a round where the clock does not move. */
export const ROUND_CALLS_MAX = 100;
/** The best of these counts: the others had company. */
const ROUNDS = 3;

/**
 * Shorter texts are sealed and opened by an engine that is `short`, or by noble, without a contest: no engine of a
 * platform was found that is faster then, and what is measured at a start says little, for noble's own code is not warm
 * yet.
 */
export const SMALL_BYTES = 4_096;

/** A bench takes its time. */
export interface Patience {
  readonly roundMs: number;
  readonly roundCallsMax: number;
}

const AT_START: Patience = { roundMs: ROUND_MS, roundCallsMax: ROUND_CALLS_MAX };

export interface CandidateReport {
  readonly engine: string;
  readonly verdict: Verdict | "untried";
  /** How many times as fast as noble in this process; undefined when nothing was there to compare. */
  readonly speed: number | undefined;
  /** Calls that threw, rejected or answered in an impossible shape since the choice. */
  readonly failures: number;
}

export interface OperationReport {
  readonly chosen: string;
  /** Who seals and opens texts below SMALL_BYTES. */
  readonly chosenShort: string;
  readonly candidates: readonly CandidateReport[];
}

/** `verify`: who is asked first. What it does not take is put to noble, whose answer counts (crypto/SPEC.md §1.2). */
export interface CryptoReport {
  readonly state: "waiting" | "choosing" | "chosen";
  readonly operations: Readonly<Record<Operation, OperationReport>>;
}

export interface ChosenBackend extends CryptoBackend {
  /** Tries the candidates out, once; until it is done noble serves what is not decided yet. Never rejects. */
  choose(): Promise<void>;
  describe(): CryptoReport;
}

interface Candidate {
  readonly engine: Engine;
  /** The engine's own operations, each of which answers or fails in time. */
  readonly own: Engine["operations"];
  /** The same, and noble's where it has none. */
  readonly operations: Operations;
  verdict: Verdict | "untried";
  /** Calls per millisecond. */
  rate: number | undefined;
  failures: number;
}

interface Timing {
  readonly clock: Clock;
  readonly patience: Patience;
  /** Pauses when a slice is over. */
  readonly breathe: () => Promise<void>;
}

interface Contest {
  /** In the order given, noble last. */
  readonly candidates: readonly Candidate[];
  /** Whom to ask, best first. */
  ranking: readonly Candidate[];
  /** The best, the next, and at the end noble. */
  turns: readonly Candidate[];
  /** For texts below SMALL_BYTES. */
  shortTurns: readonly Candidate[];
}

/** `candidates` without noble, which is always the last resort; an earlier one wins a draw. */
export function chooseBackend(
  candidates: readonly Engine[],
  clock: Clock,
  patience: Patience = AT_START,
): ChosenBackend {
  const contests = new Map<Operation, Contest>(
    OPERATIONS.map((operation) => {
      const all = [...candidates, nobleEngine].map((engine) => candidateOf(engine, clock));
      return [operation, contestAmong(all)];
    }),
  );
  const contestOf = (operation: Operation): Contest => contests.get(operation) ?? contestAmong([]);
  let state: CryptoReport["state"] = "waiting";
  let choosing: Promise<void> | undefined;

  async function tryOut(): Promise<void> {
    state = "choosing";
    const timing: Timing = { clock, patience, breathe: createPacer(clock) };
    for (const operation of candidates.length === 0 ? [] : OPERATIONS) {
      await compete(operation, contestOf(operation), timing);
    }
    state = "chosen";
  }

  const runFor =
    (turnsOf: (contest: Contest) => readonly Candidate[]): Run =>
    (operation, call, fits) => {
      const contest = contestOf(operation);
      return attempt(turnsOf(contest), 0, call, fits, (failed) => {
        failed.failures++;
        if (failed.failures === ENGINE_FAILURES_MAX) dismiss(contest, failed);
      });
    };

  const chosen = guardedBackend(
    "chosen",
    runFor(({ turns }) => turns),
  );
  const short = guardedBackend(
    "chosen for short texts",
    runFor(({ shortTurns }) => shortTurns),
  );
  return {
    ...chosen,
    seal: (key, nonce, aad, plaintext) =>
      (plaintext.length < SMALL_BYTES ? short : chosen).seal(key, nonce, aad, plaintext),
    open: (key, nonce, aad, sealed) =>
      (sealed.length < SMALL_BYTES + TAG_BYTES ? short : chosen).open(key, nonce, aad, sealed),
    choose: () => (choosing ??= tryOut()),
    describe: () => ({
      state,
      operations: describeAll((operation) => describeContest(contestOf(operation))),
    }),
  };
}

function candidateOf(engine: Engine, clock: Clock): Candidate {
  const own = engine === nobleEngine ? nobleBackend : inTime(engine.operations, clock);
  const operations: Operations = { ...nobleBackend, ...own };
  return { engine, own, operations, verdict: "untried", rate: undefined, failures: 0 };
}

/** The operations, whose promises reject when they have not settled after ENGINE_SILENT_MS. HMAC answers at once. */
function inTime(operations: Engine["operations"], clock: Clock): Engine["operations"] {
  const timed = { ...operations };
  for (const operation of OPERATIONS) {
    const call = operations[operation];
    if (call === undefined || operation === "hmac") continue;
    Object.assign(timed, { [operation]: answering(call as Call, clock) });
  }
  return timed;
}

type Call = (...inputs: readonly never[]) => unknown;

const answering =
  (call: Call, clock: Clock): Call =>
  (...inputs) => {
    const answer = call(...inputs);
    return answer instanceof Promise ? settled(answer, clock) : answer;
  };

function settled(answer: Promise<unknown>, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ENGINE_SILENT_MS, () => {
      reject(new Error("an engine that does not answer"));
    });
    answer.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}

/** Until it is held noble answers. */
function contestAmong(candidates: readonly Candidate[]): Contest {
  const contest: Contest = { candidates, ranking: [], turns: [], shortTurns: [] };
  rank(contest, candidates.slice(-1));
  return contest;
}

function rank(contest: Contest, ranking: readonly Candidate[]): void {
  const [first, second] = ranking;
  const noble = ranking.find(isNoble);
  contest.ranking = ranking;
  contest.turns = [...new Set([first, second, noble])].filter((one) => one !== undefined);
  contest.shortTurns = [ranking.find((one) => one.engine.short === true), noble].filter(
    (one) => one !== undefined,
  );
}

const isNoble = ({ engine }: Candidate): boolean => engine === nobleEngine;

/** It is not asked again. Noble stays. */
function dismiss(contest: Contest, failed: Candidate): void {
  if (isNoble(failed)) return;
  rank(
    contest,
    contest.ranking.filter((one) => one !== failed),
  );
}

/**
 * From the turn at `index` on, the same inputs for each: operations are pure, their randomness comes in. The last
 * failure is thrown.
 */
function attempt<T>(
  turns: readonly Candidate[],
  index: number,
  call: (engine: Operations) => MaybePromise<T>,
  fits: (answer: T) => boolean,
  count: (failed: Candidate) => void,
): MaybePromise<T> {
  const candidate = turns[index];
  if (candidate === undefined) throw new Error("no engine");
  const failed = (error: unknown): MaybePromise<T> => {
    count(candidate);
    if (index + 1 >= turns.length) throw error;
    return attempt(turns, index + 1, call, fits, count);
  };
  const accepted = (answer: T): MaybePromise<T> =>
    fits(answer) ? answer : failed(new Error("an answer that no working engine gives"));
  let answer: MaybePromise<T>;
  try {
    answer = call(candidate.operations);
  } catch (error) {
    return failed(error);
  }
  return answer instanceof Promise ? answer.then(accepted, failed) : accepted(answer);
}

async function compete(operation: Operation, contest: Contest, timing: Timing): Promise<void> {
  for (const candidate of contest.candidates) {
    const engine: Engine = { ...candidate.engine, operations: candidate.own };
    candidate.verdict = await judge(engine, operation, timing.breathe);
  }
  const correct = contest.candidates.filter((one) => one.verdict === "correct" || isNoble(one));
  if (correct.length > 1) await measure(operation, correct, timing);
  // Sorting keeps the order of equals.
  rank(
    contest,
    correct
      .filter((one) => one.verdict === "correct" || isNoble(one))
      .toSorted((a, b) => (b.rate ?? 0) - (a.rate ?? 0)),
  );
}

/** In turns, so that what else the machine does meets all alike. An engine that fails here is out. */
async function measure(
  operation: Operation,
  candidates: readonly Candidate[],
  timing: Timing,
): Promise<void> {
  const call = await speedProbeOf(operation);
  for (let round = 0; round < ROUNDS; round++) {
    for (const candidate of candidates) {
      try {
        const rate = await rateOf(() => call(candidate.operations), timing);
        candidate.rate = Math.max(candidate.rate ?? 0, rate);
      } catch {
        candidate.verdict = "failed";
      }
      await timing.breathe();
    }
  }
}

async function rateOf(
  call: () => MaybePromise<unknown>,
  { clock, patience }: Timing,
): Promise<number> {
  const start = clock.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < patience.roundMs && calls < patience.roundCallsMax) {
    const answer = call();
    if (answer instanceof Promise) await answer;
    calls++;
    elapsed = clock.now() - start;
  }
  // A clock that stands still says nothing about who is faster.
  return elapsed > 0 ? calls / elapsed : 0;
}

function createPacer(clock: Clock): () => Promise<void> {
  let since = clock.now();
  return async () => {
    if (clock.now() - since < SLICE_MS) return;
    await clock.pause();
    since = clock.now();
  };
}

function describeAll(
  describe: (operation: Operation) => OperationReport,
): CryptoReport["operations"] {
  return {
    dh: describe("dh"),
    dhPublic: describe("dhPublic"),
    seal: describe("seal"),
    open: describe("open"),
    hmac: describe("hmac"),
    verify: describe("verify"),
    sign: describe("sign"),
    signPublic: describe("signPublic"),
    kemPublic: describe("kemPublic"),
    encaps: describe("encaps"),
    decaps: describe("decaps"),
  };
}

function describeContest({ candidates, ranking, shortTurns }: Contest): OperationReport {
  const noble = candidates.at(-1)?.rate;
  return {
    chosen: ranking[0]?.engine.name ?? nobleEngine.name,
    chosenShort: shortTurns[0]?.engine.name ?? nobleEngine.name,
    candidates: candidates.map(({ engine, verdict, rate, failures }) => ({
      engine: engine.name,
      verdict,
      speed: ratio(rate, noble),
      failures,
    })),
  };
}

/** Two digits: more would be noise. */
const ratio = (rate: number | undefined, noble: number | undefined): number | undefined =>
  rate === undefined || noble === undefined || rate === 0 || noble === 0
    ? undefined
    : Number((rate / noble).toPrecision(2));
