/**
 * Of what says how things stand only the newest is worth sending: which waiting contents a new one takes the place of.
 * Leaves to outbox.ts: putting it there.
 * Spec: SPEC.md §6.
 */
import { bytesToHex, type Content, decodeContent, DEVICES_MAX, isEncodedAs } from "@sotto/wire";
import { isFullFor, type Draft } from "./draft.ts";
import type { OutboxRow } from "./ports.ts";

/** Ways to one device, made by devices of one account, waiting in one pair: whoever can sign certificates can make any number. */
export const WAYS_MAX = DEVICES_MAX;

interface Topic {
  /** Contents with the same key replace each other. */
  readonly key: string;
  /** Of those with the same one only the newest WAYS_MAX wait. */
  readonly crowd: string | undefined;
}

/** Contents never change; a row keeps its own for as long as it waits. */
const topics = new WeakMap<Uint8Array, Topic | "none">();

function topicOf(content: Uint8Array): Topic | undefined {
  const known = topics.get(content);
  if (known !== undefined) return known === "none" ? undefined : known;
  const isSaid = isEncodedAs(content, "text") || isEncodedAs(content, "carried");
  const decoded = isSaid ? undefined : decodeContent(content);
  const topic = decoded?.ok === true ? topicIn(decoded.value) : undefined;
  topics.set(content, topic ?? "none");
  return topic;
}

function topicIn(content: Content): Topic | undefined {
  const about = (...ids: readonly Uint8Array[]): Topic => ({
    key: [content.kind, ...ids.map(bytesToHex)].join(" "),
    crowd: undefined,
  });
  switch (content.kind) {
    case "introduction":
    case "profile":
    case "spare":
    case "request":
      return about();
    case "heads":
      return about(content.group);
    case "contact":
      return about(content.cert.rootKey);
    case "ask-past": {
      const { place } = content;
      return about(place.kind === "account" ? place.account : place.group);
    }
    case "member":
      return about(content.group, content.cert.rootKey);
    case "offer": {
      const { account, device, cert } = content;
      const { key } = about(account, device, cert.rootKey, cert.deviceId);
      return { key, crowd: about(account, device, cert.rootKey).key };
    }
    default:
      return undefined;
  }
}

/** Rows that are not sent any more when this content is; undefined when there is no room for it even so. */
export function replacedBy(draft: Draft, content: Uint8Array): readonly OutboxRow[] | undefined {
  const topic = topicOf(content);
  const inTopic =
    topic === undefined ? [] : draft.outbox.filter(isOf(({ key }) => key === topic.key));
  const crowd =
    topic?.crowd === undefined
      ? []
      : draft.outbox.filter(isOf((one) => one.crowd === topic.crowd && one.key !== topic.key));
  const replaced = [...inTopic, ...crowd.slice(0, Math.max(0, crowd.length - WAYS_MAX + 1))];
  return replaced.length === 0 && isFullFor(draft, content) ? undefined : replaced;
}

const isOf =
  (matches: (topic: Topic) => boolean) =>
  ({ content }: OutboxRow): boolean => {
    const topic = content === undefined ? undefined : topicOf(content);
    return topic !== undefined && matches(topic);
  };
