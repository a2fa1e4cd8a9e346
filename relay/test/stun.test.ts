/** STUN messages: RFC 5769's own bytes, and what is no message. */
import { assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { stun } from "sotto-relay";

const {
  attributeOf,
  ATTRIBUTES,
  decodeStun,
  encodeStun,
  errorOf,
  longTermKey,
  timedCredential,
  xorAddress,
} = stun;

/** RFC 5769 §2.4: a request with long-term authentication. */
const SAMPLE = Buffer.from(
  "000100602112a44278ad3433c6ad72c029da412e" +
    "00060012e3839ee38388e383aae38383e382afe382b90000" +
    "0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341" +
    "0014000b6578616d706c652e6f726700" +
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666",
  "hex",
);
const USERNAME = "マトリックス";

test("RFC 5769's request with long-term credentials is made byte for byte", () => {
  const message = {
    type: 0x0001,
    transaction: SAMPLE.subarray(8, 20),
    attributes: [
      [ATTRIBUTES.username, Buffer.from(USERNAME)],
      [ATTRIBUTES.nonce, Buffer.from("f//499k954d6OL34oL9FSTvy64sA")],
      [ATTRIBUTES.realm, Buffer.from("example.org")],
    ],
  } as const;
  const made = encodeStun(message, longTermKey(USERNAME, "example.org", "TheMatrIX"));
  expect(made.toString("hex")).toBe(SAMPLE.toString("hex"));
  const read = decodeStun(SAMPLE);
  expect(read?.attributes.slice(0, 3).map(([, value]) => Buffer.from(value))).toEqual(
    message.attributes.map(([, value]) => value),
  );
});

test("errors, addresses and timed credentials are what the standards and coturn make of them", () => {
  const answer = decodeStun(
    encodeStun({
      type: 0x0113,
      transaction: new Uint8Array(12),
      attributes: [[ATTRIBUTES.errorCode, Buffer.from([0, 0, 4, 1])]],
    }),
  );
  expect(answer && errorOf(answer)).toBe(401);
  expect(answer && attributeOf(answer, ATTRIBUTES.realm)).toBeUndefined();
  // RFC 5769 §2.2: 192.0.2.1 port 32853.
  expect(Buffer.from(xorAddress("192.0.2.1", 32_853)).toString("hex")).toBe("0001a147e112a643");
  // openssl dgst -sha1 -hmac secret -binary <<< "1700000000:doctor" (without the newline) | base64
  expect(timedCredential("secret", 1_700_000_000)).toEqual({
    username: "1700000000:doctor",
    credential: "HVhdSu7s5CkjuevueIQRkWcXof4=",
  });
});

test("any bytes are a whole message or none, and never throw", () => {
  assert(
    property(uint8Array({ maxLength: 100 }), (bytes) => {
      decodeStun(Buffer.from(bytes));
    }),
  );
  for (let length = 0; length < SAMPLE.length; length++) {
    expect(decodeStun(SAMPLE.subarray(0, length))).toBeUndefined();
  }
});
