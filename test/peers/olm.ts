/**
 * libolm in WebAssembly: triple Diffie-Hellman and double ratchet, no post-quantum part, no encrypted headers.
 * It takes and gives text only, so contents are ASCII and what it gives is base64.
 */
import Olm from "@matrix-org/olm";
import { bytesToUtf8, utf8ToBytes } from "@sotto/wire";
import type { End, Peer, Sealed } from "./peer.ts";

/** For what the comparison of ratchets does with it, once `createOlm` has loaded it. */
export { Olm };

/** `wasm`: where a page finds olm.wasm; Node finds it alone. */
export async function createOlm(wasm?: string): Promise<Peer> {
  // The library assigns this global without declaring it, which a module may not.
  Object.assign(globalThis, { OLM_OPTIONS: undefined });
  await Olm.init(wasm === undefined ? {} : { locateFile: () => wasm });
  return {
    name: "olm",
    contentBytesMax: undefined,
    acquaint() {
      const [alice, bob] = [createAccount(), createAccount()];
      const bobKey = identityKeyOf(bob);
      return Promise.resolve({
        async setUp(first) {
          bob.generate_one_time_keys(1);
          const from = new Olm.Session();
          from.create_outbound(alice, bobKey, oneTimeKeyOf(bob));
          bob.mark_keys_as_published();
          const initiator = createEnd(from);
          const sealed = await initiator.seal(first);
          const { type, body } = sealed.message as OlmMessage;
          const to = new Olm.Session();
          to.create_inbound(bob, body);
          bob.remove_one_time_keys(to);
          to.decrypt(type, body);
          return {
            firstBytes: sealed.bytes,
            conversation: {
              initiator,
              responder: createEnd(to),
              end() {
                from.free();
                to.free();
              },
            },
          };
        },
      });
    },
  };
}

interface OlmMessage {
  readonly type: 0 | 1;
  readonly body: string;
}

function createAccount(): Olm.Account {
  const account = new Olm.Account();
  account.create();
  return account;
}

export const identityKeyOf = (account: Olm.Account): string =>
  (JSON.parse(account.identity_keys()) as { readonly curve25519: string }).curve25519;

/** The only unpublished one-time key. */
export function oneTimeKeyOf(account: Olm.Account): string {
  const keys = JSON.parse(account.one_time_keys()) as { readonly curve25519: object };
  const [key] = Object.values(keys.curve25519) as readonly string[];
  if (key === undefined) throw new Error("no one-time key");
  return key;
}

const createEnd = (session: Olm.Session): End => ({
  seal: (content): Promise<Sealed> =>
    new Promise((resolve) => {
      const text = bytesToUtf8(content);
      if (text === undefined) throw new Error("olm takes text only");
      const message = session.encrypt(text);
      resolve({ message, bytes: message.body.length });
    }),
  open: ({ message }) =>
    new Promise((resolve) => {
      const { type, body } = message as OlmMessage;
      resolve(utf8ToBytes(session.decrypt(type, body)));
    }),
});
