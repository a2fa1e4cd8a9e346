/** A thread of many-seeds.ts: parts of seeds in, what they come to out. */
import { parentPort, workerData } from "node:worker_threads";
import { type Answer, type Failure, type Part, runPart } from "./many-seeds.ts";
import type { Settings } from "./settings.ts";

const port = parentPort;
const settings = workerData as Settings;
const answer = (one: Answer): void => port?.postMessage(one);

async function work(part: Part): Promise<void> {
  const failed = (failure: Failure): void => answer({ failure });
  answer({ tally: await runPart(part, { settings, failed }) });
}

// What a run throws ends the thread.
port?.on("message", (part: Part) => void work(part));
