/** Datagrams: what our STUN server answers, and what `sotto-relay doctor` reads of a TURN server's answers. */
import { stun, stunServer } from "../../../relay/test/decoders.ts";
import { Finding, type Target } from "../target.ts";

const { ATTRIBUTES, attributeOf, decodeStun, encodeStun, errorOf } = stun;
const { STUN_REQUEST_BYTES_MAX, stunAnswer } = stunServer;

/** As the socket says where a datagram came from; the last two with what hides the address. */
const SENDERS = [
  { address: "192.0.2.1", bytes: "c0000201" },
  { address: "::ffff:192.0.2.1", bytes: "c0000201" },
  { address: "::1", bytes: `${"00".repeat(15)}01` },
  { address: "2001:db8::a:b", bytes: "20010db80000000000000000000a000b" },
  { address: "fe80::1%eth0", bytes: `fe80${"00".repeat(13)}01` },
] as const;
const PORT = 32_853;

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Answered once per sender; whatever is no Binding request is not. */
const server: Target = {
  name: "stun-server",
  covers: ["stunServer.stunAnswer"],
  maxBytes: 2 * STUN_REQUEST_BYTES_MAX,
  weight: 1,
  steps: { base: 4_000, perByte: 10 },
  run(input) {
    let accepted = false;
    for (const { address, bytes } of SENDERS) {
      const answer = stunAnswer(Buffer.from(input), address, PORT);
      if (answer === undefined) continue;
      accepted = true;
      if (answer.length > 44) throw new Finding("an answer is longer than an address takes");
      const message = decodeStun(answer);
      const mapped = message && attributeOf(message, ATTRIBUTES.xorMappedAddress);
      if (message?.type !== 0x0101 || message.attributes.length !== 1 || mapped === undefined) {
        throw new Finding("an answer is no Binding success");
      }
      if (!isSame(message.transaction, input.subarray(8, 20))) {
        throw new Finding("an answer to another request");
      }
      const mask = input.subarray(4, 20);
      const open = mapped.subarray(4).map((byte, at) => byte ^ (mask[at] ?? 0));
      if (Buffer.from(open).toString("hex") !== bytes) throw new Finding("another's address");
    }
    return { accepted };
  },
  oversized: () => [Buffer.concat([REQUEST, Buffer.alloc(1_048_576)])],
  seeds: () => [
    REQUEST,
    Buffer.concat([Buffer.from("0001000421", "hex"), REQUEST.subarray(5), Buffer.alloc(4)]),
  ],
};

const REQUEST = Buffer.from(`000100002112a442${"07".repeat(12)}`, "hex");

const reader: Target = {
  name: "stun",
  covers: ["stun.decodeStun", "stun.attributeOf", "stun.errorOf"],
  maxBytes: 1_500,
  weight: 1,
  steps: { base: 2_000, perByte: 60 },
  run(input) {
    const message = decodeStun(Buffer.from(input));
    if (message === undefined) return { accepted: false };
    const error = errorOf(message);
    if (error !== undefined && !Number.isInteger(error)) throw new Finding("an error is no number");
    const view = Buffer.from(input);
    let at = 20;
    for (const [, value] of message.attributes) {
      if (view.readUInt16BE(at + 2) !== value.length) throw new Finding("an attribute was cut");
      at += 4 + Math.ceil(value.length / 4) * 4;
    }
    const again = decodeStun(encodeStun(message));
    const isKept =
      again?.type === message.type &&
      isSame(again.transaction, message.transaction) &&
      again.attributes.length === message.attributes.length &&
      again.attributes.every(([type, value], at) => {
        const [other, before] = message.attributes[at] ?? [-1, new Uint8Array()];
        return type === other && isSame(value, before);
      });
    if (!isKept) throw new Finding("a message does not survive being written again");
    return { accepted: true, result: message };
  },
  seeds: () =>
    [
      [],
      [[ATTRIBUTES.errorCode, Buffer.from([0, 0, 4, 1])]],
      [
        [ATTRIBUTES.realm, Buffer.from("example.org")],
        [ATTRIBUTES.nonce, Buffer.from("f//499k954d6OL34oL9FSTvy64sA")],
      ],
    ].map((attributes) =>
      encodeStun({
        type: 0x0113,
        transaction: new Uint8Array(12).fill(7),
        attributes: attributes as never,
      }),
    ),
};

export const stunTargets: readonly Target[] = [server, reader];
