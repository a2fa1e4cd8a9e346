import { checkSeeds } from "./seeds.ts";

checkSeeds(1001, 500);
