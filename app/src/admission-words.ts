/** What the sheet of admission-sheet.ts says: apart from the catalogs, because most pages never show it. */
import type { Locale } from "@sotto/ui";

const en = {
  title: "Invite code",
  invite: "This relay asks for an invite code. Whoever runs it can give you one.",
  oidc: "This relay is for an organisation. Open it from there, signed in.",
  label: "Invite code",
  send: "Continue",
  refused: "This code is wrong, used up or too old.",
  limit: "No more devices can be added today.",
  later: "The relay does not answer. Try again.",
};

export const ADMISSION_WORDS: Readonly<Record<Locale, typeof en>> = {
  en,
  "zh-CN": {
    title: "邀请码",
    invite: "此中继需要邀请码，可向中继的运营者索取。",
    oidc: "此中继仅供某个组织使用。请登录后从该组织的页面打开。",
    label: "邀请码",
    send: "继续",
    refused: "邀请码有误、已用完或已过期。",
    limit: "今天不能再添加设备了。",
    later: "中继没有响应，请重试。",
  },
};
