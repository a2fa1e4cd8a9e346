/** Lines of a backup file: whoever has the passphrase of one wrote them. Oracle: what is read is written the same. */
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
import { mutateValue } from "../mutate.ts";
import { Finding, type Target } from "../target.ts";

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

export const backupTarget: Target = {
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
  vary(input, random) {
    try {
      const value: unknown = JSON.parse(bytesToUtf8(input) ?? "");
      return utf8ToBytes(JSON.stringify(mutateValue(value, random)));
    } catch {
      return undefined;
    }
  },
};
