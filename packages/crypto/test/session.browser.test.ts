/** The same code in a browser's engine: one whole conversation, and that its state survives IndexedDB's cloning. */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  type CryptoEnv,
  decrypt,
  encrypt,
  type Entropy,
  initiate,
  nobleBackend,
  openSignal,
  safetyNumber,
  sealSignal,
  type Session,
} from "@sotto/crypto";
import { decodeEnvelope, utf8ToBytes } from "@sotto/wire";
import { expect, it } from "vitest";
import { signal } from "./samples.ts";
import { asHello, asMessage, flipBit, must } from "./support.ts";

const entropy: Entropy = (length) => crypto.getRandomValues(new Uint8Array(length));
const env: CryptoEnv = { entropy, crypto: nobleBackend, now: 1_700_000_000_000 };
const text = (value: string): Uint8Array<ArrayBuffer> => utf8ToBytes(value);

/** Writes to IndexedDB and reads back. */
async function stored(session: Session): Promise<Session> {
  const name = "crypto-session-test";
  const database = await settled(
    Object.assign(indexedDB.open(name), {
      onupgradeneeded(this: IDBOpenDBRequest) {
        this.result.createObjectStore("sessions");
      },
    }),
  );
  const store = () => database.transaction("sessions", "readwrite").objectStore("sessions");
  await settled(store().put(session, "one"));
  const read = (await settled(store().get("one"))) as Session;
  database.close();
  await settled(indexedDB.deleteDatabase(name));
  return read;
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => {
      resolve(request.result);
    });
    request.addEventListener("error", () => {
      reject(request.error ?? new Error("IndexedDB failed"));
    });
  });

it("two devices talk, out of order and with tampering, and go on from stored state", async () => {
  const alice = await createOwnDevice(env);
  const bob = await createOwnDevice(env);
  const { bundle, secrets } = await createInviteBundle(bob, env);
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("bundle refused");
  const first = await encrypt(initiated.session, text("hello"), env);
  const accepted = must(await accept(bob, secrets, asHello(first.envelope), env));
  expect(accepted.content).toEqual(text("hello"));

  let a = await stored(first.session);
  let b = await stored(accepted.session);
  expect(a).toEqual(first.session);
  expect(b).toEqual(accepted.session);

  for (let turn = 0; turn < 4; turn++) {
    const one = await encrypt(b, text(`one ${turn}`), env);
    const two = await encrypt(one.session, text(`two ${turn}`), env);
    const tampered = asMessage(flipBit(two.envelope, 2_000));
    expect((await decrypt(a, tampered, env)).ok).toBe(false);
    const late = must(await decrypt(a, asMessage(two.envelope), env));
    const early = must(await decrypt(await stored(late.session), asMessage(one.envelope), env));
    expect([late.content, early.content]).toEqual([text(`two ${turn}`), text(`one ${turn}`)]);
    expect((await decrypt(early.session, asMessage(one.envelope), env)).ok).toBe(false);
    [a, b] = [two.session, early.session];
  }

  const sealed = decodeEnvelope(await sealSignal(a, signal, env));
  if (!sealed.ok || sealed.value.type !== "signal") throw new Error("not a signal");
  expect(await openSignal(b, sealed.value, nobleBackend)).toEqual(signal);
  expect(safetyNumber(alice.cert.rootKey, bob.cert.rootKey)).toEqual(
    safetyNumber(bob.cert.rootKey, alice.cert.rootKey),
  );
});
