/**
 * Takes out of libp2p what nobody in the app asks for, 5 KB gzip: what its log would say, which nobody reads there
 * (no-logs.ts), and reading a message of Protocol Buffers field by field, where all of libp2p reads them whole.
 * Owns: which calls those are.
 */
import type { ESTree, Plugin } from "vite";

const LIBP2P = /\/node_modules\/(?:libp2p|@libp2p|@chainsafe)\//;
/** Whoever works while saying something, does more than say it: such a call stays. */
const WORKS = /\bawait\b|\byield\b|\+\+|--|[^=!<>]=[^=>]/;

export const leanLibp2p = (): Plugin => ({
  name: "sotto-lean-libp2p",
  transform(code, id) {
    return LIBP2P.test(id) ? { code: lean(code, this.parse(code)), map: null } : undefined;
  },
});

/**
 * `code` with `undefined`, which is what they answer, in the place of the calls of a log; without the third argument of
 * `message`, the generator of protons-runtime's codecs.
 */
export function lean(code: string, program: ESTree.Program): string {
  let left = "";
  let at = 0;
  const cut = (start: number, end: number, instead: string): void => {
    left += code.slice(at, start) + instead;
    at = end;
  };
  for (const call of callsIn(program)) {
    if (isLog(call.callee)) {
      const told = code.slice(call.callee.end, call.end);
      if (!WORKS.test(told)) cut(call.start, call.end, "void 0");
    } else {
      const [, decode, stream] = call.arguments;
      if (decode !== undefined && stream !== undefined) cut(decode.end, stream.end, "");
    }
  }
  return left + code.slice(at);
}

/** In the order of the text; what stands inside one is not looked at. */
function callsIn(node: unknown): readonly ESTree.CallExpression[] {
  if (Array.isArray(node)) return node.flatMap(callsIn);
  if (!isNode(node)) return [];
  if (isCall(node) && (isLog(node.callee) || isCodec(node))) return [node];
  return Object.values(node).flatMap(callsIn);
}

function isCodec({ callee, arguments: parts }: ESTree.CallExpression): boolean {
  const stream = parts[2];
  const isMessage = callee.type === "Identifier" && callee.name === "message";
  return isMessage && stream?.type === "FunctionExpression" && stream.generator;
}

const isNode = (value: unknown): value is { readonly type: string } =>
  typeof value === "object" && value !== null && "type" in value;

const isCall = (node: { readonly type: string }): node is ESTree.CallExpression =>
  node.type === "CallExpression";

/** `log`, `x.log`, and `trace` and `error` of either. */
function isLog(callee: ESTree.Expression): boolean {
  if (callee.type === "Identifier") return callee.name === "log";
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return false;
  const { name } = callee.property;
  if (name === "trace" || name === "error") return isLog(callee.object);
  const isOther =
    callee.object.type === "Identifier" && ["console", "Math"].includes(callee.object.name);
  return name === "log" && !isOther;
}
