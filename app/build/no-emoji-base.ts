/** In place of multiformats' base of 256 emoji, a table of 1 KB: nothing here is written in it, and the list of bases is one shorter. */
export type NoBase = never;
