/**
 * Group messages that came before the operations they were sealed under. State in, new state out.
 * Owns: what is kept, how much, and when it is ready. Leaves to sender-chain.ts: opening; to the caller: storing, and
 * not acknowledging what was refused.
 * Spec: SPEC.md §11.9.
 */
import { type AccountId, bytesToHex } from "@sotto/wire";
import { SKIPPED_KEY_AGE_MS_MAX } from "./chains.ts";
import { type GroupLog, hasHead } from "./membership.ts";

/** Kept in one group, in all and of one account: whoever names heads that do not exist fills its own share alone. */
export const HELD_MESSAGES_MAX = 1_000;
export const HELD_MESSAGES_PER_ACCOUNT_MAX = 100;

export interface HeldMessage {
  readonly account: AccountId;
  readonly envelope: Uint8Array;
  /** Hex, as `openFromGroup` told them: those that were not here. */
  readonly heads: readonly string[];
  /** Milliseconds since 1970. */
  readonly heldAt: number;
}

/** In order of arrival. Undefined when there is no room: the message is to be delivered again. */
export function holdMessage(
  held: readonly HeldMessage[],
  message: HeldMessage,
): readonly HeldMessage[] | undefined {
  const account = bytesToHex(message.account);
  const own = held.filter((one) => bytesToHex(one.account) === account);
  if (held.length >= HELD_MESSAGES_MAX || own.length >= HELD_MESSAGES_PER_ACCOUNT_MAX) {
    return undefined;
  }
  return [...held, message];
}

/**
 * What can be opened now that the log has grown, in order of arrival. Whether its sender is a member is asked then:
 * the operation that adds it may be among those that were missing. After 14 days it is dropped, as skipped keys are.
 */
export function releaseMessages<Message extends HeldMessage>(
  held: readonly Message[],
  log: GroupLog,
  now: number,
): { readonly ready: readonly Message[]; readonly held: readonly Message[] } {
  const alive = held.filter(({ heldAt }) => now - heldAt <= SKIPPED_KEY_AGE_MS_MAX);
  const isReady = ({ heads }: HeldMessage): boolean => heads.every((head) => hasHead(log, head));
  return { ready: alive.filter(isReady), held: alive.filter((one) => !isReady(one)) };
}
