import { checkPlanted } from "./planted-parts.ts";

checkPlanted(1);
