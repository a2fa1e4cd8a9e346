/** The same in a browser's own engine: its bytes are the reference's, on whole chunks. */
import {
  beginSealing,
  buildFileTree,
  type FileEngine,
  fileProof,
  finishSealing,
  nobleFileEngine,
  openChunk,
  sealNextChunk,
} from "@sotto/crypto";
import { createFileEngine, createWebCryptoFileEngine } from "@sotto/engines";
import { concatBytes, FILE_CHUNK_BYTES } from "@sotto/wire";
import { expect, test } from "vitest";

const platform = createWebCryptoFileEngine(crypto.subtle);

async function seal(engine: FileEngine) {
  let counter = 0;
  const entropy = (length: number): Uint8Array<ArrayBuffer> =>
    Uint8Array.from({ length }, () => counter++ & 0xff);
  let sealing = beginSealing(FILE_CHUNK_BYTES + 100, entropy);
  const sealed = [];
  for (const length of [FILE_CHUNK_BYTES, 100]) {
    const chunk = await sealNextChunk(sealing, new Uint8Array(length).fill(length), engine);
    ({ sealing } = chunk);
    sealed.push(chunk);
  }
  return { file: finishSealing(sealing), sealed };
}

test.each([platform, createFileEngine(platform)])(
  "$name seals and opens a file",
  async (engine) => {
    const made = await seal(engine);
    expect(made).toEqual(await seal(nobleFileEngine));
    const tree = buildFileTree(made.file, concatBytes(...made.sealed.map(({ hash }) => hash)));
    if (tree === undefined) throw new Error("no tree");
    for (const [index, { sealed }] of made.sealed.entries()) {
      const proof = fileProof(tree, index) ?? [];
      const opened = await openChunk(made.file, index, sealed, proof, engine);
      expect(opened).toMatchObject({ ok: true });
      const other = await openChunk(made.file, 1 - index, sealed, proof, engine);
      expect(other).toEqual({ ok: false, reason: "not-in-file" });
    }
    expect(
      await engine.open(made.file.key, new Uint8Array(12), made.file.id, new Uint8Array(116)),
    ).toBe(undefined);
  },
);
