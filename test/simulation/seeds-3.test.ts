import { checkSeeds } from "./seeds.ts";

checkSeeds(301, 150);
