/** Our own sessions behind the same face, with any engine. */
import {
  accept,
  beginSealing,
  createInviteBundle,
  createOwnDevice,
  createTurns,
  type CryptoBackend,
  type CryptoEnv,
  decrypt,
  encrypt,
  type FileEngine,
  finishSealing,
  initiate,
  openChunk,
  sealNextChunk,
  type Session,
} from "@sotto/crypto";
import { CONTENT_BYTES_MAX, decodeEnvelope } from "@sotto/wire";
import type { End, Peer, Sealed } from "./peer.ts";

export const createSotto = (name: string, backend: CryptoBackend, files: FileEngine): Peer => ({
  name,
  contentBytesMax: CONTENT_BYTES_MAX,
  async carryChunk(content) {
    const { sealing, sealed } = await sealNextChunk(
      beginSealing(content.length, entropy),
      content,
      files,
    );
    // A file of one chunk: its leaf is the root, and there is no sibling to prove it with.
    const opened = await openChunk(finishSealing(sealing), 0, sealed, [], files);
    if (!opened.ok) throw new Error(opened.reason);
    return opened.content;
  },
  async acquaint() {
    const [alice, bob] = [createEnv(backend), createEnv(backend)];
    const aliceDevice = await createOwnDevice(alice);
    const bobDevice = await createOwnDevice(bob);
    return {
      async setUp(first) {
        const { bundle, secrets } = await createInviteBundle(bobDevice, bob);
        const initiated = await initiate(aliceDevice, bundle, alice);
        if (initiated === undefined) throw new Error("bundle refused");
        const { session, envelope } = await encrypt(initiated.session, first, alice);
        const hello = decodeEnvelope(envelope);
        if (!hello.ok || hello.value.type !== "hello") throw new Error("not a hello");
        const accepted = await accept(bobDevice, secrets, hello.value, bob);
        if (!accepted.ok) throw new Error(accepted.reason);
        return {
          firstBytes: envelope.length,
          conversation: {
            initiator: createEnd(session, alice),
            responder: createEnd(accepted.session, bob),
            end: () => undefined,
          },
        };
      },
    };
  },
});

const entropy = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

/** As an app runs it: turns are made ahead while a message is being opened. */
function createEnv(backend: CryptoBackend): CryptoEnv {
  return { entropy, crypto: backend, now: Date.now(), turns: createTurns(backend, entropy) };
}

function createEnd(initial: Session, env: CryptoEnv): End {
  let session = initial;
  return {
    async seal(content): Promise<Sealed> {
      const sealed = await encrypt(session, content, env);
      ({ session } = sealed);
      return { message: sealed.envelope, bytes: sealed.envelope.length };
    },
    async open({ message }) {
      const decoded = decodeEnvelope(message as Uint8Array);
      if (!decoded.ok) throw new Error(decoded.reason);
      const { value } = decoded;
      const inner = value.type === "hello" ? value.message : value;
      if (inner.type !== "message") throw new Error("not a message");
      const opened = await decrypt(session, inner, env);
      if (!opened.ok) throw new Error(opened.reason);
      ({ session } = opened);
      return opened.content;
    },
  };
}
