/**
 * T-17: somebody fetches a person's prekeys until only weak ones are left, or to see when they are filled up again
 * (Prekey Pogo 2025). A bundle belongs to one invite and is not used up by fetching it: what anybody fetched, however
 * often, is what the next one gets, with its one-time pair; nothing is filled up, and the inviter hears of none of it.
 */
import { decodeBundle } from "@sotto/wire";
import { openInviteOffer, nobleBackend } from "@sotto/crypto";
import { describe, expect, it } from "vitest";
import { BUNDLE_GET_BURST, BUNDLE_GET_INTERVAL_MS, PLACE_BUNDLE_GET_BURST } from "sotto-relay/core";
import {
  accepted,
  carry,
  inviteFrom,
  createSide,
  openPeerOf,
  settle,
} from "../../packages/protocol/test/fixture.ts";
import { newLinkId, random } from "../../relay/test/client.ts";
import { createWorld } from "../../relay/test/world.ts";

/** All that a relay says unasked. */
const HEARD = ["deliver", "signalled", "drained", "ping", "error", "bye"] as const;
/** Places that fetch all they can; with PLACE_BUNDLE_GET_BURST each, over 10,000 fetches. */
const PLACES = 40;

describe("10,000 fetches of one offer", () => {
  it("leave it to the next who comes, byte for byte, and are not heard of by whoever made it", async () => {
    const world = createWorld();
    const alice = await createSide("Alice");
    const { invite, blob } = await inviteFrom(alice);
    const owner = await world.connect(random(32), "home");
    const { alias } = await owner.client.makeQueue(random(16));
    const linkId = newLinkId();
    expect(await owner.client.request({ type: "bundle-put", alias, linkId, blob })).toEqual({
      type: "ok",
    });
    const heard = (): number => HEARD.reduce((sum, type) => sum + owner.client.waiting(type), 0);
    const before = heard();
    const get = { type: "bundle-get", linkId } as const;
    let fetched = 0;
    let refused = 0;
    for (let place = 0; place < PLACES; place++) {
      const rounds = PLACE_BUNDLE_GET_BURST / BUNDLE_GET_BURST + 1;
      for (let round = 0; round < rounds; round++) {
        const { client } = await world.connect(random(32), `attacker ${place}`);
        const all = Array.from({ length: BUNDLE_GET_BURST }, () => client.request(get));
        for (const answer of await Promise.all(all)) {
          if (answer.type === "bundle") fetched++;
          else refused++;
        }
        client.close();
      }
    }
    expect(fetched).toBe(PLACES * PLACE_BUNDLE_GET_BURST);
    expect(refused).toBe(PLACES * BUNDLE_GET_BURST);
    const guest = await world.connect(random(32), "guest");
    expect(await guest.client.request(get)).toEqual({ type: "bundle", blob });
    // Behind one address with an attacker it takes a second.
    const neighbour = await world.connect(random(32), "attacker 0");
    expect(await neighbour.client.request(get)).toMatchObject({ type: "error", code: "later" });
    world.clock.advance(BUNDLE_GET_INTERVAL_MS);
    expect(await neighbour.client.request(get)).toEqual({ type: "bundle", blob });
    expect(heard()).toBe(before);
    const offer = await openInviteOffer(invite.seed, blob, nobleBackend);
    expect(offer?.bundle.kemPrekey.oneTimeKey).toHaveLength(32);
  });
});

describe("a spare bundle", () => {
  it("is its contact's alone, has a one-time pair too, and is another one for each contact", async () => {
    const keys = new Set<string>();
    for (let contact = 0; contact < 2; contact++) {
      const { alice, bob } = await accepted();
      await carry(bob, alice);
      await settle(alice, bob);
      for (const side of [alice, bob]) {
        const bundle = decodeBundle(openPeerOf(side).spares.theirs?.bundle ?? new Uint8Array(0));
        if (!bundle.ok) throw new Error("no spare");
        const { kemPrekey, signedPrekey } = bundle.value;
        expect(kemPrekey.oneTimeKey).toHaveLength(32);
        for (const key of [kemPrekey.key, kemPrekey.oneTimeKey, signedPrekey.key]) {
          keys.add(Buffer.from(key ?? []).toString("hex"));
        }
      }
    }
    expect(keys.size).toBe(2 * 2 * 3);
  });
});
