/** What datagrams and the requests of strangers are read with, for the fuzzer. */
export * as admissionRequest from "#src/node/admission.ts";
export * as stun from "#src/doctor/stun.ts";
export * as stunServer from "#src/node/stun-server.ts";
