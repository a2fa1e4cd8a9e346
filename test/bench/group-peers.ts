/** Groups beside what others have, in one run, with the engines that Node gets. The goals are ratios. */
import type { CryptoEnv } from "@sotto/crypto";
import { createLibsignalGroup, createMlsGroup } from "@sotto/peers/group-peers";
import { chooseEngines } from "./chosen.ts";
import { conversation, rate } from "./crypto.ts";
import { found, messages, removeOne } from "./groups.ts";
import type { Measure } from "./main.ts";

const MEMBERS = 1_000;
/** How many times as fast as the peer Sotto shall be at least. */
const GOALS = { send: 0.9, sendAndOpen: 1.5, change: 15 } as const;
const CONTENT_BYTES = 32;
/** Best of this many turns each, so that a slow second of the machine hits everybody. */
const ROUNDS = 5;

export async function benchGroupPeers(): Promise<readonly Measure[]> {
  const { backend } = await chooseEngines();
  const env: CryptoEnv = {
    entropy: (length) => crypto.getRandomValues(new Uint8Array(length)),
    crypto: backend,
    now: Date.now(),
  };
  const content = env.entropy(CONTENT_BYTES);
  const libsignal = await createLibsignalGroup();
  const small = await found(8, env);
  let [send, sendAndOpen, theirSend, theirSendAndOpen] = [0, 0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const own = await messages(small, content, env);
    send = Math.max(send, own.send);
    sendAndOpen = Math.max(sendAndOpen, own.sendAndOpen);
    theirSend = Math.max(theirSend, await rate(async () => void (await libsignal.seal(content))));
    theirSendAndOpen = Math.max(
      theirSendAndOpen,
      await rate(async () => void (await libsignal.open(await libsignal.seal(content)))),
    );
  }
  const large = await found(MEMBERS, env);
  const [session] = await conversation(env);
  const mls = await createMlsGroup(MEMBERS);
  let [change, theirChange] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    change = Math.max(change, await rate(() => removeOne(large, session, env)));
    theirChange = Math.max(theirChange, await rate(async () => void (await mls.removeOne())));
  }
  return [
    { name: "message of 32 B: seal", value: send, unit: "/s" },
    against("libsignal", send, theirSend, GOALS.send),
    { name: "message of 32 B: seal and open", value: sendAndOpen, unit: "/s" },
    against("libsignal", sendAndOpen, theirSendAndOpen, GOALS.sendAndOpen),
    { name: `${MEMBERS} members, one removed, the rest dealt a chain`, value: change, unit: "/s" },
    against("a commit of ts-mls, of no post-quantum suite", change, theirChange, GOALS.change),
  ];
}

const against = (peer: string, own: number, theirs: number, goal: number): Measure => ({
  name: `  against ${peer}`,
  value: own / theirs,
  unit: `× (${theirs.toPrecision(3)}/s; goal: at least ${goal})`,
});
