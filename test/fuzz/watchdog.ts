/**
 * Ends a process in which one input never comes back: a loop without end cannot be left from the same thread, and a
 * promise that nobody settles would end it without a word.
 * Owns: the thread that looks, and the file with the input. A coarse guard; what is merely slow is found by its steps.
 */
import { writeFileSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";

const HUNG_MS = 20_000;
const INPUT_BYTES_MAX = 1 << 17;

interface Shared {
  /** Inputs begun, and the length of the current one. */
  readonly state: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
  readonly file: string;
}

export interface Watchdog {
  /** `input` begins now. */
  watch(input: Uint8Array): void;
  stop(): Promise<void>;
}

/** `file`: where an input that hangs is written before the process ends with code 137. */
export function startWatchdog(file: string): Watchdog {
  const shared: Shared = {
    state: new SharedArrayBuffer(8),
    input: new SharedArrayBuffer(INPUT_BYTES_MAX),
    file,
  };
  const state = new Int32Array(shared.state);
  const bytes = new Uint8Array(shared.input);
  const worker = new Worker(new URL(import.meta.url), { workerData: shared });
  return {
    watch(input) {
      bytes.set(input.subarray(0, INPUT_BYTES_MAX));
      state[1] = input.length;
      Atomics.add(state, 0, 1);
    },
    async stop() {
      await worker.terminate();
    },
  };
}

function guard({ state, input, file }: Shared): void {
  const counts = new Int32Array(state);
  let last = -1;
  setInterval(() => {
    const current = Atomics.load(counts, 0);
    if (current === last && current > 0) {
      writeFileSync(file, new Uint8Array(input, 0, counts[1]));
      console.error(`hangs: ${file}`);
      process.kill(process.pid, "SIGKILL");
    }
    last = current;
  }, HUNG_MS);
}

if (!isMainThread) guard(workerData as Shared);
