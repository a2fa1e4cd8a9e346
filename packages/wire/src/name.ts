/** Names of people. A file of its own: screens ask about names long before anything is sealed. Spec: SPEC.md §6.1. */

/** Display names: 64 characters at most, so at most 256 bytes of UTF-8. */
export const NAME_CHARACTERS_MAX = 64;
export const NAME_BYTES_MAX = 256;

/**
 * A name someone may call themselves: something to see, within the limit, on one line. Line breaks, control
 * characters and those that turn the direction of writing are refused: they would change the text around the name.
 * Letters and signs without a shape of their own (the Hangul fillers, the empty Braille cell) are nothing to see.
 */
export const isName = (name: string): boolean =>
  name.isWellFormed() &&
  /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800]]/v.test(name) &&
  Array.from(name).length <= NAME_CHARACTERS_MAX &&
  // eslint-disable-next-line no-control-regex -- control characters are what is being refused
  !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name);
