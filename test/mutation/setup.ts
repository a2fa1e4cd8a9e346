/** A property that fails has noticed its mutant; the smallest example of it is of no interest. */
import * as fc from "fast-check";

fc.configureGlobal({ endOnFailure: true });
