/** What datagrams are read with, for the fuzzer. */
export * as stun from "#src/doctor/stun.ts";
export * as stunServer from "#src/node/stun-server.ts";
