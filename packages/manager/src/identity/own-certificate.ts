import { ConclaveError } from '@conclave/kernel';
import type { Clock } from '@conclave/kernel';
import { identityOf } from '@conclave/pki';
import type { KeyRing } from '@conclave/sealed';
import type { CertificateRow, State } from '@conclave/state';
import type { IdentitySource } from '@conclave/transport';
import type { Proposer } from '../consensus/proposer.js';
import type { IssuedCertificate, Issuer } from './issuer.js';

/** What the certificate of a manager is looked after with. */
export interface OwnCertificateOptions {
  readonly nodeId: string;
  readonly identity: Pick<IdentitySource, 'current'>;
  readonly state: () => State;
  readonly ring: () => KeyRing;
  readonly issuer: Issuer;
  readonly proposer: Proposer;
  /** True while every other manager that answers says that this one was removed. */
  readonly isRefused: () => boolean;
  readonly clock: Clock;
}

/** The certificate that this manager itself uses: it makes the next one, and has it recorded. */
export class OwnCertificate {
  readonly #options: OwnCertificateOptions;

  constructor(options: OwnCertificateOptions) {
    this.#options = options;
  }

  /** Serial of the one in use. */
  get serial(): string {
    const [der = new Uint8Array(0)] = this.#options.identity.current().certificatesDer;
    return identityOf(der).serial;
  }

  /** True when its record accepts the one in use, or there is no record yet. */
  get isRecorded(): boolean {
    const { clock, nodeId, state } = this.#options;
    const row = state().nodeById(nodeId);
    const { serial } = this;
    if (row === undefined || row.certificate.serial === serial) return true;
    const isInOverlap = clock.now() <= row.previousUntilMs;
    return isInOverlap && row.previousCertificate?.serial === serial;
  }

  /**
   * One for this manager's own key that no record knows yet.
   * @throws CV_STATE_STALE before there is a record of this manager
   * @throws CV_NODE_REMOVED when it was removed or demoted: what it makes then is nobody's
   */
  async issue(spkiDer: Uint8Array): Promise<IssuedCertificate> {
    const { isRefused, issuer, nodeId, ring, state } = this.#options;
    const tables = state();
    const [cluster, row] = [tables.cluster(), tables.nodeById(nodeId)];
    if (isRefused() || tables.isRemovedNode(nodeId) || row?.role === 'worker') {
      throw new ConclaveError('CV_NODE_REMOVED', 'this host is no manager of the cluster any more');
    }
    if (cluster === undefined || row === undefined) {
      throw new ConclaveError('CV_STATE_STALE', 'there is no record of this manager yet');
    }
    return issuer.issue(cluster, ring(), { nodeId, role: 'manager', spkiDer });
  }

  /**
   * Records the next one in the log.
   * @throws CV_NO_LEADER, CV_CLOCK_SKEW when it begins in the future by the leader's clock, ...
   */
  async record(
    certificate: CertificateRow,
    options: { readonly overlapMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { nodeId: id, clock, proposer, state } = this.#options;
    const { isRecorded, serial } = this;
    // One that no record knows takes the place of the newest on record.
    const usedSerial = isRecorded ? serial : state().nodeById(id)?.certificate.serial;
    const previousUntilMs = clock.now() + options.overlapMs;
    await proposer.commit(
      { kind: 'node', id },
      { kind: 'node.renew', id, usedSerial: usedSerial ?? serial, certificate, previousUntilMs },
      options,
    );
  }
}
