import { CATALOGUE } from "./catalogue.ts";
import { createPlantedLoader } from "./planted-loader.ts";
const loader = createPlantedLoader();
for (const [id, seeds] of [
  ["own-turn-untold", [3007, 3063, ...Array.from({ length: 150 }, (_, i) => 61 + i)]],
  ["own-never-presented", [118, ...Array.from({ length: 150 }, (_, i) => 1 + i)]],
  ["asks-nobody-for-ever", [1008, ...Array.from({ length: 150 }, (_, i) => 1 + i)]],
] as const) {
  const entry = CATALOGUE.find((one) => one.id === id)!;
  const run = await loader.load(id, entry.how as never, true);
  for (const seed of seeds) {
    const { broken } = await run(seed, { admins: true });
    if (broken.size > 0) {
      console.log(id, seed, [...broken].join());
      if (broken.has((entry.killer as { invariant: never }).invariant)) break;
    }
  }
}
