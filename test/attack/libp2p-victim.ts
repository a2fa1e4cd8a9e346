/** A circuit relay as js-libp2p makes it when nobody chooses anything, in a process of its own. */
import { noise } from "@chainsafe/libp2p-noise";
import { circuitRelayServer } from "@libp2p/circuit-relay-v2";
import { identify } from "@libp2p/identify";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { createLibp2p } from "libp2p";

const node = await createLibp2p({
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0/ws"] },
  transports: [webSockets()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), relay: circuitRelayServer() },
});
const [address] = node.getMultiaddrs();
const port = /\/tcp\/(\d+)\//.exec(address?.toString() ?? "")?.[1];
process.stdout.write(`libp2p :${port} ${node.peerId.toString()}\n`);
