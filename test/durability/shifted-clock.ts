/**
 * Loaded into a relay before anything else (`--import`): its wall clock can be set, as an operator or a time
 * server would. Timers run on, as the kernel's do. At SIGUSR2 the offset in milliseconds is read again from the
 * file that SHIFTED_CLOCK names.
 */
import { readFileSync } from "node:fs";

const path = process.env["SHIFTED_CLOCK"];
if (path === undefined) throw new TypeError("SHIFTED_CLOCK names no file");
const read = (): number => Number(readFileSync(path, "utf8"));
let offsetMs = read();
process.on("SIGUSR2", () => {
  offsetMs = read();
});
const realNow = Date.now.bind(Date);
Date.now = () => realNow() + offsetMs;
