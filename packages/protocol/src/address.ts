/** Addresses of posts: what stands in place of a record's id. Which record that is: route.ts. Spec: SPEC.md §10, §11. */
import { bytesToHex } from "@sotto/wire";
import type { ConversationId } from "./ports.ts";

/** Where whatever concerns this account goes. */
export const accountAddress = (account: Uint8Array): string => `account:${bytesToHex(account)}`;

/** `group`: hex. */
export const groupAddress = (group: string): string => `group:${group}`;

/** The first group with that account in it whose record's id is greater than `after`. */
export const memberAddress = (account: string, after: ConversationId): string =>
  `member:${account}:${after}`;
