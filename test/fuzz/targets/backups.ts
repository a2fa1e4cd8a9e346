/**
 * Backup files that somebody else may have made or changed: the header and the chunks, and, of whoever has the
 * passphrase of one, its lines.
 */
import {
  BACKUP_CHUNK_BYTES,
  BACKUP_CHUNKS_MAX,
  BACKUP_HEADER_BYTES,
  type BackupKeys,
  type BackupSecret,
  beginBackup,
  hasPassphrase,
  openBackup,
  openBackupChunk,
  PASSPHRASE_CHARACTERS_MAX,
  PASSPHRASE_COST_MAX,
  sealBackupChunk,
} from "@sotto/crypto/backup";
import {
  INVITED_PEER,
  OPEN_PEER,
  POSTS,
  sampleConversation,
  sampleGroup,
  sampleMessage,
  sampleOutbox,
  samplePost,
  sampleSelf,
  sampleSender,
} from "@sotto/storage/acceptance";
import { bytesToUtf8, utf8ToBytes } from "@sotto/wire";
import { backupRows } from "../../../packages/sdk/test/decoders.ts";
import { mutateJson } from "../mutate.ts";
import { createTape } from "../tape.ts";
import { createRandom } from "../../simulation/random.ts";
import { Finding, type Target } from "../target.ts";
import { engine } from "./files.ts";

const { lineOf, readLine } = backupRows;

const LINES: readonly Parameters<typeof lineOf>[0][] = [
  { kind: "begin", format: 1, madeAt: 1_700_000_000_000 },
  { kind: "self", self: sampleSelf("Alice") },
  { kind: "conversation", conversation: sampleConversation("a", 1, OPEN_PEER) },
  { kind: "conversation", conversation: sampleConversation("b", 1, INVITED_PEER) },
  { kind: "posts", rows: POSTS.map((post, index) => samplePost("b", index, post)) },
  { kind: "group", row: sampleGroup("b") },
  { kind: "sender", row: sampleSender("b") },
  { kind: "outbox", rows: [sampleOutbox("a", 1)] },
  { kind: "messages", rows: [sampleMessage("a", 1), sampleMessage("a", 2)] },
  { kind: "end", conversations: 2, messages: 2 },
];

/** Oracle: what is read is written the same. */
const lineTarget: Target = {
  name: "backup-line",
  covers: ["backupRows.readLine"],
  maxBytes: 32_768,
  weight: 1,
  steps: { base: 4_000, perByte: 60 },
  run(input) {
    const text = bytesToUtf8(input);
    const line = text === undefined ? undefined : readLine(text);
    if (line === undefined) return { accepted: false };
    const written = lineOf(line);
    const again = readLine(written);
    if (again === undefined || lineOf(again) !== written) {
      throw new Finding("a line does not survive being written again");
    }
    return { accepted: true, result: line };
  },
  seeds: () => LINES.map((line) => utf8ToBytes(lineOf(line))),
  vary: mutateJson,
};

const ROOT_SECRET = new Uint8Array(32).fill(71);
const PASSPHRASE = "a few words of one's own";
/** As good as free: what is looked at here is not the stretching. */
const COST = { memoryKiB: 8, passes: 1, lanes: 1 };
/** KiB times passes that a run may stretch a passphrase with; what a header asks for beyond is only looked at. */
const STRETCHED_MAX = 64;
const COST_AT = 14;
const WRAP_BYTES = 60;
const LAST = Uint8Array.of(1, 2, 3, 4, 5);

const SECRETS: readonly [BackupSecret, ...BackupSecret[]] = [
  { rootSecret: ROOT_SECRET },
  { passphrase: PASSPHRASE },
  { rootSecret: new Uint8Array(32).fill(72) },
  { passphrase: `${PASSPHRASE} ` },
  { passphrase: "" },
  { passphrase: "a".repeat(PASSPHRASE_CHARACTERS_MAX + 1) },
];

interface Made {
  readonly header: Uint8Array;
  readonly keys: BackupKeys;
  /** A whole one and the last. */
  readonly chunks: readonly Uint8Array[];
}

async function make(passphrase: string | undefined): Promise<Made> {
  const random = createRandom(73);
  const env = { entropy: (length: number) => random.bytes(length), files: engine };
  const { header, keys } = await beginBackup(ROOT_SECRET, passphrase, env, COST);
  const first = new Uint8Array(BACKUP_CHUNK_BYTES).fill(9);
  const chunks = [
    await sealBackupChunk(keys, 0, first, false, engine),
    await sealBackupChunk(keys, 1, LAST, true, engine),
  ];
  return { header, keys, chunks };
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What one secret takes of a header: what both ways to the key are bound to, and its own way. */
const wayIn = (header: Uint8Array, secret: BackupSecret): Uint8Array => {
  const bound = header.subarray(0, BACKUP_HEADER_BYTES - 2 * WRAP_BYTES);
  const wraps = header.subarray(bound.length, BACKUP_HEADER_BYTES);
  const at = "rootSecret" in secret ? 0 : WRAP_BYTES;
  return Buffer.concat([bound, wraps.subarray(at, at + WRAP_BYTES)]);
};

/**
 * One byte for the secret, then a header, then which chunk is given where. Oracles: nothing opens but what was sealed,
 * in its place, under the header it was sealed with; no header makes this device work more than its limit.
 */
function fileTarget(): Target {
  let made: readonly Made[] | undefined;
  return {
    name: "backup-file",
    covers: ["backup.openBackup", "backup.openBackupChunk", "backup.hasPassphrase"],
    maxBytes: 512,
    weight: 1,
    steps: { base: 4_000, perByte: 20 },
    async run(input) {
      if (made === undefined) throw new Error("call seeds first");
      const secret = createTape(input).pick(SECRETS);
      const header = input.slice(1, 1 + BACKUP_HEADER_BYTES);
      const view = new DataView(header.buffer);
      const isWhole = header.length === BACKUP_HEADER_BYTES;
      const memoryKiB = isWhole ? view.getUint32(COST_AT) : 0;
      const [passes, lanes] = [header[COST_AT + 4] ?? 0, header[COST_AT + 5] ?? 0];
      const isAllowed =
        memoryKiB <= PASSPHRASE_COST_MAX.memoryKiB &&
        passes <= PASSPHRASE_COST_MAX.passes &&
        lanes <= PASSPHRASE_COST_MAX.lanes;
      const isDear = isAllowed && memoryKiB * passes > STRETCHED_MAX;
      if (isDear && "passphrase" in secret) return { accepted: false };
      const opened = await openBackup(header, secret, engine);
      if (!opened.ok) return { accepted: false };
      if (passes > 0 && !isAllowed) throw new Finding("a header asks for more than its limit");
      if ("passphrase" in secret && !hasPassphrase(header)) {
        throw new Finding("a passphrase opens what has none");
      }
      const origin = made.find(
        (one) =>
          isSame(wayIn(one.header, secret), wayIn(header, secret)) &&
          isSame(one.keys.key, opened.keys.key),
      );
      const isRight = secret === SECRETS[0] || secret === SECRETS[1];
      if (origin === undefined || !isRight) throw new Finding("a changed header opens");

      const tape = createTape(input.subarray(1 + BACKUP_HEADER_BYTES));
      const index = tape.pick([0, 1, 2, BACKUP_CHUNKS_MAX - 1, BACKUP_CHUNKS_MAX, 2 ** 32 - 1]);
      const isLast = tape.below(2) === 1;
      const from = tape.below(4);
      let sealed: Uint8Array = origin.chunks[from] ?? tape.take(tape.u8());
      if (tape.below(4) === 0) sealed = sealed.subarray(0, tape.u8());
      if (tape.below(4) === 0 && sealed.length > 0) {
        sealed = Uint8Array.from(sealed);
        const at = (tape.u8() * 256 + tape.u8()) % sealed.length;
        sealed[at] = (sealed[at] ?? 0) ^ tape.u8();
      }
      const content = await openBackupChunk(opened.keys, index, sealed, isLast, engine);
      if (content === undefined) return { accepted: true };
      const isGenuine =
        isSame(header, origin.header) &&
        index === from &&
        isLast === (from === 1) &&
        (from === 1
          ? isSame(content, LAST)
          : content.length === BACKUP_CHUNK_BYTES && content.every((byte) => byte === 9));
      if (!isGenuine) throw new Finding("a chunk opens that is not in its place");
      return { accepted: true };
    },
    async seeds() {
      made ??= [await make(PASSPHRASE), await make(undefined)];
      return made.flatMap(({ header }) =>
        [
          [0, 0, 0, 1, 1],
          [1, 1, 1, 1, 1],
          [2, 0, 2, 8],
        ].flatMap((places) => [0, 1].map((secret) => Uint8Array.of(secret, ...header, ...places))),
      );
    },
    /** Under the same header other chunks in other places. */
    vary: (input, random) =>
      Uint8Array.of(...input.subarray(0, 1 + BACKUP_HEADER_BYTES), ...random.bytes(10)),
  };
}

export const backupTargets: readonly Target[] = [lineTarget, fileTarget()];
