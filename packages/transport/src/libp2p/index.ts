/** The libp2p adapter: a chunk of its own, reached by `import("@sotto/transport/libp2p")` when a direct link is wanted. */
export * from "./direct.ts";
export * from "./frame-stream.ts";
export * from "./init-channel.ts";
export * from "./peer-address.ts";
export * from "./session.ts";
