/** What the relay listens on unless told otherwise. */
export const PORT_DEFAULT = 8_787;
export const HOST_DEFAULT = "127.0.0.1";
