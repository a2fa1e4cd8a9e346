/** What only Node has. */
import type { Engine, Operation } from "@sotto/engines";
import { nodeEngine, nodePoolEngine } from "@sotto/engines/node";

/** What Node's threads do. The rest is nodeEngine's. */
export const pooled: Engine = {
  name: "node's threads",
  operations: Object.fromEntries(
    Object.entries(nodePoolEngine.operations).filter(
      ([operation, call]) => call !== nodeEngine.operations[operation as Operation],
    ),
  ),
};
