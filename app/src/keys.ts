/**
 * The account's words and backup files: shown and made in the settings, taken in where somebody begins.
 * Loaded where one of the two is looked at, or a file is to be written again.
 * Owns: files and what the browser lets the app do with them. Leaves to the panels: how it looks; to the messenger: what
 * stands in a file.
 */
import type { BackupError, Messenger, OpenMessengerOptions, RecoveryError } from "@sotto/sdk";
import { locale, type SottoEvents } from "@sotto/ui";
import type { DailyBackup, KeysOutcome, RestoreFailure } from "@sotto/ui/late";
import "@sotto/ui/late";
import { html, type ReactiveControllerHost, type TemplateResult } from "lit";
import { DAILY, KEPT, SAVED } from "./backup-due.ts";
import {
  forgetFile,
  isAllowed,
  isWritable,
  keepFile,
  keptFile,
  type WritableFile,
} from "./kept-file.ts";

/** A header that leads to a passphrase: format, crypto/SPEC.md §16. */
const PASSES_AT = 18;

type Named<Name extends keyof SottoEvents> = CustomEvent<SottoEvents[Name]>;

export interface Keys {
  settings(): TemplateResult;
  restore(): TemplateResult;
  /** Writes the file that is kept, if it is time and the browser lets it. */
  keepUp(): Promise<void>;
  /** The sheet is left: what was shown is hidden, and after a try that failed the page begins anew. */
  leave(): void;
}

export function createKeys(
  host: ReactiveControllerHost,
  messenger: Messenger | undefined,
  options: Pick<OpenMessengerOptions, "name" | "relayUrl" | "profile">,
): Keys {
  let words: readonly string[] | undefined;
  let busy: "save" | "import" | undefined;
  let outcome: KeysOutcome | undefined;
  let daily: DailyBackup | undefined;
  let restoring = false;
  let failure: RestoreFailure | undefined;
  let positions: readonly number[] = [];
  let takesPassphrase: boolean | undefined;
  /** The messenger was closed for a try. */
  let isClosed = false;
  let isKeeping = false;

  const hasDamage = (): boolean => (messenger?.diagnostics.value.damagedRows ?? 0) > 0;

  /** The file that is written daily; another account's is not touched. */
  const ownFile = async (): Promise<WritableFile | undefined> =>
    localStorage.getItem(DAILY) === messenger?.me.value.accountId ? keptFile() : undefined;

  /** What is here may take the place of the last file: nothing is missing that could not be read or stored. */
  const isWhole = (): boolean => messenger?.storage.value.state === "ok" && !hasDamage();

  // The other identities of a browser have no file of their own.
  if (canKeepFiles() && options.profile === undefined) look().catch(() => undefined);

  async function look(): Promise<void> {
    const file = await ownFile();
    daily = file === undefined ? "off" : (await isWritable(file)) ? "on" : "paused";
    host.requestUpdate();
  }

  async function show(shown: boolean): Promise<void> {
    try {
      const language = locale() === "zh-CN" ? "simplified-chinese" : "english";
      words = shown ? await messenger?.recoveryPhrase({ language }) : undefined;
      outcome = undefined;
    } catch {
      outcome = { kind: "failed", of: "words" };
    }
    host.requestUpdate();
  }

  /** What `act` resolves to is shown; a person who changed their mind is told nothing. */
  async function during(
    what: NonNullable<typeof busy>,
    act: () => Promise<KeysOutcome | undefined>,
  ): Promise<void> {
    if (busy !== undefined) return;
    busy = what;
    outcome = undefined;
    host.requestUpdate();
    try {
      outcome = await act();
    } catch (error) {
      if (!isAbort(error)) {
        outcome =
          what === "save"
            ? { kind: "failed", of: "save" }
            : { kind: "failed", of: "import", reason: failureOf(error) };
      }
    }
    busy = undefined;
    host.requestUpdate();
  }

  async function content(passphrase?: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    if (messenger === undefined) throw new Error("nothing to save");
    return messenger.backup(passphrase === undefined ? {} : { passphrase });
  }

  async function save(passphrase: string | undefined): Promise<KeysOutcome> {
    // First: it asks the person, which a browser allows in a click only.
    const handle = await pick();
    if (handle === undefined) download(await new Response(await content(passphrase)).blob());
    else await write(handle, await content(passphrase));
    noteSaved();
    return { kind: "saved" };
  }

  async function turnDaily(on: boolean): Promise<KeysOutcome | undefined> {
    if (!on) {
      localStorage.removeItem(DAILY);
      await forgetFile();
      daily = "off";
      return undefined;
    }
    const known = await ownFile();
    // Before a file is chosen: choosing one empties it.
    if (known === undefined && !isWhole()) return { kind: "failed", of: "daily" };
    const handle = known ?? (await pick());
    if (handle === undefined) return undefined;
    if (!(await isAllowed(handle)))
      throw new Error("the browser does not let this file be written");
    if (known !== undefined && !isWhole()) {
      daily = "on";
      return undefined;
    }
    const refused = known === undefined ? await takeFrom(handle) : undefined;
    if (refused !== undefined) return refused;
    await write(handle, await content());
    await keepFile(handle);
    localStorage.setItem(DAILY, messenger?.me.value.accountId ?? "");
    noteSaved(KEPT);
    daily = "on";
    return { kind: "saved" };
  }

  /** Where choosing a file left it as it was: what it has comes here first, and what cannot is not written over. */
  async function takeFrom(handle: WritableFile): Promise<KeysOutcome | undefined> {
    const file = await handle.getFile();
    if (file.size === 0) return undefined;
    try {
      const taken = await messenger?.importBackup(file);
      return taken?.unknown === 0 && isWhole() ? undefined : { kind: "failed", of: "daily" };
    } catch (error) {
      const reason = failureOf(error);
      return reason === "not-a-backup" ? undefined : { kind: "failed", of: "import", reason };
    }
  }

  async function take(file: File): Promise<KeysOutcome> {
    if (messenger === undefined) throw new Error("nowhere to take it");
    return { kind: "imported", ...(await messenger.importBackup(file)) };
  }

  async function restore({
    file,
    phrase,
    passphrase,
  }: SottoEvents["sotto-restore"]): Promise<void> {
    restoring = true;
    failure = undefined;
    host.requestUpdate();
    try {
      const { openMessenger } = await import("@sotto/sdk");
      // The profile has one messenger at a time.
      if (!isClosed) await messenger?.close();
      isClosed = true;
      const restored = await openMessenger({ ...options, ...sourceOf(file, phrase, passphrase) });
      await restored.close();
      // The file may have more than what is here now: switched on again, it is read first.
      localStorage.removeItem(DAILY);
      await forgetFile();
      location.replace(location.pathname + (options.profile === undefined ? "" : location.search));
      return;
    } catch (error) {
      failure = failureOf(error);
      positions = positionsOf(error);
    }
    restoring = false;
    host.requestUpdate();
  }

  return {
    settings: () => {
      const savedAt = localStorage.getItem(SAVED);
      return html`<sotto-keys-panel
        .words=${words}
        .busy=${busy}
        .outcome=${outcome}
        .daily=${daily === "on" && hasDamage() ? "damaged" : daily}
        .savedAt=${savedAt === null ? undefined : Number(savedAt)}
        @sotto-words=${({ detail }: Named<"sotto-words">) => void show(detail.shown)}
        @sotto-backup-save=${({ detail }: Named<"sotto-backup-save">) =>
          void during("save", () => save(detail.passphrase))}
        @sotto-backup-daily=${({ detail }: Named<"sotto-backup-daily">) =>
          void during("save", () => turnDaily(detail.on))}
        @sotto-backup-import=${({ detail }: Named<"sotto-backup-import">) =>
          void during("import", () => take(detail.file))}
      ></sotto-keys-panel>`;
    },
    restore: () =>
      html`<sotto-restore-panel
        ?busy=${restoring}
        .failure=${failure}
        .positions=${positions}
        .takesPassphrase=${takesPassphrase}
        @sotto-restore-file=${({ detail: { file } }: Named<"sotto-restore-file">) => {
          failure = undefined;
          void hasPassphrase(file).then((has) => {
            takesPassphrase = has;
            host.requestUpdate();
          });
        }}
        @sotto-restore=${({ detail }: Named<"sotto-restore">) => void restore(detail)}
      ></sotto-restore-panel>`,
    async keepUp() {
      if (isKeeping || !isWhole()) return;
      isKeeping = true;
      try {
        const handle = await ownFile();
        if (handle === undefined || !(await isWritable(handle))) return;
        await write(handle, await content());
        noteSaved(KEPT);
        host.requestUpdate();
      } finally {
        isKeeping = false;
      }
    },
    leave() {
      words = undefined;
      outcome = undefined;
      failure = undefined;
      if (isClosed && !restoring) location.reload();
    },
  };
}

function sourceOf(
  file: File | undefined,
  phrase = "",
  passphrase?: string,
): Pick<OpenMessengerOptions, "backup" | "restore"> {
  if (file === undefined) return { restore: phrase };
  return { backup: passphrase === undefined ? { file, phrase } : { file, passphrase } };
}

async function hasPassphrase(file: File | undefined): Promise<boolean> {
  const head = await file?.slice(PASSES_AT, PASSES_AT + 1).arrayBuffer();
  return head !== undefined && (new Uint8Array(head)[0] ?? 0) > 0;
}

function noteSaved(...further: readonly string[]): void {
  for (const key of [SAVED, ...further]) localStorage.setItem(key, `${Date.now()}`);
}

const canKeepFiles = (): boolean => "showSaveFilePicker" in globalThis;

/** Undefined where the browser saves into a folder of its own. */
async function pick(): Promise<WritableFile | undefined> {
  return globalThis.showSaveFilePicker?.({ suggestedName: nameOfFile() });
}

const nameOfFile = (): string => `sotto-backup-${new Date().toISOString().slice(0, 10)}.sotto`;

/** What stood there before stays until all of the new is written. */
async function write(
  handle: WritableFile,
  content: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  await content.pipeTo(await handle.createWritable());
}

function download(file: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = nameOfFile();
  link.click();
  // Browsers read it after the click; a minute is more than any of them takes.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

function failureOf(error: unknown): RestoreFailure {
  if (isBackupError(error)) return error.reason;
  if (isRecoveryError(error)) return error.refusal.reason;
  return error instanceof Error && error.message.endsWith(": full") ? "full" : "failed";
}

const positionsOf = (error: unknown): readonly number[] =>
  isRecoveryError(error) && error.refusal.reason === "unknown-words" ? error.refusal.positions : [];

// By their names: the classes are in a part of the app that is loaded by its own name alone.
const isBackupError = (error: unknown): error is BackupError =>
  error instanceof Error && error.name === "BackupError";
const isRecoveryError = (error: unknown): error is RecoveryError =>
  error instanceof Error && error.name === "RecoveryError";
