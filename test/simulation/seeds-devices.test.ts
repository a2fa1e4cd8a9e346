import { checkSeeds } from "./seeds.ts";
import { simulateDevices } from "./simulate-devices.ts";

checkSeeds(1, 75, {}, simulateDevices);
checkSeeds(101, 25, {}, simulateDevices);
