/** Groups of others behind two faces: Signal's sender keys, and a change of members in MLS. Node only. */
import {
  groupDecrypt,
  groupEncrypt,
  processSenderKeyDistributionMessage,
  ProtocolAddress,
  SenderKeyDistributionMessage,
  type SenderKeyRecord,
  SenderKeyStore,
} from "@signalapp/libsignal-client";
import {
  type CiphersuiteImpl,
  type ClientState,
  createCommit,
  createGroup,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
} from "ts-mls";

export interface GroupSender {
  /** Bytes as they go to everybody. */
  seal(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** By a member who has the chain. Throws when it does not open. */
  open(sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
}

/** A chain dealt to one member; a message costs its sender the same in every group. */
export async function createLibsignalGroup(): Promise<GroupSender> {
  const sender = ProtocolAddress.new("a2e1cf8c-8b4b-4c2e-9d3f-0d6a5f1b2c01", 1);
  const distribution = "d1d1d1d1-7000-11eb-b32a-33b8a8a487a6";
  const [own, remote] = [new MemorySenderKeys(), new MemorySenderKeys()];
  const dealt = await SenderKeyDistributionMessage.create(sender, distribution, own);
  await processSenderKeyDistributionMessage(sender, dealt, remote);
  return {
    seal: async (content) => (await groupEncrypt(sender, distribution, own, content)).serialize(),
    open: (sealed) => groupDecrypt(sender, remote, sealed),
  };
}

class MemorySenderKeys extends SenderKeyStore {
  readonly #records = new Map<string, SenderKeyRecord>();
  override saveSenderKey(
    sender: ProtocolAddress,
    distribution: string,
    record: SenderKeyRecord,
  ): Promise<void> {
    this.#records.set(`${sender.toString()} ${distribution}`, record);
    return Promise.resolve();
  }
  override getSenderKey(
    sender: ProtocolAddress,
    distribution: string,
  ): Promise<SenderKeyRecord | null> {
    return Promise.resolve(this.#records.get(`${sender.toString()} ${distribution}`) ?? null);
  }
}

export interface MlsGroup {
  /** Takes one member out, as whoever founded the group. Resolves to the bytes of the commit. */
  removeOne(): Promise<number>;
}

/** X25519, AES-128-GCM, Ed25519: the suite that every implementation has. No key of it is post-quantum. */
export async function createMlsGroup(size: number): Promise<MlsGroup> {
  const suite = await getCiphersuiteImpl(
    getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"),
  );
  const founder = await keyPackage("0", suite);
  let state = await createGroup(
    new Uint8Array(16),
    founder.publicPackage,
    founder.privatePackage,
    [],
    suite,
  );
  const joining: Awaited<ReturnType<typeof keyPackage>>[] = [];
  for (let index = 1; index < size; index++) joining.push(await keyPackage(`${index}`, suite));
  ({ newState: state } = await commit(
    state,
    suite,
    joining.map(({ publicPackage }) => ({
      proposalType: "add" as const,
      add: { keyPackage: publicPackage },
    })),
  ));
  return {
    async removeOne() {
      const removed = { proposalType: "remove" as const, remove: { removed: size - 1 } };
      const { commit: message } = await commit(state, suite, [removed]);
      return encodeMlsMessage(message).length;
    },
  };
}

const commit = (
  state: ClientState,
  cipherSuite: CiphersuiteImpl,
  extraProposals: NonNullable<Parameters<typeof createCommit>[1]>["extraProposals"] & {},
) => createCommit({ state, cipherSuite, pskIndex: emptyPskIndex }, { extraProposals });

const keyPackage = (name: string, suite: CiphersuiteImpl) =>
  generateKeyPackage(
    { credentialType: "basic", identity: new TextEncoder().encode(name) },
    defaultCapabilities(),
    defaultLifetime,
    [],
    suite,
  );
