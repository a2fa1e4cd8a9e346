/**
 * Operations that stand beside each other, and which of them have effect: some end rights that others were done by.
 * Owns: their graph, and what cuts void. Leaves to membership-fold.ts: what those with effect add up to.
 * Spec: SPEC.md §11.4.
 */
import { type AccountId, bytesToHex, type GroupOp } from "@sotto/wire";

/**
 * How often what is left of a circle is looked at anew because somebody outside voids a part of it. What is left then
 * has effect: in doubt a cut ends rights.
 */
export const CIRCLE_DEPTH_MAX = 16;

/** An operation whose signature and right were checked. Ids, accounts and devices are lower-case hex. */
export interface LoggedOp {
  readonly id: string;
  readonly op: GroupOp;
  readonly parents: readonly string[];
  readonly actor: AccountId;
  /** `actor` in hex. */
  readonly account: string;
  readonly device: string;
  /** The operation that had made its actor a member. */
  readonly membership: string;
  /** The one that had made its actor an admin, or HEIRSHIP; undefined where a member's right was enough. */
  readonly authority: string | undefined;
}

/** In place of a promotion, which an heir has not: what makes it one is judged anew for each of its operations. */
export const HEIRSHIP = "heir";

/** One name for a device, as devices of different accounts may have the same id. */
export const deviceKey = (account: string, device: string): string => `${account}/${device}`;

/** In place of a position: whatever came before all of those in question. */
export const EARLIER = -1;

/** Whose membership or role it changes. */
export const targetOf = ({ op: { action }, account }: LoggedOp): string | undefined =>
  "account" in action ? bytesToHex(action.account) : action.kind === "leave" ? account : undefined;

/** Positions in a segment, 32 to a word: shifts count modulo 32. */
type Bits = Uint32Array;

/** What stands before each operation of a segment: a row of `words` for each, made when somebody asks. */
export interface Graph {
  readonly words: number;
  readonly before: Bits;
}

export const noBits = ({ words }: Pick<Graph, "words">): Bits => new Uint32Array(words);

export const hasBit = (bits: Bits, index: number, row = 0): boolean =>
  (((bits[row + (index >> 5)] ?? 0) >>> index) & 1) === 1;

function setBit(bits: Bits, index: number, row = 0, isSet = true): void {
  const at = row + (index >> 5);
  const before = bits[at] ?? 0;
  const bit = 1 << index;
  bits[at] = isSet ? before | bit : before & ~bit;
}

/** Sets in row `to` what is set in row `from`. */
export function addBits(bits: Bits, to: number, others: Bits, from: number, words: number): void {
  for (let word = 0; word < words; word++) {
    bits[to + word] = (bits[to + word] ?? 0) | (others[from + word] ?? 0);
  }
}

function meet(bits: Bits, others: Bits, row: number): boolean {
  for (let word = 0; word < bits.length; word++) {
    if (((bits[word] ?? 0) & (others[row + word] ?? 0)) !== 0) return true;
  }
  return false;
}

/** Whether an operation has all of `ends` before it. */
export const knowsAll =
  (ends: readonly number[], graph: Graph) =>
  (index: number): boolean =>
    ends.every((end) => hasBit(graph.before, end, index * graph.words));

export function graphOf(ops: readonly LoggedOp[]): Graph {
  const words = Math.ceil(ops.length / 32);
  let before: Bits | undefined;
  return {
    words,
    get before(): Bits {
      before ??= beforeOf(ops, words);
      return before;
    },
  };
}

function beforeOf(ops: readonly LoggedOp[], words: number): Bits {
  const positions = new Map(ops.map(({ id }, index) => [id, index]));
  const before = new Uint32Array(words * ops.length);
  ops.forEach(({ parents }, index) => {
    for (const parent of parents) {
      const position = positions.get(parent);
      if (position === undefined) continue;
      // Nothing after it is set in its row.
      addBits(before, index * words, before, position * words, (position >> 5) + 1);
      setBit(before, position, index * words);
    }
  });
  return before;
}

/**
 * Which operations of a segment have effect. An operation that ends somebody's rights (a cut) voids what that account
 * did without knowing of it, and everything whose right came from there. Cuts void cuts too: where that goes around in
 * a circle, all of the circle have effect.
 */
export function effectiveOf(ops: readonly LoggedOp[], graph: Graph): (index: number) => boolean {
  const cuts = ops.flatMap(({ op: { action } }, index) => (isCut(action) ? [index] : []));
  if (cuts.length === 0) return () => true;
  const { words } = graph;
  const voiders = voidersOf(ops, cuts, graph);
  const effective = noBits(graph);
  const isVoid = (index: number): boolean => meet(effective, voiders, index * words);
  const decide = (among: readonly number[], depth: number): void => {
    for (const circle of circlesOf(among, voiders, graph)) {
      const left = circle.filter((cut) => !isVoid(cut));
      if (left.length < circle.length && depth < CIRCLE_DEPTH_MAX) decide(left, depth + 1);
      else for (const cut of left) setBit(effective, cut);
    }
  };
  decide(cuts, 1);
  ops.forEach(({ op }, index) => {
    if (!isCut(op.action) && !isVoid(index)) setBit(effective, index);
  });
  return (index) => hasBit(effective, index);
}

/** Operations that end rights. */
export const isCut = (action: GroupOp["action"]): boolean =>
  action.kind === "role"
    ? action.role === "member"
    : ["remove", "leave", "revoke"].includes(action.kind);

/** By position, a row of those cuts that void it when they have effect. */
function voidersOf(ops: readonly LoggedOp[], cuts: readonly number[], graph: Graph): Bits {
  const { words } = graph;
  const positions = new Map<string | undefined, number>(ops.map(({ id }, index) => [id, index]));
  const targets = new Map<string, number[]>();
  for (const cut of cuts) {
    const logged = ops[cut];
    const key = logged === undefined ? "" : endedBy(logged);
    const others = targets.get(key);
    if (others === undefined) targets.set(key, [cut]);
    else others.push(cut);
  }
  const voiders = new Uint32Array(words * ops.length);
  ops.forEach(({ account, device, membership, authority }, index) => {
    const row = index * words;
    const lose = (key: string, grant: number): void => {
      const isHere = grant !== EARLIER;
      if (isHere && grant !== index) addBits(voiders, row, voiders, grant * words, words);
      for (const cut of targets.get(key) ?? []) {
        const isGrantedAfter = isHere && hasBit(graph.before, cut, grant * words);
        if (isGrantedAfter || hasBit(graph.before, index, cut * words)) continue;
        setBit(voiders, cut, row);
      }
    };
    lose(account, positions.get(membership) ?? EARLIER);
    lose(deviceKey(account, device), EARLIER);
    // An heir that knew of a cut was one in spite of it.
    if (authority === HEIRSHIP) lose(roleKey(account), index);
    else if (authority !== undefined) lose(roleKey(account), positions.get(authority) ?? EARLIER);
    setBit(voiders, index, row, false);
  });
  return voiders;
}

const roleKey = (account: string): string => `role ${account}`;

/** What a cut ends: an account's membership, its role, or a device. */
function endedBy(cut: LoggedOp): string {
  const { action } = cut.op;
  if (action.kind === "revoke") return deviceKey(cut.account, bytesToHex(action.device));
  const target = targetOf(cut) ?? "";
  return action.kind === "role" ? roleKey(target) : target;
}

/**
 * The strongly connected components of these cuts, each after all that void something in it (Tarjan, without
 * recursion: a hostile log may be as deep as it is long).
 */
function circlesOf(
  cuts: readonly number[],
  voiders: Bits,
  graph: Graph,
): readonly (readonly number[])[] {
  const { words } = graph;
  const fresh = noBits(graph);
  for (const cut of cuts) setBit(fresh, cut);
  const open = noBits(graph);
  const circles: number[][] = [];
  const waiting: number[] = [];
  const path: { readonly cut: number; readonly place: number; low: number }[] = [];
  /** The first of `among`, from `start` on, that void a cut. */
  const nextOf = (cut: number, among: Bits, start = 0): number | undefined => {
    for (let word = start >> 5; word < words; word++) {
      const from = word === start >> 5 ? -1 << start : -1;
      const bits = (voiders[cut * words + word] ?? 0) & (among[word] ?? 0) & from;
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits);
    }
    return undefined;
  };
  const places = new Map<number, number>();
  const enter = (cut: number): void => {
    const place = waiting.push(cut) - 1;
    places.set(cut, place);
    let low = place;
    for (let one = nextOf(cut, open); one !== undefined && low > 0;) {
      low = Math.min(low, places.get(one) ?? low);
      one = nextOf(cut, open, one + 1);
    }
    setBit(fresh, cut, 0, false);
    setBit(open, cut);
    path.push({ cut, place, low });
  };
  for (const root of cuts) {
    if (hasBit(fresh, root)) enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = nextOf(top.cut, fresh);
      if (next !== undefined) {
        enter(next);
        continue;
      }
      path.pop();
      const below = path.at(-1);
      if (below !== undefined) below.low = Math.min(below.low, top.low);
      if (top.low < top.place) continue;
      const circle = waiting.splice(top.place);
      for (const cut of circle) setBit(open, cut, 0, false);
      circles.push(circle);
    }
  }
  return circles;
}
