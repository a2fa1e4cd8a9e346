/** Values of wire's types that several tests seal; nothing in them is secret. */
import { asSendId, type InviteOffer, type PrekeyBundle, type Signal } from "@sotto/wire";

export const signal: Signal = {
  counter: 1_700_000_000_000,
  presence: "online",
  probe: true,
  direct: "ready",
  peerId: Uint8Array.from({ length: 38 }, (_, index) => index),
  reached: { chain: 3, next: 7 },
};

export const offerOf = (bundle: PrekeyBundle, name = "Bob"): InviteOffer => ({
  bundle,
  addresses: [
    {
      relayUrl: "https://relay.example",
      relayKey: new Uint8Array(32).fill(3),
      sendId: asSendId(new Uint8Array(24).fill(4)),
      firstUse: new Uint8Array(16).fill(5),
    },
    {
      relayUrl: "https://other-relay.example",
      relayKey: new Uint8Array(32).fill(6),
      sendId: asSendId(new Uint8Array(24).fill(7)),
      firstUse: new Uint8Array(16).fill(8),
    },
  ],
  name,
});
