/**
 * Is what the disk gave back still a group's log, or a sender's chains?
 * Owns: one check per stored field of both. Leaves to rows.ts: everything else.
 */
import type { GroupRow, HeldArrival, RosterEntry, SenderRow } from "@sotto/protocol";
import {
  bytes,
  cert,
  type Check,
  count,
  envelope,
  flag,
  isFields,
  key,
  links,
  list,
  oneOf,
  optional,
  path,
  record,
  text,
} from "./rows.ts";

const hex =
  (digits: number): Check =>
  (value) =>
    typeof value === "string" && value.length === digits && /^[0-9a-f]*$/.test(value);
const mapOf =
  (isKey: Check, is: Check): Check =>
  (value) =>
    value instanceof Map && [...value].every(([name, one]) => isKey(name) && is(one));
const setOf =
  (is: Check): Check =>
  (value) =>
    value instanceof Set && [...value].every(is);

const opId = hex(64);
const account = hex(40);
const accountBytes = bytes(20);
/** `deviceKey` of crypto. */
const device: Check = (value) =>
  typeof value === "string" && /^[0-9a-f]{40}\/[0-9a-f]{16}$/.test(value);

type Log = GroupRow["log"];
type Logged = Log["ops"] extends ReadonlyMap<string, infer L> ? L : never;
type Op = Logged["op"];
type Held = Log["held"] extends ReadonlyMap<string, infer H> ? H : never;
type State = Log["state"];
type Member = State["members"] extends ReadonlyMap<string, infer M> ? M : never;

const actionByKind: ReadonlyMap<unknown, Check> = new Map<Op["action"]["kind"], Check>([
  ["create", record<{ salt: unknown }>({ salt: bytes(16) })],
  ["add", record<{ account: unknown }>({ account: accountBytes })],
  ["remove", record<{ account: unknown }>({ account: accountBytes })],
  ["leave", () => true],
  [
    "role",
    record<{ account: unknown; role: unknown }>({
      account: accountBytes,
      role: oneOf("member", "admin"),
    }),
  ],
  ["policy", record<{ adders: unknown }>({ adders: oneOf("admins", "members") })],
  ["rotateTopic", () => true],
  ["revoke", record<{ device: unknown }>({ device: bytes(8) })],
]);

const op = record<Op>({
  group: bytes(32),
  parents: list(bytes(32)),
  lamport: count,
  signer: bytes(32),
  action: (value) => isFields(value) && (actionByKind.get(value["kind"])?.(value) ?? false),
  signature: bytes(64),
});

const state = record<State>({
  members: mapOf(
    account,
    record<Member>({
      account: accountBytes,
      role: oneOf("member", "admin"),
      addedBy: opId,
      since: count,
      promotedBy: optional(opId),
    }),
  ),
  adders: oneOf("admins", "members"),
  revoked: setOf(device),
});

const log = record<Log>({
  group: bytes(32),
  ops: mapOf(
    opId,
    record<Logged>({
      id: opId,
      op,
      parents: list(opId),
      actor: accountBytes,
      account,
      device: hex(16),
      membership: opId,
      authority: optional(text),
    }),
  ),
  heads: list(opId),
  state,
  headStates: mapOf(opId, state),
  turnovers: count,
  certs: mapOf(opId, cert),
  held: mapOf(opId, record<Held>({ op, account, cert, by: optional(account) })),
  siblings: mapOf(account, count),
  late: mapOf(account, count),
  brought: mapOf(account, count),
  guests: mapOf(account, account),
  awaited: mapOf(device, list(text)),
});

const group = record<GroupRow>({
  conversation: text,
  log,
  roster: mapOf(account, record<RosterEntry>({ sequence: count, devices: links })),
  introductions: list(record<GroupRow["introductions"][number]>({ by: account, content: bytes() })),
});

type Sender = NonNullable<SenderRow["sender"]>;
type Receiving = Sender["chains"][number];
type Sending = NonNullable<SenderRow["chain"]>;

const owner = { group: bytes(32), account: accountBytes, device: bytes(8) };
const chainKeys = {
  ...owner,
  chainId: bytes(16),
  signingKey: key,
  headerKey: key,
  chainKey: key,
  next: count,
};

const sender = record<SenderRow>({
  conversation: text,
  device,
  sender: optional(
    record<Sender>({
      ...owner,
      chains: list(
        record<Receiving>({
          ...chainKeys,
          skipped: list(record<Receiving["skipped"][number]>({ n: count, key, at: count })),
          end: optional(count),
          receivedAt: count,
        }),
      ),
    }),
  ),
  chain: optional(
    record<Sending>({
      ...chainKeys,
      signingSecret: key,
      heads: bytes(32),
      turnovers: count,
      begunAt: count,
      dealt: setOf(device),
      ended: flag,
    }),
  ),
  held: list(
    record<HeldArrival>({
      account: accountBytes,
      envelope,
      heads: list(text),
      heldAt: count,
      pair: text,
      path,
    }),
  ),
});

export const isGroup = (row: unknown): row is GroupRow => group(row);
export const isSender = (row: unknown): row is SenderRow => sender(row);
