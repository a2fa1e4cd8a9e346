import {
  createPublicKey,
  createCipheriv,
  createHash,
  createHmac,
  decapsulate,
  diffieHellman,
  encapsulate,
  hkdfSync,
  sign,
  verify,
} from "node:crypto";
import { bytesToHex, equalBytes, hexToBytes, utf8ToBytes } from "@sotto/wire";
import { ed25519 } from "@noble/curves/ed25519.js";
import { shake128 } from "@noble/hashes/sha3.js";
import { describe, expect, it } from "vitest";
import { nobleBackend } from "@sotto/crypto";
import {
  aeadOpen,
  aeadSeal,
  ed25519Public,
  ed25519Sign,
  ed25519Verify,
  hkdfSha256,
  hmacSha256,
  isCanonicalX25519,
  isExchangeKey,
  isKemKey,
  isSignatureForm,
  isSigningKey,
  labelled,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemPublic,
  sha256,
  sha512,
  x25519Exchange,
  x25519Public,
} from "#src/primitives.ts";
import { craftedSignatures, TORSION } from "./ed25519-cases.ts";
import { asyncBackend, flipBit, seededEntropy } from "./support.ts";
import { der } from "./reference.ts";

function hex(value: string): Uint8Array<ArrayBuffer> {
  const bytes = hexToBytes(value.replaceAll(/\s/g, ""));
  if (bytes === undefined) throw new Error("bad hex in a test");
  return bytes;
}

const little = (value: bigint): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));

const P = 2n ** 255n - 19n;
/** Order of the prime-order subgroup of Curve25519. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

describe("hashes", () => {
  it("SHA-256 and SHA-512 of 'abc' (FIPS 180-4 examples)", () => {
    expect(bytesToHex(sha256(utf8ToBytes("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(bytesToHex(sha512(utf8ToBytes("abc")))).toBe(
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    );
  });

  it("HMAC-SHA-256 (RFC 4231, cases 1, 2 and 6)", () => {
    expect(bytesToHex(hmacSha256(new Uint8Array(20).fill(0x0b), utf8ToBytes("Hi There")))).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    expect(
      bytesToHex(hmacSha256(utf8ToBytes("Jefe"), utf8ToBytes("what do ya want for nothing?"))),
    ).toBe("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect(
      bytesToHex(
        hmacSha256(
          new Uint8Array(131).fill(0xaa),
          utf8ToBytes("Test Using Larger Than Block-Size Key - Hash Key First"),
        ),
      ),
    ).toBe("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  });

  it("HKDF-SHA-256 (RFC 5869, A.1 and A.3)", () => {
    const ikm = new Uint8Array(22).fill(0x0b);
    expect(
      bytesToHex(
        hkdfSha256(ikm, hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42),
      ),
    ).toBe("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    expect(bytesToHex(hkdfSha256(ikm, new Uint8Array(0), new Uint8Array(0), 42))).toBe(
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
  });

  it("agree with OpenSSL on random input", () => {
    const entropy = seededEntropy("hashes");
    for (let length = 0; length < 300; length += 23) {
      const key = entropy(length);
      const data = entropy(length * 3);
      expect(sha256(data)).toEqual(bytes(createHash("sha256").update(data).digest()));
      expect(sha512(data)).toEqual(bytes(createHash("sha512").update(data).digest()));
      expect(hmacSha256(key, data)).toEqual(bytes(createHmac("sha256", key).update(data).digest()));
      expect(hkdfSha256(data, key, key, 192)).toEqual(
        new Uint8Array(hkdfSync("sha256", data, key, key, 192)),
      );
    }
  });

  it("a labelled message is the label, a zero byte and the parts", () => {
    expect(bytesToHex(labelled("ab", Uint8Array.of(1), Uint8Array.of(2, 3)))).toBe("616200010203");
  });
});

describe("X25519", () => {
  it("RFC 7748 §5.2, both examples", () => {
    expect(
      bytesToHex(
        x25519Exchange(
          hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
          hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
        ),
      ),
    ).toBe("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    // The second example's point has its high bit set: the RFC masks it, this suite refuses it.
    const second = hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493");
    const scalar = hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d");
    expect(() => x25519Exchange(scalar, second)).toThrow(RangeError);
    expect(bytesToHex(x25519Exchange(scalar, flipBit(second, 255)))).toBe(
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    );
  });

  it("RFC 7748 §5.2, iterated once and 1,000 times", () => {
    let k: Uint8Array = hex(`09${"00".repeat(31)}`);
    let u = k;
    for (let round = 1; round <= 1_000; round++) {
      const masked = Uint8Array.from(u);
      masked[31] = (masked[31] ?? 0) & 0x7f;
      const next = x25519Exchange(k, masked);
      u = k;
      k = next;
      if (round === 1) {
        expect(bytesToHex(k)).toBe(
          "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
        );
      }
    }
    expect(bytesToHex(k)).toBe("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  });

  it("RFC 7748 §6.1", () => {
    const secret = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    const remote = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    expect(bytesToHex(x25519Public(secret))).toBe(
      "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    );
    expect(bytesToHex(x25519Exchange(secret, remote))).toBe(
      "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    );
  });

  it("agrees with OpenSSL on random keys", () => {
    const entropy = seededEntropy("x25519");
    for (let round = 0; round < 20; round++) {
      const [mine, theirs] = [entropy(32), entropy(32)];
      const remote = x25519Public(theirs);
      expect(x25519Exchange(mine, remote)).toEqual(
        bytes(
          diffieHellman({
            privateKey: der.x25519Secret(mine),
            publicKey: der.x25519Public(remote),
          }),
        ),
      );
    }
  });

  const smallOrder = [
    little(0n),
    little(1n),
    little(P - 1n),
    hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
  ];

  it("refuses every point of small order, in the exchange and before it", () => {
    const secret = seededEntropy("small order")(32);
    for (const point of smallOrder) {
      expect(isCanonicalX25519(point)).toBe(true);
      expect(isExchangeKey(point)).toBe(false);
      expect(() => x25519Exchange(secret, point)).toThrow();
    }
  });

  it("refuses every second encoding: p to 2^255 - 1, and the high bit", () => {
    const secret = seededEntropy("non-canonical")(32);
    const good = x25519Public(seededEntropy("good")(32));
    const refused = [
      ...Array.from({ length: 19 }, (_, extra) => little(P + BigInt(extra))),
      flipBit(good, 255),
      flipBit(little(9n), 255),
      new Uint8Array(31),
      new Uint8Array(33),
    ];
    for (const key of refused) {
      expect(isExchangeKey(key)).toBe(false);
      expect(() => x25519Exchange(secret, key)).toThrow(RangeError);
    }
    for (const key of [good, little(9n), little(2n), little(P - 2n)]) {
      expect(isExchangeKey(key)).toBe(true);
      expect(x25519Exchange(secret, key)).toHaveLength(32);
    }
  });
});

describe("Ed25519", () => {
  const examples = [
    {
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature:
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    {
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature:
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
  ];

  it.each(examples)("RFC 8032 §7.1: message '$message'", ({ seed, key, message, signature }) => {
    expect(bytesToHex(ed25519Public(hex(seed)))).toBe(key);
    expect(bytesToHex(ed25519Sign(hex(seed), hex(message)))).toBe(signature);
    expect(ed25519Verify(hex(key), hex(message), hex(signature))).toBe(true);
  });

  it("agrees with OpenSSL on random keys and messages", () => {
    const entropy = seededEntropy("ed25519");
    for (let length = 0; length < 200; length += 13) {
      const [seed, message] = [entropy(32), entropy(length)];
      const signature = ed25519Sign(seed, message);
      expect(signature).toEqual(bytes(sign(null, message, der.ed25519Secret(seed))));
      const key = createPublicKey(der.ed25519Secret(seed));
      expect(verify(null, message, key, signature)).toBe(true);
      expect(ed25519Verify(ed25519Public(seed), message, signature)).toBe(true);
    }
  });

  /** The eight points of the torsion subgroup. */
  const smallOrder = [
    little(1n),
    little(P - 1n),
    little(0n),
    flipBit(little(0n), 255),
    hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
  ];

  it("refuses keys of small order, under which one signature fits every message", () => {
    const forged = new Uint8Array(64);
    forged[0] = 1;
    for (const key of smallOrder) {
      expect(isSigningKey(key)).toBe(false);
      expect(ed25519Verify(key, utf8ToBytes("anything"), forged)).toBe(false);
    }
  });

  it("refuses non-canonical keys, points off the curve and wrong lengths", () => {
    const refused = [
      little(P),
      little(P + 1n),
      flipBit(little(P + 1n), 255),
      // x = 0 with its sign bit set.
      flipBit(little(1n), 255),
      flipBit(little(P - 1n), 255),
      little(2n),
      new Uint8Array(31),
      new Uint8Array(33),
    ];
    for (const key of refused) {
      expect(isSigningKey(key)).toBe(false);
      expect(ed25519Verify(key, new Uint8Array(0), new Uint8Array(64))).toBe(false);
    }
  });

  it("refuses the second form of a signature (S + L), every flipped bit and other lengths", () => {
    const seed = seededEntropy("malleable")(32);
    const key = ed25519Public(seed);
    const message = utf8ToBytes("once");
    const signature = ed25519Sign(seed, message);
    const s = signature.slice(32).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
    const malleated = Uint8Array.from(signature);
    malleated.set(little(s + L), 32);
    expect(ed25519Verify(key, message, signature)).toBe(true);
    expect(ed25519Verify(key, message, malleated)).toBe(false);
    for (let bit = 0; bit < 512; bit += 7) {
      expect(ed25519Verify(key, message, flipBit(signature, bit))).toBe(false);
    }
    expect(ed25519Verify(key, message, signature.slice(1))).toBe(false);
    expect(ed25519Verify(key, message, new Uint8Array(65))).toBe(false);
  });
});

describe("Ed25519, signatures that only the owner of a key can make", () => {
  const seed = new Uint8Array(32).fill(7);
  const key = ed25519Public(seed);
  const message = utf8ToBytes("crafted");
  const number = (value: Uint8Array): bigint =>
    value.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);

  /** R as given and S = r + k·a: fits exactly when R = r·B, up to the cofactor when R = r·B + torsion. */
  function crafted(r: bigint, encodedR: Uint8Array): Uint8Array {
    const scalar = sha512(seed).slice(0, 32);
    scalar[0] = (scalar[0] ?? 0) & 248;
    scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
    const k = number(sha512(Uint8Array.of(...encodedR, ...key, ...message)));
    return Uint8Array.of(...encodedR, ...little((r + k * number(scalar)) % L));
  }

  it("are refused when R is not canonical", () => {
    expect(ed25519Verify(key, message, crafted(0n, little(1n)))).toBe(true);
    expect(ed25519Verify(key, message, crafted(0n, little(P + 1n)))).toBe(false);
  });

  it("follow the equation with the cofactor (RFC 8032 §5.1.7), which OpenSSL leaves out", () => {
    const { Point } = ed25519;
    const exact = Point.BASE.multiply(12_345n);
    const shifted = exact.add(Point.fromBytes(little(P - 1n)));
    const publicKey = createPublicKey(der.ed25519Secret(seed));
    for (const [point, atOpenSsl] of [
      [exact, true],
      [shifted, false],
    ] as const) {
      const signature = crafted(12_345n, point.toBytes());
      expect(ed25519Verify(key, message, signature)).toBe(true);
      expect(verify(null, message, publicKey, signature)).toBe(atOpenSsl);
    }
    expect(ed25519Verify(key, message, crafted(12_346n, exact.toBytes()))).toBe(false);
  });

  it("are judged by their parts: torsion anywhere in key and R, second encodings, S + L", () => {
    const cases = craftedSignatures();
    for (const { name, key: made, message: signed, signature, taken } of cases) {
      expect(ed25519Verify(made, signed, signature), name).toBe(taken);
      // What is taken passes, and not for its form alone.
      expect(isSignatureForm(made, signature) || !taken, name).toBe(true);
    }
    expect(cases.filter(({ taken }) => taken).length).toBeGreaterThan(200);
    expect(cases.filter(({ exact, taken }) => exact && !taken).length).toBeGreaterThan(100);
  });

  it("the form alone refuses what the curve could not: no more and no less", () => {
    const signature = crafted(1n, ed25519.Point.BASE.toBytes());
    const withR = (r: Uint8Array): Uint8Array => Uint8Array.of(...r, ...signature.slice(32));
    const withS = (s: bigint): Uint8Array => Uint8Array.of(...signature.slice(0, 32), ...little(s));
    for (const y of [0n, 1n, 2n, 9n, P - 2n, P - 1n, P, P + 1n, P + 18n]) {
      for (const bytes of [little(y), flipBit(little(y), 255)]) {
        const small = TORSION.some((point) => equalBytes(point.toBytes(), bytes));
        const second = y >= P || ((y === 1n || y === P - 1n) && !equalBytes(bytes, little(y)));
        expect(isSignatureForm(key, withR(bytes)), `R ${y}`).toBe(!second);
        expect(isSignatureForm(bytes, signature), `A ${y}`).toBe(!second && !small);
      }
    }
    for (const point of TORSION) {
      expect(isSignatureForm(point.toBytes(), signature)).toBe(false);
      expect(isSignatureForm(key, withR(point.toBytes()))).toBe(true);
    }
    for (const s of [0n, L - 1n, L, L + 1n, 1n << 252n, 1n << 253n, (1n << 256n) - 1n]) {
      expect(isSignatureForm(key, withS(s)), `S ${s}`).toBe(s < L);
    }
    expect(isSignatureForm(key.slice(1), signature)).toBe(false);
    expect(isSignatureForm(Uint8Array.of(...key, 0), signature)).toBe(false);
    expect(isSignatureForm(key, signature.slice(1))).toBe(false);
    expect(isSignatureForm(key, Uint8Array.of(...signature, 0))).toBe(false);
  });
});

describe("ML-KEM-768", () => {
  it("Go's accumulated known answer over 100 key pairs (crypto/mlkem TestAccumulated)", () => {
    const input = shake128.create({ dkLen: 32 });
    const output = shake128.create({ dkLen: 32 });
    for (let round = 0; round < 100; round++) {
      const seed = input.xof(64);
      const publicKey = mlKemPublic(seed);
      const { ciphertext, sharedSecret } = mlKemEncapsulate(publicKey, input.xof(32));
      output.update(publicKey).update(ciphertext).update(sharedSecret);
      output.update(mlKemDecapsulate(seed, input.xof(1_088)));
    }
    expect(bytesToHex(output.digest())).toBe(
      "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415",
    );
  });

  it("agrees with OpenSSL, also on a ciphertext that was tampered with", () => {
    const entropy = seededEntropy("ml-kem");
    for (let round = 0; round < 5; round++) {
      const seed = entropy(64);
      const secretKey = der.mlKemSecret(seed);
      const publicKey = createPublicKey(secretKey);
      expect(mlKemPublic(seed)).toEqual(
        bytes(publicKey.export({ type: "spki", format: "der" })).slice(-1_184),
      );
      const theirs = encapsulate(publicKey);
      expect(mlKemDecapsulate(seed, bytes(theirs.ciphertext))).toEqual(bytes(theirs.sharedKey));
      const ours = mlKemEncapsulate(mlKemPublic(seed), entropy(32));
      expect(bytes(decapsulate(secretKey, ours.ciphertext))).toEqual(ours.sharedSecret);
      const tampered = flipBit(ours.ciphertext, round * 1_009);
      const rejected = mlKemDecapsulate(seed, tampered);
      expect(rejected).not.toEqual(ours.sharedSecret);
      expect(rejected).toEqual(bytes(decapsulate(secretKey, tampered)));
    }
  });

  it("refuses a key with a coefficient of 3,329, wherever it stands, and takes 3,328", () => {
    const key = mlKemPublic(seededEntropy("modulus")(64));
    expect(isKemKey(key)).toBe(true);
    for (let coefficient = 0; coefficient < 768; coefficient++) {
      expect(isKemKey(withCoefficient(key, coefficient, 3_329))).toBe(false);
      expect(isKemKey(withCoefficient(key, coefficient, 3_328))).toBe(true);
    }
    for (const coefficient of [0, 1, 383, 767]) {
      const [over, highest] = [3_329, 3_328].map((value) =>
        withCoefficient(key, coefficient, value),
      );
      expect(() => mlKemEncapsulate(over!, new Uint8Array(32))).toThrow();
      expect(mlKemEncapsulate(highest!, new Uint8Array(32)).sharedSecret).toHaveLength(32);
    }
    expect(isKemKey(key.slice(1))).toBe(false);
    expect(isKemKey(new Uint8Array(1_185))).toBe(false);
  });
});

describe("ChaCha20-Poly1305", () => {
  const key = Uint8Array.from({ length: 32 }, (_, index) => 0x80 + index);
  const nonce = hex("070000004041424344454647");
  const aad = hex("50515253c0c1c2c3c4c5c6c7");
  const plaintext = utf8ToBytes(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const sealed = hex(`
    d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
    3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
    92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
    3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691`);

  it("RFC 8439 §2.8.2", () => {
    expect(aeadSeal(key, nonce, aad, plaintext)).toEqual(sealed);
    expect(aeadOpen(key, nonce, aad, sealed)).toEqual(plaintext);
  });

  it("opens nothing when any bit of key, nonce, associated data or ciphertext differs", () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      expect(aeadOpen(key, nonce, aad, flipBit(sealed, bit))).toBeUndefined();
    }
    for (let bit = 0; bit < 96; bit++) {
      expect(aeadOpen(flipBit(key, bit), nonce, aad, sealed)).toBeUndefined();
      expect(aeadOpen(key, flipBit(nonce, bit), aad, sealed)).toBeUndefined();
      expect(aeadOpen(key, nonce, flipBit(aad, bit), sealed)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length += 5) {
      expect(aeadOpen(key, nonce, aad, sealed.slice(0, length))).toBeUndefined();
    }
  });

  it("agrees with OpenSSL on random input", () => {
    const entropy = seededEntropy("aead");
    for (let length = 0; length < 400; length += 37) {
      const [k, n, a, m] = [entropy(32), entropy(12), entropy(length % 50), entropy(length)];
      const cipher = createCipheriv("chacha20-poly1305", k, n, { authTagLength: 16 });
      cipher.setAAD(a, { plaintextLength: m.length });
      const theirs = Buffer.concat([cipher.update(m), cipher.final(), cipher.getAuthTag()]);
      expect(aeadSeal(k, n, a, m)).toEqual(bytes(theirs));
    }
  });
});

describe("the back-end contract", () => {
  it.each([nobleBackend, asyncBackend])("$name: every pair of calls fits", async (crypto) => {
    const entropy = seededEntropy("contract");
    const [one, two] = [entropy(32), entropy(32)];
    expect(await crypto.dh(one, await crypto.dhPublic(two))).toEqual(
      await crypto.dh(two, await crypto.dhPublic(one)),
    );
    const signature = await crypto.sign(one, two);
    expect(await crypto.verify(await crypto.signPublic(one), two, signature)).toBe(true);
    expect(await crypto.verify(await crypto.signPublic(two), two, signature)).toBe(false);
    const seed = entropy(64);
    const { ciphertext, sharedSecret } = await crypto.encaps(await crypto.kemPublic(seed), one);
    expect(await crypto.decaps(seed, ciphertext)).toEqual(sharedSecret);
    const sealed = await crypto.seal(one, entropy(12), two, two);
    expect(await crypto.open(two, entropy(12), two, sealed)).toBeUndefined();
  });
});

/** Sets the `index`-th 12-bit little-endian coefficient of an encoded ML-KEM key. */
function withCoefficient(key: Uint8Array, index: number, value: number): Uint8Array {
  const copy = Uint8Array.from(key);
  const at = (index >> 1) * 3;
  if (index % 2 === 0) {
    copy[at] = value & 0xff;
    copy[at + 1] = ((copy[at + 1] ?? 0) & 0xf0) | (value >> 8);
  } else {
    copy[at + 1] = ((copy[at + 1] ?? 0) & 0x0f) | ((value & 0x0f) << 4);
    copy[at + 2] = value >> 4;
  }
  return copy;
}

function bytes(buffer: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(buffer);
}
