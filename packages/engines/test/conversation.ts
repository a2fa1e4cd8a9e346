/**
 * One conversation through the public interface of the sessions, each side with engines of its own.
 * Owns: what is said, in which order. All randomness is seeded, so that the same bytes must leave with any engines.
 */
import {
  accept,
  createInviteBundle,
  createOwnDevice,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  type Entropy,
  initiate,
  type Opened,
  type Session,
  sha256,
} from "@sotto/crypto";
import { bytesToHex, decodeEnvelope, type MessageEnvelope, utf8ToBytes } from "@sotto/wire";
import { seededEntropy } from "./support.ts";

const TURNS = 6;
const NOW = 1_700_000_000_000;

/** A digest of all envelopes in the order sent. Throws when a text does not arrive as it was sent. */
export async function converse(alice: CryptoBackend, bob: CryptoBackend): Promise<string> {
  const aliceEnv = envOf(alice, seededEntropy("alice"));
  const bobEnv = envOf(bob, seededEntropy("bob"));
  const sent: string[] = [];
  const aliceDevice = await createOwnDevice(aliceEnv);
  const bobDevice = await createOwnDevice(bobEnv);
  const { bundle, secrets } = await createInviteBundle(bobDevice, bobEnv);
  const initiated = await initiate(aliceDevice, bundle, aliceEnv);
  if (initiated === undefined) throw new Error("bundle refused");
  const first = await encrypt(initiated.session, utf8ToBytes("hello"), aliceEnv);
  sent.push(bytesToHex(first.envelope));
  const hello = decodeEnvelope(first.envelope);
  if (!hello.ok || hello.value.type !== "hello") throw new Error("not a hello");
  const accepted = arrived(await accept(bobDevice, secrets, hello.value, bobEnv), "hello");

  let [from, to] = [
    { session: accepted, env: bobEnv },
    { session: first.session, env: aliceEnv },
  ];
  for (let turn = 0; turn < TURNS; turn++) {
    const one = await encrypt(from.session, utf8ToBytes(`one ${turn}`), from.env);
    const two = await encrypt(one.session, utf8ToBytes(`two ${turn}`), from.env);
    sent.push(bytesToHex(one.envelope), bytesToHex(two.envelope));
    const early = await decrypt(to.session, messageOf(two.envelope), to.env);
    const late = await decrypt(arrived(early, `two ${turn}`), messageOf(one.envelope), to.env);
    const session = arrived(late, `one ${turn}`);
    // Nobody opens it again, nor with one bit changed.
    const tampered = one.envelope.map((byte, at) => (at === 1_000 ? byte ^ 1 : byte));
    for (const bad of [one.envelope, tampered]) {
      const again = await decrypt(session, messageOf(bad), to.env);
      if (again.ok) throw new Error("opened twice");
    }
    [from, to] = [
      { session, env: to.env },
      { session: two.session, env: from.env },
    ];
  }

  return bytesToHex(sha256(utf8ToBytes(sent.join())));
}

const envOf = (crypto: CryptoBackend, entropy: Entropy): CryptoEnv => ({
  crypto,
  entropy,
  now: NOW,
});

function arrived(opened: Opened, text: string): Session {
  if (!opened.ok) throw new Error(opened.reason);
  if (bytesToHex(opened.content) !== bytesToHex(utf8ToBytes(text))) throw new Error("other text");
  return opened.session;
}

function messageOf(bytes: Uint8Array): MessageEnvelope {
  const decoded = decodeEnvelope(bytes);
  if (decoded.ok && decoded.value.type === "hello") return decoded.value.message;
  if (decoded.ok && decoded.value.type === "message") return decoded.value;
  throw new Error("not a message");
}
