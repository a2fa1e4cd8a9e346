/** Every peer carries a conversation: what the comparisons stand on. */
import { nobleBackend, nobleFileEngine } from "@sotto/crypto";
import { utf8ToBytes } from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { createLibsignalGroup, createMlsGroup } from "./group-peers.ts";
import { libsignal } from "./libsignal.ts";
import { createOlm } from "./olm.ts";
import type { Peer } from "./peer.ts";
import { privacyresearch } from "./privacyresearch.ts";
import { createSotto } from "./sotto.ts";

const peers: readonly Peer[] = [
  createSotto("Sotto", nobleBackend, nobleFileEngine),
  libsignal,
  await createOlm(),
  privacyresearch,
];

describe.each(peers)("$name", (peer) => {
  it("opens what its other side sealed, in turns, in rows and late", async () => {
    const acquaintance = await peer.acquaint();
    const { conversation, firstBytes } = await acquaintance.setUp(utf8ToBytes("first"));
    const { initiator, responder } = conversation;
    expect(firstBytes).toBeGreaterThan("first".length);
    for (let turn = 0; turn < 3; turn++) {
      for (const [from, to] of [
        [responder, initiator],
        [initiator, responder],
      ] as const) {
        const one = await from.seal(utf8ToBytes(`one ${turn}`));
        const two = await from.seal(utf8ToBytes(`two ${turn}`));
        expect(two.bytes).toBeGreaterThan(`two ${turn}`.length);
        expect(await to.open(two)).toEqual(utf8ToBytes(`two ${turn}`));
        expect(await to.open(one)).toEqual(utf8ToBytes(`one ${turn}`));
      }
    }
    conversation.end();
  });

  it("opens no message twice", async () => {
    const acquaintance = await peer.acquaint();
    const { conversation } = await acquaintance.setUp(utf8ToBytes("first"));
    const sealed = await conversation.responder.seal(utf8ToBytes("once"));
    await conversation.initiator.open(sealed);
    await expect(conversation.initiator.open(sealed)).rejects.toThrow();
    conversation.end();
  });
});

it("carries 64 KiB as a chunk of a file where a content may not be as long", async () => {
  const content = new Uint8Array(65_536).fill(0x61);
  const chunkers = peers.filter((peer) => "carryChunk" in peer);
  expect(chunkers.map(({ name }) => name)).toEqual(["Sotto"]);
  for (const peer of chunkers) expect(await peer.carryChunk?.(content)).toEqual(content);
});

it("carries a message of Signal's groups, and changes the members of an MLS group", async () => {
  const group = await createLibsignalGroup();
  const sealed = await group.seal(utf8ToBytes("to all"));
  expect(await group.open(sealed)).toEqual(utf8ToBytes("to all"));
  await expect(group.open(sealed)).rejects.toThrow();
  const [few, many] = [await createMlsGroup(3), await createMlsGroup(17)];
  expect(await many.removeOne()).toBeGreaterThan(await few.removeOne());
});
