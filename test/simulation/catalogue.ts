/**
 * The catalogue of deliberate bugs: what each is, how it is planted, and which layer's own oracle has to see it.
 * A bug that another layer repairs shows nowhere but in the oracle of the layer that has it: that is why each names it.
 */
import type { Patch } from "../setup/patch.ts";
import { LAYER_BUGS } from "./catalogue-layers.ts";
import { CROWD, type Faults } from "./faults.ts";
import type { Invariant } from "./invariants.ts";
import type { PlantedBug } from "./planted.ts";

export interface Entry {
  readonly id: string;
  readonly what: string;
  /** A flag of the simulator's adapters, or differences of our sources. */
  readonly how: PlantedBug | readonly Patch[];
  /** The invariant the simulation must see broken, or the test that must fail. */
  readonly killer:
    | {
        readonly invariant: Invariant;
        readonly faults?: Partial<Faults>;
        /** Among people with several devices each. */
        readonly devices?: true;
        /** All of them admins of one group, who act at once. */
        readonly admins?: true;
        /** One that shows it, tried before all others. */
        readonly seed?: number;
      }
    | {
        readonly file: string;
        /** A part of its name. */
        readonly test: string;
      };
}

/** Nothing but what is named beside it, so that only the planted bug can be behind a late or missing message. */
const CALM: Partial<Faults> = {
  relays: 1,
  relayLost: false,
  phaseMs: 40_000,
  queueMessagesMax: 256,
  clockJumpMean: 0,
  clockFreezeMean: 0,
  clogMean: 0,
  slow: 0,
  crawl: 0,
  garbage: 0,
  straggler: 0,
  late: 0,
  forgeMean: 0,
  diskFullMean: 0,
  quotaMean: 0,
  relayDiskFull: 0,
  relayRotMean: 0,
  sessionLoss: 0,
  putBackMean: 0,
  strangerMean: 0,
  identityChangeMean: 0,
  evictionMean: 0,
  evilReplay: 0,
  evilSwap: 0,
  evilHide: 0,
  evilCut: 0,
  evilForge: 0,
  evilLie: 0,
  rowRot: 0,
  olderApp: 0,
  liarMean: 0,
  crowd: 0,
  direct: false,
};
/** Clocks that jump by up to a year, and a relay that loses its disk. */
const CLOCKS: Partial<Faults> = {
  ...CALM,
  stack: "full",
  clockJumpMean: 3_000,
  relayCrashMean: 8_000,
  relayWipe: 0.5,
};
const CRASHES: Partial<Faults> = { ...CALM, crashAtBoundary: 0.03 };
const LINKS: Partial<Faults> = {
  ...CALM,
  direct: true,
  linkDropMean: 3_000,
  halfOpenMean: 3_000,
  linkRefuses: 0.3,
};
const DISORDER: Partial<Faults> = { ...CALM, reorder: 0.3, duplicate: 0.2 };
/** Late by seconds: what comes after the faults was given again by then. */
const LATE: Partial<Faults> = { ...CALM, late: 0.4, lateMean: 8_000 };
const MALICE: Partial<Faults> = { ...CALM, forgeMean: 1_500 };
const LOSSES: Partial<Faults> = { ...CALM, sessionLoss: 0.9, clientCrashMean: 4_000 };
const OLD_STORES: Partial<Faults> = { ...CALM, putBackMean: 4_000 };
const STRANGERS: Partial<Faults> = { ...CALM, strangerMean: 4_000 };
const LIARS: Partial<Faults> = { ...CALM, liarMean: 2_000 };
/** Overtaken messages, in chains that go on. */
const LARGE_GROUP: Partial<Faults> = { ...DISORDER, crowd: CROWD };
const NEW_KEYS: Partial<Faults> = { ...CALM, identityChangeMean: 8_000 };

const CHAINS = "packages/crypto/src/chains.ts";
const SENDERS = "packages/crypto/src/sender-chain.ts";
const REPAIR = "packages/protocol/src/repair.ts";
const SESSION = "packages/crypto/src/session.ts";
const RATCHET = "packages/crypto/src/ratchet.ts";
const PRIMITIVES = "packages/crypto/src/primitives.ts";
const INBOX = "packages/protocol/src/inbox.ts";
const OUTBOX = "packages/protocol/src/outbox.ts";
const DRAFT = "packages/protocol/src/draft.ts";
const DEVICES = "packages/protocol/src/devices.ts";
const PAIRS = "packages/protocol/src/pairs.ts";
const EXCHANGE = "relay/src/core/exchange.ts";

/** One of them ends for good, and what it had is missed for longer than a copy waits. */
const TWO_RELAYS: Partial<Faults> = {
  relays: 2,
  relayLost: true,
  phaseMs: 400_000,
  partitionMean: 20_000,
};

/** For a run of test files as they are. */
export const NO_BUG = "none";

export const CATALOGUE: readonly Entry[] = [
  // Adapters.
  {
    id: "ack-before-commit",
    what: "the relay is told to forget what is not stored yet",
    how: "ack-before-commit",
    killer: { invariant: "I13", faults: CALM },
  },
  {
    id: "transmit-before-commit",
    what: "a sealed unit leaves before its key's use is on disk",
    how: "transmit-before-commit",
    killer: { invariant: "I5", faults: CRASHES },
  },
  {
    id: "no-dedupe",
    what: "nothing is remembered as received",
    how: "no-dedupe",
    killer: { seed: 2, invariant: "I2", faults: LINKS },
  },
  {
    id: "overwrite-known",
    what: "the store writes over a message whose id is told again",
    how: "overwrite-known",
    killer: { invariant: "I2", faults: MALICE },
  },
  {
    id: "lazy-disk",
    what: "a crash takes back the last commit that was said to be durable",
    how: "lazy-disk",
    killer: { invariant: "I1", faults: CRASHES },
  },
  {
    id: "delete-on-relay-ok",
    what: "the relay's OK is taken for the other device's receipt",
    how: "delete-on-relay-ok",
    killer: { invariant: "I4", faults: CALM },
  },
  {
    id: "forget-owed-on-crash",
    what: "receipts that were due when the device crashed are not sent",
    how: "forget-owed-on-crash",
    killer: { invariant: "I9", faults: { ...CRASHES, stack: "thin", remembersAcknowledged: true } },
  },
  {
    id: "drop-on-reorder",
    what: "a frame that was overtaken is thrown away",
    how: "drop-on-reorder",
    killer: { invariant: "I13", faults: DISORDER },
  },
  {
    id: "refusal-ignored",
    what: "a write that the store refused for want of room is taken for done",
    how: "refusal-ignored",
    killer: { invariant: "I1", faults: { ...CALM, quotaMean: 2_000 } },
  },
  {
    id: "silence-is-patience",
    what: "a socket that has fallen silent is not given up",
    how: [
      {
        file: "packages/transport/src/hub-connection.ts",
        from: 'if (probedAt !== undefined && now >= probedAt + PONG_MS) return end("silent");',
        to: "if (probedAt !== undefined && now >= probedAt + PONG_MS) probedAt = undefined;",
      },
    ],
    killer: { invariant: "I9", faults: { ...CALM, stack: "full", crawl: 0.5 } },
  },
  {
    id: "ok-before-flush",
    what: "the relay's store says that a commit is durable before it is",
    how: "ok-before-flush",
    killer: { invariant: "I1", faults: { ...CALM, stack: "full", flushMs: 50 } },
  },
  // The ratchet.
  {
    id: "skipped-key-kept",
    what: "the key of a late message stays after its use",
    how: [
      {
        file: CHAINS,
        from: "chain.keys.filter((one) => one !== found)",
        to: "chain.keys",
      },
    ],
    killer: { invariant: "I6", faults: DISORDER },
  },
  {
    id: "chain-stands-still",
    what: "the receiving chain does not move on",
    how: [
      {
        file: RATCHET,
        from: "receiving: { headerKey: receiving.headerKey, chainKey, next: n + 1 }",
        to: "receiving: { ...reached.chain, next: n }",
      },
    ],
    killer: { invariant: "I6", faults: CALM },
  },
  {
    id: "turn-without-new-key",
    what: "the ratchet key stays the same from turn to turn",
    how: [
      {
        file: RATCHET,
        from: "const secret = pair?.secret ?? env.entropy(32);\n  const [key, shared]",
        to: "const secret = new Uint8Array(32).fill(9);\n  const [key, shared]",
      },
    ],
    killer: { invariant: "I7", faults: CALM },
  },
  {
    id: "nonce-constant",
    what: "every message has the same nonce",
    how: [
      {
        file: SESSION,
        from: "const nonce = env.entropy(NONCE_BYTES);",
        to: "const nonce = new Uint8Array(NONCE_BYTES);",
      },
    ],
    killer: { invariant: "I5", faults: CALM },
  },
  {
    id: "nonce-from-counter",
    what: "the nonce follows from the place in the chain",
    how: [
      {
        file: SESSION,
        from: "const nonce = env.entropy(NONCE_BYTES);",
        to: "const nonce = new Uint8Array(NONCE_BYTES).fill(sending.next);",
      },
    ],
    killer: { seed: 3, invariant: "I5", faults: OLD_STORES },
  },
  {
    id: "old-chains-unlimited",
    what: "keys of all turns are kept for late messages",
    how: [
      {
        file: CHAINS,
        from: ".filter((chain) => turn - chain.turn < OLD_CHAINS_MAX + 1)",
        to: ".filter((chain) => turn >= chain.turn)",
      },
    ],
    killer: {
      file: "packages/crypto/test/ratchet.test.ts",
      test: "opens from OLD_CHAINS_MAX",
    },
  },
  {
    id: "skipped-keys-unlimited",
    what: "any number of keys is kept for late messages",
    how: [{ file: CHAINS, from: "- SKIPPED_KEYS_MAX;", to: "- 1_000_000;" }],
    killer: {
      file: "packages/crypto/test/ratchet.test.ts",
      test: "keeps SKIPPED_KEYS_MAX keys in all",
    },
  },
  {
    id: "jump-unlimited",
    what: "a header may ask for any number of keys",
    how: [{ file: CHAINS, from: "until - chain.next > JUMP_MAX", to: "until - chain.next > 1e9" }],
    killer: {
      file: "packages/crypto/test/ratchet.test.ts",
      test: "opens one that skips JUMP_MAX",
    },
  },
  {
    id: "pn-tail-not-skipped",
    what: "the keys at the end of a chain are lost when the next one begins",
    how: [
      {
        file: RATCHET,
        from: "skipTo(session, receiving, header.previousCount, env)",
        to: "skipTo(session, receiving, receiving.next, env)",
      },
    ],
    killer: {
      file: "packages/crypto/test/ratchet.test.ts",
      test: "applies to the end of the previous chain",
    },
  },
  {
    id: "tag-not-checked",
    what: "the tag in front of a message may be any",
    how: [
      {
        file: SESSION,
        from: "if (!equalBytes(envelope.tag, messageTag(headerKey, header.n, env.crypto.hmac))) {",
        to: "if (envelope.tag.length === 0) {",
      },
    ],
    killer: {
      file: "packages/crypto/test/ratchet.test.ts",
      test: "a tag that is not the one",
    },
  },
  {
    id: "padding-to-content",
    what: "bodies of longer contents are as long as those",
    how: [
      {
        file: "packages/crypto/src/body.ts",
        from: "return bucket - around;",
        to: "return contentBytes > 300 ? BODY_PREFIX_BYTES + contentBytes + frameBytes : bucket - around;",
      },
    ],
    killer: {
      file: "packages/crypto/test/secrecy.test.ts",
      test: "have only bucket sizes",
    },
  },
  {
    id: "late-keys-forgotten",
    what: "the key of a frame that others overtook is kept for a second only",
    how: [{ file: CHAINS, from: "now - SKIPPED_KEY_AGE_MS_MAX", to: "now - 1_000" }],
    killer: { invariant: "I9", faults: LATE },
  },
  // Primitives.
  {
    id: "zip215-default",
    what: "signatures are checked by the rules of ZIP-215",
    // The form is looked at before: one of the two alone changes nothing.
    how: [
      { file: PRIMITIVES, from: "{ zip215: false }", to: "{ zip215: true }" },
      { file: PRIMITIVES, from: "  isSignatureForm(publicKey, signature) &&\n", to: "" },
    ],
    killer: {
      file: "packages/crypto/test/wycheproof.test.ts",
      test: "refuses a signature that noble takes",
    },
  },
  {
    id: "zero-exchange-accepted",
    what: "keys of small order are exchange keys",
    how: [
      {
        file: PRIMITIVES,
        from: "!isAmong(publicKey, SMALL_ORDER_X25519)",
        to: "SMALL_ORDER_X25519.length > 0",
      },
    ],
    killer: {
      file: "packages/crypto/test/zero-exchange.test.ts",
      test: "a certificate with one is refused by itself too",
    },
  },
  // The engine.
  {
    id: "receipt-without-message",
    what: "a text is confirmed and not kept",
    how: [
      {
        file: INBOX,
        from: "if (isNew) await applyContent(draft, content, source);",
        to: 'if (isNew && content.kind !== "text") await applyContent(draft, content, source);',
      },
    ],
    killer: { invariant: "I1", faults: CALM },
  },
  {
    id: "hello-forgotten",
    what: "a HELLO that was answered is taken for a new one",
    how: [
      {
        file: INBOX,
        from: "return peer.helloSeen.some((seen) => equalBytes(seen, key));",
        to: "return peer.helloSeen.length > 1_000 && key.length > 0;",
      },
    ],
    killer: { invariant: "I4", faults: CALM },
  },
  {
    id: "known-is-new",
    what: "that the store has a message of this id is not believed",
    how: [
      { file: INBOX, from: "const isNew = !draft.known && ", to: "const isNew = " },
      {
        file: PAIRS,
        from: '  if (draft.known) {\n    drop(draft, "duplicate");\n    return;\n  }\n  const id = bytesToHex(content.id);\n  const row',
        to: "  const id = bytesToHex(content.id);\n  const row",
      },
    ],
    killer: {
      file: "packages/protocol/test/inbox.test.ts",
      test: "is known when its like comes after RECEIVED_MAX others",
    },
  },
  {
    id: "sign-goes-down",
    what: 'a late OK of the relay takes "delivered" back',
    how: [
      { file: DRAFT, from: "RANK[status] > RANK[row.status] ?", to: "status !== row.status ?" },
    ],
    killer: {
      file: "packages/protocol/test/outbox.test.ts",
      test: "gone does not take back what it said of an earlier text",
    },
  },
  {
    id: "clock-not-merged",
    what: "what was read does not move the clock for what is written",
    how: [
      {
        file: INBOX,
        from: "changeConversation(draft, { clock: merge(draft.conversation.clock, content.time) });",
        to: "merge(draft.conversation.clock, content.time);",
      },
    ],
    killer: { invariant: "I3", faults: { ...CALM, clockSkewMax: 3_600_000 } },
  },
  {
    id: "received-unlimited",
    what: "everything ever received is remembered in the record",
    how: [
      {
        file: "packages/protocol/src/received.ts",
        from: "Math.max(0, peer.received.length - room)",
        to: "Math.min(0, room)",
      },
    ],
    killer: {
      file: "packages/protocol/test/inbox.test.ts",
      test: "are the newest RECEIVED_MAX contents",
    },
  },
  {
    id: "window-unlimited",
    what: "any number of units is at the relay without an answer",
    how: [
      {
        file: OUTBOX,
        from: "if (inFlight.length >= IN_FLIGHT_MAX) break;",
        to: "if (inFlight.length < 0) break;",
      },
    ],
    killer: {
      file: "packages/protocol/test/outbox.test.ts",
      test: "gets IN_FLIGHT_MAX envelopes at a time",
    },
  },
  {
    id: "plea-not-made",
    what: "a device without sessions and spares waits for the other side to begin",
    how: [{ file: REPAIR, from: "    await plead(draft, peer);\n", to: "" }],
    killer: { invariant: "I4", faults: LOSSES },
  },
  {
    id: "timer-spins",
    what: "without a session the other side is asked every 50 ms whether it is there, in vain",
    how: [
      {
        file: "packages/protocol/src/presence.ts",
        from: " || peer.sessions.length === 0) return false;",
        to: ") return false;",
      },
    ],
    killer: {
      invariant: "I8",
      faults: { ...CALM, sessionLoss: 0.9, clientCrashMean: 4_000, signalLoss: 0.5 },
    },
  },
  {
    id: "held-rows-leave",
    what: "what was sealed for a contact goes out after somebody else took its place",
    how: [
      {
        file: OUTBOX,
        from: "  if (peer === undefined || peer.change !== undefined || peer.retired) return;\n  if (draft.live.direct",
        to: "  if (peer === undefined || peer.retired) return;\n  if (draft.live.direct",
      },
    ],
    killer: { seed: 36, invariant: "I12", faults: STRANGERS },
  },
  {
    id: "verified-replaced",
    what: "a verified contact is replaced without comparing",
    how: [
      {
        file: REPAIR,
        from: "  if (peer.contact.verified && !compared) {",
        to: "  if (peer.retired && !compared) {",
      },
    ],
    killer: { invariant: "I12", faults: STRANGERS },
  },
  {
    id: "stranger-taken-in",
    what: "a HELLO by another root key is taken for the contact's",
    how: [
      {
        file: REPAIR,
        from: "  if (!equalBytes(cert.rootKey, contact.cert.rootKey)) {",
        to: "  if (cert.rootKey.length === 0) {",
      },
    ],
    killer: { invariant: "I12", faults: STRANGERS },
  },
  {
    id: "old-sessions-kept",
    what: "who was replaced can still be written to, and writes",
    how: [
      {
        file: REPAIR,
        from: "    sessions: [],\n    owed: [],\n    spares: { ...peer.spares, theirs: undefined },",
        to: "    owed: [],\n    spares: { ...peer.spares, theirs: undefined },",
      },
    ],
    killer: { invariant: "I12", faults: NEW_KEYS },
  },
  {
    id: "compared-forgotten",
    what: "who was compared while being accepted counts as not compared",
    how: [{ file: REPAIR, from: "      verified: compared,", to: "      verified: false," }],
    killer: { invariant: "I12", faults: NEW_KEYS },
  },
  {
    id: "waiting-not-resealed",
    what: "what waited for the contact is not sealed for whoever was accepted",
    how: [
      {
        file: REPAIR,
        from: "  return change.frames;",
        to: "  draft.outbox = draft.outbox.filter((row) => row.message === undefined);\n  return change.frames;",
      },
    ],
    killer: { seed: 2, invariant: "I1", faults: NEW_KEYS },
  },
  {
    id: "held-conversation-sends",
    what: "after a change of identity messages go out before anybody agreed",
    how: [
      {
        file: OUTBOX,
        from: "    peer.change === undefined &&\n",
        to: "",
      },
    ],
    killer: {
      file: "packages/protocol/test/repair.test.ts",
      test: "holds everything",
    },
  },
  {
    id: "old-signal-believed",
    what: "a replayed signal says who is there",
    how: [
      {
        file: "packages/protocol/src/presence.ts",
        from: "if (signal.counter <= draft.live.signalSeen) {",
        to: "if (signal.counter < 0) {",
      },
    ],
    killer: {
      file: "packages/protocol/test/presence.test.ts",
      test: "that is not newer than the last is dropped",
    },
  },
  {
    id: "older-store-goes-on",
    what: "a store that was put back goes on with its old chains after the other side said how far it has read",
    how: [
      {
        file: SESSION,
        from: "return chain > own || (chain === own && next > (sending?.next ?? 0));",
        to: "return own < 0;",
      },
    ],
    killer: { seed: 5, invariant: "I16", faults: OLD_STORES },
  },
  {
    id: "link-unsealed",
    what: "over a direct link, which is sealed itself, contents go as they are",
    how: [
      {
        file: OUTBOX,
        from: 'path: "direct", id: row.id, blob: row.envelope }',
        to: 'path: "direct", id: row.id, blob: row.content ?? row.envelope }',
      },
    ],
    killer: { invariant: "I10", faults: LINKS },
  },
  {
    id: "held-twice",
    what: "what waits for the person's decision is kept again each time it comes",
    how: [
      {
        file: REPAIR,
        from: "  if (change.frames.some((frame) => equalBytes(frame, blob))) return;\n",
        to: "",
      },
    ],
    killer: { seed: 8, invariant: "I14", faults: STRANGERS },
  },
  {
    id: "future-refused",
    what: "what was written by a clock that is a day ahead is refused",
    how: [
      {
        file: INBOX,
        from: "decoded.value.time.ms > TIME_MS_MAX)",
        to: "decoded.value.time.ms > draft.env.now + 86_400_000)",
      },
    ],
    killer: { invariant: "I15", faults: { ...CALM, clockSkewMax: 3_600_000_000 } },
  },
  {
    id: "clock-back-waits",
    what: "what the relay took before the clock was set back is offered again when that time comes again",
    how: [
      {
        file: OUTBOX,
        from: "return row.relayedAt > now ? 0 : row.relayedAt + RESEND_AFTER_MS;",
        to: "return row.relayedAt + RESEND_AFTER_MS;",
      },
    ],
    killer: { seed: 21, invariant: "I15", faults: CLOCKS },
  },
  {
    id: "id-from-platform",
    what: "the ids of envelopes are drawn from the platform, whoever runs the engine",
    how: [
      {
        file: OUTBOX,
        from: "  ...about,\n  id: bytesToHex(draft.env.entropy(ENVELOPE_ID_BYTES)),",
        to: "  ...about,\n  id: bytesToHex(globalThis.crypto.getRandomValues(new Uint8Array(ENVELOPE_ID_BYTES))),",
      },
    ],
    killer: { invariant: "I17", faults: CALM },
  },
  // The relay.
  {
    id: "ok-before-fsync",
    what: "the relay says OK when it has a message in memory",
    how: [
      {
        file: EXCHANGE,
        from: "admitted.message.waiting = [settle];",
        to: 'admitted.message.waiting = [];\n        settle("ok");',
      },
    ],
    killer: { invariant: "I1", faults: { ...CALM, stack: "full" } },
  },
  {
    id: "gone-on-delivery",
    what: "the relay forgets what it has handed to its reader",
    how: [
      {
        file: EXCHANGE,
        from: 'if (message.state !== "held") return;\n    if (!taken',
        to: 'if (taken) drop(queue, message, true, "ok");\n    if (message.state !== "held") return;\n    if (!taken',
      },
    ],
    killer: { invariant: "I1", faults: { ...CALM, stack: "full" } },
  },
  {
    id: "foreign-queue-opens",
    what: "anybody who knows a queue reads it",
    how: [
      {
        file: EXCHANGE,
        from: "return queue !== undefined && isReader(queue, readerKey) ? queue : undefined;",
        to: "return readerKey.length > 0 ? queue : undefined;",
      },
    ],
    killer: { file: "relay/test/exchange.test.ts", test: "whatever happens in between" },
  },
  {
    id: "deletes-without-ack",
    what: "the relay deletes from its disk what it has read for delivery",
    how: [
      {
        file: EXCHANGE,
        from: "read: (asked) => store.readMessages(asked.map((message) => message.row)),",
        to: 'read: (asked) => {\n      void commit(asked.map((message) => ({ type: "delete-message", row: message.row })));\n      return store.readMessages(asked.map((message) => message.row));\n    },',
      },
    ],
    killer: { invariant: "I13", faults: { ...CALM, stack: "full", clientCrashMean: 4_000 } },
  },
  {
    id: "second-claim",
    what: "a second sender may claim a queue",
    how: [
      {
        file: EXCHANGE,
        from: "if (queue.bound) return isSender ?",
        to: "if (queue.bound) return isSender || isFirst || proven ?",
      },
    ],
    killer: { file: "relay/test/exchange.test.ts", test: "the only sender" },
  },
  {
    id: "refused-still-counted",
    what: "the relay goes on counting what its disk did not take",
    how: [
      {
        file: EXCHANGE,
        from: "remove(queue.mailbox, message, false);\n    countMessage(queue, message, -1);",
        to: "remove(queue.mailbox, message, false);",
      },
    ],
    killer: { invariant: "I18", faults: { ...CALM, stack: "full", relayDiskFull: 0.3 } },
  },
  // Several devices.
  {
    id: "removed-keeps-pair",
    what: "a removed device goes on getting what is written",
    how: [
      {
        file: DEVICES,
        from: 'if (!listed.has(link.device)) post(draft, link.conversation, { kind: "end" });',
        to: "if (link.device === undefined) return;",
      },
      {
        file: DEVICES,
        from: "      links.filter(({ device }) => listed.has(device)),",
        to: "      links,",
      },
    ],
    killer: { seed: 11, invariant: "I11", faults: CALM, devices: true },
  },
  {
    id: "retired-rows-vanish",
    what: "what waits for a removed first device is deleted in the store",
    how: [
      {
        file: DRAFT,
        from: "  draft.deleteOutbox.delete(row.id);\n",
        to: "",
      },
      {
        file: OUTBOX,
        from: "      renew(draft, row, { ...row, id, envelope: undefined, ...UNSENT });\n    }\n  }\n}\n\n/** When this row",
        to: "      renew(draft, row, { ...row, envelope: undefined, copiedAt: undefined, relayedAt: id === undefined ? 0 : undefined });\n    }\n  }\n}\n\n/** When this row",
      },
    ],
    killer: { file: "packages/protocol/test/devices.test.ts", test: "leaves what waits" },
  },
  {
    id: "copy-settles",
    what: "what a second relay took counts as delivered and is kept no longer",
    how: [
      {
        file: OUTBOX,
        from: "  else if (row !== undefined) putOutbox(draft, { ...row, copiedAt: draft.env.now });",
        to: "  else if (row !== undefined) forget(draft, row.id);",
      },
    ],
    killer: { seed: 5, invariant: "I4", faults: { ...CALM, ...TWO_RELAYS } },
  },
  {
    id: "copy-never-sent-in-time",
    what: "what one relay took and nobody confirmed is given to no other, and that relay is gone",
    how: [
      {
        file: OUTBOX,
        from: "  if (relayedAt === undefined || copiedAt !== undefined) return undefined;",
        to: "  if (relayedAt !== undefined || copiedAt !== undefined) return undefined;",
      },
    ],
    killer: { seed: 22, invariant: "I9", faults: { ...CALM, ...TWO_RELAYS, phaseMs: 40_000 } },
  },
  {
    id: "post-taken-twice",
    what: "a post is not deleted by the commit that takes it",
    how: [{ file: DRAFT, from: "takePosts: [...draft.takePosts],", to: "takePosts: []," }],
    killer: { invariant: "I4", faults: CALM, devices: true },
  },
  {
    id: "spread-forgets-links",
    what: "a text goes to the first device only",
    how: [
      {
        file: PAIRS,
        from: "    for (const { conversation: to } of conversation.devices.links) {",
        to: "    for (const { conversation: to } of conversation.devices.links.slice(0, 0)) {",
      },
    ],
    killer: { seed: 4, invariant: "I1", faults: CALM, devices: true },
  },
  {
    id: "copies-stay-home",
    what: "own devices are not told what was written",
    how: [
      {
        file: PAIRS,
        from: "    if (self.devices.links.length > 0) carryText(draft, row.content);\n",
        to: "",
      },
    ],
    killer: { seed: 3, invariant: "I1", faults: CALM, devices: true },
  },
  {
    id: "delivered-by-own",
    what: "nobody is told that a further device has a text",
    how: [
      {
        file: PAIRS,
        from: 'post(draft, parent, { kind: "settled", awaits: row.awaits, path });',
        to: "return;",
      },
    ],
    killer: { seed: 11, invariant: "I4", devices: true },
  },
  {
    id: "group-signs-lost",
    what: "nobody is told that a device has a message of a group",
    how: [
      {
        file: "packages/protocol/src/group-outbox.ts",
        from: "{ ...one, has: true, devices: one.devices.filter((other) => other !== device) }",
        to: "one",
      },
    ],
    killer: { invariant: "I4", faults: CALM, devices: true },
  },
  {
    id: "revoke-voids-nothing",
    what: "what a device signs beside its own revoke counts",
    how: [
      {
        file: "packages/crypto/src/membership-cuts.ts",
        from: "    lose(deviceKey(account, device), EARLIER);\n",
        to: "",
      },
    ],
    killer: { seed: 14, invariant: "I11", faults: CALM, devices: true },
  },
  {
    id: "removed-device-not-revoked",
    what: "groups never hear that a device was taken from its account's list",
    how: [
      {
        file: "packages/protocol/src/group.ts",
        from: "  await revokeRemoved(draft);\n",
        to: "  if (draft.known) await revokeRemoved(draft);\n",
      },
    ],
    killer: {
      file: "packages/protocol/test/groups.test.ts",
      test: "can do nothing for the account any more",
    },
  },
  {
    id: "strangers-afterthoughts",
    what: "a removed member's own pages fill everybody's log",
    how: [
      {
        file: "packages/protocol/src/group-inbox.ts",
        from: "if (isOfStranger(log, before, by, own)) {",
        to: "if (by === pair && isOfStranger(log, before, by, own)) {",
      },
    ],
    killer: {
      file: "packages/protocol/test/groups.test.ts",
      test: "has what it makes up afterwards taken by nobody",
    },
  },
  {
    id: "new-device-while-held",
    what: "what waits for the person's decision goes to a device that the contact links meanwhile",
    how: [
      {
        file: "packages/protocol/src/ways.ts",
        from: "const isHeld = openPeer(draft)?.change !== undefined;",
        to: "const isHeld = false;",
      },
    ],
    killer: {
      seed: 3,
      invariant: "I12",
      faults: { ...STRANGERS, strangerMean: 2_000, stack: "full" },
      devices: true,
    },
  },
  {
    id: "held-is-spread",
    what: "while somebody else is in a contact's place, texts go to its other devices",
    how: [
      {
        file: PAIRS,
        from: "if (peer === undefined || peer.change !== undefined || isTextHeld(draft)) return;",
        to: "if (peer === undefined || isTextHeld(draft)) return;",
      },
    ],
    killer: { invariant: "I12", faults: STRANGERS, devices: true },
  },
  {
    id: "pairs-never-mend",
    what: "a pair with a further device that lost its sessions asks for no new one",
    how: [
      {
        file: "packages/protocol/src/repair.ts",
        from: "  changeSpares(draft, { theirs, pleaAt: plea.at, own });",
        to: "  if (draft.conversation.parent !== undefined) return;\n  changeSpares(draft, { theirs, pleaAt: plea.at, own });",
      },
    ],
    killer: { invariant: "I4", faults: LOSSES, devices: true },
  },
  {
    id: "adder-left-introduces",
    what: "who added somebody and left introduces them to nobody",
    how: [
      {
        file: "packages/protocol/src/group-inbox.ts",
        from: 'signer === by && action.kind === "add" &&',
        to: 'signer === "" && action.kind === "add" &&',
      },
    ],
    killer: { seed: 15, invariant: "I4", devices: true, admins: true },
  },
  {
    id: "new-pair-asks-nothing",
    what: "a pair that is new does not ask what was told before it was there",
    how: [
      {
        file: "packages/protocol/src/group.ts",
        from: "if (!met.includes(conversation)) askPair(draft, conversation);",
        to: "",
      },
    ],
    killer: { seed: 30, invariant: "I4", devices: true, admins: true },
  },
  {
    id: "void-addition-untold",
    what: "who was added by somebody without the right to is not told",
    how: [
      {
        file: "packages/protocol/src/group-end.ts",
        from: "return fresh.length > 0 ? fresh : endsOf(log, by, seen);",
        to: "return [];",
      },
    ],
    killer: {
      file: "packages/protocol/test/group-end.test.ts",
      test: "tells who was removed once and added again in vain",
    },
  },
  {
    id: "own-turn-untold",
    what: "own devices are not told that the account is in the group again",
    how: [
      {
        file: "packages/protocol/src/group-inbox.ts",
        from: "if (groupPeer(draft)?.member !== wasMember) tellOwnOfTurn",
        to: "if (wasMember && groupPeer(draft)?.member === false) tellOwnOfTurn",
      },
    ],
    killer: {
      file: "packages/protocol/test/groups.test.ts",
      test: "tell each other that the account is in the group again",
    },
  },
  {
    id: "own-never-presented",
    what: "own devices that nobody introduced to a member are not introduced by the others",
    how: [
      {
        file: "packages/protocol/src/group.ts",
        from: "if (before.sequence === 0) presentTo",
        to: "if (before.sequence < 0) presentTo",
      },
    ],
    killer: { seed: 120, invariant: "I4", devices: true, admins: true },
  },
  {
    id: "former-members-introduce",
    what: "who was an admin once may introduce people, and say how to reach them, for good",
    how: [
      {
        file: "packages/protocol/src/group-inbox.ts",
        from: 'const former = right === "added";',
        to: "const former = right === undefined;",
      },
    ],
    killer: {
      file: "packages/protocol/test/groups.test.ts",
      test: "are introduced by who added one of them and left",
    },
  },
  {
    id: "unknown-group-asked-for",
    what: "a group that does not begin here is asked for at every word about it",
    how: [
      {
        file: "packages/protocol/src/group-pairs.ts",
        from: "REPAIR_PATIENCE_MS * 2 ** groupQuestions",
        to: "REPAIR_PATIENCE_MS * 2 ** (0 * groupQuestions)",
      },
    ],
    killer: {
      file: "packages/protocol/test/groups.test.ts",
      test: "of questions about a group that does not begin here",
    },
  },
  {
    id: "spares-never-end",
    what: "the secrets behind bundles that were replaced are kept for good",
    how: [
      {
        file: REPAIR,
        from: "return now < newer.madeAt + SPARE_KEPT_MS;",
        to: "return now < newer.madeAt + 1e15;",
      },
    ],
    killer: {
      file: "packages/protocol/test/repair.test.ts",
      test: "end SPARE_KEPT_MS after a newer bundle",
    },
  },
  {
    id: "nameless-never-presented",
    what: "who is added to a group before the name has come is introduced to nobody",
    how: [
      {
        file: "packages/protocol/src/group-pairs.ts",
        from: "if (openPeer(draft) === undefined || hexToBytes(group) === undefined) return;",
        to: 'if ((openPeer(draft)?.contact.name ?? "") === "" || group === "") return;',
      },
    ],
    killer: { seed: 8074, invariant: "I4", devices: true, admins: true },
  },
  // What only a large group shows, whose chains go on, and sizes.
  {
    id: "skipped-chain-key-kept",
    what: "the key of a group's message that was overtaken is kept after it has come",
    how: [
      {
        file: SENDERS,
        from: "    const skipped = chain.skipped.filter((one) => one !== kept);",
        to: "    const { skipped } = chain;",
      },
    ],
    killer: { invariant: "I6", faults: LARGE_GROUP, devices: true },
  },
  {
    id: "group-chain-stands-still",
    what: "a group's chain is stored as it was before the message that it sealed",
    how: [
      {
        file: "packages/protocol/src/group-outbox.ts",
        from: "    setChain(draft, sealed.chain);",
        to: "    setChain(draft, chain);",
      },
    ],
    killer: { invariant: "I5", faults: LARGE_GROUP, devices: true },
  },
  {
    id: "chain-outlives-removal",
    what: "a large group's chain goes on after somebody was taken out",
    how: [
      {
        file: SENDERS,
        from: '  if (chain.turnovers !== log.turnovers) return "membership";',
        to: '  if (chain.turnovers !== log.turnovers && chain.next === 0) return "membership";',
      },
    ],
    killer: { invariant: "I7", faults: { ...LARGE_GROUP, liarMean: 3_000 }, devices: true },
  },
  {
    id: "body-not-filled",
    what: "the body of a message is as long as what is in it",
    how: [
      {
        file: "packages/crypto/src/body.ts",
        from: "  return bucket - around;",
        to: "  return BODY_PREFIX_BYTES + contentBytes + frameBytes;",
      },
    ],
    killer: { invariant: "I10", faults: CALM },
  },
  // What only people who lie, disks that rot and other versions show.
  {
    id: "introductions-unlimited",
    what: "a member's introductions of people who are not in the group are all kept",
    how: [
      {
        file: "packages/protocol/src/group-inbox.ts",
        from: "[...row.introductions, { by, content }].slice(-INTRODUCTIONS_MAX)",
        to: "[...row.introductions, { by, content }]",
      },
    ],
    killer: { seed: 2, invariant: "I8", faults: LIARS, devices: true },
  },
  {
    id: "flooded-left-behind",
    what: "of what a member flooded others with, what is too much is refused whoever brings it, and what stands on it and is no cut",
    how: [
      {
        file: "packages/crypto/src/membership-strays.ts",
        from: "if (by === undefined || member === undefined) return false;",
        to: "if (by === undefined || member !== undefined) return false;",
      },
    ],
    killer: {
      file: "packages/crypto/test/membership.test.ts",
      test: "one more is taken once another member brings it",
    },
  },
  {
    id: "contact-writes-history",
    what: "a contact may bring texts of before as an own device does",
    how: [
      {
        file: INBOX,
        from: '    case "contact":\n    case "carried":',
        to: '    case "carried":\n      if (content.content.kind === "text") showContent(draft, content.content, source.path);\n      return;\n    case "contact":',
      },
    ],
    killer: { invariant: "I2", faults: MALICE },
  },
  {
    id: "rotten-text-sent",
    what: "a text that has changed on the disk is sealed and sent as it is now",
    how: [
      {
        file: "packages/storage/src/rows.ts",
        from: "  saysItsMessage(row);",
        to: "  row.conversation.length > 0;",
      },
    ],
    killer: { invariant: "I2", faults: { ...CALM, clientCrashMean: 2_000, rowRot: 1 } },
  },
  {
    id: "rotten-session-stays",
    what: "what no session opens is no sign that one is damaged",
    how: [
      {
        file: REPAIR,
        from: "  if (draft.live.unopenedAt !== undefined) return;",
        to: "  if (draft.live.unopenedAt !== undefined || !draft.known) return;",
      },
    ],
    killer: { invariant: "I4", faults: { ...CALM, clientCrashMean: 2_000, rowRot: 1 } },
  },
  {
    id: "unread-is-confirmed",
    what: "a content of a kind that this version does not know is confirmed, and so never comes again",
    how: [
      {
        file: INBOX,
        from: '    remember(draft, mark, NO_CONTENT_ID);\n    drop(draft, "malformed");',
        to: '    oweReceipt(draft, said.content.slice(1, 17), source.path);\n    drop(draft, "malformed");',
      },
    ],
    killer: { invariant: "I1", faults: { ...CALM, olderApp: 1 } },
  },
  {
    id: "stray-waits-for-ever",
    what: "what looks like a group's message, and no group takes, waits in the store",
    how: [
      {
        file: "packages/protocol/src/route.ts",
        from: '  return { kind: "to", id: found ?? post.pair };',
        to: '  return found === undefined ? { kind: "waits" } : { kind: "to", id: found };',
      },
    ],
    killer: { invariant: "I4", faults: { ...CALM, evilForge: 0.5 } },
  },
  {
    id: "undecided-is-a-refusal",
    what: "a question that was let go after its time is taken for answered with no",
    how: [
      {
        file: REPAIR,
        from: "    peer = changePeer(draft, peer, { change: undefined });",
        to: "    rejectChange(draft, peer);\n    return;",
      },
    ],
    killer: {
      invariant: "I12",
      faults: { ...CALM, identityChangeMean: 8_000, clockJumpMean: 1_500 },
    },
  },
  {
    id: "throws-at-garbage",
    what: "a group's message that cannot be read ends the step that was given it",
    how: [
      {
        file: INBOX,
        from: '    drop(draft, decoded.ok ? "unexpected" : "malformed");',
        to: '    if (!decoded.ok) throw new RangeError(decoded.reason);\n    drop(draft, "unexpected");',
      },
    ],
    killer: { invariant: "I19", faults: { ...CALM, evilForge: 0.5 } },
  },
  ...LAYER_BUGS,
];
