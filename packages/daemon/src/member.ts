import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { ControlApi } from '@conclave/manager';
import type { DaemonConfig } from './config.js';
import type { DataFolder } from './data-folder.js';
import type { IdentityFile } from './identity-file.js';
import type { JoinedHost } from './join-cluster.js';
import type { SlotAdmin } from './slot-admin.js';

/** What every part of the daemon works with. */
export interface Surroundings {
  /**
   * Gives this host another role in place of `old`: `obtain` gets from the cluster what that takes
   * and may fail without effect; from then on a failure ends the daemon. Does nothing when `old` is
   * not what this host is any more.
   */
  readonly changeRole: (old: Member, obtain: () => Promise<JoinedHost>) => Promise<void>;
  readonly config: DaemonConfig;
  readonly folder: DataFolder;
  readonly identityFile: IdentityFile;
  readonly hostname: string;
  readonly version: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Whether the others know that this host left; `untold`: they list it until somebody removes it. */
export type Farewell = 'told' | 'untold';

/** What a role tells `status` of itself. */
export interface RoleStatus {
  /** End of the certificate in use, milliseconds since 1970. */
  readonly certificateNotAfterMs: number;
  readonly message: string;
  readonly connectedManager: string;
  readonly runningTasks: number;
  readonly heldVersions: number;
  readonly medium: string;
}

/** What a host says of itself when the managers refuse its certificate. */
export const REMOVED: string =
  'was removed from the cluster: clean up with `conclave leave --force`';

/** What a host says of itself that has joined and may do nothing yet. */
export const WAITS: string = 'waits for approval: run `conclave node approve` for it on a manager';

/** A host's part in the cluster while it is a member. */
export interface Member {
  readonly role: 'manager' | 'worker';
  /** Resolves when this host cannot go on in its role. */
  readonly fatal: Promise<Error>;
  /** The control API; undefined on a worker. */
  readonly control: ControlApi | undefined;
  /** The key slots of a manager; undefined on a worker, which has none. */
  readonly slots: SlotAdmin | undefined;
  status(): RoleStatus;
  /** What the record of a manager says about its part in the quorum; empty on a worker. */
  membership(): string;
  /** Takes this host out of the cluster; its keys and records are destroyed afterwards. */
  leave(force: boolean): Promise<Farewell>;
  /** Stops for good, because this host gets another role: nothing of a worker's tasks is left. */
  retire(): Promise<void>;
  /** Stops. Tasks of a worker go on, to be adopted by the next start. */
  stop(): Promise<void>;
}
