/** Whether a relay on this machine reaches the push services; it says nothing to them. */
import { connect } from "node:tls";
import { ANSWER_MS, type Check, codeOf, ok, warn } from "./check.ts";

/** Of the names in PUSH_HOSTS those that are one; Apple's and Microsoft's for an example of what is below theirs. */
const HOSTS: readonly string[] = [
  "fcm.googleapis.com",
  "updates.push.services.mozilla.com",
  "web.push.apple.com",
  "wns2-par02p.notify.windows.com",
];

/** One line for all. `at`: for tests. */
export async function checkPush(
  hosts = HOSTS,
  at: { readonly port: number; readonly ca?: string } = { port: 443 },
): Promise<Check> {
  const results = await Promise.all(hosts.map(async (host) => [host, await reach(host, at)]));
  const away = results.filter(([, problem]) => problem !== undefined);
  return away.length === 0
    ? ok("push out", "all push services can be reached")
    : warn(
        "push out",
        `${away.map(([host, problem]) => `${host} (${problem})`).join(", ")}: let HTTPS out to them`,
      );
}

/** Undefined when it shows a certificate of that name. */
function reach(
  host: string,
  at: { readonly port: number; readonly ca?: string },
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, servername: host, ...at });
    const end = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(ANSWER_MS, () => end("no answer in time"));
    socket.once("secureConnect", () => end(undefined));
    socket.once("error", (error) => end(codeOf(error)));
  });
}
