import { ConclaveError } from '@conclave/kernel';
import type { ControlApi } from '@conclave/manager';
import { identityOf } from '@conclave/pki';
import type { MemberIdentity } from './identity-file.js';
import type { Farewell, Member, RoleStatus } from './member.js';
import type { SlotAdmin } from './slot-admin.js';

/**
 * A manager that was found to have another state than the others. It takes no part in anything,
 * listens on no port, opens no key, and keeps its data as it was, also over restarts: for people to
 * look at. It comes back as a new member only.
 */
export class QuarantinedMember implements Member {
  readonly role = 'manager';
  /** Nothing that could fail runs. */
  readonly fatal: Promise<Error> = new Promise(() => undefined);
  readonly #identity: MemberIdentity;
  readonly #reason: string;

  /** @param reason what was found */
  constructor(identity: MemberIdentity, reason: string) {
    this.#identity = identity;
    this.#reason = reason;
  }

  get control(): ControlApi {
    throw this.#error();
  }

  get slots(): SlotAdmin {
    throw this.#error();
  }

  status(): RoleStatus {
    return {
      certificateNotAfterMs: identityOf(this.#identity.certificateDer).notAfterMs,
      message: `takes no part: ${this.#reason}`,
      connectedManager: '',
      runningTasks: 0,
      heldVersions: 0,
      medium: '',
    };
  }

  membership(): string {
    return '';
  }

  /** What it would say is not to be believed; only the others can take it off the list. */
  leave(force: boolean): Promise<Farewell> {
    return force ? Promise.resolve('untold') : Promise.reject(this.#error());
  }

  /** Gets no other role. */
  retire(): Promise<void> {
    return this.stop();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  #error(): ConclaveError {
    return new ConclaveError('CV_STATE_DIVERGED', this.#reason);
  }
}
