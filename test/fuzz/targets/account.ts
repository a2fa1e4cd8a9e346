/** What an account says about its devices, and what a device says to a contact it has lost its session with. */
import {
  addDevice,
  createDeviceList,
  createOwnDevice,
  followList,
  removeDevice,
  verifyDeviceList,
} from "@sotto/crypto";
import { concatBytes, decodeDeviceList, type DeviceList, encodeDeviceList } from "@sotto/wire";
import type { Random } from "../../simulation/random.ts";
import { stubBackend } from "../../simulation/stub-crypto.ts";
import { isSameData, copyOf } from "../measure.ts";
import { mutateValue } from "../mutate.ts";
import { Finding, type Outcome, type Target } from "../target.ts";
import { envOf, trusting } from "./parties.ts";

const LISTS_MAX = 6;
/** Every signature is valid: what is looked at is what the root key may say. */
const crypto = trusting(stubBackend);

/** u16 length | list, again and again; what is no list ends it. */
function readLists(input: Uint8Array): readonly DeviceList[] {
  const lists: DeviceList[] = [];
  for (let at = 0; at + 2 <= input.length && lists.length < LISTS_MAX;) {
    const length = (input[at] ?? 0) * 256 + (input[at + 1] ?? 0);
    const decoded = decodeDeviceList(input.subarray(at + 2, at + 2 + length));
    if (!decoded.ok) break;
    lists.push(decoded.value);
    at += 2 + length;
  }
  return lists;
}

const writeLists = (lists: readonly DeviceList[]): Uint8Array =>
  concatBytes(
    ...lists.map(encodeDeviceList).map((bytes) => {
      return concatBytes(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes);
    }),
  );

/** Versions 1 to 5 of an account: two devices come, one goes, another comes. */
async function makeHistory(): Promise<readonly DeviceList[]> {
  const env = envOf(stubBackend, 61);
  const first = await createOwnDevice(env);
  const others = [];
  for (let index = 0; index < 3; index++) {
    const other = await createOwnDevice(env);
    const cert = { ...other.cert, rootKey: first.cert.rootKey };
    others.push(cert);
  }
  const trustingEnv = { ...env, crypto };
  const lists = [await createDeviceList(first, env)];
  const extend = async (change: (list: DeviceList) => ReturnType<typeof addDevice>) => {
    const last = lists.at(-1);
    if (last === undefined) throw new Error("no list");
    const changed = await change(last);
    if (!changed.ok) throw new Error(`an honest change was refused: ${changed.reason}`);
    lists.push(changed.list);
  };
  const [second, third, fourth] = others;
  if (second === undefined || third === undefined || fourth === undefined) throw new Error("few");
  const { rootSecret } = first;
  await extend((list) => addDevice(list, second, true, rootSecret, trustingEnv));
  await extend((list) => addDevice(list, third, false, rootSecret, trustingEnv));
  await extend((list) => removeDevice(list, second.deviceId, rootSecret, trustingEnv));
  await extend((list) => addDevice(list, fourth, false, rootSecret, trustingEnv));
  return lists;
}

function deviceLists(): Target {
  let history: readonly DeviceList[] | undefined;
  return {
    name: "device-lists",
    covers: ["crypto.verifyDeviceList"],
    maxBytes: 16_384,
    weight: 1,
    steps: { base: 100_000, perByte: 1_000 },
    async run(input): Promise<Outcome> {
      const known = history?.[1];
      if (known === undefined) throw new Error("call seeds first");
      const received = readLists(input);
      const before = copyOf(known);
      const followed = await followList(known, received, crypto);
      if (!isSameData(known, before)) throw new Finding("a known list was changed in place");
      if (followed.verdict === "newer") {
        const { list } = followed;
        if (list.version <= known.version) throw new Finding("a list that is not newer is");
        if (!(await verifyDeviceList(list, known.rootKey, crypto))) {
          throw new Finding("a list that does not verify is followed");
        }
        const ids = new Set(list.devices.map(({ id }) => Buffer.from(id).toString("hex")));
        if (known.removed.some(({ id }) => ids.has(Buffer.from(id).toString("hex")))) {
          throw new Finding("a removed device comes back");
        }
      }
      return { accepted: followed.verdict !== "invalid" };
    },
    async seeds() {
      history ??= await makeHistory();
      const [one, two, three, four, five] = history;
      if (!one || !two || !three || !four || !five) throw new Error("too short");
      return [[one], [two], [three], [three, four, five], [five], [four, three]].map(writeLists);
    },
    vary(input, random: Random) {
      const lists = readLists(input);
      const at = random.int(lists.length);
      const list = lists[at];
      if (list === undefined) return undefined;
      try {
        return writeLists(lists.with(at, mutateValue(list, random) as DeviceList));
      } catch {
        return undefined;
      }
    },
  };
}

export const accountTargets: readonly Target[] = [deviceLists()];
