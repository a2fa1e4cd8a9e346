/** Apart from push.ts, which loads signatures. Spec: RFC 8292 §2.1. */

/** A URL longer than this is nobody's. */
const CONTACT_LENGTH_MAX = 256;

/** Whether a push service may be told this contact: it has to reach somebody, or Apple refuses every request. */
export function isPushContact(contact: string): boolean {
  const url = URL.parse(contact);
  if (url === null || contact.length > CONTACT_LENGTH_MAX) return false;
  const host =
    url.protocol === "mailto:"
      ? (/^[^@\s]+@([^@\s]+)$/.exec(url.pathname)?.[1] ?? "")
      : url.protocol === "https:"
        ? url.hostname
        : "";
  return host.includes(".") && !/(?:^|\.)(?:localhost|local|invalid|test)$/i.test(host);
}
