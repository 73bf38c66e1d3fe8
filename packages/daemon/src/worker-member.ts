import { readFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { ConclaveError, isConclaveError } from '@conclave/kernel';
import { Agent, FileRecords, ProcessExecutor, transportDialer } from '@conclave/agent';
import type { ManagerPlace } from '@conclave/agent';
import { encodeRenewTranscript } from '@conclave/manager';
import { MountedTaskFiles, openMemoryAreas, SystemMountHost } from '@conclave/memfs';
import type { MemoryAreas } from '@conclave/memfs';
import { identityOf, proveKey } from '@conclave/pki';
import { openChannel } from '@conclave/transport';
import type { Channel, ReplaceableIdentity } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { MemberIdentity } from './identity-file.js';
import type { Member, RoleStatus, Surroundings } from './member.js';
import { spkiOfKey } from './public-key.js';
import { Renewal } from './renewal.js';
import { identitySource, tlsIdentityOf } from './tls-identity.js';

/** Milliseconds for one call to a manager. */
const CALL_MS = 10_000;

/** This host as a worker: its agent, its tasks' memory, and its certificate. */
export class WorkerMember implements Member {
  readonly role = 'worker';
  /** A worker goes on through everything; only its owner stops it. */
  readonly fatal: Promise<Error> = new Promise(() => undefined);
  readonly control = undefined;
  readonly #around: Surroundings;
  readonly #agent: Agent;
  readonly #identity: ReplaceableIdentity;
  readonly #renewal: Renewal;
  #member: MemberIdentity;
  #isLeaving = false;

  private constructor(parts: {
    around: Surroundings;
    areas: MemoryAreas;
    identity: ReplaceableIdentity;
    member: MemberIdentity;
  }) {
    const { around, areas, identity, member } = parts;
    this.#around = around;
    this.#identity = identity;
    this.#member = member;
    this.#agent = this.#createAgent(areas);
    this.#renewal = new Renewal({
      ...around,
      certificate: () => this.#member.certificateDer,
      renew: () => this.#renew(),
    });
  }

  /** Proves the memory, adopts what an earlier run left, then looks for a manager. */
  static async start(
    around: Surroundings,
    member: MemberIdentity,
    privateKeyPem: Uint8Array,
  ): Promise<WorkerMember> {
    const areas = await openAreas(around);
    const identity = identitySource(member, privateKeyPem);
    const self = new WorkerMember({ around, areas, identity, member });
    await self.#agent.start();
    return self;
  }

  status(): RoleStatus {
    const { managerId, tasks, heldVersionCount, medium, isSwapSafe } = this.#agent.status();
    return {
      message: managerId === '' ? 'no manager answers: tasks go on' : 'has a session',
      connectedManager: managerId,
      runningTasks: tasks.filter((task) => task.state === 'RUNNING').length,
      heldVersions: heldVersionCount,
      medium: isSwapSafe ? medium.kind : `${medium.kind}, and swap is on`,
    };
  }

  membership(): string {
    return '';
  }

  /** Tasks are stopped and wiped first; then the identity is given up. */
  async leave(force: boolean): Promise<void> {
    this.#isLeaving = true;
    await this.#agent.stop({ keepTasks: false });
    try {
      await this.#callAny((channel) =>
        channel.unary(loadWire().Identity.Leave, {}, { timeoutMs: CALL_MS }),
      );
    } catch (error) {
      // The entry that removes this node also ends its connections, the answer's among them.
      const isOut = isConclaveError(error) && error.code === 'CV_UNAUTHENTICATED';
      if (!force && !isOut) throw error;
      if (!isOut) this.#around.logger.warn('daemon.left-alone', { error });
    }
  }

  async stop(): Promise<void> {
    this.#renewal.stop();
    if (!this.#isLeaving) await this.#agent.stop({ keepTasks: true });
  }

  #createAgent(areas: MemoryAreas): Agent {
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
    });
    const bootId = readBootId();
    return new Agent({
      clusterId: this.#member.clusterId,
      nodeId: this.#member.nodeId,
      bootId,
      description: {
        hostname,
        platformOs: platform(),
        version,
        executors: [executor.runtime],
      },
      dialer: transportDialer({
        identity: this.#identity,
        clusterId: this.#member.clusterId,
        serialOf: (der) => identityOf(der).serial,
        clock,
        timers,
      }),
      managers: this.#member.managers,
      saveManagers: (managers) => this.#saveManagers(managers),
      files,
      executors: [executor],
      records: new FileRecords({ folder: join(areas.runDir, 'records'), bootId }),
      clock,
      timers,
      random,
      logger,
    });
  }

  #saveManagers(managers: readonly ManagerPlace[]): void {
    this.#member = {
      ...this.#member,
      managers: managers.map((manager) => ({ ...manager, raftId: 0 })),
    };
    if (this.#isLeaving) return;
    this.#around.identityFile.write(this.#member).catch((error: unknown) => {
      this.#around.logger.warn('identity.not-saved', { error });
    });
  }

  async #renew(): Promise<void> {
    const { identityFile } = this.#around;
    const { clusterId, nodeId, certificateDer } = this.#member;
    const key = await identityFile.readKey();
    const publicKey = spkiOfKey(key);
    const { serial } = identityOf(certificateDer);
    const transcript = encodeRenewTranscript({ clusterId, nodeId, serial, publicKey });
    const { certificate } = await this.#callAny((channel) =>
      channel.unary(
        loadWire().Identity.Renew,
        { publicKey, proof: proveKey(key, transcript) },
        { timeoutMs: CALL_MS },
      ),
    );
    this.#member = { ...this.#member, certificateDer: Uint8Array.from(certificate) };
    await identityFile.write(this.#member);
    this.#identity.replace(tlsIdentityOf(this.#member, key));
    this.#agent.reconnect();
  }

  /** Makes a call to the first manager that answers. */
  async #callAny<T>(call: (channel: Channel) => Promise<T>): Promise<T> {
    const { clock, timers } = this.#around;
    const { clusterId, managers } = this.#member;
    let failure: unknown = new ConclaveError('CV_PEER_UNREACHABLE', 'no manager is known');
    for (const { nodeId, address } of managers) {
      const channel = openChannel({
        address,
        identity: this.#identity,
        expect: { clusterId, nodeId },
        clock,
        timers,
      });
      try {
        return await call(channel);
      } catch (error) {
        failure = error;
      } finally {
        channel.close();
      }
    }
    throw failure;
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
