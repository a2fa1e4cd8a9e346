/** Sealed chunks of a file from sources that lie: nothing opens but what its maker put in that place. */
import {
  beginOpening,
  beginSealing,
  buildFileTree,
  chunkContentBytes,
  type FileEngine,
  type FileKeys,
  fileProof,
  type FileTree,
  finishSealing,
  openChunk,
  openNextChunk,
  sealNextChunk,
} from "@sotto/crypto";
import { decodeFileReference, encodeFileReference, fileShape } from "@sotto/wire";
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { createRandom } from "../../simulation/random.ts";
import { createTape, type Tape } from "../tape.ts";
import { Finding, type Target } from "../target.ts";

/** Three full chunks and a part of a fourth. */
const FILE_BYTES = 3 * 65_536 + 100;
const TAG_BYTES = 16;

/** Node's own: what is looked at here is not the cipher. */
export const engine: FileEngine = {
  name: "node",
  seal(key, nonce, aad, plaintext) {
    const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad);
    const parts = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
    return Uint8Array.from(Buffer.concat(parts));
  },
  open(key, nonce, aad, sealed) {
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad);
    decipher.setAuthTag(sealed.subarray(end));
    const opened = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return Uint8Array.from(opened);
  },
  sha256: (bytes) => Uint8Array.from(createHash("sha256").update(bytes).digest()),
};

interface Made {
  readonly file: FileKeys;
  readonly chunks: readonly Uint8Array[];
  readonly tree: FileTree;
  readonly proofs: readonly (readonly Uint8Array[])[];
}

async function make(): Promise<Made> {
  const random = createRandom(51);
  let sealing = beginSealing(FILE_BYTES, (length) => random.bytes(length));
  const chunks: Uint8Array[] = [];
  const hashes: Uint8Array[] = [];
  for (let index = 0; index < fileShape(FILE_BYTES).chunks; index++) {
    const content = new Uint8Array(chunkContentBytes(FILE_BYTES, index)).fill(index + 1);
    const sealed = await sealNextChunk(sealing, content, engine);
    chunks.push(sealed.sealed);
    hashes.push(sealed.hash);
    ({ sealing } = sealed);
  }
  const file = finishSealing(sealing);
  const tree = buildFileTree(file, Uint8Array.from(Buffer.concat(hashes)));
  if (tree === undefined) throw new Error("no tree over the file's own hashes");
  const proofs = chunks.map((_, index) => {
    const proof = fileProof(tree, index);
    if (proof === undefined) throw new Error("no proof of the file's own chunk");
    return proof;
  });
  return { file, chunks, tree, proofs };
}

/** A genuine one, or cut, or with a byte changed. */
function bytesFrom(tape: Tape, genuine: Uint8Array | undefined): Uint8Array {
  const bytes = Uint8Array.from(genuine ?? new Uint8Array(tape.u8()));
  switch (tape.below(4)) {
    case 0:
      return bytes.subarray(0, tape.u8() * 257);
    case 1: {
      const at = (tape.u8() * 256 + tape.u8()) % Math.max(bytes.length, 1);
      bytes[at] = (bytes[at] ?? 0) ^ tape.u8();
      return bytes;
    }
    default:
      return bytes;
  }
}

/** As somebody else's message might give it: any size, key and root. */
function fileFrom(tape: Tape, { file }: Made): FileKeys {
  if (tape.below(3) !== 0) return file;
  const bytes = encodeFileReference({ ...file, mediaType: "a/b", name: "c" });
  for (let left = tape.below(4); left > 0; left--) bytes[tape.u8() % bytes.length] = tape.u8();
  const decoded = decodeFileReference(bytes);
  return decoded.ok ? decoded.value : file;
}

export function fileTarget(): Target {
  let made: Made | undefined;
  return {
    name: "file-chunk",
    covers: ["crypto.openChunk", "crypto.openNextChunk"],
    maxBytes: 256,
    weight: 1,
    // Padding is looked at byte by byte.
    steps: { base: 600_000, perByte: 0 },
    async run(input) {
      if (made === undefined) throw new Error("call seeds first");
      const tape = createTape(input);
      const file = fileFrom(tape, made);
      const index = tape.pick([0, 1, 2, 3, 4, -1, 0.5, 2 ** 32, 2 ** 31 - 1]);
      const from = tape.below(5);
      const sealed = bytesFrom(tape, made.chunks[from]);
      const siblings = made.proofs[tape.below(5)] ?? [];
      const proof = [
        ...siblings.slice(0, tape.below(4)).map((one) => bytesFrom(tape, one)),
        ...Array.from({ length: tape.below(3) }, () => bytesFrom(tape, made?.file.root)),
      ];
      const opened = await openChunk(file, index, sealed, proof, engine);
      const inOrder = await openNextChunk(
        { ...beginOpening(file), next: index },
        sealed,
        proof,
        engine,
      );
      if (opened.ok !== inOrder.ok) throw new Finding("in order it opens differently");
      const hashes = Uint8Array.from(made.tree.levels[0] ?? []);
      const at = tape.u8() % hashes.length;
      hashes[at] = (hashes[at] ?? 0) ^ (tape.below(2) * tape.u8());
      const tree = buildFileTree(file, hashes.subarray(0, hashes.length - (tape.u8() & 1)));
      const isTree = Buffer.compare(hashes, made.tree.levels[0] ?? hashes) === 0;
      if (tree !== undefined && !isTree) throw new Finding("a tree over other hashes");
      if (!opened.ok) return { accepted: false };
      const isGenuine =
        index === from &&
        opened.content.length === chunkContentBytes(file.sizeBytes, from) &&
        opened.content.every((byte) => byte === from + 1);
      if (!isGenuine) throw new Finding("a chunk opens that is not in its place");
      return { accepted: true };
    },
    async seeds() {
      made ??= await make();
      return [
        Uint8Array.of(1, 0, 0, 3, 0, 2, 3, 3, 0, 1),
        Uint8Array.of(1, 3, 3, 3, 3, 2, 3, 3, 0, 1),
        Uint8Array.of(0, 1, 9, 7, 1, 1, 3, 1, 2, 3, 3, 0, 0, 0, 5),
      ];
    },
  };
}
