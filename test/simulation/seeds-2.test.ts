import { checkSeeds } from "./seeds.ts";

checkSeeds(131, 130);
