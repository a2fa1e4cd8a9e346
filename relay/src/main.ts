#!/usr/bin/env node
/**
 * `sotto-relay`: the relay as one command.
 * Owns: which commands there are. Leaves to cli/: what each does, loaded when it is asked for.
 * Spec: README.md.
 */
import { Command } from "commander";
import type { DoctorOptions } from "./cli/doctor.ts";
import type { InitOptions } from "./cli/init.ts";
import type { InviteOptions } from "./cli/invite.ts";
import { addSettings } from "./cli/settings.ts";

const program = new Command("sotto-relay")
  .description(
    "The blind relay of Sotto: sealed mailboxes, signalling, circuits for direct links, and the app itself.",
  )
  .addHelpText(
    "after",
    `
The relay knows mailboxes, not people. Anything but this machine needs TLS: --domain, --tls-certificate, or a proxy.

  GET /           the app           /hub         clients (WebSocket)
  GET /healthz    is it alive       /            circuits (WebSocket)
  GET /readyz     does it take mail
  GET /status     for people        /info.json   for programs
                                    /admission   codes and sign-ins (POST)

  On the operator's own port: /metrics (Prometheus) and /status.json.

Keys live in <data>/identity.key and <data>/send.key: back them up, a relay without them is another relay.
`,
  );

addSettings(program);
program.action(async () => (await import("./cli/start.ts")).start(program));
program
  .command("start")
  .description("run the relay; also what happens without a command")
  .action(async () => (await import("./cli/start.ts")).start(program));
program
  .command("config")
  .description("say what the settings are, without starting")
  .option("--print", "all settings in force, and where each comes from")
  .option("--explain <name>", "one setting, for example limits.max_bytes")
  .option("--page", "the text of CONFIG.md")
  .action(async (options: { readonly explain?: string; readonly page?: boolean }) =>
    (await import("./cli/config.ts")).config(program, options),
  );
program
  .command("status")
  .description("ask the relay that runs with these settings how it is")
  .option("--json", "as it answers")
  .action(async (options: { readonly json?: boolean }) =>
    (await import("./cli/status.ts")).status(program, options),
  );
program
  .command("invite")
  .description("make a code that lets people in, for a relay that asks for one; it may be running")
  .option("--uses <number>", "how many devices it lets in", "1")
  .option("--days <number>", "how long it is good", "7")
  .action(async (options: InviteOptions) =>
    (await import("./cli/invite.ts")).invite(program, options),
  );
program
  .command("backup")
  .description("copy the keys and the mail of server.data while the relay runs")
  .argument("<directory>", "where to; empty or not there")
  .action(async (directory: string) =>
    (await import("./cli/backup.ts")).backup(program, directory),
  );
program
  .command("restore")
  .description("make server.data, which must be empty or not there, from a backup")
  .argument("<directory>", "what backup made")
  .action(async (directory: string) =>
    (await import("./cli/backup.ts")).restoreTo(program, directory),
  );
program
  .command("init")
  .description(
    "ask six questions and write what a server needs: settings, proxy, service, dashboard",
  )
  .argument("[folder]", "where to", "sotto-relay")
  .option("--by <way>", "what runs it: compose or systemd", "compose")
  .option("--room <GiB>", "room for mail; as much as so many people need unless given")
  .option("--force", "write also over files that differ")
  .action(async (folder: string, options: InitOptions) =>
    (await import("./cli/init.ts")).init(folder, options),
  );
program
  .command("doctor")
  .description("check a relay from outside, and with --data the machine it runs on")
  .argument("[address]", "such as https://chat.example.com; server.public_url unless given")
  .option("--ca <file>", "a certificate authority to trust besides the usual ones (PEM)")
  .option("--turn <host:port>", "a TURN server to ask for an allocation")
  .option("--turn-secret-file <file>", "its static-auth-secret")
  .option("--json", "an array of { name, result, words }")
  .action(async (address: string | undefined, options: DoctorOptions) =>
    (await import("./cli/doctor.ts")).doctor(program, address, options),
  );

await program.parseAsync();
