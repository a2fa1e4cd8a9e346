/**
 * Range-based reconciliation as Nostr has it (NIP-77, negentropy version 1): both sides of one run, counted in bytes.
 * Times are seconds: this implementation, like the reference one, writes its varints with shifts of 32 bits and does not
 * come back from milliseconds.
 */
import { Negentropy, NegentropyStorage } from "@nostr-dev-kit/sync";

export interface NegentropyItem {
  readonly seconds: number;
  /** 32 bytes. */
  readonly id: Uint8Array;
}

export interface NegentropyRun {
  /** Both ways. */
  readonly bytes: number;
  /** Messages of the side that begins. */
  readonly flights: number;
  /** Ids that only the side that begins has, and those that it lacks. */
  readonly have: readonly Uint8Array[];
  readonly need: readonly Uint8Array[];
}

function sideOf(items: readonly NegentropyItem[]): Negentropy {
  const storage = new NegentropyStorage();
  for (const { seconds, id } of items) storage.insert(seconds, id);
  storage.seal();
  return new Negentropy(storage);
}

export async function runNegentropy(
  own: readonly NegentropyItem[],
  remote: readonly NegentropyItem[],
): Promise<NegentropyRun> {
  const [initiator, responder] = [sideOf(own), sideOf(remote)];
  const have: Uint8Array[] = [];
  const need: Uint8Array[] = [];
  let bytes = 0;
  let flights = 0;
  let message: Uint8Array | undefined = await initiator.initiate();
  while (message !== undefined) {
    flights++;
    const { nextMessage: answer } = await responder.reconcile(message);
    if (answer === undefined) throw new Error("the side that is asked said nothing");
    bytes += message.length + answer.length;
    const next = await initiator.reconcile(answer);
    for (const id of next.have) have.push(id);
    for (const id of next.need) need.push(id);
    message = next.nextMessage;
  }
  return { bytes, flights, have, need };
}
