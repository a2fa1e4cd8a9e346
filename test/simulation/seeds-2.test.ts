import { checkSeeds } from "./seeds.ts";

checkSeeds(501, 500);
