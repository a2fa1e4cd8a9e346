/**
 * The invariants by number (what each means here), and which of them the engine has nothing for yet.
 * An oracle names the one it saw broken; a failing run is reduced for as long as it breaks the same one.
 */
export const INVARIANTS = {
  I1: "nothing accepted is lost, and the relay says OK only for what survives its crash",
  I2: "nothing is stored, counted or shown twice, and nothing stored is rewritten",
  I3: "both sides keep one order, and a sign only goes up",
  I4: "in peace both sides have the same history, names and nothing left to send",
  I5: "no (key, nonce) is released with two plaintexts, nor a message key but for a store that was put back",
  I6: "what a device keeps opens nothing that it opened before, and holds no key that did",
  I7: "every turn has a key of its own, and a copied state reads at most one that began after it was copied",
  I8: "everything that others can make grow has its limit, on clients and relay",
  I9: "after the faults everything arrives within 120 simulated seconds, or as soon as its repair allows",
  I10: "no text, name or secret of a device is in bytes on the network or on the relay's disk, and what leaves has one of the sizes of the set",
  I11: "no device gets what was written by somebody who knew that it, or its account, had been removed",
  I12: "while somebody else is in a contact's place, nothing is sent there and nothing of it is shown, until the person has decided; then it is as they said",
  I13: "the relay deletes only what its reader has committed, and a reader confirms only that",
  I14: "an input told again changes nothing but the receipts that are owed",
  I15: "whatever clocks say, nothing is lost",
  I16: "a store that was put back, once its contact has said how far it has read, seals nothing by its old chains",
  I17: "the same seed gives the same trace",
  I18: "what the relay took in is stored, acknowledged, expired or was refused",
  I19: "whatever arrives or lies on the disk becomes a state or is counted; nothing throws",
} as const;

export type Invariant = keyof typeof INVARIANTS;

/** What the simulator leaves out because the engine does not survive it, each with the reason. */
export const KNOWN_LIMITS = [
  "a relay that is gone for good while somebody has been told of no other address: an offer that was fetched before a second relay had made the queue, a first message that nobody can answer yet, or a store put back from before it was told",
  "a relay that says OK and gives something else in the place of a first message (HELLO): its reader has no address to answer to, and the relay knows the id when its sender tries again",
  "a store that was copied before an invite was used, or before whoever used it had said where it reads, and is put back after it: it cannot write to the other side, and only a new invite helps",
  "what a store that was put back had received and confirmed, and what it had accepted and the other side had not: nobody sends that again",
  "a bit that flips in what a store keeps once and nothing vouches for: the text of a message that has arrived, the contact's certificate and addresses, the own secrets, names and ways that wait to be sent; rows have no checksum",
  "a member of a group who shows operations to some and keeps what they name: nobody writes there until it is removed (crypto/SPEC.md §11.6)",
  "a relay's disk that is lost while a device has not met each device that it is to reach: an offer, or the first message to it, is gone",
] as const;
