import { ConclaveError, equalBytes } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';
import { StepLoop } from '@conclave/manager';
import type { RootDemand } from '@conclave/manager';
import { isCrossSigned, isIssuedBy } from '@conclave/pki';
import type { MemberRecord } from './member-record.js';

/** Milliseconds between two tries. */
const RETRY_MS = 1_000;

/** What following the roots takes. */
export interface RootFollowerOptions {
  readonly record: MemberRecord;
  /** True: the demand is that of a log that this host trusts anyway. */
  readonly isCommitted: boolean;
  /** Gets a certificate under the root in force, stores it and puts it in force. */
  readonly renew: () => Promise<void>;
  /** Tells the cluster that this host has taken the step, with the certificate that it uses. */
  readonly confirm: (step: number) => Promise<void>;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Brings the roots that this host trusts, and its own certificate, to what the cluster asks for,
 * then says so. Every step is stored before it is confirmed and is safe to repeat.
 */
export class RootFollower {
  readonly #options: RootFollowerOptions;
  readonly #loop: StepLoop;
  #demand: RootDemand | undefined;
  #confirmed = 0;

  constructor(options: RootFollowerOptions) {
    this.#options = options;
    this.#loop = new StepLoop({
      timers: options.timers,
      periodMs: RETRY_MS,
      step: () => this.#step(),
      onFailure: (error) => options.logger.info('roots.retry', { error }),
    });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): void {
    this.#loop.stop();
  }

  /** Takes what is asked for now; older than what is known already: a manager that lags. */
  follow(demand: RootDemand): void {
    if (demand.certificates.length === 0 || demand.step < (this.#demand?.step ?? 0)) return;
    this.#demand = demand;
    this.#loop.wake();
  }

  async #step(): Promise<boolean> {
    const demand = this.#demand;
    const [inForce] = demand?.certificates ?? [];
    if (demand === undefined || inForce === undefined) return false;
    const { record, confirm, isCommitted, logger, renew } = this.#options;
    const { certificateDer, crossDer, rootsDer } = record.current;
    const accepted = isCommitted ? demand.certificates : acceptRoots(rootsDer, demand);
    const isRenewed = isIssuedBy(certificateDer, inForce);
    // The root of the certificate in use is given up last.
    const wanted = isRenewed ? accepted : unionOf(accepted, rootsDer);
    if (!isSameList(rootsDer, wanted) || !equalBytes(crossDer, demand.cross)) {
      await record.update({ rootsDer: wanted, crossDer: demand.cross });
      logger.info('roots.stored', { step: demand.step });
    }
    if (!isRenewed) {
      await renew();
      return true;
    }
    if (demand.step <= Math.max(demand.reached, this.#confirmed)) return false;
    await confirm(demand.step);
    this.#confirmed = demand.step;
    logger.info('roots.confirmed', { step: demand.step });
    return false;
  }
}

/**
 * The offered roots that this host may trust: those that it knows, and those that one of them has
 * certified. The older one of two is left out by a host that came later.
 * @throws CV_CA_MISMATCH when any other is offered
 */
export function acceptRoots(
  known: readonly Uint8Array[],
  { certificates, cross }: Pick<RootDemand, 'certificates' | 'cross'>,
): readonly Uint8Array[] {
  return certificates.filter((root) => {
    if (known.some((own) => equalBytes(own, root))) return true;
    if (known.some((own) => isCrossSigned(cross, own, root))) return true;
    const isOlder = certificates.some((newer) => isCrossSigned(cross, root, newer));
    if (isOlder) return false;
    throw new ConclaveError(
      'CV_CA_MISMATCH',
      'a manager offers a root that none of the known ones has certified',
    );
  });
}

function unionOf(first: readonly Uint8Array[], second: readonly Uint8Array[]): Uint8Array[] {
  const rest = second.filter((root) => !first.some((other) => equalBytes(root, other)));
  return [...first, ...rest];
}

function isSameList(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length &&
    left.every((bytes, place) => equalBytes(bytes, right[place] ?? new Uint8Array(0)))
  );
}
