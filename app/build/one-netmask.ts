/**
 * In place of `netmask`, 2 KB gzip: libp2p only asks it whether an IPv4 address is in a range, and has another library for
 * all the rest.
 */
export class Netmask {
  readonly #first: number;
  readonly #mask: number;

  /** For example "10.0.0.0/8"; 1 to 32 bits. */
  constructor(range: string) {
    const [address = "", bits] = range.split("/");
    this.#mask = -1 << (32 - Number(bits));
    this.#first = toNumber(address) & this.#mask;
  }

  contains(address: string): boolean {
    return (toNumber(address) & this.#mask) === this.#first;
  }
}

const toNumber = (address: string): number =>
  address.split(".").reduce((number, octet) => (number << 8) | Number(octet), 0);
