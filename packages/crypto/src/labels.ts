/**
 * Every label of suite 1 in one place: a key, hash or signature made for one purpose is useless for any other.
 * A test asserts that no label is a prefix of another's use and that no two are equal.
 * Spec: SPEC.md §1.3.
 */
export const LABELS = {
  account: "sotto/1 account",
  deviceCert: "sotto/1 device cert",
  deviceList: "sotto/1 device list",
  deviceListHash: "sotto/1 device list hash",
  signedPrekey: "sotto/1 signed prekey",
  lastResort: "sotto/1 last resort",
  prekeyLeaf: "sotto/1 prekey leaf",
  prekeyNode: "sotto/1 prekey node",
  prekeyBatch: "sotto/1 prekey batch",
  bundle: "sotto/1 bundle",
  transcript: "sotto/1 transcript",
  handshakeIdentity: "sotto/1 hs id",
  handshakeRoot: "sotto/1 hs root",
  root: "sotto/1 root",
  tag: "sotto/1 tag",
  invite: "sotto/1 invite",
  inviteOffer: "sotto/1 invite offer",
  hubHello: "sotto/1 hub hello",
  hubAuth: "sotto/1 hub auth",
  hubSend: "sotto/1 hub send",
  plea: "sotto/1 plea",
  safetyNumber: "sotto/1 safety number",
  fileChunk: "sotto/1 file chunk",
  fileNode: "sotto/1 file node",
  groupOp: "sotto/1 gop",
  groupOpId: "sotto/1 gop id",
  groupSigner: "sotto/1 gop signer",
  groupHeads: "sotto/1 gheads",
  groupState: "sotto/1 gstate",
  groupChain: "sotto/1 chain",
  groupTag: "sotto/1 gtag",
  groupMessage: "sotto/1 gmsg",
} as const;
