/** A name inside a sentence, so that one written from right to left does not turn the words around it. */
export const isolated = (name: string): string => `\u2068${name}\u2069`;
