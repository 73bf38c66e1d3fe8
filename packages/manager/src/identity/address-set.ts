import { BlockList } from 'node:net';
import { familyOf } from './address-range.js';

/** IP addresses, compared by their bits: IPv6 in short or in full, upper or lower case. */
export class AddressSet {
  readonly #list = new BlockList();

  /** @param hosts IP addresses; names, which no connection comes from, are left out */
  constructor(hosts: Iterable<string>) {
    for (const host of hosts) {
      const family = familyOf(host);
      if (family !== undefined) this.#list.addAddress(host, family);
    }
  }

  /** True for an address of the set; false for what is no address. */
  has(address: string): boolean {
    const family = familyOf(address);
    return family !== undefined && this.#list.check(address, family);
  }
}
