/** English. The shape of this object is the shape every language must have. */
import { isolated } from "./isolated.ts";

const plural = new Intl.PluralRules("en");
const messages = (count: number): string =>
  plural.select(count) === "one" ? `${count} message` : `${count} messages`;
const isOne = (count: number): boolean => plural.select(count) === "one";
const devices = (count: number): string => (isOne(count) ? "a device" : `${count} devices`);
/** Where notes are; `count` devices, this one among them. */
const kept = (count: number): string =>
  isOne(count) ? "Only on this device" : `On your ${count} devices`;

export const en = {
  app: {
    name: "Sotto",
    skip: "Skip to the message field",
    loading: "Opening your messages…",
    failed: "Sotto could not start here.",
    failedHint: {
      general: "Reload the page. If that does not help, this browser may be too old.",
      "other-tab":
        "Another tab of Sotto, perhaps an older version, keeps your messages open. Close the other tabs, then reload.",
      full: "There is no space left on this device. Free some space, then reload.",
      unreadable:
        "Your messages are on this device, but this version cannot read them. Do not clear the site’s data. Reload, or update your browser.",
      gone: "This browser has cleared Sotto’s storage, or its disk has lost it. No server has a copy. Bring everything back from a backup file, or with your 24 words from another device of yours.",
    },
    gone: "What was kept here is gone.",
    beginAnew: "Begin with a new account",
    beginAnewText:
      "Your contacts will not know that it is you, and nothing that was here comes back later.",
    reload: "Reload",
    untitled: "Sotto",
    unreadTitle: (count: number) => `(${count}) Sotto`,
  },
  list: {
    label: "Conversations",
    notes: "Notes to self",
    notesHint: (count: number) => kept(count),
    invited: "Waiting for a friend",
    invitedHint: "Your invite has not been opened yet",
    refused: "Invite already used",
    refusedHint: "Ask for a new one",
    expired: "Invite ended",
    expiredHint: "Nobody opened it in time",
    nobodyYet: "New contact",
    newHint: "Say hi",
    draft: "Draft:",
    own: (text: string) => `You: ${text}`,
    unread: (count: number) => `${messages(count)} unread`,
    verified: "Verified",
    yesterday: "Yesterday",
  },
  home: {
    title: (name: string) => `Hello, ${isolated(name)}`,
    text: "Private messages from your browser straight to theirs. No account, no phone number.",
    invite: "Invite someone",
    code: "I have a link",
    secondTab: "Try with a second tab",
    pick: "Choose a conversation, or invite someone.",
    points: [
      "Device to device, whenever both are there",
      "Sealed, even against tomorrow’s computers",
      "Your history stays with you",
    ],
  },
  name: {
    label: "Your name",
    edit: "Change your name",
    save: "Save",
    bad: "A name needs 1 to 64 characters, at least one of them visible.",
  },
  conversation: {
    back: "Back to the list",
    more: "Verify",
    label: (name: string) => `Messages with ${name}`,
    empty: "Say hi. Only you two can read this.",
    emptyNotes: (count: number) =>
      isOne(count)
        ? "Keep a thought here. It stays on this device."
        : `Keep a thought here. It goes to your ${count} devices.`,
    emptyInvited: "You can already write. It is delivered as soon as your friend opens the link.",
    catchingUp: "Earlier messages are coming from your other device.",
    refused: "This invite was already used by someone. Ask for a new one.",
    expired: "This invite ended before anyone opened it. Make a new one.",
    showInvite: "Show the invite",
    newInvite: "New invite",
    newest: "Newest messages",
    newMessages: (count: number) => (count === 1 ? "1 new message" : `${count} new messages`),
    unreadFrom: "New messages",
    today: "Today",
    yesterday: "Yesterday",
    you: "You",
    gone: "There is no such conversation on this device.",
  },
  link: {
    direct: "Direct",
    directMs: (ms: number) => `Direct · ${ms} ms`,
    directHint: "Your messages travel straight between the two devices.",
    relayed: "Through the relay",
    relayedHint: "The relay passes sealed messages on. It cannot read them.",
    away: "Away. Messages wait at the relay.",
    awayHint: "They are delivered when the other side comes back.",
    connecting: "Connecting…",
    offline: (count: number) =>
      count === 0 ? "You are offline" : `You are offline. ${messages(count)} waiting here.`,
    noRelay: (count: number) =>
      count === 0
        ? "The relay does not answer"
        : `The relay does not answer. ${messages(count)} waiting here.`,
    invited: "Waiting for your friend to open the link",
    notes: (count: number) => kept(count),
  },
  status: {
    queued: "Waiting on this device",
    relayed: "At the relay",
    delivered: "Delivered",
    deliveredBy: { direct: "Delivered directly", relay: "Delivered through the relay" },
    failed: "Not delivered. Ask for a new invite.",
    received: "",
  },
  composer: {
    label: "Message",
    placeholder: "Write a message",
    send: "Send",
    tooLong: (kilobytes: number) => `Too long by ${kilobytes} KB. A message holds 16 KB.`,
    full: "Not stored: this device is full. Your text is still here.",
    closed:
      "Not stored: this tab no longer has the database. Copy your text if it matters, then reload.",
    failed: "Not stored. Your text is still here; try again.",
    limit: "Too many messages are waiting. Your text is still here.",
  },
  invite: {
    title: "Invite someone",
    text: "Send this link to one person. It works once.",
    label: "Invite link",
    copy: "Copy link",
    copied: "Copied",
    share: "Share…",
    qr: "QR code of the invite link",
    until: (date: string) => `Valid until ${date}.`,
    inactive: "Becomes active when the relay is reached.",
    making: "Making your link…",
    secondTab: "Try with a second tab",
    failed:
      "The relay has not been reached yet, so there is no link to give away. Try again in a moment.",
    retry: "Try again",
  },
  join: {
    title: "I have a link",
    text: "Paste the link or the code you were given.",
    label: "Link or code",
    go: "Open",
    connecting: "Opening the invite…",
    malformed: "This is not an invite link. Check that you copied all of it.",
    gone: "This invite was already used or has ended. Ask for a new one.",
    own: "This is your own invite. Send it to someone else. To see both sides alone, press “Try with a second tab” on the start page.",
    "for-device":
      "This link is not an invite: it adds a device to the account of whoever made it. If that is your account, restore it on this device from its recovery phrase first; otherwise ask that person for an ordinary invite.",
    "other-relay": "This invite belongs to another Sotto server.",
    openThere: (host: string) => `Open it at ${host}`,
    forged:
      "This invite was tampered with. Do not use it; ask your friend for a new one in another way.",
    unreachable: "The relay does not answer right now. Your link stays valid; try again.",
    storage: "This device could not store the conversation. Free some space and try again.",
    failed:
      "This did not work on this device. Reload the page and try again; your link stays valid.",
    failedTitle: "This invite could not be opened",
    retry: "Try again",
  },
  scan: {
    start: "Scan a code",
    stop: "Stop the camera",
    label: "Picture of the camera",
    hint: "Hold the code into the picture. The picture stays on this device.",
    problem: "The camera cannot be used here. Allow it for this site, or paste the text instead.",
  },
  verify: {
    title: "Check who it is",
    text: (name: string) =>
      `Compare these numbers with ${isolated(name)} in person or on a call. If they are the same, nobody sits between you.`,
    number: "Safety number",
    copy: "Copy the number",
    qr: "QR code of the safety number",
    compare: "Or paste the number from the other device",
    check: "Compare",
    match: "They match. You are talking to the right person.",
    incomplete: "This is not a whole safety number: it has 60 digits.",
    differ: "They do not match. Check that you copied all of it from this very conversation.",
    failed: "They could not be compared just now. Try again.",
    mark: "Mark as verified",
    unmark: "Remove the mark",
    verified: "You have verified this person.",
    unknown: "The other side is not known yet.",
  },
  identity: {
    changed: (name: string) =>
      `Somebody with new keys answers as ${isolated(name)}. It may be a new device, or someone else. Your messages wait.`,
    changedVerified: (name: string) =>
      `Somebody with new keys answers as ${isolated(name)}, whom you had verified. Compare the safety number before you go on. Your messages wait.`,
    compare: "Compare safety number",
    accept: "Go on",
    reject: "Not this person",
  },
  devices: {
    added: (name: string, count: number) =>
      `${isolated(name)} added ${devices(count)}. Your messages go there too.`,
    removed: (name: string, count: number) =>
      `${isolated(name)} removed ${devices(count)}. ${isOne(count) ? "It gets" : "They get"} no more of your messages.`,
    changed: (name: string, added: number, removed: number) =>
      `${isolated(name)} added ${devices(added)} and removed ${isOne(removed) ? "one" : removed}.`,
    ownAdded: (count: number) =>
      `${isOne(count) ? "A device was" : `${count} devices were`} added to your account. If that was not you, remove ${isOne(count) ? "it" : "them"} in the settings.`,
    ownRemoved: (count: number) =>
      `${isOne(count) ? "A device was" : `${count} devices were`} removed from your account.`,
    ownChanged: (added: number, removed: number) =>
      `${isOne(added) ? "A device was" : `${added} devices were`} added to your account and ${isOne(removed) ? "one" : removed} removed. Look at them in the settings.`,
    anew: (name: string) =>
      `A device of ${isolated(name)} lost its keys and got new ones. If ${isolated(name)} knows nothing of that, compare the safety number.`,
    dismiss: "Dismiss",
    conflict: (name: string) =>
      `The devices of ${isolated(name)} disagree about which devices belong to ${isolated(name)}. It may be a mix-up, or somebody else among them. Your messages wait.`,
    conflictVerified: (name: string) =>
      `The devices of ${isolated(name)} disagree about which devices belong to ${isolated(name)}. It may be a mix-up, or somebody else among them. Compare the safety number before you go on. Your messages wait.`,
    conflictOwn:
      "Your devices disagree about which devices belong to your account. If you did not change that on two of them at once, somebody else may have your recovery phrase.",
    compare: "Compare safety number",
    trust: "Trust anyway",
    title: "Devices of this account",
    current: "This device",
    other: "Another device",
    addedOn: (date: string) => `Added on ${date}`,
    remove: "Remove",
    removeLabel: (id: string) => `Remove device ${id}`,
    removeSure:
      "From the next message on nothing reaches this device. It keeps what it has, your account's key included: if somebody else can unlock it, begin a new account.",
    removeYes: "Remove device",
    keep: "Keep",
    removeFailed: "The device could not be removed. Try again.",
    alone: "This device came from a recovery phrase. It is not linked to your other devices yet.",
    link: "Link another device",
    linking: "Making the link…",
    linkText:
      "Restore the other device from your recovery phrase first. Then open this link there. It works once, within 7 days.",
    linkLabel: "Device link",
    linkQr: "QR code of the device link",
    linkFailed: "The relay has not been reached yet, so there is no link. Try again in a moment.",
    linked: "The device is linked.",
    haveLink: "I have a device link",
    joinText:
      "On your other device choose “Link another device” in the settings. Paste its link here.",
    joinLabel: "Link from the other device",
    join: "Link this device",
    joining: "Linking…",
    joinedNow: "This device is linked.",
    opened: {
      title: "A link that adds a device",
      here: "It comes from another device of your account. Link this one to it, and both show the same people from then on.",
      linked:
        "This device belongs to the account already. Open the link on the device you want to add.",
      stranger:
        "This link only adds a device to the account of whoever made it. If that is your account, restore it on this device from its recovery phrase first; otherwise ask that person for an ordinary invite.",
    },
    joined: "The link fits. Waiting for the other device to confirm…",
    refused: {
      malformed: "This is not a device link. Check that you copied all of it.",
      gone: "This link was already used or has ended. Make a new one on your other device.",
      own: "This link was made on this very device. Open it on the device you want to add.",
      "other-account":
        "This link belongs to another account. If that one is yours too, restore it on this device from its recovery phrase first.",
      "for-contact":
        "This is an ordinary invite, for another person. Choose “Link another device” in the settings of your other device, and use the link it shows.",
      "other-relay": "This link belongs to another Sotto server.",
      forged: "This link was tampered with. Do not use it; make a new one on your other device.",
      unreachable: "The relay does not answer right now. The link stays valid; try again.",
      storage: "This device could not store the link. Free some space and try again.",
      failed: "This did not work on this device. Reload the page and try again.",
    },
  },
  settings: {
    title: "Settings",
    profile: "Profile",
    language: "Language",
    languageAuto: "Automatic",
    appearance: "Appearance",
    theme: { system: "System", light: "Light", dark: "Dark" },
    storage: "Storage",
    stored: "Kept on this device.",
    persisted: "Kept on this device, protected from automatic clean-up.",
    memory: "Private window: everything is forgotten when you close it.",
    full: "This device is full.",
    closed: "The database is closed.",
    network: "Network",
    connection: "Connection",
    direct: (count: number) => `${count} direct now`,
    account: "Account id",
    hideAddress: "Hide my IP address from contacts",
    hideAddressText:
      "A direct link shows contacts your IP address. With this on, everything goes through the relay’s servers, maybe slower. The relay always sees your address.",
    about: "About",
    aboutText: "Sotto is free software under the Apache-2.0 licence.",
    version: (hash: string) => `Version ${hash}`,
    details: "Details for troubleshooting",
    role: {
      leader: "This tab runs the connection",
      follower: "Another tab runs the connection",
      starting: "Starting",
    },
    dropped: "Refused input",
    none: "none",
    reasons: {
      duplicate: "arrived twice",
      malformed: "not readable",
      "too-far-ahead": "too far ahead",
      "unknown-session": "of an unknown conversation",
      "bad-tag": "changed on the way",
      "wrong-identity": "from someone else",
      unexpected: "not expected here",
      "old-signal": "out of date",
      "old-store": "ahead of this device's memory",
      "outbox-full": "too many waiting",
      expired: "after the end of an invite",
      unlisted: "of a device that is not listed",
      "bad-list": "device lists that do not fit",
    },
    damaged: "Damaged rows skipped",
    faults: "Steps that failed",
    engines: "Cryptography done by",
  },
  keys: {
    title: "Recovery and backup",
    text: "No server has your account or your messages. If this device is lost, your 24 words and a backup file bring them back. Keep the two in different places.",
    show: "Show my 24 words",
    hide: "Hide the words",
    shown:
      "Whoever has these words is you. Write them down on paper, in this order; nobody at Sotto will ever ask for them.",
    save: "Save a backup file",
    saving: "Saving…",
    saved: "The backup is saved.",
    neverSaved: "No backup was made on this device yet.",
    savedOn: (date: string) => `Last saved on ${date}`,
    withPassphrase: "Let a passphrase open it, too",
    passphrase: "Passphrase for this file",
    passphraseText:
      "Your 24 words open every backup. With a passphrase the file opens with that as well: make it a long one, somebody who finds the file can guess as often as they like.",
    daily: "Save it again there every day",
    paused: "The browser asks before Sotto may write to that file again.",
    damaged:
      "Paused: some of what this browser keeps cannot be read, and that file is not written over with less. It goes on once everything can be read.",
    allow: "Allow again",
    import: "Add messages from a backup",
    importText: "A backup file of your account. What is missing here is added, nothing is changed.",
    imported: (count: number, unknown: number) =>
      `${messages(count)} looked at; what was missing is here now.${
        unknown === 0
          ? ""
          : ` Conversations in the file that this device does not have: ${unknown}. They were left out.`
      }`,
    failed: {
      words: "The words could not be read. Reload the page and try again.",
      save: "The backup could not be saved. Try again, or choose another place.",
      daily:
        "Not switched on: something is missing here, and a file must not be replaced by one with less in it.",
    },
  },
  search: {
    title: "Search",
    label: "Search your messages",
    hint: "Any part of a word, in any language. Nothing leaves this device.",
    searching: "Searching…",
    none: "Nothing found in the messages on this device.",
    count: (count: number, hasMore: boolean) =>
      hasMore ? `The newest ${count} hits` : isOne(count) ? "1 hit" : `${count} hits`,
    failed: "The messages could not be searched. Try again.",
    hits: "Hits, newest first",
    more: "Show older hits",
    filters: "Filters",
    where: "In which conversation",
    everywhere: "All conversations",
    who: "Who wrote it",
    anyone: "From anyone",
    own: "From me",
    others: "From others",
    from: "From",
    until: "Until",
    found: (name: string, text: string, when: string) => `Found. ${name}: ${text}, ${when}`,
  },
  restore: {
    open: "I have used Sotto before",
    title: "Bring your account here",
    text: "With a backup file everything comes back: your account, people, groups and messages.",
    file: "Backup file, if you have one",
    opensWith: "Open the file with",
    byWords: "my 24 words",
    byPassphrase: "the passphrase of the file",
    words: "Your 24 words",
    passphrase: "Passphrase of the file",
    withFile:
      "Do this only when the device that made the file is gone. Two of the same would take each other’s messages.",
    withoutFile:
      "Without a file this browser becomes a new, empty device of your account. Link it with another device of yours in the settings, and your people and messages come from there.",
    restore: "Bring it here",
    restoring: "Bringing it here…",
    unknownWords: (positions: string) =>
      `These are not words of the list, counted from the first: ${positions}. Check their spelling.`,
    refused: {
      "not-a-backup": "This file is not a backup of Sotto.",
      newer: "A newer version of Sotto made this backup. Reload the page and try again.",
      "wrong-secret": "That does not open this file. Check the words or the passphrase.",
      damaged: "The file is damaged or not complete. Nothing was taken from it. Use another copy.",
      "cut-off": "The end of the file is missing. Nothing was taken from it. Use another copy.",
      "other-account": "This backup is of another account. Nothing was taken from it.",
      "identity-exists":
        "This browser already has an account that people know, or Sotto is open in another tab. Close other tabs, or use another browser or browser profile.",
      "too-long": "That is more than 24 words.",
      "word-count": "There have to be 24 words.",
      "unknown-words": "Some of these are not words of the list.",
      checksum:
        "All these are words of the list, but one is not the right one or not in its place.",
      full: "There is no space left on this device.",
      failed: "This did not work. Reload the page and try again.",
    },
  },
  push: {
    title: "Notifications",
    label: "Tell me of new messages while Sotto is closed",
    text: "Your relay then wakes this device through the maker of your browser, who learns when, but not from whom or what.",
    unsupported: "This browser cannot do that here.",
    install: "Add Sotto to the Home Screen first (Share, Add to Home Screen), and open it there.",
    denied:
      "Blocked in your browser. Allow notifications for this page in the browser’s site settings.",
    unoffered: "Your relay does not offer this.",
    failed: "The browser could not turn this on. Try again later.",
  },
  relays: {
    title: "Relays",
    text: "What is sent to you waits at each of these relays. With two or more, nothing has to wait when one of them is away.",
    home: "your invites lead here",
    roundTrip: (ms: number) => `${ms} ms`,
    blocked:
      "This page is not allowed to connect to that relay. The operator of this page can allow it.",
    offered: "Offered by the operator of this page",
    another: "Add another relay",
    label: "Address of the relay",
    add: "Add",
    addLabel: (host: string) => `Add ${host}`,
    remove: "Remove",
    removeLabel: (host: string) => `Remove ${host}`,
    bad: "That is no address of a relay. One looks like this: https://chat.example.com",
    full: "More than three relays are not possible.",
  },
  hub: {
    connecting: "Connecting",
    online: "Connected",
    offline: "Offline",
    "no-relay": "No answer",
    "relay-changed": "Changed",
  },
  banner: {
    offline: "You are offline. Messages wait here and go out by themselves.",
    noRelay: "The relay does not answer. Direct chats still work; everything else waits here.",
    relayChanged:
      "Another relay answers at this address than before. If its operator did not announce a change, do not go on.",
    trust: "Trust the new relay",
    memory: "Private window: everything is forgotten when you close it.",
    full: "This device is full. Nothing you sent is lost; free some space to go on.",
    closed: "The database was closed, perhaps by a newer version in another tab. Reload to go on.",
    reload: "Reload",
    update: "A new version is ready.",
    restart: "Restart",
  },
  problem: "That could not be done. Try again; if it fails again, reload the page.",
  close: "Close",
  settingsLabel: "Settings",
  backOnline: "Back online",
} as const;
