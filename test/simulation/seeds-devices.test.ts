import { checkSeeds } from "./seeds.ts";
import { simulateDevices } from "./simulate-devices.ts";

checkSeeds(1, 150, {}, simulateDevices);
