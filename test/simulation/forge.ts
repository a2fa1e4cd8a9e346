/**
 * What a modified app could send: it has the keys of its own side, and says with them what ours never would.
 * Owns: the tricks. Leaves to client.ts: the honest rest of the same installation.
 */
import {
  accountIdOf,
  encrypt,
  hmacSha256,
  initiate,
  JUMP_MAX,
  type OwnDevice,
  type Session,
} from "@sotto/crypto";
import type { ConversationId, Env, Slice } from "@sotto/protocol";
import {
  asContentId,
  bytesToHex,
  type Content,
  CONTENT_ID_BYTES,
  decodeBundle,
  encodeContent,
  ENVELOPE_ID_BYTES,
  EnvelopeType,
  equalBytes,
  hexToBytes,
} from "@sotto/wire";
import type { Client } from "./client.ts";
import { type Network, targetOf } from "./endpoint.ts";
import { FORGED, MARKER, type Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";

/**
 * other-text: another text under the id of a message that the other side has. no-content: a valid seal around
 * nonsense. history: what only devices of one account tell each other, about this conversation. jump: keys ahead as far as the limit
 * allows, or one further. receipt: for messages that are none of its
 * business. hello: the first message of all once more.
 */
const MALICE = [
  "other-text",
  "no-content",
  "history",
  "jump",
  "too-far",
  "receipt",
  "hello",
] as const;
/** Far beyond what people write in one turn here, so that no later message has the same key. */
const JUMP = 600;

/** One conversation as it runs: its state is replaced by each trick that uses up a key. */
export interface Forging {
  readonly id: ConversationId;
  slice: Slice;
}

export interface Forger {
  /** An honest envelope left. */
  sent(id: ConversationId, blob: Uint8Array): void;
  forge(entry: Forging, how: Random): Promise<void>;
  /** Somebody with another root key answers in this client's place, with the spare bundle it was given. */
  impersonate(entry: Forging, stranger: OwnDevice, how: Random): Promise<void>;
}

export interface ForgerOptions {
  readonly client: Client;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly env: () => Env;
  readonly trace: (line: string) => void;
  /** Whether the other side may forget a message it had, because its store is put back: then nothing is forged under its id. */
  readonly mayBeForgotten: () => boolean;
}

export function createForger(options: ForgerOptions): Forger {
  const { client, network, oracle, trace } = options;
  const hellos = new Map<ConversationId, Uint8Array>();
  const jumped = new Set<ConversationId>();

  return {
    forge,
    impersonate,
    sent(id, blob) {
      if (blob[0] === EnvelopeType.hello) hellos.set(id, blob);
    },
  };

  async function forge(entry: Forging, how: Random): Promise<void> {
    const { conversation } = entry.slice;
    const target = targetOf(entry.slice);
    if (conversation?.peer.state !== "open" || target === undefined || client.diskFull) return;
    const { peer, version } = conversation;
    const [session, ...others] = peer.sessions;
    if (peer.change !== undefined) return;
    if (session?.sending === undefined || peer.queue.addresses.length === 0) return;
    const trick = how.pick(MALICE);
    const send = (blob: Uint8Array): void => {
      trace(`${client.name}/${entry.id} forges ${trick}`);
      // What is too far ahead is sealed with a key of no chain: it may be any, and the same twice. A HELLO has left before.
      if (trick !== "too-far" && trick !== "hello") oracle.released(client, blob, entry.id);
      network.append(client, target, bytesToHex(how.bytes(16)), blob, () => undefined);
    };
    /** Its own state stays whole: what it sends is all that is wrong with it. */
    const keep = (after: Session): void => {
      const sessions = [after, ...others];
      const next = { ...conversation, version: version + 1, peer: { ...peer, sessions } };
      client.disk.conversations.set(entry.id, next);
      entry.slice = { ...entry.slice, conversation: next };
    };
    if (trick === "hello") {
      const first = hellos.get(entry.id);
      if (first !== undefined) send(first);
      return;
    }
    if (trick === "jump" || trick === "too-far") {
      if (session.stepDue || session.helloHeader !== undefined) return;
      if (trick === "jump" && jumped.has(entry.id)) return;
      jumped.add(entry.id);
      let { chainKey } = session.sending;
      const by = trick === "jump" ? JUMP : JUMP_MAX + 1 + how.int(1_000);
      // Nobody gets as far as the key of what is too far ahead.
      const steps = trick === "jump" ? by : 0;
      for (let n = 0; n < steps; n++) chainKey = hmacSha256(chainKey, Uint8Array.of(2));
      const sending = { ...session.sending, chainKey, next: session.sending.next + by };
      const ahead = await encrypt({ ...session, sending }, how.bytes(20), options.env());
      if (trick === "jump") keep(ahead.session);
      send(ahead.envelope);
      return;
    }
    const content = contentOf(trick, entry, how);
    if (content === undefined) return;
    const sealed = await encrypt(session, content, options.env());
    keep(sealed.session);
    send(sealed.envelope);
  }

  async function impersonate(entry: Forging, stranger: OwnDevice, how: Random): Promise<void> {
    const peer = entry.slice.conversation?.peer;
    const target = targetOf(entry.slice);
    if (peer?.state !== "open" || target === undefined) return;
    const bundle = peer.spares.theirs && decodeBundle(peer.spares.theirs.bundle);
    const { addresses } = peer.queue;
    if (bundle?.ok !== true || addresses.length === 0) return;
    const env = { ...options.env(), entropy: (length: number) => how.bytes(length) };
    let session = (await initiate(stranger, bundle.value, env))?.session;
    if (session === undefined) return;
    trace(`${client.name}/${entry.id} is impersonated`);
    const time = { ms: Math.floor(client.now()), counter: 0 };
    const about = () => ({ id: asContentId(how.bytes(CONTENT_ID_BYTES)), time });
    const contents: readonly Content[] = [
      { kind: "introduction", ...about(), name: FORGED, addresses },
      { kind: "text", ...about(), text: `${MARKER} ${FORGED}` },
    ];
    for (const content of contents) {
      const sealed = await encrypt(session, encodeContent(content), env);
      ({ session } = sealed);
      const id = bytesToHex(how.bytes(ENVELOPE_ID_BYTES));
      oracle.identity.impersonated(sealed.envelope);
      network.append(client, target, id, sealed.envelope, () => undefined);
    }
  }

  function contentOf(
    trick: "other-text" | "no-content" | "history" | "receipt",
    entry: Forging,
    how: Random,
  ): Uint8Array | undefined {
    if (trick === "no-content") return how.bytes(how.between(1, 60));
    if (trick === "history") return historyOf(entry, how);
    if (trick === "receipt") {
      const ids = [...oracle.foreignIds(client, entry.id).slice(-8), bytesToHex(how.bytes(16))];
      return encodeContent({ kind: "receipt", ids: ids.map((id) => asContentId(hexToBytes(id)!)) });
    }
    if (options.mayBeForgotten()) return undefined;
    // "Delivered" may be said of another device of the account: to one that has no such message this is just the first.
    const other = oracle.across(client, entry.id)?.client.disk.messages;
    const there = [...(client.disk.messages.get(entry.id)?.values() ?? [])].filter(
      (row) =>
        (!row.own || row.status === "delivered") &&
        [...(other?.values() ?? [])].some((rows) => rows.has(row.id)),
    );
    if (there.length === 0) return undefined;
    return encodeContent({
      kind: "text",
      // The id it was said under, whatever it is shown under.
      id: asContentId(hexToBytes(how.pick(there).order.slice(-2 * CONTENT_ID_BYTES))!),
      time: { ms: Math.floor(client.now()), counter: 0 },
      text: `${MARKER} ${FORGED}`,
    });
  }

  /** Messages of before that nobody said, as an own device would bring them: a page of history, or a carried text. */
  function historyOf({ slice }: Forging, how: Random): Uint8Array | undefined {
    const peer = slice.conversation?.peer;
    if (peer?.state !== "open") return undefined;
    // Own devices may.
    if (equalBytes(peer.contact.cert.rootKey, slice.self.cert.rootKey)) return undefined;
    const time = { ms: Math.floor(client.now()), counter: 0 };
    const about = () => ({ id: asContentId(how.bytes(CONTENT_ID_BYTES)), time });
    const text = `${MARKER} ${FORGED}`;
    // To whoever reads it, this is the conversation with the account that sends it.
    const account = accountIdOf(slice.self.cert.rootKey);
    if (how.chance(0.5)) {
      const content = { kind: "text", ...about(), text } as const;
      return encodeContent({ kind: "carried", ...about(), account, content });
    }
    const row = {
      ...about(),
      said: undefined,
      own: how.chance(0.5),
      author: undefined,
      receivedAt: time.ms,
      status: "delivered",
      text,
    } as const;
    return encodeContent({
      kind: "past",
      ...about(),
      place: { kind: "account", account },
      before: undefined,
      left: 0,
      more: false,
      rows: [row],
    });
  }
}
