/** A file that Chromium shows as the picture of a camera: a QR code held still. */
import { writeFile } from "node:fs/promises";
import { encodeQR } from "qr";

const WIDTH = 640;
const HEIGHT = 480;
const FRAMES = 5;
/** Neutral colour in both chroma planes. */
const GREY = 128;
const WHITE = 235;
const BLACK = 16;

/** Y4M, 4:2:0. */
export async function writeCameraPicture(path: string, text: string): Promise<void> {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: 4 });
  const scale = Math.floor(HEIGHT / rows.length);
  const [left, top] = [
    Math.floor((WIDTH - rows.length * scale) / 2),
    Math.floor((HEIGHT - rows.length * scale) / 2),
  ];
  const luma = Buffer.alloc(WIDTH * HEIGHT, WHITE);
  rows.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (!dark) return;
      for (let line = 0; line < scale; line++) {
        const at = (top + y * scale + line) * WIDTH + left + x * scale;
        luma.fill(BLACK, at, at + scale);
      }
    });
  });
  const chroma = Buffer.alloc((WIDTH * HEIGHT) / 2, GREY);
  const frame = Buffer.concat([Buffer.from("FRAME\n"), luma, chroma]);
  const head = Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`);
  await writeFile(path, Buffer.concat([head, ...Array.from({ length: FRAMES }, () => frame)]));
}
