/** Signal's protocol before the post-quantum changes, in TypeScript over WebCrypto. GPL. */
import * as Signal from "@privacyresearch/libsignal-protocol-typescript";
import type { End, Peer, Sealed } from "./peer.ts";

const REGISTRATION_ID = 1;
const DEVICE_ID = 1;
const PREKEY_ID = 1;
const PREKEY_MESSAGE = 3;

export const privacyresearch: Peer = {
  name: "privacyresearch",
  contentBytesMax: undefined,
  async acquaint() {
    const alice = await Signal.KeyHelper.generateIdentityKeyPair();
    const bob = await Signal.KeyHelper.generateIdentityKeyPair();
    const [aliceAddress, bobAddress] = [addressOf("alice"), addressOf("bob")];
    return {
      async setUp(first) {
        const [from, to] = [createStore(alice), createStore(bob)];
        const signed = await Signal.KeyHelper.generateSignedPreKey(bob, PREKEY_ID);
        const oneTime = await Signal.KeyHelper.generatePreKey(PREKEY_ID);
        await to.storeSignedPreKey(PREKEY_ID, signed.keyPair);
        await to.storePreKey(PREKEY_ID, oneTime.keyPair);
        await new Signal.SessionBuilder(from, bobAddress).processPreKey({
          registrationId: REGISTRATION_ID,
          identityKey: bob.pubKey,
          signedPreKey: {
            keyId: PREKEY_ID,
            publicKey: signed.keyPair.pubKey,
            signature: signed.signature,
          },
          preKey: { keyId: PREKEY_ID, publicKey: oneTime.keyPair.pubKey },
        });
        const initiator = createEnd(new Signal.SessionCipher(from, bobAddress));
        const responder = createEnd(new Signal.SessionCipher(to, aliceAddress));
        const sealed = await initiator.seal(first);
        await responder.open(sealed);
        return {
          firstBytes: sealed.bytes,
          conversation: { initiator, responder, end: () => undefined },
        };
      },
    };
  },
};

const addressOf = (name: string): Signal.SignalProtocolAddress =>
  new Signal.SignalProtocolAddress(name, DEVICE_ID);

const createEnd = (cipher: Signal.SessionCipher): End => ({
  async seal(content): Promise<Sealed> {
    const message = await cipher.encrypt(content.slice().buffer);
    return { message, bytes: message.body?.length ?? 0 };
  },
  async open({ message }) {
    const { type, body = "" } = message as Signal.MessageType;
    const opened =
      type === PREKEY_MESSAGE
        ? await cipher.decryptPreKeyWhisperMessage(body, "binary")
        : await cipher.decryptWhisperMessage(body, "binary");
    return new Uint8Array(opened);
  },
});

function createStore(own: Signal.KeyPairType): Signal.StorageType {
  const sessions = new Map<string, string>();
  const prekeys = new Map<string, Signal.KeyPairType>();
  const signedPrekeys = new Map<string, Signal.KeyPairType>();
  const done = Promise.resolve();
  return {
    getIdentityKeyPair: () => Promise.resolve(own),
    getLocalRegistrationId: () => Promise.resolve(REGISTRATION_ID),
    isTrustedIdentity: () => Promise.resolve(true),
    saveIdentity: () => Promise.resolve(false),
    loadPreKey: (id) => Promise.resolve(prekeys.get(String(id))),
    storePreKey(id, pair) {
      prekeys.set(String(id), pair);
      return done;
    },
    removePreKey(id) {
      prekeys.delete(String(id));
      return done;
    },
    storeSession(address, record) {
      sessions.set(address, record);
      return done;
    },
    loadSession: (address) => Promise.resolve(sessions.get(address)),
    loadSignedPreKey: (id) => Promise.resolve(signedPrekeys.get(String(id))),
    storeSignedPreKey(id, pair) {
      signedPrekeys.set(String(id), pair);
      return done;
    },
    removeSignedPreKey(id) {
      signedPrekeys.delete(String(id));
      return done;
    },
  };
}
