/** Bytes and names: everything that crosses a boundary of a Sotto process. Pure; see SPEC.md. */
export * from "./address.ts";
export * from "./brand.ts";
export * from "./bundle.ts";
export * from "./bytes.ts";
export * from "./content.ts";
export * from "./device-list.ts";
export * from "./direct.ts";
export * from "./envelope.ts";
export * from "./file.ts";
export * from "./group.ts";
export * from "./hub.ts";
export * from "./ice.ts";
export * from "./invite.ts";
export * from "./name.ts";
export * from "./padding.ts";
export * from "./signal.ts";
export * from "./utf8.ts";
