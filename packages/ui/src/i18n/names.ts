/** The name someone starts with: friendly, memorable, theirs to change. */
import type { Locale } from "./catalogs.ts";

const ENGLISH = {
  first: "Quiet Bright Gentle Brave Calm Clever Kind Lucky Merry Nimble Patient Swift".split(" "),
  second: "Otter Heron Fox Wren Lynx Panda Robin Seal Badger Crane Hare Finch".split(" "),
  join: " ",
};
const CHINESE = {
  first: "安静 明亮 温柔 勇敢 沉着 聪明 善良 幸运 快乐 灵巧 耐心 轻快".split(" "),
  second: "水獭 白鹭 狐狸 云雀 猞猁 熊猫 知更鸟 海豹 松鼠 仙鹤 野兔 喜鹊".split(" "),
  join: "的",
};

/** `pick`: an integer from 0 up to, not including, its argument. */
export function friendlyName(locale: Locale, pick: (below: number) => number): string {
  const words = locale === "zh-CN" ? CHINESE : ENGLISH;
  const first = words.first[pick(words.first.length)] ?? "";
  const second = words.second[pick(words.second.length)] ?? "";
  return first + words.join + second;
}
