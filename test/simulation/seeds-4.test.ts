import { checkSeeds } from "./seeds.ts";

checkSeeds(451, 150);
