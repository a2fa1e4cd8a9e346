/**
 * Backups: everything this device has as one sealed file, and back.
 * Owns: reading a store into a file, a file into a new store, and its messages into one that is in use.
 * Leaves to crypto/backup.ts: keys and chunks; to backup-rows.ts: lines.
 * Spec: docs/backups.md, crypto/SPEC.md §16.
 */
import { accountIdOf } from "@sotto/crypto";
import {
  BACKUP_CHUNK_BYTES,
  BACKUP_HEADER_BYTES,
  BACKUP_TAG_BYTES,
  type BackupKeys,
  type BackupSecret,
  beginBackup,
  isPassphrase,
  openBackup,
  openBackupChunk,
  sealBackupChunk,
} from "@sotto/crypto/backup";
import { createWebCryptoFileEngine } from "@sotto/engines";
import type {
  Change,
  ConversationRecord,
  Entropy,
  MessageRow,
  SelfRecord,
  Store,
} from "@sotto/protocol";
import { bytesToHex } from "@sotto/wire";
import {
  type Line,
  LINE_CHARACTERS_MAX,
  LINE_ROWS,
  lineOf,
  readLine,
  ROWS_FORMAT,
} from "./backup-rows.ts";
import { BackupError, type BackupRefusal, MessengerError } from "./messenger.ts";

interface BackupEnv {
  readonly entropy: Entropy;
  readonly now: number;
}

// What else could answer for it is larger than all of this file; where it fails, making or opening one does.
const files = createWebCryptoFileEngine(crypto.subtle);

type Bytes = Uint8Array<ArrayBuffer>;

/** How often the records are read once more because the identity changed meanwhile. */
const READS_MAX = 8;

/** The file, made while it is read. What the store has when a part is read is what stands in it. */
export async function writeBackup(
  store: Store,
  passphrase: string | undefined,
  env: BackupEnv,
): Promise<ReadableStream<Bytes>> {
  if (passphrase !== undefined && !isPassphrase(passphrase)) {
    throw new MessengerError("usage", "not a usable passphrase");
  }
  const { rootSecret } = await identityOf(store);
  const { header, keys } = await beginBackup(rootSecret, passphrase, {
    entropy: env.entropy,
    files,
  });
  return streamOf(sealed(header, keys, piecesOf(linesOf(store, env.now))));
}

async function identityOf(store: Store): Promise<SelfRecord> {
  const self = await store.loadSelf();
  if (self === undefined || self === "damaged") {
    throw new MessengerError("storage", "identity unreadable");
  }
  return self;
}

/** The identity and the records of one moment: a device that is linked in between stands in both or in neither. */
async function recordsOf(store: Store) {
  let self = await identityOf(store);
  for (let tries = 0; tries < READS_MAX; tries++) {
    const all = await store.loadAll();
    const after = await identityOf(store);
    if (lineOf({ kind: "self", self }) === lineOf({ kind: "self", self: after })) {
      return { self, all };
    }
    self = after;
  }
  throw new MessengerError("storage", "the identity changes too often");
}

async function* linesOf(store: Store, madeAt: number): AsyncGenerator<Line> {
  const { self, all } = await recordsOf(store);
  yield { kind: "begin", format: ROWS_FORMAT, madeAt };
  yield { kind: "self", self };
  let count = 0;
  for (const conversation of all.conversations) {
    const { id } = conversation;
    yield { kind: "conversation", conversation };
    for (const row of all.groups) if (row.conversation === id) yield { kind: "group", row };
    for (const row of all.senders) if (row.conversation === id) yield { kind: "sender", row };
    const posts = all.posts.filter((post) => post.from === id);
    for (const rows of inLines(posts)) yield { kind: "posts", rows };
    const waiting = all.outbox.filter((row) => row.conversation === id);
    for (const rows of inLines(waiting)) yield { kind: "outbox", rows };
    let before: string | undefined;
    for (;;) {
      const page = await store.messages(id, {
        limit: LINE_ROWS,
        ...(before === undefined ? {} : { before }),
      });
      if (page.rows.length > 0) yield { kind: "messages", rows: page.rows };
      count += page.rows.length;
      before = page.rows[0]?.order;
      if (!page.hasMore || before === undefined) break;
    }
  }
  yield { kind: "end", conversations: all.conversations.length, messages: count };
}

function* inLines<Row>(rows: readonly Row[]): Generator<readonly Row[]> {
  for (let at = 0; at < rows.length; at += LINE_ROWS) yield rows.slice(at, at + LINE_ROWS);
}

/**
 * Plaintext in pieces of BACKUP_CHUNK_BYTES; the last one shorter. Not compressed: how small it gets would tell whoever
 * sees a file after each word they send what else stands in it.
 */
async function* piecesOf(lines: AsyncGenerator<Line>): AsyncGenerator<Bytes> {
  const encoder = new TextEncoder();
  const piece = new Uint8Array(BACKUP_CHUNK_BYTES);
  let length = 0;
  for await (const line of lines) {
    let text = encoder.encode(`${lineOf(line)}\n`);
    while (text.length > 0) {
      // Only with more to come: the last piece is never empty.
      if (length === piece.length) {
        yield piece.slice();
        length = 0;
      }
      const part = text.subarray(0, piece.length - length);
      piece.set(part, length);
      length += part.length;
      text = text.subarray(part.length);
    }
  }
  yield piece.slice(0, length);
}

async function* sealed(
  header: Uint8Array,
  keys: BackupKeys,
  pieces: AsyncGenerator<Bytes>,
): AsyncGenerator<Bytes> {
  yield Uint8Array.from(header);
  let index = 0;
  let piece = await pieces.next();
  while (piece.done !== true) {
    const next = await pieces.next();
    const isLast = next.done === true;
    yield Uint8Array.from(await sealBackupChunk(keys, index++, piece.value, isLast, files));
    piece = next;
  }
}

export type BackupOf = BackupSecret & { readonly file: Blob };

/**
 * Makes a store what the backup's was; `forget` empties it. The whole file is read first: from one that is damaged
 * nothing is taken. The identity comes last, so that what was cut off can be done again.
 */
export async function restoreBackup(
  store: Store,
  backup: BackupOf,
  forget: () => Promise<void>,
): Promise<void> {
  await readWhole(backup, () => undefined);
  // Also what another file left behind that was cut off: it may have been somebody else's.
  await forget();
  const versions = new Map<string, number>();
  let self: SelfRecord | undefined;
  let record: ConversationRecord | undefined;
  const commit = async (rows: Partial<Change>): Promise<void> => {
    if (record === undefined) return;
    const expectedVersion = versions.get(record.id) ?? 0;
    const conversation = { ...record, version: expectedVersion + 1 };
    versions.set(record.id, conversation.version);
    const stored = await store.commit({ ...NO_ROWS, ...rows, expectedVersion, conversation });
    if (!stored.ok) throw new MessengerError("storage", `backup not restored: ${stored.reason}`);
  };
  await readWhole(backup, async (line) => {
    if (line.kind === "self") self = line.self;
    else if (line.kind === "conversation") {
      record = line.conversation;
      await commit({});
    } else if (line.kind === "posts") await commit({ addPosts: line.rows });
    else if (line.kind === "group") await commit({ group: line.row });
    // Members know how far this device's chain went on since: it begins a new one.
    else if (line.kind === "sender")
      await commit({ putSenders: [{ ...line.row, chain: undefined }] });
    else if (line.kind === "outbox") await commit({ putOutbox: line.rows });
    else if (line.kind === "messages") await commit({ mergeMessages: line.rows });
  });
  if (self === undefined) throw refusal("damaged");
  await putSelf(store, self);
}

/**
 * Puts the identity of a backup back where it cannot be read any more, and leaves all else as it is: it is newer. False,
 * with nothing changed, where no conversation of the file is here: it is of another device.
 */
export async function restoreIdentity(store: Store, backup: BackupOf): Promise<boolean> {
  const here = new Set((await store.loadAll()).conversations.map(({ id }) => id));
  let self: SelfRecord | undefined;
  let isOfHere = false;
  await readWhole(backup, (line) => {
    if (line.kind === "self") self = line.self;
    if (line.kind === "conversation" && here.has(line.conversation.id)) isOfHere = true;
  });
  if (self === undefined || !isOfHere) return false;
  await putSelf(store, self);
  return true;
}

async function putSelf(store: Store, self: SelfRecord): Promise<void> {
  const saved = await store.saveSelf(self);
  if (!saved.ok) throw new MessengerError("storage", `identity not stored: ${saved.reason}`);
}

const NO_ROWS = {
  addMessages: [],
  mergeMessages: [],
  putMessages: [],
  putOutbox: [],
  deleteOutbox: [],
  delivered: [],
  addPosts: [],
  takePosts: [],
  group: undefined,
  putSenders: [],
  self: undefined,
} as const satisfies Omit<Change, "expectedVersion" | "conversation">;

/**
 * Hands the messages of a backup to the conversations that are here: `merge` adds those it does not have. Resolves to
 * how many were handed over, and how many conversations of the file have no counterpart here.
 */
export async function importBackup(
  store: Store,
  file: Blob,
  merge: (conversation: string, rows: readonly MessageRow[]) => Promise<void>,
): Promise<{ readonly messages: number; readonly unknown: number }> {
  const self = await identityOf(store);
  const backup = { file, rootSecret: self.rootSecret };
  await readWhole(backup, () => undefined).catch((error: unknown) => {
    throw error instanceof BackupError && error.reason === "wrong-secret"
      ? refusal("other-account")
      : error;
  });
  const here = new Map<string, string>();
  for (const one of (await store.loadAll()).conversations) {
    const place = placeOf(one);
    if (place !== undefined) here.set(place, one.id);
  }
  let to: string | undefined;
  let [messages, unknown] = [0, 0];
  await readWhole(backup, async (line) => {
    if (line.kind === "conversation") {
      const place = placeOf(line.conversation);
      to = place === undefined ? undefined : here.get(place);
      if (place !== undefined && to === undefined) unknown++;
    }
    if (line.kind !== "messages" || to === undefined) return;
    const conversation = to;
    messages += line.rows.length;
    await merge(
      conversation,
      line.rows.map((row) => ({ ...row, conversation })),
    );
  });
  return { messages, unknown };
}

/** What a conversation is on every device of the account; undefined where it has no history of its own. */
function placeOf({ peer, parent, listed }: ConversationRecord): string | undefined {
  if (parent !== undefined || !listed) return undefined;
  if (peer.state === "notes") return "notes";
  if (peer.state === "group") return `group ${peer.group}`;
  return peer.state === "open"
    ? `account ${bytesToHex(accountIdOf(peer.contact.cert.rootKey))}`
    : undefined;
}

/** Every line of a file in order, and a BackupError where it is not whole. */
async function readWhole(
  backup: BackupOf,
  see: (line: Line) => void | Promise<void>,
): Promise<void> {
  const { file } = backup;
  const header = new Uint8Array(await file.slice(0, BACKUP_HEADER_BYTES).arrayBuffer());
  const opened = await openBackup(header, backup, files);
  if (!opened.ok) throw refusal(opened.reason);
  let [lines, conversations, messages] = [0, 0, 0];
  let hasSelf = false;
  let isOver = false;
  for await (const text of textLines(plaintext(file, opened.keys))) {
    const line = readLine(text);
    if (line === undefined || isOver || (line.kind === "begin") !== (lines++ === 0)) {
      throw refusal("damaged");
    }
    if (line.kind === "begin" && line.format !== ROWS_FORMAT) {
      throw refusal(line.format > ROWS_FORMAT ? "newer" : "damaged");
    }
    if (line.kind === "self") hasSelf = true;
    if (line.kind === "conversation") conversations++;
    if (line.kind === "messages") messages += line.rows.length;
    if (line.kind === "end") {
      isOver = line.conversations === conversations && line.messages === messages;
      if (!isOver) throw refusal("damaged");
    }
    await see(line);
  }
  if (!isOver || !hasSelf) throw refusal("damaged");
}

async function* plaintext(file: Blob, keys: BackupKeys): AsyncGenerator<Bytes> {
  const sealedBytes = BACKUP_CHUNK_BYTES + BACKUP_TAG_BYTES;
  const count = Math.max(1, Math.ceil((file.size - BACKUP_HEADER_BYTES) / sealedBytes));
  for (let index = 0; index < count; index++) {
    const start = BACKUP_HEADER_BYTES + index * sealedBytes;
    const piece = new Uint8Array(await file.slice(start, start + sealedBytes).arrayBuffer());
    const isLast = index === count - 1;
    const content = await openBackupChunk(keys, index, piece, isLast, files);
    if (content === undefined) {
      const isWhole = isLast && (await openBackupChunk(keys, index, piece, false, files));
      throw refusal(isWhole === undefined || isWhole === false ? "damaged" : "cut-off");
    }
    yield Uint8Array.from(content);
  }
}

async function* textLines(pieces: AsyncGenerator<Bytes>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: string[] = [];
  let length = 0;
  for await (const piece of pieces) {
    let text: string;
    try {
      text = decoder.decode(piece, { stream: true });
    } catch {
      throw refusal("damaged");
    }
    const [first = "", ...others] = text.split("\n");
    parts.push(first);
    length += first.length;
    for (const next of others) {
      yield parts.join("");
      parts = [next];
      length = next.length;
    }
    if (length > LINE_CHARACTERS_MAX) throw refusal("damaged");
  }
  if (length > 0) throw refusal("damaged");
}

const refusal = (reason: BackupRefusal): BackupError => new BackupError(reason);

/** Not every browser has `ReadableStream.from`. */
function streamOf(pieces: AsyncGenerator<Bytes>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
