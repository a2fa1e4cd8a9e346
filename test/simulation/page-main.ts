/** `npm run simulate:page`: the simulator as a page of this machine, until the process is ended. */
import { serveSimulator } from "./page-server.ts";

const PORT = 4_180;

const { url } = await serveSimulator(PORT);
console.log(`${url}?seed=1`);
