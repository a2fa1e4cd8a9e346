import { nobleBackend } from "@sotto/crypto";
import { checkSeeds } from "./seeds.ts";

checkSeeds(5_001, 50, { crypto: nobleBackend });
