/** Plain text with its web addresses as links. Everything stays text: no markup is ever parsed. */
import { html, type TemplateResult } from "lit";
import { LinkifyIt } from "linkify-it";

const finder = new LinkifyIt({ fuzzyLink: true, fuzzyEmail: false, fuzzyIP: false });
/** Longer texts are shown without links: looking for them is not worth a stutter. */
const LINK_CHARACTERS_MAX = 8_192;
/** Texts remembered with their links: a timeline draws all its rows again for each new one. */
const KNOWN_MAX = 2_000;

type Parts = readonly (string | TemplateResult)[];
const known = new Map<string, Parts>();

export function linkText(text: string): Parts {
  if (text.length > LINK_CHARACTERS_MAX) return [text];
  const before = known.get(text);
  if (before !== undefined) return before;
  if (known.size >= KNOWN_MAX) known.clear();
  const parts = findLinks(text);
  known.set(text, parts);
  return parts;
}

function findLinks(text: string): Parts {
  const parts: (string | TemplateResult)[] = [];
  let at = 0;
  for (const match of finder.match(text) ?? []) {
    // An address written without its scheme is taken as the safe one.
    const url = match.schema === "" ? match.url.replace(/^http:/, "https:") : match.url;
    if (!isWeb(url)) continue;
    parts.push(text.slice(at, match.index));
    parts.push(
      html`<a
        href=${url}
        title=${plainAddress(url)}
        target="_blank"
        rel="noopener noreferrer nofollow"
        >${match.text}</a
      >`,
    );
    at = match.lastIndex;
  }
  parts.push(text.slice(at));
  return parts;
}

const isWeb = (url: string): boolean => /^https?:\/\//i.test(url);

/** With the host in ASCII, so that letters that only look like others show themselves. */
function plainAddress(url: string): string {
  return URL.parse(url)?.href ?? url;
}
