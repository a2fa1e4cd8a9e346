/** One face for every ratchet that is compared, so that each does the same work in the same order. */

/** What a library hands over to be sent; only its own other end looks inside. */
export interface Sealed {
  readonly message: unknown;
  /** Size as the library hands it over: base64 counts as the characters it is. */
  readonly bytes: number;
}

/** One side of a conversation. Order of calls within one end is the caller's business. */
export interface End {
  seal(content: Uint8Array<ArrayBuffer>): Promise<Sealed>;
  /** Throws when the message does not open. */
  open(sealed: Sealed): Promise<Uint8Array>;
}

export interface Conversation {
  readonly initiator: End;
  readonly responder: End;
  /** Releases memory outside the collector's reach. */
  readonly end: () => void;
}

/** Two people with identities who have never met. */
export interface Acquaintance {
  /** Fresh prekeys of the responder, checked and used by the initiator; `first` is sealed and opened. */
  setUp(first: Uint8Array<ArrayBuffer>): Promise<{
    readonly conversation: Conversation;
    /** Of the first message, with everything that stands in front of it. */
    readonly firstBytes: number;
  }>;
}

export interface Peer {
  readonly name: string;
  /** Largest content that `seal` takes, in bytes; undefined when the library sets no limit. */
  readonly contentBytesMax: number | undefined;
  /** Carries what `seal` refuses for its size as one chunk of a file: sealed, hashed, checked and opened. */
  carryChunk?(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  acquaint(): Promise<Acquaintance>;
}
