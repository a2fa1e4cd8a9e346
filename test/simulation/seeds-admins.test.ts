import { checkSeeds } from "./seeds.ts";
import { simulateDevices } from "./simulate-devices.ts";

checkSeeds(1, 25, { admins: true }, simulateDevices);
