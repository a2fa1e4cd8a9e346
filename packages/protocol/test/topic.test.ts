/** What says how things stand has room of its own, and only the newest of it waits (SPEC.md §6). */
import { createOwnDevice, nobleBackend } from "@sotto/crypto";
import { NOTICES_MAX, OUTBOX_MAX, WAYS_MAX } from "@sotto/protocol";
import {
  asAccountId,
  asContentId,
  asDeviceId,
  asGroupId,
  bytesToHex,
  type Content,
  decodeContent,
  type DeviceCert,
  encodeContent,
} from "@sotto/wire";
import { describe, expect, it } from "vitest";
import { entropy, messageId, paired, reasons, type Side, START } from "./fixture.ts";

const about = () => ({ id: asContentId(entropy(16)), time: { ms: START, counter: 0 } });

/** As another record of this device would have it sent. */
async function hand(side: Side, content: Content & { readonly id: Uint8Array }) {
  const id = side.slice.conversation?.id ?? "";
  const awaits = bytesToHex(content.id);
  const post = { kind: "send", awaits, content: encodeContent(content) } as const;
  return side.feed({ kind: "post", row: { id: messageId(), from: id, to: id, sequence: 1, post } });
}

const waiting = <Kind extends Content["kind"]>(side: Side, kind: Kind) =>
  side.slice.outbox
    .map(({ content }) => content && decodeContent(content))
    .flatMap((decoded) => (decoded?.ok === true ? [decoded.value] : []))
    .filter((content): content is Extract<Content, { kind: Kind }> => content.kind === kind);

const heads = (group: Uint8Array) =>
  ({ kind: "heads", ...about(), group: asGroupId(group), heads: [] }) as const;

async function away(): Promise<Side> {
  const { alice } = await paired();
  await alice.feed({ kind: "hub", up: false });
  return alice;
}

describe("beside as many texts as may wait", () => {
  it("the newest name is told, and lists are asked for", async () => {
    const alice = await away();
    for (let n = 0; n < OUTBOX_MAX; n++) {
      await alice.feed({ kind: "send-text", id: messageId(), text: "x" });
    }
    for (const name of ["Alice B.", "Alice C."]) {
      expect(reasons(await alice.feed({ kind: "rename", name }))).toEqual([]);
    }
    for (const since of [1, 2, 3]) await hand(alice, { kind: "request", ...about(), since });
    expect(waiting(alice, "profile").map(({ name }) => name)).toEqual(["Alice C."]);
    expect(waiting(alice, "request").map(({ since }) => since)).toEqual([3]);
    expect(waiting(alice, "text")).toHaveLength(OUTBOX_MAX);
  });

  it("NOTICES_MAX of them wait, and one more is refused; one that replaces another is not", async () => {
    const alice = await away();
    const group = entropy(32);
    await hand(alice, heads(group));
    const [row] = alice.slice.outbox;
    if (row === undefined) throw new Error("nothing waits");
    // As thousands of steps would have left them.
    const others = Array.from({ length: NOTICES_MAX - 2 }, (_, index) => {
      const content = heads(entropy(32));
      const awaits = bytesToHex(content.id);
      const sequence = row.sequence + 1 + index;
      return { ...row, id: messageId(), awaits, sequence, content: encodeContent(content) };
    });
    for (const one of others) alice.outbox.set(one.id, one);
    alice.slice = { ...alice.slice, outbox: [row, ...others] };
    expect(reasons(await hand(alice, heads(entropy(32))))).toEqual([]);
    expect(waiting(alice, "heads")).toHaveLength(NOTICES_MAX);
    expect(reasons(await hand(alice, heads(entropy(32))))).toEqual(["outbox-full"]);
    const again = heads(group);
    expect(reasons(await hand(alice, again))).toEqual([]);
    expect(waiting(alice, "heads")).toHaveLength(NOTICES_MAX);
    expect(waiting(alice, "heads").at(-1)?.id).toEqual(again.id);
    expect(reasons(await alice.feed({ kind: "send-text", id: messageId(), text: "x" }))).toEqual(
      [],
    );
  });
});

describe("ways to one device", () => {
  const target = { account: asAccountId(entropy(20)), device: asDeviceId(entropy(8)) };
  const way = (cert: DeviceCert) =>
    ({ kind: "offer", ...about(), ...target, cert, way: entropy(60) }) as const;

  it("made by one device: only the newest waits", async () => {
    const alice = await away();
    const { cert } = await createOwnDevice({ now: START, entropy, crypto: nobleBackend });
    await hand(alice, way(cert));
    const second = way(cert);
    await hand(alice, second);
    expect(waiting(alice, "offer").map(({ id }) => id)).toEqual([second.id]);
  });

  it("made in the name of one account are WAYS_MAX, and the oldest gives way to one more", async () => {
    const alice = await away();
    const { cert } = await createOwnDevice({ now: START, entropy, crypto: nobleBackend });
    const ways = Array.from({ length: WAYS_MAX + 1 }, () =>
      way({ ...cert, deviceId: asDeviceId(entropy(8)) }),
    );
    for (const one of ways.slice(0, WAYS_MAX)) await hand(alice, one);
    expect(waiting(alice, "offer").map(({ id }) => id)).toEqual(
      ways.slice(0, -1).map(({ id }) => id),
    );
    const [last] = ways.slice(-1);
    if (last !== undefined) await hand(alice, last);
    expect(waiting(alice, "offer").map(({ id }) => id)).toEqual(ways.slice(1).map(({ id }) => id));
    const other = await createOwnDevice({ now: START, entropy, crypto: nobleBackend });
    await hand(alice, way(other.cert));
    expect(waiting(alice, "offer")).toHaveLength(WAYS_MAX + 1);
  });
});
