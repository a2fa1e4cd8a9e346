/** What a conversation is called on screen. */
import type { ConversationView } from "@sotto/sdk";
import { t } from "../i18n/i18n.ts";

export function nameOf({ kind, name }: Pick<ConversationView, "kind" | "name">): string {
  const words = t().list;
  switch (kind) {
    case "notes":
      return words.notes;
    case "invited":
      return words.invited;
    case "refused":
      return words.refused;
    case "expired":
      return words.expired;
    case "contact":
      return name === "" ? words.nobodyYet : name;
  }
}
