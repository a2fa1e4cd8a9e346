/** Signal's own library, native: PQXDH and triple ratchet with records kept in memory. Node only, AGPL. */
import {
  type CiphertextMessage,
  CiphertextMessageType,
  Direction,
  IdentityChange,
  IdentityKeyStore,
  KEMKeyPair,
  KyberPreKeyRecord,
  KyberPreKeyStore,
  PreKeyBundle,
  PreKeyRecord,
  PreKeySignalMessage,
  PreKeyStore,
  PrivateKey,
  processPreKeyBundle,
  ProtocolAddress,
  type PublicKey,
  type SessionRecord,
  SessionStore,
  signalDecrypt,
  signalDecryptPreKey,
  signalEncrypt,
  SignalMessage,
  SignedPreKeyRecord,
  SignedPreKeyStore,
} from "@signalapp/libsignal-client";
import type { End, Peer, Sealed } from "./peer.ts";

const REGISTRATION_ID = 1;
const DEVICE_ID = 1;
const PREKEY_ID = 1;
const PREKEY_MESSAGE: number = CiphertextMessageType.PreKey;

export const libsignal: Peer = {
  name: "libsignal",
  contentBytesMax: undefined,
  acquaint() {
    const alice = createPerson("a2e1cf8c-8b4b-4c2e-9d3f-0d6a5f1b2c01");
    const bob = createPerson("b7d04b1e-52f5-4b0a-8a57-3f9c4e7d6a02");
    return Promise.resolve({
      async setUp(first) {
        const [from, to] = [createStores(alice), createStores(bob)];
        await processPreKeyBundle(
          await publish(bob, to),
          bob.address,
          alice.address,
          from.sessions,
          from.identities,
        );
        const initiator = createEnd(alice, bob, from);
        const responder = createEnd(bob, alice, to);
        const sealed = await initiator.seal(first);
        await responder.open(sealed);
        return {
          firstBytes: sealed.bytes,
          conversation: { initiator, responder, end: () => undefined },
        };
      },
    });
  },
};

interface Person {
  readonly address: ProtocolAddress;
  readonly identity: PrivateKey;
}

const createPerson = (name: string): Person => ({
  address: ProtocolAddress.new(name, DEVICE_ID),
  identity: PrivateKey.generate(),
});

interface Stores {
  readonly sessions: MemorySessions;
  readonly identities: MemoryIdentities;
  readonly prekeys: MemoryPrekeys;
  readonly signedPrekeys: MemorySignedPrekeys;
  readonly kyberPrekeys: MemoryKyberPrekeys;
}

const createStores = (person: Person): Stores => ({
  sessions: new MemorySessions(),
  identities: new MemoryIdentities(person.identity),
  prekeys: new MemoryPrekeys(),
  signedPrekeys: new MemorySignedPrekeys(),
  kyberPrekeys: new MemoryKyberPrekeys(),
});

/** Fresh keys of all three kinds, as our own invites have them. */
async function publish({ identity }: Person, stores: Stores): Promise<PreKeyBundle> {
  const now = Date.now();
  const oneTime = PrivateKey.generate();
  const signed = PrivateKey.generate();
  const kem = KEMKeyPair.generate();
  const signedKey = signed.getPublicKey();
  const signedSignature = identity.sign(signedKey.serialize());
  const kemSignature = identity.sign(kem.getPublicKey().serialize());
  await stores.prekeys.savePreKey(
    PREKEY_ID,
    PreKeyRecord.new(PREKEY_ID, oneTime.getPublicKey(), oneTime),
  );
  await stores.signedPrekeys.saveSignedPreKey(
    PREKEY_ID,
    SignedPreKeyRecord.new(PREKEY_ID, now, signedKey, signed, signedSignature),
  );
  await stores.kyberPrekeys.saveKyberPreKey(
    PREKEY_ID,
    KyberPreKeyRecord.new(PREKEY_ID, now, kem, kemSignature),
  );
  return PreKeyBundle.new(
    REGISTRATION_ID,
    DEVICE_ID,
    PREKEY_ID,
    oneTime.getPublicKey(),
    PREKEY_ID,
    signedKey,
    signedSignature,
    identity.getPublicKey(),
    PREKEY_ID,
    kem.getPublicKey(),
    kemSignature,
  );
}

function createEnd(own: Person, remote: Person, stores: Stores): End {
  return {
    async seal(content): Promise<Sealed> {
      const message = await signalEncrypt(
        content,
        remote.address,
        own.address,
        stores.sessions,
        stores.identities,
      );
      return { message, bytes: message.serialize().length };
    },
    open(sealed) {
      const message = sealed.message as CiphertextMessage;
      const bytes = message.serialize();
      return message.type() === PREKEY_MESSAGE
        ? signalDecryptPreKey(
            PreKeySignalMessage.deserialize(bytes),
            remote.address,
            own.address,
            stores.sessions,
            stores.identities,
            stores.prekeys,
            stores.signedPrekeys,
            stores.kyberPrekeys,
          )
        : signalDecrypt(
            SignalMessage.deserialize(bytes),
            remote.address,
            own.address,
            stores.sessions,
            stores.identities,
          );
    },
  };
}

class MemorySessions extends SessionStore {
  readonly #records = new Map<string, SessionRecord>();
  override saveSession(name: ProtocolAddress, record: SessionRecord): Promise<void> {
    this.#records.set(name.toString(), record);
    return Promise.resolve();
  }
  override getSession(name: ProtocolAddress): Promise<SessionRecord | null> {
    return Promise.resolve(this.#records.get(name.toString()) ?? null);
  }
  override getExistingSessions(addresses: ProtocolAddress[]): Promise<SessionRecord[]> {
    return Promise.resolve(addresses.map((one) => found(this.#records.get(one.toString()))));
  }
}

class MemoryIdentities extends IdentityKeyStore {
  readonly #known = new Map<string, PublicKey>();
  readonly #own: PrivateKey;
  constructor(own: PrivateKey) {
    super();
    this.#own = own;
  }
  override getIdentityKey(): Promise<PrivateKey> {
    return Promise.resolve(this.#own);
  }
  override getLocalRegistrationId(): Promise<number> {
    return Promise.resolve(REGISTRATION_ID);
  }
  override saveIdentity(name: ProtocolAddress, key: PublicKey): Promise<IdentityChange> {
    this.#known.set(name.toString(), key);
    return Promise.resolve(IdentityChange.NewOrUnchanged);
  }
  override isTrustedIdentity(_: ProtocolAddress, __: PublicKey, ___: Direction): Promise<boolean> {
    return Promise.resolve(true);
  }
  override getIdentity(name: ProtocolAddress): Promise<PublicKey | null> {
    return Promise.resolve(this.#known.get(name.toString()) ?? null);
  }
}

class MemoryPrekeys extends PreKeyStore {
  readonly #records = new Map<number, PreKeyRecord>();
  override savePreKey(id: number, record: PreKeyRecord): Promise<void> {
    this.#records.set(id, record);
    return Promise.resolve();
  }
  override getPreKey(id: number): Promise<PreKeyRecord> {
    return Promise.resolve(found(this.#records.get(id)));
  }
  override removePreKey(id: number): Promise<void> {
    this.#records.delete(id);
    return Promise.resolve();
  }
}

class MemorySignedPrekeys extends SignedPreKeyStore {
  readonly #records = new Map<number, SignedPreKeyRecord>();
  override saveSignedPreKey(id: number, record: SignedPreKeyRecord): Promise<void> {
    this.#records.set(id, record);
    return Promise.resolve();
  }
  override getSignedPreKey(id: number): Promise<SignedPreKeyRecord> {
    return Promise.resolve(found(this.#records.get(id)));
  }
}

class MemoryKyberPrekeys extends KyberPreKeyStore {
  readonly #records = new Map<number, KyberPreKeyRecord>();
  override saveKyberPreKey(id: number, record: KyberPreKeyRecord): Promise<void> {
    this.#records.set(id, record);
    return Promise.resolve();
  }
  override getKyberPreKey(id: number): Promise<KyberPreKeyRecord> {
    return Promise.resolve(found(this.#records.get(id)));
  }
  override markKyberPreKeyUsed(id: number): Promise<void> {
    this.#records.delete(id);
    return Promise.resolve();
  }
}

function found<T>(record: T | undefined): T {
  if (record === undefined) throw new Error("not stored");
  return record;
}
