/**
 * Takes the white space out of the templates in our own elements that says nothing: minifiers leave what is inside a
 * template as it is.
 */
import type { Plugin } from "vite";

export const flatTemplates = (): Plugin => ({
  name: "flat-templates",
  enforce: "pre",
  transform: (code, id) =>
    /\/(packages\/ui|app)\/src\/[^?]*\.ts$/.test(id)
      ? {
          code: code.replaceAll(/\n[ \t]+/g, "\n").replaceAll(/css`[^`]*`/g, flatStyles),
          map: null,
        }
      : undefined,
});

/** Spaces around `+`, `-` and before `:` mean something; what stands in quotes has none of these signs. */
const flatStyles = (styles: string): string =>
  styles
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/\s*([{};,])\s*/g, "$1")
    .replaceAll(/:\s+/g, ":")
    .replaceAll(";}", "}");
