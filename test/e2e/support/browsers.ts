/** Debian's own browsers, each profile in a folder of its own, as two people on two machines would have. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, firefox } from "playwright-core";
import { vi } from "vitest";

const CHROMIUM = process.env["SOTTO_CHROMIUM"] ?? "/usr/bin/chromium";
const FIREFOX = process.env["SOTTO_FIREFOX"] ?? "/usr/bin/firefox-esr";

const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  // Host candidates by address: a machine without multicast cannot resolve the masked names.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];

/** One browser for many short-lived profiles without a folder. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });

export interface Profile {
  readonly context: BrowserContext;
  /** Closes the browser, keeps the profile. */
  quit(): Promise<void>;
  /** Opens the same profile again. */
  reopen(): Promise<void>;
  /** SIGKILL, by pid: the browser, of which its processes end as well, or in Chromium the pages alone. */
  kill(part: "browser" | "pages"): Promise<void>;
  /** Closes the browser and deletes the profile. */
  dispose(): Promise<void>;
}

export interface ProfileOptions {
  readonly browser?: "chromium" | "firefox";
  readonly locale?: string;
  readonly colorScheme?: "light" | "dark";
  /** A file that stands in for the camera's picture. */
  readonly camera?: string;
  readonly viewport?: { readonly width: number; readonly height: number };
}

export async function createProfile(options: ProfileOptions = {}): Promise<Profile> {
  const folder = await mkdtemp(join(tmpdir(), "sotto-e2e-profile-"));
  let context = await open(folder, options);
  return {
    get context() {
      return context;
    },
    quit: () => context.close(),
    async reopen() {
      context = await open(folder, options);
    },
    async kill(part) {
      const pids = processesOf(folder, part);
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await vi.waitUntil(() => pids.every((pid) => argumentsOf(pid).join("") === ""), {
        timeout: 30_000,
      });
    },
    async dispose() {
      await context.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The first process of a browser has the profile's folder among its arguments and no type; those of pages have one. */
function processesOf(folder: string, part: "browser" | "pages"): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0)
    .filter((pid) => {
      const words = argumentsOf(pid);
      const isOurs = words.some((word) => word.includes(folder));
      const isChild = words.some((word) => word.startsWith("--type=") || word === "-contentproc");
      return isOurs && (part === "browser" ? !isChild : words.includes("--type=renderer"));
    });
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // Ended meanwhile.
    return [];
  }
}

function open(folder: string, options: ProfileOptions): Promise<BrowserContext> {
  const shared = {
    locale: options.locale ?? "en-GB",
    colorScheme: options.colorScheme ?? "light",
    viewport: options.viewport ?? { width: 1_280, height: 800 },
  } as const;
  if (options.browser === "firefox") {
    return firefox.launchPersistentContext(folder, {
      ...shared,
      channel: "moz-firefox",
      executablePath: FIREFOX,
      firefoxUserPrefs: {
        "media.peerconnection.ice.loopback": true,
        "media.peerconnection.ice.obfuscate_host_addresses": false,
      },
    });
  }
  return chromium.launchPersistentContext(folder, {
    ...shared,
    executablePath: CHROMIUM,
    args: [...CHROMIUM_ARGS, ...(options.camera === undefined ? [] : cameraArgs(options.camera))],
  });
}

const cameraArgs = (file: string): readonly string[] => [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-video-capture=${file}`,
];
