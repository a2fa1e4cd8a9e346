/**
 * Everything that opens what others sealed or signed: with bytes as they come, and with contents that are wrong but
 * carry the valid tag or signature of whoever has the key.
 */
import {
  accept,
  type CryptoBackend,
  encrypt,
  initiate,
  isExchangeKey,
  isKemKey,
  nobleBackend,
  openInviteOffer,
  openSignal,
  sealInviteOffer,
  sealSignal,
  SEALED_OFFER_BYTES,
  SIGNAL_ENVELOPE_BYTES,
  signHubAuth,
  signHubHello,
  verifyBundle,
  verifyDeviceCert,
  verifyHubAuth,
  verifyHubHello,
} from "@sotto/crypto";
import {
  asSendId,
  concatBytes,
  decodeBundle,
  decodeDeviceCert,
  decodeEnvelope,
  decodeFrame,
  encodeBundle,
  encodeDeviceCert,
  encodeFrame,
  encodeInviteOffer,
  encodeSignal,
  type InviteOffer,
  type PrekeyBundle,
  type Signal,
} from "@sotto/wire";
import type { Random } from "../../simulation/random.ts";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { mutateValue } from "../mutate.ts";
import { createTape } from "../tape.ts";
import { Finding, type Outcome, type Target } from "../target.ts";
import {
  checkSession,
  decryptSafely,
  editingBackend,
  encryptSafely,
  envOf,
  type Greeting,
  greet,
  type Pair,
  readEdits,
  settle,
  START,
  trusting,
  untouched,
} from "./parties.ts";

const STEPS = { base: 60_000, perByte: 400 } as const;
const REFUSED: Outcome = { accepted: false };

/** Made once per process, before the first run, so that no input pays for it. */
function prepared<T>(make: () => Promise<T>): { ready(): Promise<T>; get(): T } {
  let value: T | undefined;
  return {
    async ready() {
      value ??= await make();
      return value;
    },
    get() {
      if (value === undefined) throw new Error("not ready: call seeds first");
      return value;
    },
  };
}

const stub = editingBackend(stubBackend);
const stubGreeting = prepared(() => greet(stubBackend, 1));
const stubPair = prepared(async () => settle(await stubGreeting.ready(), stubBackend));

const SIGNAL: Signal = {
  counter: START,
  presence: "online",
  probe: true,
  direct: "ready",
  peerId: new Uint8Array(36).fill(9),
  reached: { chain: 2, next: 5 },
};

/** The plaintext that `seal` puts under the tag, byte for byte. */
async function plaintextOf(seal: (crypto: CryptoBackend) => Promise<unknown>): Promise<Uint8Array> {
  let captured: Uint8Array = new Uint8Array();
  await seal({
    ...stubBackend,
    seal(key, nonce, aad, plaintext) {
      captured = plaintext;
      return stubBackend.seal(key, nonce, aad, plaintext);
    },
  });
  return captured;
}

/** Followed by zeros, so that the input decides about all of what is sealed. */
function filled(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(SEALED_OFFER_BYTES);
  whole.set(bytes.subarray(0, whole.length));
  return whole;
}

const isFront = (plaintext: Uint8Array, of: Uint8Array): boolean =>
  Buffer.compare(plaintext, of.subarray(0, plaintext.length)) === 0;

const INVITE_SEED = new Uint8Array(16).fill(5);
const offerOf = ({ bundle }: Greeting): InviteOffer => ({
  bundle,
  name: "Bob",
  addresses: [
    {
      relayUrl: "https://sotto.example",
      relayKey: new Uint8Array(32).fill(1),
      sendId: asSendId(new Uint8Array(24).fill(2)),
      firstUse: new Uint8Array(16).fill(3),
    },
  ],
});

/** First byte odd: the rest is sealed as it is; even: it arrives as it is. */
const offer: Target = {
  name: "sealed-offer",
  covers: ["crypto.openInviteOffer"],
  maxBytes: SEALED_OFFER_BYTES + 64,
  weight: 1,
  steps: STEPS,
  async run(input) {
    const rest = input.subarray(1);
    const isSealed = (input[0] ?? 0) % 2 === 1;
    let blob = rest;
    if (isSealed) {
      stub.edit([{ call: 0, at: 0, bytes: filled(rest) }]);
      blob = await sealInviteOffer(INVITE_SEED, offerOf(stubGreeting.get()), envOf(stub, 2));
    }
    const opened = await openInviteOffer(INVITE_SEED, blob, stubBackend);
    if (opened === undefined) return REFUSED;
    const plaintext = await plaintextOf((crypto) =>
      sealInviteOffer(INVITE_SEED, opened, envOf(crypto, 2)),
    );
    if (isSealed && !isFront(plaintext, filled(rest))) {
      throw new Finding("an offer has two forms");
    }
    return { accepted: true, result: opened };
  },
  async seeds() {
    const value = offerOf(await stubGreeting.ready());
    const encoded = encodeInviteOffer(value);
    const plaintext = await plaintextOf((crypto) =>
      sealInviteOffer(INVITE_SEED, value, envOf(crypto, 2)),
    );
    return [
      concatBytes(Uint8Array.of(1), plaintext.subarray(0, encoded.length + 2)),
      concatBytes(
        Uint8Array.of(0),
        await sealInviteOffer(INVITE_SEED, value, envOf(stubBackend, 2)),
      ),
    ];
  },
};

const signal: Target = {
  name: "sealed-signal",
  covers: ["crypto.openSignal"],
  maxBytes: SIGNAL_ENVELOPE_BYTES + 16,
  weight: 1,
  steps: STEPS,
  async run(input) {
    const { a, b } = stubPair.get();
    stub.edit([{ call: 0, at: 0, bytes: filled(input) }]);
    const decoded = decodeEnvelope(await sealSignal(a, SIGNAL, envOf(stub, 3)));
    if (!decoded.ok || decoded.value.type !== "signal") throw new Finding("a signal is none");
    const { value } = decoded;
    const opened = await untouched(b, () => openSignal(b, value, stubBackend));
    if (opened === undefined) return REFUSED;
    const plaintext = await plaintextOf((crypto) => sealSignal(a, opened, envOf(crypto, 3)));
    if (!isFront(plaintext, filled(input))) {
      throw new Finding("a signal has two forms");
    }
    return { accepted: true, result: opened };
  },
  async seeds() {
    await stubPair.ready();
    const signals: readonly Signal[] = [
      SIGNAL,
      { ...SIGNAL, direct: "none", peerId: new Uint8Array() },
    ];
    return signals.map((one) => {
      const encoded = encodeSignal(one);
      return concatBytes(Uint8Array.of(0, encoded.length), encoded);
    });
  },
};

/** Bytes as they come from a relay, on a live session and on open prekeys: nothing but what was sealed opens. */
function arriving(name: string, crypto: CryptoBackend, weight: number): Target {
  const made = prepared(async () => {
    const greeting = await greet(crypto, 4);
    const env = envOf(crypto, 5);
    const hello = await encrypt(greeting.session, Uint8Array.of(7), env);
    const pair = await settle(greeting, crypto);
    const first = await encrypt(pair.a, new Uint8Array(20).fill(6), env);
    const wide = await encrypt(first.session, new Uint8Array(), env, { wide: true });
    const genuine = [
      hello.envelope,
      first.envelope,
      wide.envelope,
      await sealSignal(pair.a, SIGNAL, env),
    ];
    return { greeting, pair, genuine };
  });
  return {
    name,
    covers: ["crypto.decrypt", "crypto.accept", "wire.decodeEnvelope"],
    maxBytes: 20_000,
    weight,
    steps: STEPS,
    async run(input) {
      const { greeting, pair, genuine } = made.get();
      const decoded = decodeEnvelope(input);
      if (!decoded.ok) return REFUSED;
      const env = envOf(crypto, 6);
      const { value } = decoded;
      const isOpen = await (async () => {
        if (value.type === "message") return (await decryptSafely(pair.b, value, env)).ok;
        if (value.type === "signal") return (await openSignal(pair.b, value, crypto)) !== undefined;
        if (value.type !== "hello") return false;
        return (await accept(greeting.bob, greeting.secrets, value, env)).ok;
      })();
      if (!isOpen) return REFUSED;
      // No corpus is kept of this target: what earlier code sealed with these same keys would open, too.
      if (!genuine.some((one) => Buffer.compare(one, input) === 0)) {
        throw new Finding("opened what nobody sealed");
      }
      return { accepted: true };
    },
    async seeds() {
      return (await made.ready()).genuine;
    },
  };
}

/** A stranger's HELLO whose identity, header and body are sealed correctly and say anything. */
function stranger(name: string, base: CryptoBackend, weight: number): Target {
  const crypto = trusting(editingBackend(base));
  const made = prepared(() => greet(base, 8));
  return {
    name,
    covers: ["crypto.accept"],
    maxBytes: 1_024,
    weight,
    steps: STEPS,
    async run(input) {
      const { alice, bob, bundle, secrets } = made.get();
      const env = envOf(crypto, 9);
      crypto.edit(readEdits(createTape(input), 3));
      const initiated = await initiate(alice, bundle, env);
      if (initiated === undefined) throw new Finding("an honest bundle was refused");
      const { envelope } = await encrypt(initiated.session, Uint8Array.of(1), env);
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok || decoded.value.type !== "hello") throw new Finding("a HELLO is none");
      const accepted = await accept(bob, secrets, decoded.value, env);
      if (!accepted.ok) return REFUSED;
      checkSession(accepted.session);
      await encryptSafely(accepted.session, Uint8Array.of(2), env);
      return { accepted: true, result: accepted.content };
    },
    async seeds() {
      const { alice } = await made.ready();
      const cert = encodeDeviceCert(alice.cert);
      const edit = (call: number, at: number, bytes: Uint8Array): Uint8Array =>
        Uint8Array.of(1, call, at >> 8, at & 255, bytes.length, ...bytes);
      return [
        Uint8Array.of(0),
        edit(0, 0, cert),
        edit(1, 32, new Uint8Array(11)),
        edit(2, 0, Uint8Array.of(0, 1, ...new Uint8Array(8), 0, 1, 9)),
        edit(2, 0, Uint8Array.of(0, 0, 1)),
      ];
    },
    vary: (_, random: Random, dictionary) => editOf(random.int(3), random, dictionary, FIELDS),
  };
}

/** Where the fields of a certificate, a header and a body begin. */
const FIELDS: readonly (readonly number[])[] = [
  [0, 32, 33, 41, 73, 74, 106, 114],
  [0, 32, 36, 40, 42],
  [0, 2, 10, 12, 13, 15, 16, 17],
];

/** One edit with a word of the sources at the place of a field, as `readEdits` takes it. `call`: 0 for a header. */
function editOf(
  call: number,
  random: Random,
  dictionary: readonly Uint8Array[],
  fields: readonly (readonly number[])[] = FIELDS.slice(1),
): Uint8Array {
  const at = random.pick(fields[call] ?? [0]);
  const keys = [new Uint8Array(32), ...dictionary.filter((word) => word.length === 32)];
  const word = random.pick(random.chance(0.3) ? keys : dictionary).subarray(0, 255);
  return concatBytes(Uint8Array.of(1, call, 0, at, word.length), word);
}

/** A contact that has a session and writes what it likes under its own keys, turn after turn. */
function contact(name: string, base: CryptoBackend, weight: number): Target {
  const editing = editingBackend(base);
  const made = prepared<Pair>(async () => settle(await greet(base, 10), base));
  return {
    name,
    covers: ["crypto.decrypt"],
    maxBytes: 4_096,
    weight,
    // Most is spent on the symbols of a whole key: 37 out of 37 others.
    steps: { base: 100_000, perByte: 0, perMessage: 3_000_000 },
    async run(input) {
      const tape = createTape(input);
      let { a, b } = made.get();
      let now = START;
      let accepted = false;
      let messages = 0;
      for (; messages < 24 && !tape.over(); messages++) {
        const options = tape.u8();
        const wide = (options & 1) !== 0;
        const content = new Uint8Array([0, 1, 100, 1_500][(options >> 1) & 3] ?? 0);
        if ((options & 8) !== 0) now += (options >> 4) * 3_600_000;
        const env = envOf(base, 100 + messages, now);
        const deliver = async (envelope: Uint8Array, to: "a" | "b"): Promise<void> => {
          const decoded = decodeEnvelope(envelope);
          if (!decoded.ok || decoded.value.type !== "message") throw new Finding("not a message");
          const opened = await decryptSafely(to === "a" ? a : b, decoded.value, env);
          if (!opened.ok) return;
          if (to === "a") a = opened.session;
          else b = opened.session;
          accepted = true;
        };
        if ((options & 0xc0) === 0xc0) {
          // The victim answers, whatever it was told.
          const answer = await encryptSafely(b, content, env, wide);
          b = answer.session;
          await deliver(answer.envelope, "a");
        } else {
          editing.edit(readEdits(tape, 2));
          const sent = await encrypt(a, content, { ...env, crypto: editing }, { wide });
          a = sent.session;
          await deliver(sent.envelope, "b");
        }
      }
      return { accepted, messages };
    },
    async seeds() {
      await made.ready();
      const header = (n: number, pn: number): Uint8Array =>
        Uint8Array.of(0, 1, 0, 0, 32, 8, 0, 0, 0, pn, 0, 0, 0, n);
      const frame = Uint8Array.of(
        1,
        1,
        1,
        0,
        0,
        17,
        0,
        1,
        ...new Uint8Array(8),
        0,
        0,
        1,
        0,
        1,
        0,
        37,
      );
      return [
        Uint8Array.of(0, 0, 0xc0, 0, 0, 0xc0),
        concatBytes(header(5, 0), Uint8Array.of(0xc0), header(3, 1)),
        concatBytes(frame, Uint8Array.of(0xc1, 1, 0, 0xc1)),
        Uint8Array.of(1, 0, 0xc1, 1, 0, 0xc1, 1, 0, 0xc1, 1, 0),
      ];
    },
    // One more message at the end.
    vary: (input, random: Random, dictionary) =>
      concatBytes(
        input,
        Uint8Array.of(random.int(16)),
        editOf(random.int(2), random, dictionary),
        random.chance(0.5) ? Uint8Array.of(0xc0) : new Uint8Array(),
      ).subarray(0, 4_096),
  };
}

/** A bundle with valid signatures over anything. */
function bundleOf(name: string, base: CryptoBackend, weight: number): Target {
  const crypto = trusting(base);
  const made = prepared(() => greet(base, 11));
  return {
    name,
    covers: ["crypto.initiate"],
    maxBytes: 4_096,
    weight,
    steps: { base: 80_000, perByte: 400 },
    async run(input) {
      const decoded = decodeBundle(input);
      if (!decoded.ok) return REFUSED;
      const env = envOf(crypto, 12);
      const initiated = await initiate(made.get().alice, decoded.value, env);
      if (initiated === undefined) return REFUSED;
      await encryptSafely(initiated.session, new Uint8Array(40), env);
      return { accepted: true };
    },
    async seeds() {
      return [encodeBundle((await made.ready()).bundle)];
    },
    vary(input, random: Random) {
      const decoded = decodeBundle(input);
      if (!decoded.ok) return undefined;
      try {
        return encodeBundle(mutateValue(decoded.value, random) as typeof decoded.value);
      } catch {
        return undefined;
      }
    },
  };
}

/** What passes as a key can be used as one. */
async function checkKeys({ signedPrekey, kemPrekey }: PrekeyBundle): Promise<void> {
  const secret = new Uint8Array(32).fill(3);
  if (isExchangeKey(signedPrekey.key)) await nobleBackend.dh(secret, signedPrekey.key);
  if (isKemKey(kemPrekey.key)) await nobleBackend.encaps(kemPrekey.key, secret);
}

/** Signatures: nothing verifies but what was signed. The first byte chooses. */
function signed(): Target {
  const made = prepared(async () => {
    const { bundle } = await greet(nobleBackend, 13);
    const seed = new Uint8Array(32).fill(1);
    const key = await nobleBackend.signPublic(seed);
    const fields = {
      relayKey: key,
      ephemeralKey: new Uint8Array(32).fill(4),
      nonce: new Uint8Array(32).fill(5),
      hour: 1,
      ttlHoursMax: 2,
      queueMessagesMax: 3,
      door: "open" as const,
    };
    const hello = await signHubHello(seed, fields, nobleBackend);
    const auth = await signHubAuth(seed, fields.nonce, key, key, nobleBackend);
    const inputs = [
      encodeDeviceCert(bundle.cert),
      encodeBundle(bundle),
      encodeFrame(0, { type: "hello", ...fields, signature: hello }),
      encodeFrame(0, {
        type: "auth",
        readerKey: key,
        signature: auth,
        admission: new Uint8Array(),
      }),
    ].map((bytes, index) => concatBytes(Uint8Array.of(Math.min(index, 2)), bytes));
    return { inputs, nonce: fields.nonce, relayKey: key };
  });
  return {
    name: "signed",
    covers: [
      "crypto.isExchangeKey",
      "crypto.isKemKey",
      "crypto.verifyBundle",
      "crypto.verifyDeviceCert",
      "crypto.verifyHubAuth",
      "crypto.verifyHubHello",
    ],
    maxBytes: 4_096,
    weight: 1,
    steps: STEPS,
    async run(input) {
      const { inputs, nonce, relayKey } = made.get();
      const rest = input.subarray(1);
      const holds = await (async () => {
        if (input[0] === 0) {
          const cert = decodeDeviceCert(rest);
          return cert.ok && (await verifyDeviceCert(cert.value, nobleBackend));
        }
        if (input[0] === 1) {
          const bundle = decodeBundle(rest);
          if (bundle.ok) await checkKeys(bundle.value);
          return bundle.ok && (await verifyBundle(bundle.value, nobleBackend));
        }
        const frame = decodeFrame(rest);
        if (!frame.ok) return false;
        const { frame: value } = frame.value;
        if (value.type === "hello") return verifyHubHello(value, nobleBackend);
        return value.type === "auth" && verifyHubAuth({ nonce, relayKey, ...value }, nobleBackend);
      })();
      if (!holds) return REFUSED;
      // The request number and the admission are not signed; everything else is.
      const isGenuine =
        (input[0] ?? 0) > 1 || inputs.some((one) => Buffer.compare(one, input) === 0);
      if (!isGenuine) throw new Finding("verified what nobody signed");
      return { accepted: true };
    },
    async seeds() {
      return (await made.ready()).inputs;
    },
  };
}

export const sealedTargets: readonly Target[] = [
  offer,
  signal,
  arriving("arriving", stubBackend, 1),
  arriving("arriving-noble", nobleBackend, 0.5),
  stranger("stranger", stubBackend, 1),
  stranger("stranger-noble", nobleBackend, 0.5),
  contact("contact", stubBackend, 3),
  contact("contact-noble", nobleBackend, 1),
  bundleOf("claimed-bundle", stubBackend, 1),
  bundleOf("claimed-bundle-noble", nobleBackend, 0.5),
  signed(),
];
