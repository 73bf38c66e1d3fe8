import { isId } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import type { ManagerAddress } from '@conclave/wire';

import { MANAGERS_KEPT_MAX } from '../limits.js';

const SIGNING_KEY_BYTES = 32;
const ADDRESS_LENGTH_MAX = 300;

/** A manager that an agent may turn to. */
export interface ManagerPlace {
  readonly nodeId: string;
  /** `host:port` of the cluster listener. */
  readonly address: string;
  /** `host:port` of the join listener; empty: not known. */
  readonly joinAddress: string;
  /** Ed25519; what it signs sessions with. */
  readonly signingPublicKey: Uint8Array;
}

/** The managers of the cluster, as the newest session named them. */
export class ManagerBook {
  readonly #random: Random;
  readonly #save: (managers: readonly ManagerPlace[]) => void;
  #managers: readonly ManagerPlace[];

  constructor(options: {
    readonly managers: readonly ManagerPlace[];
    /** Called with each list that differs from the one before. */
    readonly save: (managers: readonly ManagerPlace[]) => void;
    readonly random: Random;
  }) {
    this.#managers = options.managers;
    this.#save = options.save;
    this.#random = options.random;
  }

  get managers(): readonly ManagerPlace[] {
    return this.#managers;
  }

  /**
   * All managers in random order, so that agents spread over them.
   * @param lastId the one to try last: it was just lost
   */
  shuffled(lastId = ''): ManagerPlace[] {
    const rest = [...this.#managers];
    const order: ManagerPlace[] = [];
    while (rest.length > 0) order.push(...rest.splice(this.#random.below(rest.length), 1));
    const isLast = ({ nodeId }: ManagerPlace): boolean => nodeId === lastId;
    return [...order.filter((place) => !isLast(place)), ...order.filter(isLast)];
  }

  /** Takes a list over. Malformed lines, and a list without a usable one, are ignored. */
  update(list: readonly ManagerAddress[]): void {
    const managers = list.filter(isUsable).slice(0, MANAGERS_KEPT_MAX).map(copyOf);
    if (managers.length === 0 || textOf(managers) === textOf(this.#managers)) return;
    this.#managers = managers;
    this.#save(managers);
  }
}

function isUsable({ nodeId, address, joinAddress, signingPublicKey }: ManagerAddress): boolean {
  const isSized =
    address.length > 0 && Math.max(address.length, joinAddress.length) <= ADDRESS_LENGTH_MAX;
  return isId(nodeId) && isSized && signingPublicKey.length === SIGNING_KEY_BYTES;
}

/** Not a view on the message that it came in. */
function copyOf({ nodeId, address, joinAddress, signingPublicKey }: ManagerAddress): ManagerPlace {
  return { nodeId, address, joinAddress, signingPublicKey: new Uint8Array(signingPublicKey) };
}

function textOf(managers: readonly ManagerPlace[]): string {
  return managers
    .map(
      ({ nodeId, address, joinAddress, signingPublicKey }) =>
        `${nodeId} ${address} ${joinAddress} ${signingPublicKey.join()}`,
    )
    .toSorted()
    .join('\n');
}
