/**
 * A member of the group who floods it with operations and lies about what it has: heads that there are not, operations
 * that it keeps back, chains that seal nothing, introductions of nobody. It has its own keys and nobody else's.
 * Owns: what it tells whom, and its end: an admin takes it out. Leaves to device-checks.ts: that nobody else notices.
 * Spec: crypto/SPEC.md §11.5, §11.6; protocol/SPEC.md §11.
 */
import { type GroupLog, makeOp, pagesSince } from "@sotto/crypto";
import type { ConversationId } from "@sotto/protocol";
import {
  asChainId,
  asContentId,
  asDeviceId,
  asGroupId,
  asOpId,
  bytesToHex,
  type Content,
  encodeContent,
  type GroupPage,
  hexToBytes,
  OP_ID_BYTES,
  PARENTS_MAX,
} from "@sotto/wire";
import type { Client } from "./client.ts";
import type { GroupWorld } from "./device-group.ts";
import type { Account, People } from "./device-people.ts";
import type { Random } from "./random.ts";

/** flood: operations one after the other. siblings: beside each other. kept-back: all of them but the first. */
const LIES = ["flood", "siblings", "kept-back", "heads", "chain", "nobody"] as const;
/** At once: more than one page of them, and more than a place for them may hold. */
const OPS_AT_ONCE = 70;
const CHAIN_ID_BYTES = 16;

type Body =
  | { readonly kind: "page"; readonly page: GroupPage }
  | Pick<Extract<Content, { kind: "heads" }>, "kind" | "heads">
  | Pick<Extract<Content, { kind: "key" }>, "kind" | "key">
  | Pick<Extract<Content, { kind: "member" }>, "kind" | "name" | "cert" | "list">;

export interface GroupLiar {
  /** It begins to lie when there is somebody to lie to; once. */
  start(): void;
  /** Who it is by now. */
  readonly account: () => Account | undefined;
}

export function createGroupLiar(setting: GroupWorld, people: People): GroupLiar {
  const { faults, decisions, crypto, accounts, trace, isHealing, again } = setting;
  const { groupOf, membersAt, nameOf, present, chatOf } = people;
  let liar: Account | undefined;
  let isStarted = false;

  return {
    account: () => liar,
    start() {
      if (isStarted || faults.liarMean === 0 || setting.isContested) return;
      isStarted = true;
      again(faults.liarMean, lie);
    },
  };

  /** Never the founder: who is the only admin is taken out by nobody. */
  async function lie(): Promise<void> {
    if (isHealing()) return;
    again(setting.random.exponential(faults.liarMean), lie);
    const act = decisions.next("lie");
    const by = act.random;
    const account = liar ?? by.pick(accounts.slice(1));
    const [device] = present(account);
    const victims = accounts
      .filter((one) => one !== account)
      .flatMap(present)
      .filter((one) => one.running && membersAt(one).has(nameOf(account)));
    const log = device === undefined ? undefined : logOf(device);
    if (device === undefined || log === undefined || victims.length === 0 || !act.take()) return;
    const victim = by.pick(victims);
    const from = chatOf(victim, account)?.id;
    const record = groupOf(victim);
    if (from === undefined || record === undefined) return;
    liar = account;
    const what = by.pick(LIES);
    trace(`${device.name} lies to ${victim.name}: ${what}`);
    for (const body of await bodiesOf(what, device, log, by)) {
      await tell(victim, { from, to: record.id }, device, body, by);
    }
  }

  function logOf(client: Client): GroupLog | undefined {
    const record = groupOf(client);
    return record === undefined ? undefined : client.disk.groups.get(record.id)?.log;
  }

  async function bodiesOf(
    what: (typeof LIES)[number],
    device: Client,
    log: GroupLog,
    by: Random,
  ): Promise<readonly Body[]> {
    switch (what) {
      case "heads": {
        const ids = Array.from({ length: by.int(PARENTS_MAX + 1) }, () => by.bytes(OP_ID_BYTES));
        const heads = ids.toSorted((a, b) => (bytesToHex(a) < bytesToHex(b) ? -1 : 1)).map(asOpId);
        return Array.from({ length: OPS_AT_ONCE }, () => ({ kind: "heads", heads }));
      }
      case "chain":
        return Array.from({ length: OPS_AT_ONCE }, () => ({
          kind: "key",
          key: {
            chainId: asChainId(by.bytes(CHAIN_ID_BYTES)),
            next: by.int(1_000),
            chainKey: by.bytes(32),
            signingKey: by.bytes(32),
            heads: by.bytes(32),
          },
        }));
      case "nobody":
        return Array.from({ length: OPS_AT_ONCE }, () => ({
          kind: "member",
          name: "Nobody",
          cert: { ...device.disk.self.cert, rootKey: by.bytes(32) },
          list: undefined,
        }));
      default:
        return pagesOf(what, device, log, by);
    }
  }

  /** A member may say of devices of its own that they are no more, also of such as there never were. */
  async function pagesOf(
    what: "flood" | "siblings" | "kept-back",
    device: Client,
    log: GroupLog,
    by: Random,
  ): Promise<readonly Body[]> {
    const env = { entropy: (length: number) => by.bytes(length), crypto, now: device.now() };
    const known = log.heads.map((head) => asOpId(hexToBytes(head) ?? by.bytes(OP_ID_BYTES)));
    const pages: GroupPage[] = [];
    let grown = log;
    for (let made = 0; made < OPS_AT_ONCE; made++) {
      const action = { kind: "revoke", device: asDeviceId(by.bytes(8)) } as const;
      const next = await makeOp(what === "siblings" ? log : grown, device.disk.self, action, env);
      if (!next.ok) break;
      grown = next.log;
      if (what === "siblings") pages.push(...pagesSince(next.log, known));
    }
    if (what !== "siblings") pages.push(...pagesSince(grown, known));
    if (what === "kept-back") {
      const [first, ...rest] = pages;
      if (first === undefined) return [];
      const cut = [{ ...first, ops: first.ops.slice(1) }, ...rest];
      // A page of nothing is none.
      return cut.filter(({ ops }) => ops.length > 0).map(asBody);
    }
    return pages.map(asBody);
  }

  async function tell(
    victim: Client,
    { from, to }: { readonly from: ConversationId; readonly to: ConversationId },
    device: Client,
    body: Body,
    by: Random,
  ): Promise<void> {
    const peer = groupOf(victim)?.peer;
    if (peer?.state !== "group" || liar === undefined) return;
    const group = asGroupId(hexToBytes(peer.group) ?? by.bytes(32));
    const about = { id: asContentId(by.bytes(16)), time: { ms: victim.now(), counter: 0 }, group };
    const post = {
      kind: "told",
      account: nameOf(liar),
      device: bytesToHex(device.disk.self.cert.deviceId),
      content: encodeContent({ ...about, ...body }),
    } as const;
    await victim.feed(to, {
      kind: "post",
      row: { id: bytesToHex(by.bytes(16)), from, to, sequence: 1, post },
    });
  }
}

const asBody = (page: GroupPage): Body => ({ kind: "page", page });
