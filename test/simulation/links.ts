/**
 * Direct links between two devices: they open when both sides expect each other, break without a word, and the
 * two ends learn of it at different times.
 */
import type { Decisions } from "./decisions.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

interface Link {
  readonly ends: readonly [Endpoint, Endpoint];
  readonly peers: readonly [string, string];
  state: "up" | "broken" | "down";
  readonly at: [number, number];
  /** Which end has been told that it is down. */
  readonly told: [boolean, boolean];
}

export interface Links {
  dial(client: Endpoint, peerId: string, failed: () => void | Promise<void>): void;
  sendDirect(client: Endpoint, peerId: string, blob: Uint8Array): boolean;
  breakLink(client: Endpoint): void;
  /** The client's process ended. */
  gone(this: void, client: Endpoint): void;
}

export interface LinksOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly decisions: Decisions;
  readonly faults: () => Faults;
  readonly trace: (line: string) => void;
  /** Reachable through the relay right now. */
  readonly isConnected: (client: Endpoint) => boolean;
  readonly everybody: () => Iterable<Endpoint>;
}

export function createLinks(options: LinksOptions): Links {
  const { scheduler, random, decisions, trace, isConnected } = options;
  let links: Link[] = [];

  const delay = (): number =>
    options.faults().delayMin + random.exponential(options.faults().delayMean);

  const endOf = (link: Link, client: Endpoint): 0 | 1 | undefined =>
    link.ends[0] === client ? 0 : link.ends[1] === client ? 1 : undefined;

  function drop(link: Link): void {
    if (link.state !== "up") return;
    link.state = "broken";
    trace(`link ${link.ends[0].name}-${link.ends[1].name} breaks`);
    for (const end of [0, 1] as const) {
      const unnoticed = options.faults().halfOpenMean;
      scheduler.after(unnoticed === 0 ? 1 : random.exponential(unnoticed), async () => {
        link.told[end] = true;
        if (link.told[0] && link.told[1]) {
          link.state = "down";
          links = links.filter((one) => one !== link);
        }
        const client = link.ends[end];
        if (client.running && client.peerId === link.peers[end]) {
          await client.link(link.peers[1 - end]!, false);
        }
      });
    }
  }

  const findLink = (client: Endpoint, peerId: string): Link | undefined =>
    links.find((link) => {
      const end = endOf(link, client);
      return (
        end !== undefined &&
        !link.told[end] &&
        link.peers[end] === client.peerId &&
        link.peers[1 - end] === peerId
      );
    });

  return {
    dial(client, peerId, failed) {
      const own = client.peerId;
      scheduler.after(delay() * 3, async () => {
        if (own === undefined || client.peerId !== own || !client.running) return;
        const before = findLink(client, peerId);
        if (before !== undefined && before.state === "up") return;
        const other = [...options.everybody()].find((one) => one.peerId === peerId);
        const isPossible =
          other !== undefined &&
          other.running &&
          isConnected(client) &&
          isConnected(other) &&
          other.expects(own) &&
          before === undefined &&
          findLink(other, own) === undefined;
        if (!isPossible) {
          await failed();
          return;
        }
        const link: Link = {
          ends: [client, other],
          peers: [own, peerId],
          state: "up",
          at: [0, 0],
          told: [false, false],
        };
        links.push(link);
        trace(`link ${client.name}-${other.name} opens`);
        await client.link(peerId, true);
        if (other.running && other.peerId === peerId) await other.link(own, true);
      });
    },
    sendDirect(client, peerId, blob) {
      const link = findLink(client, peerId);
      const end = link === undefined ? undefined : endOf(link, client);
      if (link === undefined || end === undefined) return false;
      const { linkRefuses, linkLoss, reorder, duplicate } = options.faults();
      if (decisions.fires("link-refuses", linkRefuses) !== undefined) return false;
      if (decisions.fires("link-loses", linkLoss) !== undefined) return true;
      link.at[end] = Math.max(link.at[end], scheduler.now + delay());
      const at = link.at[end] + (decisions.fires("link-reorders", reorder)?.int(300) ?? 0);
      const arrive = (): void | Promise<void> => {
        const other = link.ends[1 - end]!;
        if (link.state !== "up" || !other.running || other.peerId !== link.peers[1 - end]) return;
        return other.linkFrame(link.peers[end], blob);
      };
      scheduler.after(at - scheduler.now, arrive);
      if (decisions.fires("link-repeats", duplicate) !== undefined) {
        scheduler.after(at - scheduler.now + 5, arrive);
      }
      return true;
    },
    breakLink(client) {
      const link = links.find((one) => one.state === "up" && endOf(one, client) !== undefined);
      if (link !== undefined) drop(link);
    },
    gone(client) {
      for (const link of links.slice()) if (endOf(link, client) !== undefined) drop(link);
    },
  };
}
