import { plainAddress, rateUnit } from './accept-gate.js';
import type { Lane } from './gate-rates.js';
import * as limits from './limits.js';

/** Notes `unit` as the newest; the one that has been quiet longest goes when there are too many. */
function remember(units: Set<string>, unit: string, countMax: number): void {
  // A set keeps the order of insertion: the quietest stays in front.
  units.delete(unit);
  units.add(unit);
  for (const oldest of units) {
    if (units.size <= countMax) return;
    units.delete(oldest);
  }
}

/**
 * Addresses from which somebody came with a certificate that counted, as far as this process
 * remembers. Who shares an address with one of them shares its lane, and its rate.
 */
export class KnownAddresses {
  readonly #isManagerAddress: (address: string) => boolean;
  readonly #managers = new Set<string>();
  readonly #others = new Set<string>();

  /** @param isManagerAddress true for a whole address of a manager in committed state */
  constructor(isManagerAddress: (address: string) => boolean) {
    this.#isManagerAddress = isManagerAddress;
  }

  /** Somebody has shown a certificate there. */
  note(address: string, isManager: boolean): void {
    const unit = rateUnit(address);
    if (isManager) remember(this.#managers, unit, limits.MANAGER_ADDRESS_COUNT_MAX);
    else remember(this.#others, unit, limits.ADDRESS_COUNT_MAX);
  }

  /** Which way a connection from this address takes. */
  laneOf(address: string): Lane {
    const unit = rateUnit(address);
    if (this.#managers.has(unit) || this.#isManagerAddress(plainAddress(address))) return 'manager';
    return this.#others.has(unit) ? 'known' : 'new';
  }
}
