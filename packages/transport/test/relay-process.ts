/**
 * A relay in a process of its own, so that a test can also kill it. Arguments: port, folder of its store.
 * Prints one line of JSON when it listens.
 */
import { bytesToHex } from "@sotto/wire";
import { startRelay } from "sotto-relay";

const relay = await startRelay({ port: Number(process.argv[2] ?? 0), data: process.argv[3] });
const place = { origin: relay.url, relayKey: bytesToHex(relay.relayKey) };
process.stdout.write(`${JSON.stringify(place)}\n`);
