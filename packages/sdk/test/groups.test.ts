/** A group over a real relay, through the loop alone: posts find their records, and a new process has everything. */
import { accountIdOf, deriveInviteKeys, sha256 } from "@sotto/crypto";
import type { Input, Store } from "@sotto/protocol";
import { createMemoryStore } from "@sotto/storage/memory";
import { createHub, realTimers } from "@sotto/transport";
import { bytesToHex, HUB_PATH, RELAY_PIN_BYTES } from "@sotto/wire";
import { startRelay } from "sotto-relay";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { restoreBackup, writeBackup } from "#src/backup.ts";
import { createDirectLinks } from "#src/direct-links.ts";
import { loadOrCreateSelf } from "#src/self.ts";
import { type Shell, startShell } from "#src/shell.ts";
import { nobleOnly } from "./support.ts";

let relay: Awaited<ReturnType<typeof startRelay>>;
const open = new Set<Shell>();
/** More than the two minutes after which a text is sealed anew. */
const WAIT_MS = 150_000;

beforeAll(async () => {
  relay = await startRelay({ port: 0 });
});
afterAll(() => relay.close());
afterEach(async () => {
  await Promise.all([...open].map((shell) => shell.close()));
  open.clear();
});

const entropy = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));
const newId = (): string => bytesToHex(entropy(16));

interface Person {
  readonly shell: Shell;
  readonly store: Store;
  /** Resolves with what `find` finds once it does. */
  until<T>(find: (shell: Shell) => T | undefined | Promise<T | undefined>): Promise<T>;
}

async function person(name: string, store = createMemoryStore()): Promise<Person> {
  const backend = nobleOnly();
  const self = await loadOrCreateSelf(
    store,
    { name },
    { entropy, crypto: backend, now: Date.now() },
    [relay.url],
  );
  const wakes = new Set<() => void>();
  const shell = await startShell({
    store,
    self,
    crypto: backend,
    entropy,
    now: Date.now,
    timers: realTimers,
    createHub: ({ relayKey, readerSecret }, events) =>
      createHub({
        url: relay.url.replace(/^http/, "ws") + HUB_PATH,
        relayKey,
        readerSecret,
        crypto: backend,
        entropy,
        events,
      }),
    createDirectLinks: (own) =>
      createDirectLinks({
        load: undefined,
        ice: { isPossible: () => Promise.resolve(false), reset: () => undefined },
        feed: (id, input) => own.drive(id, input),
        roundTrip: () => undefined,
        isWanted: () => false,
        timers: realTimers,
      }),
    changed: () => {
      for (const wake of wakes) wake();
    },
  });
  open.add(shell);
  shell.relays.start();
  if (shell.entries.size === 0) {
    const id = newId();
    await shell.begin(id, { kind: "start-notes", id });
  }
  return {
    shell,
    store,
    async until(find) {
      const end = Date.now() + WAIT_MS;
      for (;;) {
        const changed = new Promise<void>((resolve) => {
          const wake = (): void => {
            wakes.delete(wake);
            resolve();
          };
          wakes.add(wake);
        });
        const found = await find(shell);
        if (found !== undefined) return found;
        if (Date.now() > end) throw new Error(`${name}: not seen`);
        await Promise.race([changed, new Promise((resolve) => setTimeout(resolve, 1_000))]);
      }
    },
  };
}

async function meet(inviter: Person, invitee: Person): Promise<void> {
  const id = newId();
  await inviter.shell.begin(id, { kind: "start-invite", id, expiresAt: Date.now() + 3_600_000 });
  const seed = await inviter.until(({ entries }) => {
    const peer = entries.get(id)?.slice.conversation?.peer;
    return peer?.state === "invited" && peer.invite.published ? peer.invite.seed : undefined;
  });
  const offer = await invitee.until(async ({ relays }) => {
    const { linkId } = deriveInviteKeys(seed);
    const relayPin = sha256(relay.relayKey).slice(0, RELAY_PIN_BYTES);
    const fetched = await relays.fetchOffer({ linkId, relayPin, origin: undefined });
    return fetched.ok ? fetched : undefined;
  });
  const accountId = accountIdOf(inviter.shell.self.cert.rootKey);
  const accepting = newId();
  await invitee.shell.begin(accepting, {
    kind: "start-accept",
    id: accepting,
    invite: { seed, accountId, relayPin: new Uint8Array(16) },
    blob: offer.blob,
  });
  await inviter.until(({ entries }) => {
    const peer = entries.get(id)?.slice.conversation?.peer;
    return peer?.state === "open" ? true : undefined;
  });
}

const groupOf = ({ entries }: Shell): string | undefined =>
  [...entries].find(([, { slice }]) => {
    const peer = slice.conversation?.peer;
    return peer?.state === "group" && peer.member;
  })?.[0];

const ask = async ({ shell }: Person, input: Input): Promise<void> => {
  const id = groupOf(shell);
  if (id === undefined) throw new Error("no group");
  expect(await shell.feed(id, input)).toEqual({ commit: { ok: true }, dropped: [] });
};

const reads = (one: Person, text: string): Promise<true> =>
  one.until(async (shell) => {
    const id = groupOf(shell);
    if (id === undefined) return undefined;
    const { rows } = await one.store.messages(id, { limit: 50 });
    return rows.some((row) => row.text === text) ? true : undefined;
  });

/** Ann knows both; Bob and Cy know each other from the group alone. */
async function threePeople() {
  const [ann, bob, cy] = [await person("Ann"), await person("Bob"), await person("Cy")];
  await meet(ann, bob);
  await meet(ann, cy);
  const id = newId();
  await ann.shell.begin(id, { kind: "start-group", id });
  for (const { shell } of [bob, cy]) {
    const account = bytesToHex(accountIdOf(shell.self.cert.rootKey));
    await ask(ann, { kind: "group-add", account });
  }
  await bob.until(groupOf);
  await cy.until(groupOf);
  return { ann, bob, cy };
}

const says = (one: Person, text: string): Promise<void> =>
  ask(one, { kind: "send-text", id: newId(), text });

async function leave({ shell }: Person): Promise<void> {
  await shell.close();
  open.delete(shell);
}

it("reaches people who do not know each other, and goes on in a new process", async () => {
  const { ann, bob, cy } = await threePeople();
  await says(bob, "from Bob");
  await Promise.all([reads(ann, "from Bob"), reads(cy, "from Bob")]);
  await leave(cy);
  const again = await person("Cy", cy.store);
  await says(again, "from Cy again");
  await Promise.all([reads(ann, "from Cy again"), reads(bob, "from Cy again")]);
  await says(ann, "to a new process");
  await reads(again, "to a new process");
});

it("comes back from a backup, with what was said meanwhile", async () => {
  const { ann, bob, cy } = await threePeople();
  await says(bob, "before");
  await reads(cy, "before");
  // Until each pair has its one session: what is sealed for one that the file has not is sealed anew after two minutes.
  for (const one of [ann, bob, cy]) {
    await one.until(({ entries }) => {
      const isDone = [...entries.values()].every(({ slice }) => slice.outbox.length === 0);
      return isDone ? true : undefined;
    });
  }
  const env = { entropy, now: Date.now() };
  const file = await new Response(await writeBackup(cy.store, undefined, env)).blob();
  const { rootSecret } = cy.shell.self;
  await says(ann, "after it was made");
  await reads(cy, "after it was made");
  await leave(cy);
  await says(bob, "while Cy was away");

  const store = createMemoryStore();
  await restoreBackup(store, { file, rootSecret }, () => Promise.resolve());
  const again = await person("Cy", store);
  await Promise.all([reads(again, "before"), reads(again, "while Cy was away")]);
  await says(again, "here again");
  await Promise.all([reads(ann, "here again"), reads(bob, "here again")]);
  await says(ann, "welcome back");
  await reads(again, "welcome back");
}, 400_000);
