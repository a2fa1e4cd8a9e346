import { checkSeeds } from "./seeds.ts";

// With 100 of devices and 25 of admins it is 2,000; one of those takes as long as four or ten of these.
checkSeeds(1501, 375);
