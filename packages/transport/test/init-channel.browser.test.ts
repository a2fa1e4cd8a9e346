import { withRepairedInitChannel } from "@sotto/transport/libp2p";
import { afterEach, expect, it, vi } from "vitest";

const connections: RTCPeerConnection[] = [];
afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

/** A channel of this name whose other side closed it before anybody listened here. */
async function closedEarly(label: string): Promise<RTCDataChannel> {
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  connections.push(a, b);
  a.onicecandidate = ({ candidate }) => void b.addIceCandidate(candidate ?? undefined);
  b.onicecandidate = ({ candidate }) => void a.addIceCandidate(candidate ?? undefined);
  b.ondatachannel = ({ channel }) => channel.close();
  const channel = a.createDataChannel(label);
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription!);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription!);
  await vi.waitUntil(() => channel.readyState === "closed", { timeout: 10_000 });
  return channel;
}

/** What a listener added now hears of the past, in the order asked. */
async function heardLate(channel: RTCDataChannel): Promise<string[]> {
  const heard: string[] = [];
  channel.addEventListener("open", () => heard.push("open"));
  channel.addEventListener("close", { handleEvent: () => heard.push("close") });
  await new Promise((resolve) => setTimeout(resolve));
  return heard;
}

const { prototype } = RTCPeerConnection;
const method = (): unknown => Reflect.get(prototype, "createDataChannel");

it("a listener that comes too late hears what has happened", async () => {
  const channel = await withRepairedInitChannel(prototype, () => closedEarly("init"));
  expect(await heardLate(channel)).toEqual(["open", "close"]);
});

it("a channel of another name, or outside a dial, is left alone", async () => {
  const other = await withRepairedInitChannel(prototype, () => closedEarly("chat"));
  expect(await heardLate(other)).toEqual([]);
  expect(await heardLate(await closedEarly("init"))).toEqual([]);
});

it("goes away with the last of several dials, also after a failure", async () => {
  const original = method();
  const gate = Promise.withResolvers<void>();
  const first = withRepairedInitChannel(prototype, () => gate.promise);
  const failed = withRepairedInitChannel(prototype, () => Promise.reject(new Error("no")));
  await expect(failed).rejects.toThrow("no");
  expect(method()).not.toBe(original);
  gate.resolve();
  await first;
  expect(method()).toBe(original);
});

it("an event that is still to come is heard once", async () => {
  await withRepairedInitChannel(prototype, async () => {
    const connection = new RTCPeerConnection();
    connections.push(connection);
    const channel = connection.createDataChannel("init");
    const heard: string[] = [];
    channel.addEventListener("close", () => heard.push("close"));
    expect(channel.readyState).toBe("connecting");
    channel.dispatchEvent(new Event("close"));
    await new Promise((resolve) => setTimeout(resolve));
    expect(heard).toEqual(["close"]);
  });
});
