/**
 * One of everything that suite 1 seals, signs or encodes, made by one Alice for one Bob with as few keys as there can be.
 * Owns: making each kind, and opening bytes as each kind. Leaves to t01-domain-separation.test.ts: what must be refused.
 */
import {
  accept,
  admissionAuthenticator,
  accountIdOf,
  beginChain,
  buildFileTree,
  createDeviceList,
  createGroup,
  createInviteBundle,
  createLastResort,
  createOwnDevice,
  createPrekeyBatch,
  createRemoteSender,
  createSignedPrekey,
  type CryptoBackend,
  dealChain,
  decrypt,
  encrypt,
  type FileKeys,
  fileProof,
  findWork,
  finishSealing,
  initiate,
  makeOp,
  nobleBackend,
  nobleFileEngine,
  openChunk,
  openFromGroup,
  openInviteOffer,
  openLog,
  openPlea,
  openSignal,
  openWay,
  PLEA_ENVELOPE_BYTES,
  provesWork,
  receiveOp,
  receivePage,
  restoreDevice,
  safetyNumber,
  SEALED_OFFER_BYTES,
  sealForGroup,
  sealInviteOffer,
  sealNextChunk,
  sealPlea,
  sealSignal,
  sealWay,
  sendAuthenticator,
  signHubAuth,
  signHubHello,
  SIGNAL_ENVELOPE_BYTES,
  beginSealing,
  takeRecord,
  verifyBundle,
  verifyDeviceCert,
  verifyDeviceList,
  verifyHubAuth,
  verifyHubHello,
} from "@sotto/crypto";
import { beginBackup, openBackup, openBackupChunk, sealBackupChunk } from "@sotto/crypto/backup";
import { deriveIssuer, signIssuerKey, tokenOutput } from "@sotto/crypto/issuer";
import { verifyIssuerKey } from "@sotto/crypto/token";
import { readRecoveryPhrase, recoveryWords } from "@sotto/crypto/recovery";
import {
  asContentId,
  asQueueId,
  asSendId,
  bytesToHex,
  concatBytes,
  authTranscript,
  decodeAdmission,
  decodeBundle,
  decodeContent,
  decodeDeviceCert,
  decodeDeviceList,
  decodeEnvelope,
  decodeFileReference,
  decodeFrame,
  decodeGroupEnvelope,
  decodeGroupKey,
  decodeGroupOp,
  decodeGroupPage,
  decodeInvite,
  encodeAdmission,
  encodeBundle,
  encodeContent,
  encodeDeviceCert,
  encodeDeviceList,
  encodeFileReference,
  encodeFrame,
  encodeGroupKey,
  encodeGroupOp,
  encodeGroupPage,
  encodeInvite,
  type Envelope,
  type EnvelopeType,
  equalBytes,
  sendTranscript,
  workTranscript,
  utf8ToBytes,
} from "@sotto/wire";
import { offerOf, signal } from "../../packages/crypto/test/samples.ts";
import {
  asMessage,
  must,
  NOW,
  seededEnv,
  settledPair,
  text,
} from "../../packages/crypto/test/support.ts";

/** Bytes of one kind, and the one thing that takes them for what they are. */
export interface Kind {
  readonly bytes: Uint8Array;
  /**
   * First bytes of this kind that are not secret: with them in front, other bytes get past the type, version and ids.
   * Undefined where nothing inside proves anything, because what is around it does: fed whole and unchanged only.
   */
  readonly head: number | undefined;
  opens(bytes: Uint8Array): Promise<boolean> | boolean;
}

/** A structure, its genuine signature, and whether it still verifies with another one in that place. */
export interface Signed {
  readonly signature: Uint8Array;
  verifies(signature: Uint8Array): Promise<boolean> | boolean;
}

/** One key for every AEAD: what is left to tell kinds apart is what they authenticate besides. */
const ONE_KEY = new Uint8Array(32).fill(0x1e);
export const oneKeyBackend: CryptoBackend = {
  ...nobleBackend,
  seal: (_key, nonce, aad, plaintext) => nobleBackend.seal(ONE_KEY, nonce, aad, plaintext),
  open: (_key, nonce, aad, sealed) => nobleBackend.open(ONE_KEY, nonce, aad, sealed),
};

/** Enough that no other bytes pass by chance, and found at once. */
const WORK_BITS = 16;
const BACKUP_PASSPHRASE = "one for all";

export async function makeWorld(crypto: CryptoBackend) {
  const env = seededEnv("t01", crypto);
  // One Ed25519 seed is root, device, relay, reader and chain key; one X25519 secret is device and send key.
  const [seed, dhSecret] = [env.entropy(32), env.entropy(32)];
  const withKeys = (...keys: readonly Uint8Array[]) => {
    const queue = [...keys];
    const entropy = (length: number): Uint8Array<ArrayBuffer> => {
      const key = length === 32 ? queue.shift() : undefined;
      return key === undefined ? env.entropy(length) : Uint8Array.from(key);
    };
    return { ...env, entropy };
  };
  const alice = await restoreDevice(seed, withKeys(seed, dhSecret));
  const publicKey = alice.cert.signingKey;
  const bob = await createOwnDevice(env);

  // In the middle of a chain: under one key for all, a receiver could not tell whose turn a message begins.
  const settled = await settledPair("t01 settled");
  const turn = await encrypt(settled.a, text("turn"), seededEnv("t01 turn"));
  const turned = await decrypt(settled.b, asMessage(turn.envelope), seededEnv("t01 turn"));
  const pair = { a: turn.session, b: must(turned).session };
  const { bundle, secrets } = await createInviteBundle(bob, env);
  const initiated = await initiate(alice, bundle, env);
  if (initiated === undefined) throw new Error("bundle refused");
  const own = await createInviteBundle(alice, env);
  const signedPrekey = (await createSignedPrekey(env)).part;
  const lastResort = {
    cert: alice.cert,
    signedPrekey,
    kemPrekey: (await createLastResort(alice, signedPrekey, env)).part,
  };
  const [batched] = await createPrekeyBatch(alice, signedPrekey, 4, env);
  if (batched === undefined) throw new Error("no prekey");
  const ofBatch = { cert: alice.cert, signedPrekey, kemPrekey: batched.part };
  const linkSeed = env.entropy(16);
  // A device list names no root key as a device's, so another device of the account makes it.
  const list = await createDeviceList(await restoreDevice(seed, env), env);

  const founded = await createGroup(alice, env);
  const added = { kind: "add", account: accountIdOf(bob.cert.rootKey) } as const;
  const grown = must(await makeOp(founded.log, alice, added, env));
  const page = {
    certs: [alice.cert],
    ops: [encodeGroupOp(founded.op), encodeGroupOp(grown.op)],
  };
  const begun = must(await beginChain(grown.log, alice, withKeys(env.entropy(32), seed))).chain;
  const to = { account: accountIdOf(bob.cert.rootKey), device: bob.cert.deviceId };
  const dealt = must(dealChain(begun, grown.log, [to], env.now));
  const sender = takeRecord(
    createRemoteSender(grown.log.group, accountIdOf(alice.cert.rootKey), alice.cert.deviceId),
    dealt.record,
    env.now,
  );
  if (sender === undefined) throw new Error("record refused");
  const groupMessage = must(await sealForGroup(dealt.chain, grown.log, text("group"), env));

  const sealing = beginSealing(3_000, env.entropy);
  const chunk = await sealNextChunk(sealing, new Uint8Array(3_000).fill(7), nobleFileEngine);
  const file: FileKeys = finishSealing(chunk.sealing);
  const tree = buildFileTree(file, chunk.hash);
  const proof = tree === undefined ? undefined : fileProof(tree, 0);
  if (proof === undefined) throw new Error("no proof");

  const backup = await beginBackup(
    alice.rootSecret,
    BACKUP_PASSPHRASE,
    { entropy: env.entropy, files: nobleFileEngine },
    { memoryKiB: 64, passes: 1, lanes: 1 },
  );
  const backupChunk = await sealBackupChunk(backup.keys, 0, text("row"), true, nobleFileEngine);

  const hubFields = {
    relayKey: publicKey,
    ephemeralKey: bob.cert.dhKey,
    nonce: env.entropy(32),
    hour: 472_222,
    ttlHoursMax: 504,
    queueMessagesMax: 256,
    door: "open" as const,
  };
  const hubHello = {
    type: "hello",
    ...hubFields,
    signature: await signHubHello(seed, hubFields, crypto),
  } as const;
  const hubAuth = {
    type: "auth",
    readerKey: publicKey,
    signature: await signHubAuth(seed, hubFields.nonce, publicKey, publicKey, crypto),
    admission: new Uint8Array(0),
  } as const;
  const authProof = { ...hubAuth, nonce: hubFields.nonce, relayKey: publicKey };
  const shared = await crypto.dh(dhSecret, bob.cert.dhKey);
  const sendProof = sendAuthenticator(
    shared,
    sendTranscript(hubFields.nonce, publicKey, asSendId(env.entropy(24)), alice.cert.dhKey),
  );
  /** What a relay makes of a token's epoch and nonce. */
  const admissionProof = (epoch: number, nonce: Uint8Array): Uint8Array =>
    admissionAuthenticator(
      tokenOutput(deriveIssuer(seed, epoch), nonce),
      authTranscript(hubFields.nonce, publicKey, publicKey),
    );
  const tokenNonce = env.entropy(32);
  const admission = encodeAdmission({
    epoch: 1,
    tokenNonce,
    authenticator: admissionProof(1, tokenNonce),
  });
  const workBytes = workTranscript(hubFields.nonce, publicKey, asQueueId(env.entropy(24)));
  const work = findWork(workBytes, WORK_BITS, 0, 1_000_000) ?? new Uint8Array(8);
  const issuerKey = await signIssuerKey(seed, 1, publicKey, crypto);
  const words = recoveryWords(seed, "english").join(" ");
  const numbers = safetyNumber(publicKey, bob.cert.rootKey);
  const content = {
    kind: "text",
    id: asContentId(env.entropy(16)),
    time: { ms: NOW, counter: 0 },
    text: "content",
  } as const;
  const invite = {
    seed: linkSeed,
    accountId: accountIdOf(publicKey),
    relayPin: env.entropy(16),
  };

  const kinds = {
    message: {
      bytes: (await encrypt(pair.a, text("message"), env)).envelope,
      head: 1,
      async opens(bytes) {
        const envelope = asEnvelope(bytes, "message");
        return envelope !== undefined && (await decrypt(pair.b, envelope, env)).ok;
      },
    },
    hello: {
      bytes: (await encrypt(initiated.session, text("hello"), env)).envelope,
      // Type, version, suite and the three ids of the prekeys.
      head: 15,
      async opens(bytes) {
        const envelope = asEnvelope(bytes, "hello");
        return envelope !== undefined && (await accept(bob, secrets, envelope, env)).ok;
      },
    },
    signal: {
      bytes: await sealSignal(pair.a, signal, env),
      head: 1,
      async opens(bytes) {
        const envelope = asEnvelope(bytes, "signal");
        return envelope !== undefined && (await openSignal(pair.b, envelope, crypto)) !== undefined;
      },
    },
    plea: {
      bytes: await sealPlea(alice, bob.cert, { at: NOW, bundle: own.bundle }, env),
      head: 1,
      async opens(bytes) {
        const envelope = asEnvelope(bytes, "plea");
        return (
          envelope !== undefined &&
          (await openPlea(bob, alice.cert, envelope, crypto)) !== undefined
        );
      },
    },
    way: {
      bytes: await sealWay(
        alice,
        bob.cert,
        { bundle: own.bundle, addresses: offerOf(own.bundle).addresses },
        env,
      ),
      // The nonce, which is also what is authenticated besides.
      head: 12,
      opens: async (bytes) => (await openWay(bob, alice.cert, bytes, crypto)) !== undefined,
    },
    "invite offer": {
      bytes: await sealInviteOffer(linkSeed, offerOf(own.bundle), env),
      head: 0,
      opens: async (bytes) => (await openInviteOffer(linkSeed, bytes, crypto)) !== undefined,
    },
    "device cert": {
      bytes: encodeDeviceCert(alice.cert),
      // Version and key type: behind it an attacker's bytes may be any keys.
      head: 2,
      async opens(bytes) {
        const cert = decodeDeviceCert(bytes);
        return cert.ok && (await verifyDeviceCert(cert.value, crypto));
      },
    },
    bundle: {
      bytes: encodeBundle(own.bundle),
      head: 4,
      async opens(bytes) {
        const decoded = decodeBundle(bytes);
        return decoded.ok && (await verifyBundle(decoded.value, crypto));
      },
    },
    "device list": {
      bytes: encodeDeviceList(list),
      head: 34,
      async opens(bytes) {
        const decoded = decodeDeviceList(bytes);
        return decoded.ok && (await verifyDeviceList(decoded.value, publicKey, crypto));
      },
    },
    "group create": {
      bytes: encodeGroupOp(founded.op),
      head: 72,
      opens(bytes) {
        const op = decodeGroupOp(bytes);
        return op.ok && openLog(op.value, alice.cert).ok;
      },
    },
    "group operation": {
      bytes: encodeGroupOp(grown.op),
      // Everything up to the signature but the account that is added.
      head: 1 + 32 + 1 + 32 + 6 + 32 + 1,
      opens(bytes) {
        const op = decodeGroupOp(bytes);
        if (!op.ok) return false;
        const received = receiveOp(founded.log, op.value, [alice.cert]);
        return received.ok && received.state === "accepted";
      },
    },
    "group page": {
      bytes: encodeGroupPage(page),
      head: 2,
      opens(bytes) {
        const decoded = decodeGroupPage(bytes);
        if (!decoded.ok) return false;
        return receivePage(founded.log, decoded.value).log.ops.size > founded.log.ops.size;
      },
    },
    "sender chain record": {
      bytes: encodeGroupKey(dealt.record),
      // Genuine because of the pairwise session it comes in.
      head: undefined,
      opens(bytes) {
        const record = decodeGroupKey(bytes);
        return record.ok && takeRecord(sender, record.value, NOW) !== undefined;
      },
    },
    "group message": {
      bytes: groupMessage.envelope,
      head: 1,
      async opens(bytes) {
        const envelope = decodeGroupEnvelope(bytes);
        return envelope.ok && (await openFromGroup(sender, envelope.value, grown.log, env)).ok;
      },
    },
    "file chunk": {
      bytes: chunk.sealed,
      head: 0,
      opens: async (bytes) => (await openChunk(file, 0, bytes, proof, nobleFileEngine)).ok,
    },
    "backup header": {
      bytes: backup.header,
      // The name of the format, its version, the work and the salt.
      head: 43,
      opens: async (bytes) =>
        (await openBackup(bytes, { passphrase: BACKUP_PASSPHRASE }, nobleFileEngine)).ok,
    },
    "backup chunk": {
      bytes: backupChunk,
      head: 0,
      opens: async (bytes) =>
        (await openBackupChunk(backup.keys, 0, bytes, true, nobleFileEngine)) !== undefined,
    },
    "file reference": {
      bytes: encodeFileReference({ ...file, mediaType: "text/plain", name: "file.txt" }),
      // Genuine because of the message it comes in.
      head: undefined,
      opens: (bytes) => decodeFileReference(bytes).ok,
    },
    content: {
      bytes: encodeContent(content),
      // Genuine because of the message it is sealed in.
      head: undefined,
      opens: (bytes) => decodeContent(bytes).ok,
    },
    invite: {
      bytes: encodeInvite(invite),
      // Genuine because of the hand that gave it.
      head: undefined,
      opens: (bytes) => decodeInvite(bytes).ok,
    },
    "recovery phrase": {
      bytes: utf8ToBytes(words),
      head: 0,
      opens: (bytes) =>
        [String.fromCharCode(...bytes), bytesToHex(bytes)].some(
          (phrase) => readRecoveryPhrase(phrase).ok,
        ),
    },
    "hub hello": {
      bytes: encodeFrame(1, hubHello),
      head: 5,
      async opens(bytes) {
        const frame = decodeFrame(bytes);
        if (!frame.ok || frame.value.frame.type !== "hello") return false;
        return verifyHubHello(frame.value.frame, crypto);
      },
    },
    "hub auth": {
      bytes: encodeFrame(1, hubAuth),
      head: 5,
      async opens(bytes) {
        const frame = decodeFrame(bytes);
        if (!frame.ok || frame.value.frame.type !== "auth") return false;
        return verifyHubAuth({ ...authProof, ...frame.value.frame }, crypto);
      },
    },
    "sender proof": {
      bytes: sendProof,
      head: 0,
      opens: (bytes) => equalBytes(bytes, sendProof),
    },
    "admission proof": {
      bytes: admission,
      head: 1,
      opens(bytes) {
        const read = decodeAdmission(bytes);
        if (!read.ok) return false;
        const { epoch, tokenNonce: nonce, authenticator } = read.value;
        return equalBytes(authenticator, admissionProof(epoch, nonce));
      },
    },
    work: {
      bytes: work,
      head: 0,
      opens: (bytes) => bytes.length === 8 && provesWork(workBytes, bytes, WORK_BITS),
    },
    "safety number": {
      bytes: utf8ToBytes(numbers.qr),
      head: 6,
      opens: (bytes) => String.fromCharCode(...bytes) === numbers.qr,
    },
  } as const satisfies Readonly<Record<string, Kind>>;

  const signing = (signature: Uint8Array) => ({
    ...env,
    crypto: { ...crypto, sign: () => signature },
  });
  const signed = {
    "device cert": {
      signature: alice.cert.signature,
      verifies: (signature) => verifyDeviceCert({ ...alice.cert, signature }, crypto),
    },
    "device list": {
      signature: list.signature,
      verifies: (signature) => verifyDeviceList({ ...list, signature }, publicKey, crypto),
    },
    "prekey batch": {
      signature: ofBatch.kemPrekey.signature,
      verifies: (signature) =>
        verifyBundle({ ...ofBatch, kemPrekey: { ...ofBatch.kemPrekey, signature } }, crypto),
    },
    "last resort": {
      signature: lastResort.kemPrekey.signature,
      verifies: (signature) =>
        verifyBundle({ ...lastResort, kemPrekey: { ...lastResort.kemPrekey, signature } }, crypto),
    },
    "group operation": {
      signature: grown.op.signature,
      verifies: (signature) => receiveOp(founded.log, { ...grown.op, signature }, [alice.cert]).ok,
    },
    "group message": {
      signature: await signatureOf(async (recording) => {
        await sealForGroup(dealt.chain, grown.log, text("signed"), recording);
      }),
      async verifies(signature) {
        // The same nonce each time, so that the genuine signature fits: it covers the nonce.
        const { envelope } = must(
          await sealForGroup(dealt.chain, grown.log, text("signed"), {
            ...signing(signature),
            entropy: (length) => new Uint8Array(length),
          }),
        );
        const decoded = must(decodeGroupEnvelope(envelope)).value;
        return (await openFromGroup(sender, decoded, grown.log, env)).ok;
      },
    },
    "hub hello": {
      signature: hubHello.signature,
      verifies: (signature) => verifyHubHello({ ...hubHello, signature }, crypto),
    },
    "issuer key": {
      signature: issuerKey.signature,
      verifies: (signature) => verifyIssuerKey(publicKey, { ...issuerKey, signature }, crypto),
    },
    "hub auth": {
      signature: hubAuth.signature,
      verifies: (signature) => verifyHubAuth({ ...authProof, signature }, crypto),
    },
  } as const satisfies Readonly<Record<string, Signed>>;

  async function signatureOf(
    make: (recording: ReturnType<typeof seededEnv>) => Promise<void>,
  ): Promise<Uint8Array> {
    let made: Uint8Array | undefined;
    await make({
      ...env,
      entropy: (length) => new Uint8Array(length),
      crypto: {
        ...crypto,
        async sign(key, message) {
          made = await crypto.sign(key, message);
          return made;
        },
      },
    });
    if (made === undefined) throw new Error("nothing was signed");
    return made;
  }

  return { kinds, signed, lastResort, group: { chain: dealt.chain, sender, log: grown.log } };
}

/** `bytes` made to look like `kind`: its head in front, cut or grown to its length. Never the genuine bytes themselves. */
export function disguised(bytes: Uint8Array, kind: Kind): readonly Uint8Array[] {
  if (kind.head === undefined) return [bytes];
  const size = kind.bytes.length;
  const fitted = new Uint8Array(size);
  fitted.set(bytes.subarray(0, size));
  const replaced = fitted.slice();
  replaced.set(kind.bytes.subarray(0, kind.head));
  const prefixed = new Uint8Array(size);
  prefixed.set(concatBytes(kind.bytes.subarray(0, kind.head), bytes).subarray(0, size));
  // With the end in its place, where signatures and tags are.
  const ending = kind.bytes.slice();
  const tail = bytes.subarray(-Math.max(1, size - kind.head));
  ending.set(tail, size - tail.length);
  return [bytes, fitted, replaced, prefixed, ending].filter((one) => !equalBytes(one, kind.bytes));
}

function asEnvelope<T extends keyof typeof EnvelopeType>(
  bytes: Uint8Array,
  type: T,
): Extract<Envelope, { type: T }> | undefined {
  const decoded = decodeEnvelope(bytes);
  return decoded.ok && isOf(decoded.value, type) ? decoded.value : undefined;
}

const isOf = <T extends keyof typeof EnvelopeType>(
  envelope: Envelope,
  type: T,
): envelope is Extract<Envelope, { type: T }> => envelope.type === type;

/** So that the sizes meant for disguise are those of the format. */
export const FIXED_SIZES = {
  signal: SIGNAL_ENVELOPE_BYTES,
  plea: PLEA_ENVELOPE_BYTES,
  "invite offer": SEALED_OFFER_BYTES,
} as const;
