/**
 * A relay in a process of its own, so that a test can also kill it. Arguments: port, folder of its store ("" for none),
 * TURN server with its secret.
 * Prints one line of JSON when it listens.
 */
import { bytesToHex } from "@sotto/wire";
import { startRelay } from "sotto-relay";

const [port = "0", data = "", turnUrl = "", turnSecret = ""] = process.argv.slice(2);
const relay = await startRelay({
  port: Number(port),
  data: data === "" ? undefined : data,
  stunPort: 0,
  ...(turnUrl === "" ? {} : { turnUrls: [turnUrl], turnSecret }),
});
const place = { origin: relay.url, relayKey: bytesToHex(relay.relayKey) };
process.stdout.write(`${JSON.stringify(place)}\n`);
