/**
 * Deliberate bugs in the layers that the simulation runs on: handshake, post-quantum ratchet, device lists, groups,
 * files and engines. It runs all of them with a stub suite or not at all, so tests of each layer have to see them.
 */
import type { Entry } from "./catalogue.ts";

const HANDSHAKE = "packages/crypto/src/handshake.ts";
const KEM_RATCHET = "packages/crypto/src/kem-ratchet.ts";
const ERASURE = "packages/crypto/src/erasure.ts";
const LISTS = "packages/crypto/src/device-list.ts";
const FOLD = "packages/crypto/src/membership-fold.ts";
const CUTS = "packages/crypto/src/membership-cuts.ts";
const LOG = "packages/crypto/src/membership.ts";
const SENDERS = "packages/crypto/src/sender-chain.ts";
const FILES = "packages/crypto/src/file-stream.ts";
const DEVICES = "packages/protocol/src/devices.ts";
const OUTBOX = "packages/protocol/src/outbox.ts";
const INBOX = "packages/protocol/src/inbox.ts";
const CONVERSATION = "packages/protocol/src/conversation.ts";
const WAYS = "packages/protocol/src/ways.ts";
const GROUP = "packages/protocol/src/group.ts";
const GROUP_PAIRS = "packages/protocol/src/group-pairs.ts";
const GROUP_INBOX = "packages/protocol/src/group-inbox.ts";
const ROUTE = "packages/protocol/src/route.ts";
const GUARDS_TEST = "packages/protocol/test/group-guards.test.ts";
const GROUPS_TEST = "packages/protocol/test/groups.test.ts";
const RELAYS_TEST = "packages/protocol/test/relays.test.ts";
const CHOOSE = "packages/engines/src/choose.ts";
const SYMMETRIC = "packages/engines/src/kernels/symmetric.ts";
const X25519 = "packages/engines/src/kernels/x25519.ts";
const ML_KEM = "packages/engines/src/kernels/ml-kem.ts";

/** One place, and one test that has to see it. */
const bug = (
  id: string,
  what: string,
  [file, from, to]: readonly [file: string, from: string, to: string],
  killer: readonly [file: string, test: string],
): Entry => ({
  id,
  what,
  how: [{ file, from, to }],
  killer: { file: killer[0], test: killer[1] },
});

export const LAYER_BUGS: readonly Entry[] = [
  // What records and groups refuse of each other.
  bug(
    "group-of-stranger-shown",
    "somebody known from another group alone shows a person a group of theirs",
    [
      ROUTE,
      "const isOfStranger = slices.get(row.from)?.conversation?.listed === false;",
      "const isOfStranger = false;",
    ],
    [GROUPS_TEST, "is not shown to whom it brings in"],
  ),
  bug(
    "groups-of-all-counted-together",
    "one contact's groups take the room of everybody else's",
    [ROUTE, "if (!conversation.devices.introducers.includes(by)) continue;", ""],
    [GROUPS_TEST, "has room for those of any other"],
  ),
  bug(
    "stray-goes-round-each-time",
    "what no group opens makes a step of each group, every time",
    [
      GROUP_PAIRS,
      "if (what.again || isWithin(draft.live.strayAt, draft.env.now, REPAIR_PAUSE_MS)) {",
      "if (what.again) {",
    ],
    [GROUPS_TEST, "a message that no group opens costs no steps"],
  ),
  bug(
    "stray-goes-to-any-group",
    "a message goes to a group whose chain did not seal it",
    [
      ROUTE,
      "if (sender !== undefined && (await isFromSender(sender, envelope.value, crypto))) {",
      "if (sender !== undefined) {",
    ],
    [GROUPS_TEST, "a message that no group opens costs no steps"],
  ),
  bug(
    "group-in-place-keeps-chains",
    "a group that takes another one's place opens messages by its chains",
    [GROUP, "putSender(draft, { ...row, sender: undefined, held: [] });", "putSender(draft, row);"],
    [GROUPS_TEST, "that this device has never been in, the newest"],
  ),
  bug(
    "strangers-lists-make-queues",
    "every device in the list of somebody met in a group gets a queue, though none has answered",
    [WAYS, "isTextHeld(draft) || isUnmet(draft) ? []", "isTextHeld(draft) ? []"],
    [GUARDS_TEST, "has one queue here until one of their devices has answered"],
  ),
  bug(
    "strangers-pairs-uncounted",
    "people met in groups take all queues that a relay has for this device",
    [
      ROUTE,
      "hasShare(tellers, teller, STRANGER_PAIRS_MAX) ?",
      'row.to !== "" || pairs.length === 0 ?',
    ],
    [GUARDS_TEST, "has one queue here until one of their devices has answered"],
  ),
  bug(
    "group-told-to-outsiders",
    "whoever asks is told of a group, also who is no member",
    [GROUP_INBOX, "if (log?.state.members.has(account) !== true) {", "if (log === undefined) {"],
    [GUARDS_TEST, "is told nothing of it when their account is no member"],
  ),
  bug(
    "group-sealed-for-usurper",
    "a group seals for an account in whose place somebody else answers",
    [
      GROUP_PAIRS,
      "peer.change !== undefined || isTextHeld(draft)) return [];",
      "isTextHeld(draft)) return [];",
    ],
    [GUARDS_TEST, "while somebody else answers in its place"],
  ),
  bug(
    "group-member-list-unverified",
    "devices of somebody met in a group are those that anybody wrote down",
    [
      GROUP_PAIRS,
      "list !== undefined && (await verifyDeviceList(list, cert.rootKey, crypto))",
      "list !== undefined",
    ],
    [GUARDS_TEST, "is known by no list and no certificate"],
  ),
  // Handshake.
  bug(
    "hello-cert-unchecked",
    "the certificate in a HELLO is taken as it is",
    [HANDSHAKE, "  if (!isSigned) return undefined;\n  const transcript", "  const transcript"],
    ["packages/crypto/test/handshake.test.ts", "whose root key did not sign its certificate"],
  ),
  bug(
    "hello-key-exchanged-unchecked",
    "the DH key in a HELLO's certificate is used before anybody looked at it",
    [HANDSHAKE, "  if (!isExchangeKey(cert.dhKey)) return undefined;\n", ""],
    ["packages/crypto/test/handshake.test.ts", "signed itself an unusable DH key"],
  ),
  bug(
    "bundle-unverified",
    "a session begins with a bundle whose signatures nobody looked at",
    [HANDSHAKE, "  if (!isSigned) return undefined;\n  const { ciphertext", "  const { ciphertext"],
    ["packages/crypto/test/handshake.test.ts", "a bundle that does not verify"],
  ),
  bug(
    "one-time-id-unchecked",
    "a HELLO need not say which one-time key it was made with",
    [
      HANDSHAKE,
      "    hello.oneTimePrekeyId !==\n      (secrets.oneTimeSecret === undefined ? NO_PREKEY_ID : secrets.oneTimeId) ||\n",
      "",
    ],
    ["packages/crypto/test/handshake.test.ts", "names another one-time key"],
  ),
  bug(
    "one-time-exchange-left-out",
    "the one-time key counts for nothing in the first root key",
    [HANDSHAKE, "concatBytes(dhStatic, dhOneTime ?? new Uint8Array(0))", "dhStatic"],
    ["packages/crypto/test/vectors.test.ts", "accepted by today's code"],
  ),
  bug(
    "opening-not-in-transcript",
    "the transcript leaves out what the handshake was opened with",
    [HANDSHAKE, "      bundleHash,\n      opening,\n    ),", "      bundleHash,\n    ),"],
    ["packages/crypto/test/vectors.test.ts", "accepted by today's code"],
  ),
  bug(
    "handshake-label-twice",
    "both derivations of the handshake have one label",
    [HANDSHAKE, "utf8ToBytes(LABELS.handshakeIdentity)", "utf8ToBytes(LABELS.handshakeRoot)"],
    ["packages/crypto/test/vectors.test.ts", "accepted by today's code"],
  ),
  bug(
    "signal-keys-equal",
    "both sides seal signals under one key",
    [HANDSHAKE, "responderSignalKey: part(5)", "responderSignalKey: part(4)"],
    ["packages/crypto/test/signal.test.ts", "does not open at its own sender"],
  ),
  // Post-quantum ratchet.
  bug(
    "kem-epoch-unchecked",
    "pieces of an exchange that is over count for the next one",
    [KEM_RATCHET, "  if (frame.epoch !== nextEpoch(kem.epoch)) return kem;\n", ""],
    ["packages/crypto/test/kem-ratchet.test.ts", "an exchange"],
  ),
  bug(
    "kem-symbol-twice",
    "a piece that comes twice counts as two",
    [
      KEM_RATCHET,
      "if (!all.some((one) => one.index === symbol.index)) all.push(symbol);",
      "all.push(symbol);",
    ],
    ["packages/crypto/test/kem-ratchet.test.ts", "with repetitions and others in between"],
  ),
  bug(
    "kem-key-unchecked",
    "whatever the pieces give is taken for a key of ML-KEM",
    [KEM_RATCHET, "if (!isKemKey(key)) return", "if (key.length === 0) return"],
    ["packages/crypto/test/kem-ratchet.test.ts", "sends a key that is none"],
  ),
  bug(
    "kem-epoch-skipped",
    "a header may claim a secret of an exchange that was not yet",
    [KEM_RATCHET, "epoch !== nextEpoch(kem.epoch) || kem.step", "epoch < kem.epoch || kem.step"],
    ["packages/crypto/test/kem-ratchet.test.ts", "cannot be claimed, skipped or undone"],
  ),
  bug(
    "kem-whole-late",
    "a key goes in one piece after 51 messages",
    [KEM_RATCHET, "sinceWhole >= WHOLE_MESSAGES_MIN", "sinceWhole > WHOLE_MESSAGES_MIN"],
    ["packages/crypto/test/kem-ratchet.test.ts", "may be whole after fifty messages"],
  ),
  bug(
    "kem-symbol-beyond-last",
    "a frame may go one index past the last",
    [KEM_RATCHET, "|| first + count > SYMBOLS_MAX)", "|| first + count > SYMBOLS_MAX + 1)"],
    ["packages/crypto/test/kem-ratchet.test.ts", "impossible symbols"],
  ),
  bug(
    "erasure-log-wraps-wrong",
    "logarithms of the field go round at 256",
    [ERASURE, "log < 0 ? log + 255 : log", "log < 0 ? log + 256 : log"],
    ["packages/crypto/test/erasure.test.ts", "from any k different symbols"],
  ),
  // Device lists.
  bug(
    "device-by-two-of-three",
    "a listed device may come with another exchange key",
    [LISTS, " && equalBytes(a.dhKey, b.dhKey);", ";"],
    ["packages/crypto/test/device-list.test.ts", "is not current by its id alone"],
  ),
  bug(
    "device-limit-one-more",
    "a list of seventeen devices is sound",
    [LISTS, "devices.length > DEVICES_MAX ||", "devices.length > DEVICES_MAX + 1 ||"],
    ["packages/crypto/test/device-list.test.ts", "are sixteen devices at one time"],
  ),
  bug(
    "removed-device-revived",
    "a device that was removed can be added again",
    [
      LISTS,
      "  const ever = [...list.devices, ...list.removed];\n  const added",
      "  const ever = [...list.devices];\n  const added",
    ],
    ["packages/crypto/test/device-list.test.ts", "never takes back an id or a key"],
  ),
  bug(
    "fork-behind-a-gap",
    "two histories are seen only in the list that is next",
    [
      LISTS,
      "if (!canFollow(before, list)) return",
      "if (before === reached && !canFollow(before, list)) return",
    ],
    ["packages/crypto/test/device-list.test.ts", "known, newer or older"],
  ),
  bug(
    "removal-by-anybody",
    "who removes a device need not have the account's root secret",
    [
      LISTS,
      '  if (!(await isRootOf(list, rootSecret, env.crypto))) return refused("wrong-root");\n  const device',
      "  const device",
    ],
    ["packages/crypto/test/device-list.test.ts", "without the account's own root secret"],
  ),
  bug(
    "mark-of-before-unjudged",
    "another list in the place of the one before the known is no fork",
    [
      LISTS,
      "return version === known.version - 1 ? known.previous : undefined;",
      "return undefined;",
    ],
    ["packages/crypto/test/device-list.test.ts", "known version or the one before"],
  ),
  bug(
    "listed-keys-unchecked",
    "a list may hold keys that nobody may use",
    [
      LISTS,
      "({ signingKey, dhKey }) => isSigningKey(signingKey) && isExchangeKey(dhKey),",
      "({ signingKey, dhKey }) => signingKey.length === dhKey.length,",
    ],
    ["packages/crypto/test/device-list.test.ts", "when it is not sound"],
  ),
  bug(
    "stale-list-continued",
    "who came back from the phrase goes on from whatever list a contact brings",
    [
      DEVICES,
      "  if (isNotes(draft) && !isCurrent(list, draft.self.cert)) {",
      "  if (isNotes(draft) && list.devices.length === 0) {",
    ],
    ["packages/protocol/test/devices.test.ts", "none that was removed comes back"],
  ),
  bug(
    "second-history-by-invite",
    "who came back from the phrase signs a first list beside that of the device which takes its invite",
    [
      INBOX,
      "const lists = accepted.mark.version === 0 || self.devices.lists.length > 0;",
      "const lists = true;",
    ],
    ["packages/protocol/test/devices.test.ts", "begins no history beside it"],
  ),
  bug(
    "unlisted-linked",
    "a device that was removed gets what own devices get when it takes another invite",
    [
      DEVICES,
      '      drop(draft, "unlisted");\n      return;\n',
      "      changeOwnDevices(draft, { links: [{ device: nameOf(cert), conversation: conversation.id }] });\n      return;\n",
    ],
    ["packages/protocol/test/devices.test.ts", "is not linked again by an invite"],
  ),
  bug(
    "lists-verified-again",
    "every list behind a gap verifies all that wait there once more",
    [
      DEVICES,
      "followList(known, [list], draft.env.crypto, later)",
      "followList(known, [...later, list], draft.env.crypto)",
    ],
    ["packages/protocol/test/devices.test.ts", "are the newest LATER_LISTS_MAX"],
  ),
  bug(
    "undecided-is-rejected",
    "a question that nobody answered in time is never asked again",
    [
      "packages/protocol/src/repair.ts",
      "peer = changePeer(draft, peer, { change: undefined });",
      "rejectChange(draft, peer);\n    return;",
    ],
    ["packages/protocol/test/repair.test.ts", "what comes again asks again"],
  ),
  bug(
    "pin-forgotten",
    "the first list need not fit the mark that was seen before it",
    [
      DEVICES,
      "if (pinned !== undefined && !agrees(list, pinned)) {",
      "if (pinned !== undefined && pinned.version === 0) {",
    ],
    ["packages/protocol/test/devices.test.ts", "does not fit the mark that was seen before it"],
  ),
  bug(
    "fork-closed-unverified",
    "a verified contact that showed two lists is trusted again without comparing",
    [DEVICES, "  if (peer.contact.verified && !compared) {", "  if (peer.retired && !compared) {"],
    ["packages/protocol/test/devices.test.ts", "until the numbers were compared"],
  ),
  bug(
    "later-lists-unlimited",
    "any number of lists is kept until those between have come",
    [DEVICES, "\n    .slice(-LATER_LISTS_MAX);", ";"],
    ["packages/protocol/test/devices.test.ts", "are the newest LATER_LISTS_MAX"],
  ),
  bug(
    "behind-forgotten",
    "one newer list is enough, however many are known to follow",
    [
      DEVICES,
      "    behind: isBehind ? devices.behind : undefined,",
      "    behind: isBehind ? undefined : undefined,",
    ],
    ["packages/protocol/test/devices.test.ts", "until the newest that was shown"],
  ),
  // Membership.
  bug(
    "heir-is-the-newest",
    "a group without admins falls to who came last",
    [FOLD, "  one.since < other.since ||", "  one.since > other.since ||"],
    ["packages/crypto/test/membership-fold.test.ts", "pass to who has been there longest"],
  ),
  bug(
    "promotion-outlives-demotion",
    "a promotion beside a demotion holds",
    [FOLD, "const ends = [...removes, ...demotes];", "const ends = [...removes];"],
    ["packages/crypto/test/membership-fold.test.ts", "remove and demote beat promote"],
  ),
  bug(
    "looser-policy-holds",
    "of two policies beside each other the looser holds",
    [FOLD, "const open = last.every((index)", "const open = last.some((index)"],
    ["packages/crypto/test/membership-fold.test.ts", "policies that differ beside each other"],
  ),
  bug(
    "members-one-more",
    "a full group takes one more",
    [FOLD, 'members.size >= MEMBERS_MAX ? "too', 'members.size > MEMBERS_MAX ? "too'],
    ["packages/crypto/test/membership-fold.test.ts", "is at most 1,000"],
  ),
  bug(
    "revoked-device-acts",
    "a revoked device goes on acting for its account",
    [
      FOLD,
      "member === undefined || state.revoked.has(deviceKey(actor.account, actor.device))",
      "member === undefined",
    ],
    ["packages/crypto/test/membership.test.ts", "a revoked one does not"],
  ),
  bug(
    "ancestor-bits-overlap",
    "of 32 operations in a word half share a bit with another",
    [CUTS, "const bit = 1 << index;", "const bit = 1 << (index & 15);"],
    ["packages/crypto/test/membership-fold.test.ts", "are told apart among hundreds"],
  ),
  bug(
    "circle-voids-itself",
    "removals in a circle take each other's effect",
    [CUTS, "return (index) => hasBit(effective, index);", "return (index) => !isVoid(index);"],
    ["packages/crypto/test/membership-fold.test.ts", "removals in a circle"],
  ),
  bug(
    "lamport-unchecked",
    "an operation may say any age",
    [LOG, "op.lamport !== 1 + highestLamport(log, op.parents)", "op.lamport < 1"],
    ["packages/crypto/test/membership.test.ts", "a wrong lamport"],
  ),
  bug(
    "held-one-more",
    "one account may have 65 operations held",
    [
      LOG,
      "ofAccount.length >= HELD_OPS_PER_ACCOUNT_MAX",
      "ofAccount.length > HELD_OPS_PER_ACCOUNT_MAX",
    ],
    ["packages/crypto/test/membership.test.ts", "is at most 64 by one account"],
  ),
  bug(
    "awaited-by-whole-id",
    "a head that a message named by its first bytes is awaited for ever",
    [
      LOG,
      "prefixes.filter((prefix) => !id.startsWith(prefix))",
      "prefixes.filter((prefix) => id !== prefix)",
    ],
    ["packages/crypto/test/membership.test.ts", "are awaited until they have come"],
  ),
  bug(
    "judged-by-all",
    "an operation is judged by what stands beside it, too",
    [LOG, "namesAll(counted.log, parents) ? folded", "true ? folded"],
    ["packages/crypto/test/membership.test.ts", "is judged by what it names"],
  ),
  bug(
    "cert-of-small-order",
    "a certificate's keys may be of small order",
    [LOG, "  isSigningKey(cert.signingKey) &&\n  isExchangeKey(cert.dhKey) &&\n", ""],
    ["packages/crypto/test/membership.test.ts", "whose key is of small order"],
  ),
  bug(
    "topics-stay",
    "new topics are asked for and chains stay",
    [
      LOG,
      '(isCut(op.action) || op.action.kind === "rotateTopic" ? 1 : 0)',
      "(isCut(op.action) ? 1 : 0)",
    ],
    ["packages/crypto/test/sender-chain.test.ts", "and on demand"],
  ),
  // Sender chains.
  bug(
    "group-signature-unchecked",
    "whoever has a chain may write in its owner's name",
    [SENDERS, '  if (!isGenuine) return { ok: false, reason: "bad-signature" };\n', ""],
    ["packages/crypto/test/sender-chain.test.ts", "cannot seal in another's name"],
  ),
  bug(
    "group-key-kept",
    "the key of a late message stays after its use",
    [SENDERS, "chain.skipped.filter((one) => one !== kept)", "[...chain.skipped]"],
    ["packages/crypto/test/sender-chain.test.ts", "open each message that comes exactly once"],
  ),
  bug(
    "group-jump-one-less",
    "2,000 skipped numbers are one too many",
    [SENDERS, "n - chain.next > JUMP_MAX", "n - chain.next >= JUMP_MAX"],
    ["packages/crypto/test/sender-chain.test.ts", "skip at most 2,000 numbers"],
  ),
  bug(
    "chain-a-day-and-more",
    "a chain of exactly a day is used once more",
    [SENDERS, "now - chain.begunAt >= CHAIN_AGE_MS_MAX", "now - chain.begunAt > CHAIN_AGE_MS_MAX"],
    ["packages/crypto/test/sender-chain.test.ts", "a chain ends after 500 messages or a day"],
  ),
  bug(
    "record-taken-again",
    "a record that comes again puts a chain back",
    [
      SENDERS,
      "  if (sender.chains.some(({ chainId }) => equalBytes(chainId, record.chainId))) return sender;\n",
      "",
    ],
    ["packages/crypto/test/sender-chain.test.ts", "find messages of the last 64 chains"],
  ),
  bug(
    "removed-member-read",
    "what a removed member writes opens",
    [
      SENDERS,
      "if (!isMemberDevice(log.state, sender.account, sender.device)) {",
      "if (sender.account.length === 0) {",
    ],
    ["packages/crypto/test/sender-chain.test.ts", "nothing opens from who is no member"],
  ),
  bug(
    "chain-goes-on-past-its-end",
    "messages behind the last one open",
    [
      SENDERS,
      '  if (chain.end !== undefined && n >= chain.end) return { ok: false, reason: "malformed" };\n',
      "",
    ],
    [
      "packages/crypto/test/sender-chain.test.ts",
      "ends no chain with a message that others came after",
    ],
  ),
  // Files.
  bug(
    "last-chunk-unflagged",
    "the nonce of the last chunk is as all others",
    [FILES, ".u8(isLast ? 1 : 0)", ".u8(isLast ? 0 : 0)"],
    ["packages/crypto/test/file-stream.test.ts", "flags the last chunk alone"],
  ),
  bug(
    "padding-unread",
    "anything may stand behind the end of a file",
    [FILES, "if (!isZero(plaintext.subarray(end))) return", "if (end > plaintext.length) return"],
    ["packages/crypto/test/file-stream.test.ts", "puts anything behind the end of the file"],
  ),
  bug(
    "leaf-as-node",
    "leaves and inner nodes of the tree have one label",
    [FILES, "labelled(LABELS.fileChunk, sealed)", "labelled(LABELS.fileNode, sealed)"],
    ["packages/crypto/test/file-stream.test.ts", "pass an inner node"],
  ),
  bug(
    "cut-file-is-whole",
    "a file that ends early is whole",
    [
      FILES,
      "return opening.next === chunks ?",
      "return opening.next > 0 && opening.next <= chunks ?",
    ],
    ["packages/crypto/test/file-stream.test.ts", "is whole only after its last chunk"],
  ),
  bug(
    "proof-too-long",
    "a proof may have more hashes than it takes",
    [
      FILES,
      "return used === proof.length ? hash : undefined;",
      "return used <= proof.length ? hash : undefined;",
    ],
    ["packages/crypto/test/file-stream.test.ts", "changes a proof is refused"],
  ),
  bug(
    "odd-leaf-doubled",
    "the last of an odd number is its own sibling",
    [
      FILES,
      "right.length === 0 ? left : nodeOf(left, right)",
      "nodeOf(left, right.length === 0 ? left : right)",
    ],
    ["packages/crypto/test/file-vectors.test.ts", "today's code makes the frozen bytes"],
  ),
  bug(
    "chunk-behind-the-last",
    "there is a chunk behind the last",
    [FILES, "index >= 0 && index < count", "index >= 0 && index <= count"],
    ["packages/crypto/test/file-stream.test.ts", "puts something behind the end is refused"],
  ),
  // Engines and kernels.
  bug(
    "kernel-keeps-plaintext",
    "what was opened stays in the kernel's memory",
    [SYMMETRIC, "        wipe(aad.length, length);\n", ""],
    ["packages/engines/test/kernel.test.ts", "keeps nothing of what was sealed"],
  ),
  bug(
    "kernel-keeps-digest",
    "a digest stays in the kernel's memory",
    [SYMMETRIC, "        memory.fill(0, DIGEST_AT, DIGEST_AT + 32);\n", ""],
    ["packages/engines/test/kernel.test.ts", "keeps nothing of what was sealed"],
  ),
  bug(
    "kernel-opens-unauthenticated",
    "the kernel decrypts what its tag does not fit",
    [
      SYMMETRIC,
      "if (authenticate(aad.length, length) === 0) {",
      "if (authenticate(aad.length, length) >= 0) {",
    ],
    ["packages/engines/test/kernel.test.ts", "never decrypts what it refuses"],
  ),
  bug(
    "kernel-aad-unaligned",
    "the text begins where the associated data ends",
    [SYMMETRIC, "COVERED_AT + ((aad.length + 15) & ~15)", "COVERED_AT + aad.length"],
    ["packages/engines/test/engines.test.ts", "random cases of seal"],
  ),
  bug(
    "kernel-keeps-exchange",
    "a shared secret stays in the kernel's memory",
    [X25519, "      memory.fill(0, RESULT_AT, RESULT_AT + 32);\n", ""],
    ["packages/engines/test/kernel.test.ts", "holds nothing of the secret"],
  ),
  bug(
    "kernel-keeps-kem-secret",
    "results of ML-KEM stay in the kernel's memory",
    [ML_KEM, "      memory.fill(0, at, at + length);\n", ""],
    ["packages/engines/test/kernel.test.ts", "keeps nothing of a key"],
  ),
  bug(
    "faulty-engine-stays",
    "an engine that fails is asked for ever",
    [CHOOSE, "failed.failures === ENGINE_FAILURES_MAX", "failed.failures < 0"],
    ["packages/engines/test/choose.test.ts", "ends with the engine after"],
  ),
  bug(
    "noble-dismissed",
    "the last resort is dismissed after failures as all others",
    [CHOOSE, "  if (isNoble(failed)) return;\n", ""],
    ["packages/engines/test/choose.test.ts", "and noble stays"],
  ),
  bug(
    "failed-while-timed-stays",
    "an engine that fails while it is timed may be chosen",
    [CHOOSE, '      .filter((one) => one.verdict === "correct" || isNoble(one))\n', ""],
    ["packages/engines/test/choose.test.ts", "fails while it is timed"],
  ),
  bug(
    "tag-forgotten-in-length",
    "whether a sealed text is short is asked with its tag",
    [CHOOSE, "sealed.length < SMALL_BYTES + TAG_BYTES", "sealed.length < SMALL_BYTES"],
    ["packages/engines/test/choose.test.ts", "texts below SMALL_BYTES"],
  ),
  bug(
    "chosen-twice",
    "engines are tried out again at each call",
    [CHOOSE, "(choosing ??= tryOut())", "(choosing = tryOut())"],
    ["packages/engines/test/choose.test.ts", "is made once"],
  ),
  // Several relays.
  bug(
    "copy-never-sent",
    "what one relay took and nobody confirmed is given to no other",
    [
      OUTBOX,
      "conversation, env, live }: Draft, row: OutboxRow): Instant | undefined {\n",
      "conversation, env, live }: Draft, row: OutboxRow): Instant | undefined {\n  if (row.relayedAt !== undefined) return undefined;\n",
    ],
    [RELAYS_TEST, "goes out COPY_AFTER_MS after one relay took"],
  ),
  bug(
    "lost-copy-stops-all",
    "a relay that does not take a copy holds up everything",
    [
      OUTBOX,
      "changeLive(draft, { copyRetryAt: draft.env.now + COPY_PAUSE_MS })",
      "changeLive(draft, { copyRetryAt: draft.env.now + COPY_PAUSE_MS, retryAt: draft.env.now + COPY_PAUSE_MS })",
    ],
    [RELAYS_TEST, "holds nothing else up"],
  ),
  bug(
    "later-addresses-ignored",
    "only the first introduction says where to write",
    [
      INBOX,
      "const isOlder = compareTimes(time, contact.addressedAt) < 0;",
      "const isOlder = compareTimes(time, contact.addressedAt) < 0 || contact.addresses.length > 0;",
    ],
    [RELAYS_TEST, "are told anew when another relay has made it"],
  ),
  bug(
    "name-makes-addresses-old",
    "an introduction that a newer name has overtaken no longer says where to write",
    [
      INBOX,
      "const isOlder = compareTimes(time, contact.addressedAt) < 0;",
      "const isOlder = compareTimes(time, contact.addressedAt) < 0 || !isNamed;",
    ],
    [RELAYS_TEST, "count by their own time"],
  ),
  bug(
    "second-relay-begins-repair",
    "the same envelope from a second relay is taken for a broken session",
    [
      INBOX,
      '  if (seen !== undefined) {\n    drop(draft, "duplicate");\n    oweReceipt(draft, seen.slice(MARK_BYTES), source.path);\n',
      '  if (seen !== undefined) {\n    drop(draft, "duplicate");\n    onUnopened(draft);\n    oweReceipt(draft, seen.slice(MARK_BYTES), source.path);\n',
    ],
    [RELAYS_TEST, "counts once in the same session"],
  ),
  bug(
    "left-relay-keeps-mail",
    "what lies at a relay that the other side has left is not sent to the one it reads at",
    [
      OUTBOX,
      "    if (row.relayedAt !== undefined) putOutbox(draft, { ...row, ...UNSENT });",
      "    if (row.relayedAt !== undefined) putOutbox(draft, row);",
    ],
    [RELAYS_TEST, "without an old one bring again at once"],
  ),
  bug(
    "second-relay-untold",
    "a relay that makes the queue later is kept to oneself",
    [
      CONVERSATION,
      "  if (!peer.retired) await introduceAgain(draft);\n",
      "  if (peer.retired) await introduceAgain(draft);\n",
    ],
    [RELAYS_TEST, "are told anew when another relay has made it"],
  ),
];
