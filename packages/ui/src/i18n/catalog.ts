/** The shape of a catalog. */
import type { en } from "./en.ts";

/** A catalog in another language has the same keys; texts are strings, sentences with values are functions. */
type Translated<T> = {
  readonly [Key in keyof T]: T[Key] extends (...values: infer Values) => string
    ? (...values: Values) => string
    : T[Key] extends string
      ? string
      : T[Key] extends readonly string[]
        ? readonly string[]
        : Translated<T[Key]>;
};
export type Catalog = Translated<typeof en>;
