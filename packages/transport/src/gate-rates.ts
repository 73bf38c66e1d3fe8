/** How many in the long run, and how many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Rates of new connections of one listener. */
export interface GateRates {
  /** Of one address; of one network of 64 bits with IPv6, where a host has all of it. */
  readonly address: Rate;
  /** Of all together. */
  readonly total: Rate;
}
