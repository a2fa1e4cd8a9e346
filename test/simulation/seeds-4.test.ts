import { checkSeeds } from "./seeds.ts";

checkSeeds(391, 130);
