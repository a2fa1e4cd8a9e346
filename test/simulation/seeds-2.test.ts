import { checkSeeds } from "./seeds.ts";

checkSeeds(151, 150);
