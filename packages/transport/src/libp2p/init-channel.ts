/**
 * Works around a race in @libp2p/webrtc 6.0: the dialler of a connection opens a data channel named "init",
 * then waits for its `open` and its `close` event. The other side closes the channel as soon as it appears; when
 * that is faster, the dialler waits for an event of the past and its dial times out (9 % on a busy machine).
 * While a dial runs, listeners added to such a channel also hear what has happened already.
 */
const CHANNEL_NAME = "init";

interface Repair {
  readonly original: RTCPeerConnection["createDataChannel"];
  users: number;
}
const repairs = new WeakMap<RTCPeerConnection, Repair>();

/** Holds the repair in place while `run` runs; other code's channels of that name see no difference but late events. */
export async function withRepairedInitChannel<T>(
  prototype: RTCPeerConnection,
  run: () => Promise<T>,
): Promise<T> {
  const repair = repairs.get(prototype) ?? install(prototype);
  repair.users++;
  try {
    return await run();
  } finally {
    repair.users--;
    if (repair.users === 0) {
      prototype.createDataChannel = repair.original;
      repairs.delete(prototype);
    }
  }
}

function install(prototype: RTCPeerConnection): Repair {
  // oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
  const original = prototype.createDataChannel;
  prototype.createDataChannel = function (this: RTCPeerConnection, label, options) {
    const channel = original.call(this, label, options);
    if (label === CHANNEL_NAME) replayPast(channel);
    return channel;
  };
  const repair = { original, users: 0 };
  repairs.set(prototype, repair);
  return repair;
}

function replayPast(channel: RTCDataChannel): void {
  const add = channel.addEventListener.bind(channel);
  channel.addEventListener = (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void => {
    add(type, listener, options);
    const past =
      (type === "open" && channel.readyState !== "connecting") ||
      (type === "close" && channel.readyState === "closed");
    if (!past) return;
    queueMicrotask(() => {
      const event = new Event(type);
      if (typeof listener === "function") listener.call(channel, event);
      else listener.handleEvent(event);
    });
  };
}
