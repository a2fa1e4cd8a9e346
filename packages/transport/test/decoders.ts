/** What is read of a relay's answer, and of a direct connection before there is a frame, for the fuzzer: nothing else may import these files. */
export * as admissionAnswer from "#src/admission-answer.ts";
export * as frameStream from "#src/libp2p/frame-stream.ts";
export * as initChannel from "#src/libp2p/init-channel.ts";
export * as peerAddress from "#src/libp2p/peer-address.ts";
