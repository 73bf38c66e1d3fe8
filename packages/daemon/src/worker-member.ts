import { readFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { ConclaveError, isConclaveError } from '@conclave/kernel';
import { Agent, FileRecords, ProcessExecutor, transportDialer } from '@conclave/agent';
import type { ManagerPlace, Standing } from '@conclave/agent';
import { MountedTaskFiles, openMemoryAreas, SystemMountHost } from '@conclave/memfs';
import type { MemoryAreas } from '@conclave/memfs';
import { identityOf } from '@conclave/pki';
import { RECIPIENT_ALGORITHM } from '@conclave/sealed';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { Roots } from '@conclave/wire';
import { callAny } from './call-any.js';
import { closeAll } from './close-all.js';
import type { MemberIdentity } from './identity-file.js';
import { MemberRecord } from './member-record.js';
import type { JoinedHost } from './join-cluster.js';
import { REMOVED, WAITS } from './member.js';
import type { Farewell, Member, RoleStatus, Surroundings } from './member.js';
import { obtainManagerRole } from './promotion.js';
import { Renewal } from './renewal.js';
import { RoleWatch } from './role-watch.js';
import { RootFollower } from './root-follower.js';
import { WorkerCertificate } from './worker-certificate.js';

/** Milliseconds for one call to a manager. */
const CALL_MS = 10_000;

/** What a worker without a session says of itself. */
const ALONE: Readonly<Record<Standing, string>> = {
  member: 'no manager answers: tasks go on',
  refused: 'a manager refuses this host: tasks go on unless most managers say that it was removed',
  removed: REMOVED,
  waiting: WAITS,
};

/** This host as a worker: its agent, its tasks' memory, and its certificate. */
export class WorkerMember implements Member {
  readonly role = 'worker';
  /** A worker goes on through everything; only its owner stops it. */
  readonly fatal: Promise<Error> = new Promise(() => undefined);
  readonly control = undefined;
  readonly slots = undefined;
  readonly #around: Surroundings;
  readonly #areas: MemoryAreas;
  readonly #record: MemberRecord;
  readonly #certificate: WorkerCertificate;
  readonly #roots: RootFollower;
  readonly #roleWatch: RoleWatch;
  #renewal: Renewal;
  #agent: Agent;
  #isLeaving = false;
  /** The cluster has decided that this host is to be a manager. */
  #isPromoted = false;

  private constructor(parts: { around: Surroundings; areas: MemoryAreas; record: MemberRecord }) {
    const { around, areas, record } = parts;
    this.#around = around;
    this.#record = record;
    this.#areas = areas;
    this.#certificate = new WorkerCertificate({
      ...around,
      record,
      onRefusal: (managerId, code) => this.#agent.hear(managerId, code),
    });
    this.#renewal = this.#createRenewal();
    this.#roots = new RootFollower({
      ...around,
      record,
      isCommitted: false,
      renew: () => this.#renewal.now(),
      confirm: (step) => this.#confirmRoots(step),
    });
    this.#agent = this.#createAgent();
    this.#roleWatch = new RoleWatch({ ...around, look: () => this.#lookAtRole() });
  }

  /**
   * Proves the memory, adopts what an earlier run left, then looks for a manager.
   * @param privateKeyPem the member's from now on
   */
  static async start(
    around: Surroundings,
    member: MemberIdentity,
    privateKeyPem: Uint8Array,
  ): Promise<WorkerMember> {
    const record = new MemberRecord(around.identityFile, member, privateKeyPem);
    try {
      const self = new WorkerMember({ around, areas: await openAreas(around), record });
      await self.#begin();
      return self;
    } catch (error) {
      await record.wipe();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    try {
      await this.#agent.start();
    } catch (error) {
      await this.#agent.stop({ keepTasks: true });
      throw error;
    }
    this.#renewal.start();
    this.#roots.start();
    this.#roleWatch.start();
  }

  status(): RoleStatus {
    const { managerId, standing, tasks, heldVersionCount, medium, isSwapSafe } =
      this.#agent.status();
    const { notAfterMs, problem } = this.#certificate;
    const alone = standing === 'removed' ? REMOVED : problem || ALONE[standing];
    return {
      certificateNotAfterMs: notAfterMs,
      message: this.#promotion() || (managerId === '' ? alone : 'has a session'),
      connectedManager: managerId,
      runningTasks: tasks.filter((task) => task.state === 'RUNNING').length,
      heldVersions: heldVersionCount,
      medium: isSwapSafe ? medium.kind : `${medium.kind}, and swap is on`,
    };
  }

  membership(): string {
    return '';
  }

  #promotion(): string {
    if (!this.#isPromoted) return '';
    const { problem } = this.#roleWatch;
    return `is to become a manager${problem === '' ? '' : `: ${problem}`}`;
  }

  /**
   * Tasks are stopped and wiped first; then the identity is given up. When no manager takes it back
   * this host stays a member, and its tasks are started again.
   * @throws CV_PEER_UNREACHABLE before anything is stopped, when no manager answers at the moment
   */
  async leave(force: boolean): Promise<Farewell> {
    const { managerId, standing } = this.#agent.status();
    if (!force && managerId === '' && standing === 'member') {
      throw new ConclaveError('CV_PEER_UNREACHABLE', 'no manager answers; no task was stopped', {
        hint: 'Repeat it when one does. --force gives this host up without telling the cluster.',
      });
    }
    this.#isLeaving = true;
    await this.#agent.stop({ keepTasks: false });
    let farewell: Farewell = 'told';
    try {
      // Managers close the connections of who was removed, so that their answer may get lost.
      if (standing !== 'removed') await this.#sayFarewell();
    } catch (error) {
      if (!force) {
        await this.#stay();
        throw error;
      }
      this.#around.logger.warn('daemon.left-alone', { error });
      farewell = 'untold';
    }
    this.#createRecords().destroy();
    return farewell;
  }

  /**
   * The entry that removes this node also ends its connections, the answer's among them: then the
   * next manager says that it is out, or the same one when it is asked again.
   */
  async #sayFarewell(): Promise<void> {
    const leave = async (channel: Channel): Promise<void> => {
      try {
        await channel.unary(loadWire().Identity.Leave, {}, { timeoutMs: CALL_MS });
      } catch (error) {
        if (!isConclaveError(error) || error.code !== 'CV_NODE_REMOVED') throw error;
      }
    };
    try {
      await this.#callAny(leave);
    } catch (error) {
      if (!isConclaveError(error) || error.kind !== 'unavailable') throw error;
      await this.#callAny(leave);
    }
  }

  async retire(): Promise<void> {
    this.#isLeaving = true;
    this.#roleWatch.stop();
    await closeAll(
      () => this.#roots.stop(),
      () => this.#renewal.stop(),
      () => this.#agent.stop({ keepTasks: false }),
      () => this.#record.wipe(),
    );
  }

  async stop(): Promise<void> {
    this.#roleWatch.stop();
    await closeAll(
      () => this.#roots.stop(),
      () => this.#renewal.stop(),
      () => (this.#isLeaving ? undefined : this.#agent.stop({ keepTasks: true })),
      () => this.#record.wipe(),
    );
  }

  async #lookAtRole(): Promise<void> {
    if (!this.#isPromoted || this.#isLeaving) return;
    await this.#around.changeRole(this, () => this.#becomeManager());
  }

  async #becomeManager(): Promise<JoinedHost> {
    // A renewal at the same time would give this host a second certificate of a worker.
    await this.#renewal.stop();
    try {
      return await obtainManagerRole(this.#around, this.#record.current, (request) =>
        this.#callAny((channel) =>
          channel.unary(loadWire().Identity.BecomeManager, request, { timeoutMs: CALL_MS }),
        ),
      );
    } catch (error) {
      this.#renewal = this.#createRenewal();
      this.#renewal.start();
      throw error;
    }
  }

  #createRenewal(): Renewal {
    return new Renewal({
      ...this.#around,
      certificate: () => this.#record.current.certificateDer,
      renew: async (signal) => {
        await this.#certificate.renew(signal);
        this.#agent.reconnect();
      },
    });
  }

  async #stay(): Promise<void> {
    this.#agent = this.#createAgent();
    this.#isLeaving = false;
    await this.#agent.start();
  }

  #createAgent(): Agent {
    const areas = this.#areas;
    const { clock, timers, random, logger, hostname, version } = this.#around;
    const files = new MountedTaskFiles({ areas, clock, logger });
    const executor = new ProcessExecutor({
      files,
      runDir: areas.runDir,
      hasTaskMounts: areas.method !== 'folder',
      agent: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      timers,
      random,
      logger,
      allowedUsers: this.#around.config.allowedTaskUsers,
    });
    const { clusterId, managers, nodeId } = this.#record.current;
    const { deliverySealing } = this.#around.config;
    return new Agent({
      algorithm:
        deliverySealing === 'classical' ? RECIPIENT_ALGORITHM.x25519 : RECIPIENT_ALGORITHM.xwing,
      clusterId,
      nodeId,
      bootId: readBootId(),
      description: {
        hostname,
        platformOs: platform(),
        version,
        executors: [executor.runtime],
      },
      dialer: transportDialer({
        identity: this.#record.identity,
        clusterId,
        serialOf: (der) => identityOf(der).serial,
        clock,
        timers,
      }),
      managers,
      saveManagers: (list) => this.#saveManagers(list),
      onRoots: (roots) => this.#followRoots(roots),
      onRemoved: () => {
        this.#roots.stop();
        void this.#renewal.stop();
      },
      onWantedRole: (role) => {
        this.#isPromoted = role === 'manager';
      },
      onCertificateLife: (lifeMs) => this.#renewal.grant(lifeMs),
      files,
      executors: [executor],
      records: this.#createRecords(),
      clock,
      timers,
      random,
      logger,
    });
  }

  #createRecords(): FileRecords {
    const { clusterId, nodeId } = this.#record.current;
    const folder = join(this.#areas.runDir, 'records');
    return new FileRecords({ folder, bootId: readBootId(), clusterId, nodeId });
  }

  #saveManagers(managers: readonly ManagerPlace[]): void {
    if (this.#isLeaving) return;
    const known = managers.map((manager) => ({ ...manager, raftId: 0 }));
    this.#record.update({ managers: known }).catch((error: unknown) => {
      this.#around.logger.warn('identity.not-saved', { error });
    });
  }

  #followRoots({ certificates, crossCertificate, reached, step }: Roots): void {
    this.#roots.follow({
      step,
      reached,
      // They outlive the message whose buffer they are views of.
      certificates: certificates.map((der) => Uint8Array.from(der)),
      cross: Uint8Array.from(crossCertificate),
    });
  }

  async #confirmRoots(step: number): Promise<void> {
    await this.#callAny((channel) =>
      channel.unary(loadWire().Identity.ConfirmRoots, { step }, { timeoutMs: CALL_MS }),
    );
  }

  #callAny<T>(call: (channel: Channel) => Promise<T>): Promise<T> {
    return callAny({ ...this.#around, record: this.#record }, call);
  }
}

/**
 * Proves that this host can keep secrets in memory, before a token is spent on it.
 * @throws CV_NOT_MEMORY_FS, CV_MOUNT_DENIED with the reason
 */
export async function checkWorkerHost(around: Surroundings): Promise<void> {
  await openAreas(around);
}

function openAreas({ config, timers, logger }: Surroundings): Promise<MemoryAreas> {
  return openMemoryAreas({
    host: new SystemMountHost({ timers }),
    timers,
    logger,
    runDir: config.runDir,
    allowSwap: config.allowSwap,
  });
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
