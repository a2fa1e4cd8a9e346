/** What the simulated network knows of a client, and what a client may ask of it. */
import type { Slice } from "@sotto/protocol";
import type { Faults } from "./faults.ts";
import type { Invariant } from "./invariants.ts";
import type { Random } from "./random.ts";
import { relayOf } from "./several-relays.ts";

export interface SendTarget {
  readonly sendId: Uint8Array;
  readonly sendSecret: Uint8Array;
  readonly firstUse: Uint8Array;
  /** Which of several relays it is at. */
  readonly relay?: number;
  /** Where else the same reader reads, ordered by preference. */
  readonly others?: readonly SendTarget[];
}

/** Where the other side of a conversation reads; undefined until it has said so. */
export function targetOf({ conversation, self }: Slice): SendTarget | undefined {
  const peer = conversation?.peer;
  if (peer?.state !== "open") return undefined;
  const { addresses, sendSecret } = peer.contact;
  const [first, ...others] = addresses.map(({ sendId, firstUse, relayKey }): SendTarget => {
    const home = self.relays[0]?.key;
    const relay = home === undefined ? 0 : relayOf(home, relayKey);
    return { sendId, sendSecret, firstUse, relay };
  });
  return first === undefined ? undefined : { ...first, others };
}

/** How little a line carries. */
export interface Pace {
  readonly frameMs: number;
  readonly byteMs: number;
}

/** What an oracle sees of the network and of the relay's disk. */
export interface Watch {
  /** Bytes of a socket, either way, or of a row of the relay's disk. */
  readonly carried: (bytes: Uint8Array) => void;
  readonly fail: (invariant: Invariant, what: string) => void;
}

export type AppendOutcome = "ok" | "lost" | "gone" | "quota";

/** What the network calls on a client. All resolve when the client is done with it. */
export interface Endpoint {
  readonly name: string;
  readonly running: boolean;
  hub(up: boolean): Promise<void>;
  deliver(queueId: string, sequence: bigint, blob: Uint8Array): Promise<void>;
  signalled(queueId: string, blob: Uint8Array): Promise<void>;
  /** The relay does not know this queue. */
  missing(queueId: string, relay?: number): Promise<void>;
  link(peerId: string, up: boolean): Promise<void>;
  linkFrame(peerId: string, blob: Uint8Array): Promise<void>;
  /** Fresh per start; undefined while not running. */
  readonly peerId: string | undefined;
  expects(peerId: string): boolean;
}

export interface Network {
  faults: Faults;
  readonly relayUp: boolean;
  /** Of several: where this client keeps its queues, ordered by preference. Left out: there is one. */
  readonly relaysOf?: (client: Endpoint) => readonly number[];
  connect(client: Endpoint): void;
  disconnect(client: Endpoint): void;
  partition(client: Endpoint, cut: boolean): void;
  /** Nothing of one direction arrives for so long; all of it comes after. */
  clog(client: Endpoint, direction: "up" | "down" | "both", ms: number): void;
  /** Each frame takes so long, and each byte of it; nothing when left out. */
  setSlow(client: Endpoint, pace?: Pace): void;
  /** Copies the relay's disk: what "restored" brings back. */
  backUp(): void;
  /** A bit of a stored message flips. */
  rot(random: Random): void;
  /** wiped: what it had stored is gone too. restored: it starts with the last backup. */
  crashRelay(fate: "kept" | "wiped" | "restored", random: Random): void;
  startRelay(): void;
  makeQueue(
    client: Endpoint,
    queueId: string,
    firstUse: Uint8Array,
    answer: (sendId: Uint8Array | undefined) => void | Promise<void>,
    relay?: number,
  ): void;
  closeQueue(client: Endpoint, queueId: string): void;
  openQueues(client: Endpoint, queueIds: readonly string[]): void;
  publish(
    client: Endpoint,
    queueId: string,
    linkId: string,
    blob: Uint8Array,
    answer: (outcome: "ok" | "lost" | "gone") => void | Promise<void>,
  ): void;
  fetch(
    client: Endpoint,
    linkId: string,
    answer: (blob: Uint8Array | undefined) => void | Promise<void>,
  ): void;
  append(
    client: Endpoint,
    target: SendTarget,
    id: string,
    blob: Uint8Array,
    answer: (outcome: AppendOutcome) => void | Promise<void>,
    copy?: boolean,
  ): void;
  signal(
    client: Endpoint,
    target: SendTarget,
    blob: Uint8Array,
    answer: (outcome: "ok" | "away" | "lost") => void | Promise<void>,
  ): void;
  acknowledge(client: Endpoint, queueId: string, sequence: bigint): void;
  isConnected(client: Endpoint): boolean;
  dial(client: Endpoint, peerId: string, failed: () => void | Promise<void>): void;
  /** False when there is no link or it does not take the frame. */
  sendDirect(client: Endpoint, peerId: string, blob: Uint8Array): boolean;
  breakLink(client: Endpoint): void;
  /** The client's process ended: its connection and links die with it. */
  gone(client: Endpoint): void;
  /** Accounts that only balance at the end. */
  atTheEnd(): void;
}
