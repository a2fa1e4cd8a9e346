/**
 * Ends a process in which one input never comes back: a loop without end cannot be left from the same thread, and a
 * promise that nobody settles would end it without a word.
 * Owns: the thread that looks, and the file with the input. A coarse guard; what is merely slow is found by its steps.
 */
import { once } from "node:events";
import { writeFileSync, writeSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const HUNG_MS = 20_000;
/** Of a longer input the front is kept. */
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
export async function startWatchdog(file: string): Promise<Watchdog> {
  const shared: Shared = {
    state: new SharedArrayBuffer(8),
    input: new SharedArrayBuffer(INPUT_BYTES_MAX),
    file,
  };
  const state = new Int32Array(shared.state);
  const bytes = new Uint8Array(shared.input);
  const worker = new Worker(new URL(import.meta.url), { workerData: shared });
  // A thread does not come up while the one that made it is stuck.
  await once(worker, "message");
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
  parentPort?.postMessage("ready");
  setInterval(() => {
    const current = Atomics.load(counts, 0);
    if (current === last && current > 0) {
      const length = Math.min(counts[1] ?? 0, INPUT_BYTES_MAX);
      writeFileSync(file, Uint8Array.from(new Uint8Array(input, 0, length)));
      // Not through the console: that would ask the thread that is stuck.
      writeSync(2, `hangs: ${file}\n`);
      process.kill(process.pid, "SIGKILL");
    }
    last = current;
  }, HUNG_MS);
}

if (!isMainThread) guard(workerData as Shared);
