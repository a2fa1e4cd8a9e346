/** In place of libp2p's queue that dials lost peers again: the app allows it no attempt (reconnectRetries 0) and dials by itself. */
export class ReconnectQueue {
  start(): void {}

  afterStart(): void {}

  stop(): void {}
}
