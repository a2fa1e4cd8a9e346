import { checkSeeds } from "./seeds.ts";

checkSeeds(261, 130);
