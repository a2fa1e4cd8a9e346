/** Every language there is; what one of them says, all of them say. */
import { en } from "./en.ts";
import type { Catalog } from "./catalog.ts";
import { zh } from "./zh.ts";

export type { Catalog } from "./catalog.ts";
export type Locale = "en" | "zh-CN";

export const CATALOGS: Readonly<Record<Locale, Catalog>> = { en, "zh-CN": zh };
