/** In place of libp2p's own: a page listens on no port, so nothing in front of it can have mapped one. */
class NoMappings {
  has(): boolean {
    return false;
  }

  getAll(): never[] {
    return [];
  }

  confirm(): boolean {
    return false;
  }

  unconfirm(): boolean {
    return false;
  }

  /** Never asked for: nothing in the app maps a port. */
  add(): void {}

  remove(): boolean {
    return false;
  }
}

export { NoMappings as DNSMappings, NoMappings as IPMappings };
