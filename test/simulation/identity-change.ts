/**
 * Somebody else in a contact's place: strangers into whose hands a spare bundle came, people who begin anew with other
 * keys, and what the person on the other side says to it.
 * Owns: when, and the person's decision (protocol/SPEC.md §9). Leaves to forge.ts: what strangers send; to
 * identity-watch.ts: what must hold meanwhile.
 */
import type { OwnDevice } from "@sotto/crypto";
import type { ConversationId } from "@sotto/protocol";
import { equalBytes } from "@sotto/wire";
import type { Client } from "./client.ts";
import type { Decisions } from "./decisions.ts";
import type { Faults } from "./faults.ts";
import type { Oracle } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** How often a person looks whether there is something to decide. */
const LOOKS_EVERY_MS = 1_000;

export type Side = readonly [Client, ConversationId];

export interface IdentityWorld {
  readonly faults: Pick<Faults, "strangerMean" | "identityChangeMean">;
  readonly decisions: Decisions;
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly stranger: OwnDevice;
  /** Other keys for whoever begins anew: once. */
  readonly unused: Map<Client, OwnDevice>;
  /** Faults have ended. */
  readonly isHealing: () => boolean;
}

export const changesIdentities = (faults: IdentityWorld["faults"]): boolean =>
  faults.strangerMean + faults.identityChangeMean > 0;

/** Among the sides there are by then: the two of one conversation, or of all that devices have. */
export function startIdentityChanges(
  world: IdentityWorld,
  sides: () => readonly Side[],
  person: Random,
): void {
  const { faults, decisions, scheduler, oracle, stranger, isHealing } = world;
  const someSide = (by: Random): Side | undefined => {
    const all = sides();
    if (all.length === 2) return all[by.chance(0.5) ? 0 : 1];
    return all.length === 0 ? undefined : by.pick(all);
  };

  async function impersonate(): Promise<void> {
    if (isHealing()) return;
    const act = decisions.next("stranger");
    scheduler.after(act.random.exponential(faults.strangerMean), impersonate);
    const side = someSide(act.random);
    if (side === undefined || !act.take()) return;
    const [client, id] = side;
    await client.impersonate(id, stranger, act.random);
  }

  function renew(): void {
    if (isHealing()) return;
    const act = decisions.next("identity-change");
    scheduler.after(act.random.exponential(faults.identityChangeMean), renew);
    const client = someSide(act.random)?.[0];
    const keys = client && world.unused.get(client);
    if (client === undefined || keys === undefined || !oracle.canRenew(client) || !act.take())
      return;
    world.unused.delete(client);
    client.renew(keys);
  }

  /** Looks in, hesitates, asks the contact by other means, and says at last who it is. */
  async function decide(): Promise<void> {
    scheduler.after(LOOKS_EVERY_MS, decide);
    for (const [client, id] of sides()) {
      const peer = client.disk.conversations.get(id)?.peer;
      if (peer?.state !== "open" || !client.running) continue;
      if (peer.change === undefined) {
        if (isHealing() || person.chance(0.95)) continue;
        await client.feed(id, { kind: "mark-verified", verified: person.chance(0.7) });
        continue;
      }
      const { rootKey } = peer.change.cert;
      // Accepted without comparing, a verified contact is not replaced; nor is anybody by whom nobody asked about.
      const hasty = { kind: "answer-change", answer: "accept" } as const;
      if (peer.contact.verified && person.chance(0.3)) {
        await client.feed(id, { ...hasty, rootKey });
      } else if (person.chance(0.1)) {
        await client.feed(id, { ...hasty, rootKey: client.disk.self.cert.rootKey });
      }
      if (!isHealing() && person.chance(0.7)) continue;
      const other = oracle.across(client, id)?.client;
      const isContact = other !== undefined && equalBytes(rootKey, other.disk.self.cert.rootKey);
      const accepting = peer.contact.verified || person.chance(0.5) ? "accept-compared" : "accept";
      await client.feed(id, {
        kind: "answer-change",
        rootKey,
        answer: isContact ? accepting : "reject",
      });
    }
  }

  if (faults.strangerMean > 0) {
    scheduler.after(person.exponential(faults.strangerMean), impersonate);
  }
  if (faults.identityChangeMean > 0) {
    scheduler.after(person.exponential(faults.identityChangeMean), renew);
  }
  scheduler.after(LOOKS_EVERY_MS, decide);
}
