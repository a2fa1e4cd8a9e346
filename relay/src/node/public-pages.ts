/**
 * What everybody may know of a relay: its rules, whether it is ready, what it can and cannot see.
 * Never how many people use it.
 * Spec: SPEC.md §6.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ANY_ORIGIN, type PublicAdmission } from "./admission.ts";
import { plain, whole } from "./static-files.ts";

export interface PublicInfo {
  readonly version: string;
  /** Ed25519, hexadecimal: what clients pin. */
  readonly relayKey: string;
  readonly circuits: boolean;
  /** Origins of other relays that the app may talk to. */
  readonly relays: readonly string[];
  readonly limits: {
    readonly messagesPerQueue: number;
    readonly bytesPerQueue: number;
    readonly keptHoursMax: number;
  };
}

export interface PublicPages {
  serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
}

export interface PublicPagesOptions {
  readonly info: () => PublicInfo;
  /** Undefined: open to everybody. */
  readonly admission: () => Promise<PublicAdmission | undefined>;
  /** Undefined: ready. */
  readonly unready: () => string | undefined;
  readonly startedAt: Date;
  readonly trustProxy: boolean;
}

/**
 * Whether a proxy named the client and was believed. "ignored" means that limits count the proxy instead of people:
 * nobody inside can tell that from many people at one address, so whoever asks from outside is told.
 */
type Forwarded = "none" | "believed" | "ignored";

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
};

export function createPublicPages(options: PublicPagesOptions): PublicPages {
  return {
    async serve(request, response, path) {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return plain(response, 405, "Only GET and HEAD.\n", { ...HEADERS, Allow: "GET, HEAD" });
      }
      const ready = options.unready() === undefined;
      if (path === "/status") {
        const words = prefersChinese(request) ? CHINESE : ENGLISH;
        const page = toPage(words, options, ready);
        return whole(response, 200, "text/html; charset=utf-8", page, {
          ...HEADERS,
          Vary: "Accept-Language",
        });
      }
      const forwarded: Forwarded =
        request.headers["x-forwarded-for"] === undefined
          ? "none"
          : options.trustProxy
            ? "believed"
            : "ignored";
      const admission = await options.admission();
      const info = { ...options.info(), admission, ready, forwarded };
      return whole(response, 200, "application/json", `${JSON.stringify(info)}\n`, {
        ...HEADERS,
        ...ANY_ORIGIN,
      });
    },
  };
}

/** The language that is named first; the weights that browsers add only confirm that order. */
const prefersChinese = (request: IncomingMessage): boolean =>
  /^\s*zh\b/i.test(request.headers["accept-language"] ?? "");

interface Words {
  readonly lang: string;
  readonly title: string;
  readonly ready: string;
  readonly unready: string;
  readonly since: string;
  readonly version: string;
  readonly kept: (hours: number) => string;
  readonly open: string;
  readonly sees: readonly [string, ...string[]];
  readonly not: readonly [string, ...string[]];
}

const HOURS_PER_DAY = 24;

const ENGLISH: Words = {
  lang: "en",
  title: "Sotto relay",
  ready: "Ready: this relay takes and delivers mail.",
  unready: "Not ready: this relay takes no mail at the moment. Nothing that was accepted is lost.",
  since: "Running since",
  version: "Version",
  kept: (hours) =>
    `Sealed mail is kept until it is fetched, for at most ${Math.floor(hours / HOURS_PER_DAY)} days.`,
  open: "Open Sotto",
  sees: [
    "What it sees",
    "the address of your network, while you are connected; in memory only",
    "that a mailbox got a sealed message, its rounded size, and when it was fetched",
    "which mailboxes one device opens",
  ],
  not: [
    "What it cannot see",
    "what anybody writes, sends or says",
    "names, contacts, groups, or who is behind a mailbox",
    "whom you talk to directly, once you are connected",
  ],
};

const CHINESE: Words = {
  lang: "zh",
  title: "Sotto 中继",
  ready: "正常：此中继可以收发消息。",
  unready: "暂停：此中继目前不接收消息。已接收的消息不会丢失。",
  since: "运行自",
  version: "版本",
  kept: (hours) => `加密消息保存到被取走为止，最长 ${Math.floor(hours / HOURS_PER_DAY)} 天。`,
  open: "打开 Sotto",
  sees: [
    "它能看到什么",
    "连接期间您的网络地址，只存在内存中",
    "某个信箱收到了一条加密消息、它的大致大小，以及何时被取走",
    "一台设备打开了哪些信箱",
  ],
  not: [
    "它看不到什么",
    "任何人写的、发的或说的内容",
    "姓名、联系人、群组，以及信箱属于谁",
    "建立直连之后您在和谁交谈",
  ],
};

const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}";

/** Every text in it is one of ours or a number. */
function toPage(words: Words, options: PublicPagesOptions, ready: boolean): string {
  const { version, limits } = options.info();
  const list = ([heading, ...items]: readonly [string, ...string[]]): string =>
    `<h2>${heading}</h2><ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul>`;
  return `<!doctype html>
<html lang="${words.lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${words.title}</title><style>${STYLE}</style></head><body><main>
<h1>${words.title}</h1>
<p><strong>${ready ? words.ready : words.unready}</strong></p>
<p>${words.kept(limits.keptHoursMax)}</p>
${list(words.sees)}
${list(words.not)}
<p>${words.version} ${version}. ${words.since} ${options.startedAt.toISOString().slice(0, 10)}.</p>
<p><a href="/">${words.open}</a></p>
</main></body></html>
`;
}
