import { checkPlanted } from "./planted-parts.ts";

checkPlanted(3);
