/** Small valid records for tests of stores: every field filled, bytes that tell them apart. */
import type {
  AccountDevices,
  Change,
  ConversationRecord,
  DeviceLink,
  DeviceOffer,
  GroupRow,
  ListMark,
  MessageRow,
  OutboxRow,
  OwnQueue,
  Peer,
  Post,
  PostRow,
  SelfRecord,
  SenderRow,
  Session,
} from "@sotto/protocol";
import {
  asAccountId,
  asChainId,
  asDeviceId,
  asGroupId,
  asSendId,
  type DeviceCert,
  type DeviceList,
  type QueueAddress,
} from "@sotto/wire";

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

const sampleCert = (seed: number): DeviceCert => ({
  rootKey: bytes(32, seed),
  deviceId: asDeviceId(bytes(8, seed)),
  signingKey: bytes(32, seed + 1),
  dhKey: bytes(32, seed + 2),
  issuedAt: 1_700_000_000_000,
  signature: bytes(64, seed),
});

const deviceName = (seed: number): string => hex(seed, 2).repeat(8);

const sampleLink = (seed: number): DeviceLink => ({
  device: deviceName(seed),
  conversation: `pair-${seed}`,
});

const sampleMark = (version: number): ListMark => ({ version, prefix: bytes(8, version) });

const sampleList = (version: number): DeviceList => ({
  rootKey: bytes(32, 50),
  version,
  previous: bytes(32, version - 1),
  issuedAt: 1_700_000_000_000 + version,
  devices: [
    {
      id: asDeviceId(bytes(8, 51)),
      signingKey: bytes(32, 52),
      dhKey: bytes(32, 53),
      admin: true,
      addedAt: 1_700_000_000_000,
    },
  ],
  removed: [
    {
      id: asDeviceId(bytes(8, 54)),
      signingKey: bytes(32, 55),
      dhKey: bytes(32, 56),
      removedAt: 1_700_000_000_001,
    },
  ],
  signature: bytes(64, version),
});

export const sampleSelf = (name: string): SelfRecord => ({
  name,
  rootSecret: bytes(32, 1),
  signingSecret: bytes(32, 2),
  dhSecret: bytes(32, 3),
  cert: sampleCert(4),
  readerSecret: bytes(32, 5),
  hidesAddress: true,
  relays: [
    { url: "https://relay.example", key: bytes(32, 6), derived: false },
    { url: "https://other.example", key: undefined, derived: true },
  ],
  createdAt: 1_700_000_000_000,
  devices: {
    lists: [sampleList(1), sampleList(2)],
    links: [sampleLink(57)],
    met: 3,
    reach: [{ device: deviceName(65), content: bytes(300, 66) }],
  },
});

const sampleAddress = (seed: number): QueueAddress => ({
  relayUrl: "https://relay.example",
  relayKey: bytes(32, seed),
  sendId: asSendId(bytes(24, seed)),
  firstUse: bytes(16, seed),
});

const sampleOffer = (seed: number): DeviceOffer => ({
  bundle: {
    cert: sampleCert(seed),
    signedPrekey: { id: 1, key: bytes(32, seed) },
    kemPrekey: {
      id: 2,
      key: bytes(1_184, seed),
      oneTimeKey: bytes(32, seed),
      leafIndex: 1,
      proof: [bytes(32, seed)],
      signature: bytes(64, seed),
    },
  },
  addresses: [sampleAddress(seed), sampleAddress(seed + 100)],
  receivedAt: 1_700_000_000_002,
});

const SAMPLE_DEVICES: AccountDevices = {
  list: sampleList(3),
  pinned: sampleMark(2),
  behind: 5,
  fork: 4,
  links: [sampleLink(60)],
  missing: [{ device: deviceName(61), since: 1_700_000_000_000 }],
  later: [sampleList(6)],
  offers: [sampleOffer(62)],
  passing: [{ device: deviceName(63), from: deviceName(67), content: bytes(300, 64) }],
  told: [{ device: deviceName(68), version: 2 }],
  asked: [hex(69, 32)],
  groups: [{ group: "group-a", told: "a" }],
  presented: bytes(40, 90),
  unpresented: [{ group: hex(93, 64), account: hex(94, 40) }],
  introducers: [hex(91, 40)],
  teller: hex(95, 40),
  refusedGroups: [hex(92, 64)],
  past: {
    device: deviceName(65),
    before: hex(93, 88),
    newest: 2,
    since: 1,
    whole: false,
    again: true,
    met: 2,
  },
  late: 1,
  introduced: [{ device: deviceName(65), version: 1 }],
  news: { added: 1, removed: 2, anew: 3 },
};

const sampleQueue = (seed: number): OwnQueue => ({
  queueId: bytes(24, seed),
  firstUse: bytes(16, seed),
  addresses: [sampleAddress(seed), sampleAddress(seed + 100)],
});

const sampleSession: Session = {
  id: bytes(16, 1),
  initiator: true,
  transcript: bytes(32, 2),
  rootKey: bytes(32, 3),
  ownRatchetSecret: bytes(32, 4),
  ownRatchetKey: bytes(32, 5),
  remoteRatchetKey: bytes(32, 6),
  sending: { headerKey: bytes(32, 7), chainKey: bytes(32, 8), next: 3 },
  nextSendingHeaderKey: bytes(32, 9),
  previousCount: 2,
  stepDue: false,
  receiving: undefined,
  nextReceivingHeaderKey: bytes(32, 10),
  skipped: [
    { headerKey: bytes(32, 11), turn: 1, keys: [{ n: 4, key: bytes(32, 12), at: 1_700_000_000 }] },
  ],
  turn: 1,
  kem: {
    epoch: 1,
    step: {
      kind: "offering",
      seed: bytes(64, 16),
      block: bytes(1_184, 17),
      next: 3,
      received: [{ index: 2, bytes: bytes(32, 18) }],
    },
    sinceWhole: 4,
    wholeAt: 1_700_000_000_000,
  },
  helloHeader: bytes(1_329, 13),
  ownSignalKey: bytes(32, 14),
  remoteSignalKey: bytes(32, 15),
};

export const OPEN_PEER: Peer = {
  state: "open",
  contact: {
    name: "Bob",
    namedAt: { ms: 1_700_000_000_000, counter: 1 },
    cert: sampleCert(20),
    addresses: [sampleAddress(21)],
    addressedAt: { ms: 1_700_000_000_000, counter: 3 },
    sendSecret: bytes(32, 22),
    verified: false,
  },
  queue: sampleQueue(23),
  sessions: [sampleSession],
  inviteSeed: bytes(16, 24),
  helloSeen: [bytes(32, 25)],
  received: bytes(56, 26),
  owed: [hex(27, 32)],
  spares: {
    own: [
      {
        secrets: {
          signedPrekeyId: 1,
          signedPrekeySecret: bytes(32, 40),
          oneTimeId: 0,
          oneTimeSecret: bytes(32, 41),
          kemSeed: bytes(64, 42),
          bundleHash: bytes(32, 43),
        },
        madeAt: 1_700_000_000_000,
      },
    ],
    theirs: {
      bundle: bytes(1_800, 44),
      time: { ms: 1_700_000_000_000, counter: 2 },
      receivedAt: 1_700_000_000_001,
    },
    usedAt: 0,
    askedAt: 0,
    pleaAt: 0,
  },
  change: { cert: sampleCert(45), frames: [bytes(256, 46)], at: 1_700_000_000_000 },
  retired: true,
  mark: sampleMark(3),
  announced: 2,
  offeredAt: 1_700_000_000_000,
};

export const INVITED_PEER: Peer = {
  state: "invited",
  queue: { ...sampleQueue(30), addresses: [] },
  invite: {
    seed: bytes(16, 31),
    signedPrekeyId: 0,
    signedPrekeySecret: bytes(32, 32),
    oneTimeId: 1,
    oneTimeSecret: bytes(32, 33),
    kemSeed: bytes(64, 34),
    bundleHash: bytes(32, 35),
    bundle: bytes(1_700, 36),
    expiresAt: 1_800_000_000_000,
    lifetimeMs: 604_800_000,
    published: false,
  },
};

export const sampleConversation = (
  id: string,
  version: number,
  peer: Peer = { state: "notes" },
): ConversationRecord => ({
  id,
  parent: undefined,
  listed: true,
  version,
  peer,
  devices: SAMPLE_DEVICES,
  clock: { ms: 1_700_000_000_000 + version, counter: 0 },
  createdAt: 1_700_000_000_000,
  last: undefined,
  unread: 0,
});

/** `at`: place in the order on screen, and the message's id. */
export const sampleMessage = (
  conversation: string,
  at: number,
  fields: Partial<MessageRow> = {},
): MessageRow => ({
  id: `${conversation}-${hex(at, 8)}`,
  conversation,
  order: hex(1_700_000_000_000 + at, 12) + hex(0, 4) + hex(1, 40) + hex(at, 32),
  own: true,
  author: undefined,
  text: `message ${at}`,
  sentAt: 1_700_000_000_000 + at,
  receivedAt: 1_700_000_000_000 + at,
  status: "queued",
  path: undefined,
  ...fields,
});

export const sampleOutbox = (
  conversation: string,
  sequence: number,
  fields: Partial<OutboxRow> = {},
): OutboxRow => ({
  id: `${conversation}-out-${sequence}`,
  conversation,
  sequence,
  awaits: hex(sequence, 32),
  envelope: bytes(256, sequence),
  content: undefined,
  message: sampleMessage(conversation, sequence),
  createdAt: 1_700_000_000_000,
  relayedAt: undefined,
  copiedAt: undefined,
  spread: false,
  group: undefined,
  recipients: undefined,
  ...fields,
});

/** One of each kind. */
export const POSTS: readonly Post[] = [
  {
    kind: "begin",
    parent: "a",
    listed: true,
    name: "Bob",
    cert: sampleCert(70),
    offer: sampleOffer(71),
  },
  { kind: "begin", parent: "a", listed: false, name: "", cert: sampleCert(72), offer: undefined },
  { kind: "offer", offer: sampleOffer(73) },
  { kind: "send", awaits: hex(74, 32), content: bytes(300, 74) },
  { kind: "end" },
  { kind: "listed" },
  { kind: "content", content: bytes(300, 75), path: "relay" },
  { kind: "settled", awaits: hex(76, 32), path: "direct" },
  { kind: "mark", mark: sampleMark(7) },
  { kind: "follow", on: true },
  { kind: "roster", account: hex(80, 40), devices: [sampleLink(81)] },
  { kind: "deliver", awaits: hex(82, 32), content: bytes(300, 82) },
  { kind: "present", group: hex(83, 64), to: [hex(84, 40)] },
  { kind: "presented", by: hex(85, 40), content: bytes(300, 85), former: true },
  {
    kind: "presented",
    by: hex(85, 40),
    content: bytes(300, 85),
    former: false,
    teller: hex(86, 40),
  },
  { kind: "pass", content: bytes(300, 86) },
  { kind: "way", by: hex(87, 40), content: bytes(300, 87) },
  { kind: "release", awaits: hex(88, 32), envelope: bytes(256, 88) },
  { kind: "withdraw" },
  { kind: "withdraw", group: "a group" },
  { kind: "reached", awaits: hex(89, 32), account: hex(90, 40), device: deviceName(91) },
  { kind: "stale", awaits: hex(89, 32), account: hex(90, 40), device: deviceName(91) },
  { kind: "told", account: hex(92, 40), device: deviceName(93), content: bytes(300, 92) },
  {
    kind: "arrived",
    pair: "b",
    account: hex(94, 40),
    device: deviceName(95),
    envelope: bytes(256, 94),
    path: "relay",
    again: false,
  },
  { kind: "opened", awaits: hex(96, 32), envelope: bytes(256, 96), path: "direct" },
  { kind: "reach", device: deviceName(77), content: bytes(300, 77) },
];

export const samplePost = (
  from: string,
  sequence: number,
  post: Post = { kind: "end" },
): PostRow => ({ id: `${from}-post-${sequence}`, from, to: `pair-of-${from}`, sequence, post });

/** The change that brings `id` from `version - 1` to `version`. */
export const sampleChange = (
  id: string,
  version: number,
  fields: Partial<Change> = {},
): Change => ({
  expectedVersion: version - 1,
  conversation: sampleConversation(id, version),
  addMessages: [],
  putMessages: [],
  mergeMessages: [],
  putOutbox: [],
  deleteOutbox: [],
  delivered: [],
  addPosts: [],
  takePosts: [],
  group: undefined,
  putSenders: [],
  self: undefined,
  ...fields,
});

/** A group of one with a promotion held back. */
export const sampleGroup = (conversation: string, seed = 1): GroupRow => {
  const id = hex(seed, 64);
  const account = asAccountId(bytes(20, seed));
  const name = hex(seed, 40);
  const op = {
    group: asGroupId(bytes(32, seed)),
    parents: [],
    lamport: 0,
    signer: bytes(32, seed),
    action: { kind: "create", salt: bytes(16, seed) },
    signature: bytes(64, seed),
  } as const;
  const member = { account, role: "admin", addedBy: id, since: 0, promotedBy: id } as const;
  const state = {
    members: new Map([[name, member]]),
    adders: "admins",
    revoked: new Set([`${name}/${deviceName(seed)}`]),
  } as const;
  const held = { op: { ...op, action: { kind: "leave" } }, account: name, cert: sampleCert(seed) };
  return {
    conversation,
    log: {
      group: asGroupId(bytes(32, seed)),
      ops: new Map([
        [
          id,
          {
            id,
            op,
            parents: [],
            actor: account,
            account: name,
            device: deviceName(seed),
            membership: id,
            authority: undefined,
          },
        ],
      ]),
      heads: [id],
      state,
      headStates: new Map([[id, state]]),
      turnovers: 2,
      certs: new Map([[id, sampleCert(seed)]]),
      held: new Map([[hex(seed + 1, 64), { ...held, op: { ...op, action: { kind: "leave" } } }]]),
      siblings: new Map([[name, 3]]),
      late: new Map([[name, 1]]),
      brought: new Map([[name, 2]]),
      guests: new Map([[hex(seed + 2, 40), name]]),
      awaited: new Map([[`${name}/${deviceName(seed)}`, [hex(3, 16)]]]),
    },
    roster: new Map([[name, { sequence: 4, devices: [sampleLink(seed)] }]]),
    introductions: [{ by: name, content: bytes(200, seed) }],
  };
};

const sampleKeys = (seed: number) => ({
  group: asGroupId(bytes(32, seed)),
  account: asAccountId(bytes(20, seed)),
  device: asDeviceId(bytes(8, seed)),
  chainId: asChainId(bytes(16, seed)),
  signingKey: bytes(32, seed),
  headerKey: bytes(32, seed),
  chainKey: bytes(32, seed),
  next: 3,
});

/** One with a chain of its own and one of somebody else, which no device has at once. */
export const sampleSender = (conversation: string, seed = 1): SenderRow => {
  const { group, account, device } = sampleKeys(seed);
  return {
    conversation,
    device: `${hex(seed, 40)}/${deviceName(seed)}`,
    sender: {
      group,
      account,
      device,
      chains: [
        {
          ...sampleKeys(seed),
          skipped: [{ n: 1, key: bytes(32, seed), at: 1_700_000_000_000 }],
          end: undefined,
          receivedAt: 1_700_000_000_000,
        },
      ],
    },
    chain: {
      ...sampleKeys(seed),
      signingSecret: bytes(32, seed),
      heads: bytes(32, seed),
      turnovers: 1,
      begunAt: 1_700_000_000_000,
      dealt: new Set([`${hex(seed, 40)}/${deviceName(seed)}`]),
      ended: false,
    },
    held: [
      {
        account,
        envelope: bytes(256, seed),
        heads: [hex(1, 16)],
        heldAt: 1_700_000_000_000,
        pair: "p",
        path: "relay",
      },
    ],
  };
};
