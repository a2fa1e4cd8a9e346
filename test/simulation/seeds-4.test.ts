import { checkSeeds } from "./seeds.ts";

checkSeeds(1501, 500);
