/**
 * What a server under load is to its load generator: the same few actions for every server, so that all get the same load.
 * Leaves to sotto.ts, route-only.ts and xmpp.ts: how each server is spoken to.
 */

/** One sender and one receiver. Messages of a pair arrive in the order sent. */
export interface Pair {
  /** One message of MESSAGE_BYTES; `accepted`: the server shall say when it has it. */
  send(accepted: boolean): void;
  /** Called for each message at its receiver. */
  arrived: () => void;
  /** Called for each message that the server said to have. */
  accepted: () => void;
  /** The receiver disconnects. */
  leave(): Promise<void>;
  /** The receiver is connected and logged in again; it has not asked for mail. */
  come(): Promise<void>;
  /** The receiver asks for what waits. */
  fetch(): void;
}

export interface Side {
  readonly name: string;
  /** All threads of this process are the server. */
  readonly pid: number;
  /** False: it only routes. */
  readonly keeps: boolean;
  pair(): Promise<Pair>;
  /** Connected, logged in, able to receive, with nothing to do. */
  idle(): Promise<void>;
  /** Makes accounts where there are such, so that making them is no part of what is measured. */
  prepareIdle(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Ours: the bucket; XMPP: the text of the body. */
export const MESSAGE_BYTES = 1_024;

export const nothing = (): void => undefined;
