/** A queue with its sender at a relay process, by the second client. */
import {
  type Client,
  greet,
  type Heard,
  type Named,
  random,
  SENT,
  u32,
} from "../conformance/client.ts";

export interface Pair {
  readonly owner: Client;
  readonly sender: Client;
  readonly ownerSeed: Uint8Array;
  readonly queueId: Uint8Array;
  readonly sendId: Uint8Array;
  readonly sendSecret: Uint8Array;
  readonly firstUse: Uint8Array;
  /** Of the queue, to its owner. */
  readonly ownAlias: number;
  /** Of the queue, to its sender. */
  readonly alias: number;
}

export async function connect(url: string, seed: Uint8Array = random(32)): Promise<Client> {
  const client = await greet(url);
  await client.prove(seed);
  return client;
}

/** The answer, if it has the name that was hoped for; throws otherwise. */
export async function hear<N extends Heard["name"]>(
  answer: Promise<Heard>,
  name: N,
): Promise<Named<N>> {
  const heard = await answer;
  if (heard.name === name) return heard as Named<N>;
  throw new Error(heard.name === "error" ? heard.code : `not ${name} but ${heard.name}`);
}

export async function pair(url: string): Promise<Pair> {
  const [ownerSeed, queueId, firstUse] = [random(32), random(24), random(16)];
  const sendSecret = random(32);
  const [owner, sender] = [await connect(url, ownerSeed), await connect(url)];
  const { alias: ownAlias, sendId } = await hear(owner.makeQueue(queueId, firstUse), "queue");
  await owner.next("drained");
  const { alias } = await hear(sender.openSender(sendId, sendSecret, firstUse), "sender");
  return { owner, sender, ownerSeed, queueId, sendId, sendSecret, firstUse, ownAlias, alias };
}

/** Ends the owner's connection and waits until the relay knows: new mail is written at once. */
export async function leave({ owner, sender, alias }: Pair): Promise<void> {
  owner.cut();
  await owner.ended;
  for (;;) {
    const answer = await sender.ask(SENT.signal, u32(alias), random(256));
    if (answer.name === "error" && answer.code === "away") return;
  }
}

/** The owner again: what is stored, in the order of delivery, not acknowledged; so at most a credit of 64. */
export async function readAgain(
  url: string,
  { ownerSeed, queueId }: Pick<Pair, "ownerSeed" | "queueId">,
): Promise<{
  readonly owner: Client;
  readonly alias: number;
  readonly mail: readonly Named<"deliver">[];
}> {
  const owner = await connect(url, ownerSeed);
  const { queues } = await hear(owner.openQueues(queueId), "queues");
  const { alias = 0, backlog = 0 } = queues[0] ?? {};
  const mail: Named<"deliver">[] = [];
  for (let count = 0; count < backlog; count++) mail.push(await owner.next("deliver"));
  return { owner, alias, mail };
}
