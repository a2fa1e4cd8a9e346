/** WebKitGTK's own small browser, driven by the W3C WebDriver protocol on a display that nobody sees. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { WAIT_MS } from "./person.ts";

const DRIVER = "/usr/bin/WebKitWebDriver";
const LIBRARIES = "/usr/lib";
/** The composer and the bubbles live in nested shadow roots, which WebDriver's selectors do not enter. */
const FIND = `
  const find = (root, selector) => {
    const own = root.querySelector(selector);
    if (own) return own;
    for (const element of root.querySelectorAll("*")) {
      const inner = element.shadowRoot && find(element.shadowRoot, selector);
      if (inner) return inner;
    }
    return null;
  };`;

export interface WebKitPerson {
  open(url: string): Promise<void>;
  write(text: string): Promise<void>;
  sees(text: string): Promise<void>;
  /** What the settings tell for troubleshooting; empty until they are open. */
  details(): Promise<string>;
  quit(): Promise<void>;
}

export async function startWebKit(): Promise<WebKitPerson> {
  const home = await mkdtemp(join(tmpdir(), "sotto-e2e-webkit-"));
  const port = await freePort();
  const driver = spawn("xvfb-run", ["-a", DRIVER, `--port=${port}`], {
    env: {
      ...process.env,
      HOME: home,
      XDG_DATA_HOME: home,
      XDG_CACHE_HOME: home,
      WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
    },
    stdio: "ignore",
    detached: true,
  });
  const base = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      () =>
        call(base, "GET", "/status").then(
          () => true,
          () => false,
        ),
      { timeout: WAIT_MS },
    )
    .toBe(true);
  const session = await call(base, "POST", "/session", {
    capabilities: {
      alwaysMatch: {
        browserName: "MiniBrowser",
        "webkitgtk:browserOptions": { binary: await miniBrowser(), args: ["--automation"] },
      },
    },
  });
  const { sessionId } = session as { sessionId: string };
  const at = `/session/${sessionId}`;
  const run = (script: string, ...args: readonly string[]): Promise<unknown> =>
    call(base, "POST", `${at}/execute/sync`, { script: FIND + script, args });

  return {
    async open(url) {
      await call(base, "POST", `${at}/url`, { url });
    },
    async write(text) {
      await expect
        .poll(() => run(`return find(document, "textarea") !== null;`), { timeout: WAIT_MS })
        .toBe(true);
      await run(
        `const field = find(document, "textarea");
         field.value = arguments[0];
         field.dispatchEvent(new InputEvent("input", { bubbles: true, composed: true }));
         field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, composed: true, cancelable: true }));`,
        text,
      );
    },
    async sees(text) {
      await expect
        .poll(
          () =>
            run(
              `const list = find(document, "sotto-timeline");
               return list === null ? "" : list.shadowRoot.textContent;`,
            ),
          { timeout: WAIT_MS },
        )
        .toContain(text);
    },
    async details() {
      const text = await run(
        `const panel = find(document, "sotto-settings-panel");
         if (panel === null) find(document, '[aria-label="Settings"]')?.click();
         const all = [...(panel?.shadowRoot.querySelectorAll("details dd") ?? [])];
         return all.map((one) => one.textContent).join("; ");`,
      );
      return String(text);
    },
    async quit() {
      await call(base, "DELETE", at).catch(() => undefined);
      await endGroup(driver);
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function call(base: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(base + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { value } = (await response.json()) as { value: unknown };
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value).slice(0, 500)}`);
  return value;
}

/** Debian keeps it beside the library, below a folder named after the machine's architecture. */
async function miniBrowser(): Promise<string> {
  for (const folder of await readdir(LIBRARIES)) {
    const binary = join(LIBRARIES, folder, "webkit2gtk-4.1", "MiniBrowser");
    const found = await readdir(join(binary, "..")).catch((): string[] => []);
    if (found.includes("MiniBrowser")) return binary;
  }
  throw new Error("webkit2gtk-driver is not installed; see test/setup/system-packages.sh");
}

/** `xvfb-run` starts a display and the driver as children; the whole group goes. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null) return;
  const gone = once(child, "exit");
  process.kill(-child.pid, "SIGTERM");
  await gone;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
