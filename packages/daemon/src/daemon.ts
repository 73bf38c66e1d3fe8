import { mkdir } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { ConclaveError, createId, EXIT_CODES, toConclaveError, VERSION } from '@conclave/kernel';
import { createFreshKeys, foundCluster, isAddress, serveControl } from '@conclave/manager';
import type { ControlApi } from '@conclave/manager';
import { generateNodeKey } from '@conclave/pki';
import { openSealed, parseToken } from '@conclave/sealed';
import { listenLocal, serve } from '@conclave/transport';
import type { Listener } from '@conclave/transport';
import { openLog } from '@conclave/telemetry';
import { loadWire } from '@conclave/wire';
import type {
  InitRequest,
  InitResponseInput,
  JoinClusterRequest,
  JoinClusterResponseInput,
  LocalStatusInput,
} from '@conclave/wire';
import { advertisedAddresses } from './advertise.js';
import type { DaemonConfig } from './config.js';
import { DataFolder } from './data-folder.js';
import { holdPort } from './dial.js';
import { describeSwap } from './hygiene.js';
import { IdentityFile } from './identity-file.js';
import { joinCluster } from './join-cluster.js';
import type { JoinedHost } from './join-cluster.js';
import { LocalService } from './local-service.js';
import { ManagerMember } from './manager-member.js';
import type { ManagerStart } from './manager-member.js';
import type { Member, Surroundings } from './member.js';
import { checkRunFolder } from './run-folder.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from './platform.js';
import { checkWorkerHost, WorkerMember } from './worker-member.js';

type Phase = 'not-initialized' | 'joining' | 'ready' | 'stopping' | 'failed';

const RAFT_ID_BELOW = 2 ** 52 - 1;
const SOCKET_NAME = 'conclave.sock';
/** Milliseconds in which a stop must be done. */
const STOP_MS_MAX = 20_000;
/** Milliseconds between a failure and the end of the process. */
const LAST_WORDS_MS = 200;

/** The daemon of one host: nothing at first, then a manager or a worker, until it leaves. */
export class Daemon {
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  readonly #around: Surroundings;
  readonly #startedAtMs: number;
  #end: (code: number) => void = () => undefined;
  #local: Listener | undefined;
  #member: Member | undefined;
  #phase: Phase = 'not-initialized';
  #message = '';
  #nodeId = '';
  #clusterId = '';
  /** One of init, join, leave and stop at a time. */
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(around: Surroundings) {
    this.#around = around;
    this.#startedAtMs = around.clock.now();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /**
   * Checks the host, opens the local socket and, on a member, takes up its role again.
   * @throws with the reason and the next command when the host is not fit
   */
  static async start(config: DaemonConfig): Promise<Daemon> {
    const { logger } = openLog({
      level: config.logLevel,
      format: config.logFormat,
      destination: process.stderr,
      clock: SYSTEM_CLOCK,
    });
    const folder = await DataFolder.open(config.dataDir);
    await openSealed();
    const daemon = new Daemon({
      config,
      folder,
      identityFile: new IdentityFile(folder),
      hostname: config.hostname,
      version: VERSION,
      clock: SYSTEM_CLOCK,
      timers: SYSTEM_TIMERS,
      random: SYSTEM_RANDOM,
      logger,
    });
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /** Begins an orderly stop; `ended` resolves with 0. May be called again. */
  requestStop(): void {
    if (this.#phase === 'stopping') return;
    this.#phase = 'stopping';
    const { timers, logger } = this.#around;
    logger.info('daemon.stopping', {});
    const timer = timers.after(STOP_MS_MAX, () => this.#end(EXIT_CODES.unavailable));
    void this.#close().then(
      () => {
        timer.cancel();
        this.#end(0);
      },
      (error: unknown) => {
        logger.error('daemon.stop-failed', { error });
        this.#end(EXIT_CODES[toConclaveError(error).kind]);
      },
    );
  }

  /** What `conclave status` shows of this host. */
  status(): LocalStatusInput {
    const { config, hostname, version } = this.#around;
    const role = this.#member?.status();
    return {
      state: this.#phase,
      clusterId: this.#clusterId,
      nodeId: this.#nodeId,
      role: this.#member?.role ?? '',
      hostname,
      version,
      dataDir: config.dataDir,
      runDir: config.runDir,
      startedAtMs: this.#startedAtMs,
      message: role?.message ?? this.#message,
      connectedManager: role?.connectedManager ?? '',
      runningTasks: role?.runningTasks ?? 0,
      heldVersions: role?.heldVersions ?? 0,
      medium: role?.medium ?? '',
      swap: describeSwap().text,
    };
  }

  /** Makes a cluster of this host. */
  init(request: InitRequest): Promise<InitResponseInput> {
    return this.#exclusively(() => this.#init(request));
  }

  /** Makes this host a member of a cluster. */
  join(request: JoinClusterRequest): Promise<JoinClusterResponseInput> {
    return this.#exclusively(() => this.#join(request));
  }

  /** Takes this host out of its cluster. */
  leave(force: boolean): Promise<{ nodeId: string }> {
    return this.#exclusively(() => this.#leave(force));
  }

  async #open(): Promise<void> {
    const { config, clock, timers, logger } = this.#around;
    await mkdir(config.runDir, { recursive: true, mode: 0o700 });
    await checkRunFolder(config.runDir);
    this.#local = await listenLocal({
      path: join(config.runDir, SOCKET_NAME),
      services: [
        serve(loadWire().Local, new LocalService(this)),
        ...serveControl({
          api: () => this.#control(),
          selfNodeId: () => this.#nodeId,
          onAnswer: () => undefined,
        }),
      ],
      clock,
      timers,
      logger,
    });
    const identity = await this.#around.identityFile.read();
    logger.info('daemon.started', { state: identity === undefined ? 'not-initialized' : 'member' });
    if (identity === undefined) return;
    const key = await this.#around.identityFile.readKey();
    if (identity.role === 'manager') {
      this.#become(
        await ManagerMember.start(this.#around, identity, key, { kind: 'restarted' }),
        identity,
      );
    } else {
      this.#become(await WorkerMember.start(this.#around, identity, key), identity);
    }
  }

  #control(): ControlApi {
    if (this.#member === undefined) {
      throw new ConclaveError('CV_NOT_INITIALIZED', 'this host is not a member of a cluster');
    }
    if (this.#member.control !== undefined) return this.#member.control;
    throw new ConclaveError('CV_NOT_MANAGER', 'this host is a worker: ask a manager');
  }

  async #init(request: InitRequest): Promise<InitResponseInput> {
    const { clock, random, hostname, version, identityFile, config } = this.#around;
    this.#demandFree();
    if (request.autoUnlock !== '' && request.autoUnlock !== 'host') {
      throw new ConclaveError('CV_UNSUPPORTED', 'auto-unlock knows only "host" in this version');
    }
    const { clusterAddress, joinAddress, notes } = advertisedAddresses(request.advertise, config);
    const clusterId = createId(random);
    const nodeId = createId(random);
    const raftId = 1 + random.below(RAFT_ID_BELOW);
    const key = generateNodeKey();
    const fresh = createFreshKeys(random);
    const founding = await foundCluster(
      {
        clusterId,
        nodeId,
        raftId,
        hostname,
        platformOs: platform(),
        version,
        clusterAddress,
        joinAddress,
        publicKey: key.spkiDer,
        keys: fresh,
      },
      clock,
      random,
    );
    const identity = {
      clusterId,
      nodeId,
      role: 'manager' as const,
      raftId,
      certificateDer: founding.certificate,
      rootDer: founding.rootCertificate,
      managers: [],
    };
    await this.#begin(async () => {
      const start: ManagerStart = { kind: 'founder', founding, fresh };
      const member = await ManagerMember.start(this.#around, identity, key.privateKeyPem, start);
      // Last: a crash before this line leaves a host that is no member and can start over.
      await identityFile.create(identity, key.privateKeyPem);
      return { member, identity };
    });
    const atRest =
      `keys at rest: opened by a file in ${config.dataDir} (--auto-unlock host); ` +
      'anyone who copies this disk can open it';
    return { clusterId, nodeId, clusterAddress, joinAddress, notes: [...notes, atRest] };
  }

  async #join(request: JoinClusterRequest): Promise<JoinClusterResponseInput> {
    this.#demandFree();
    const { identityFile, hostname, version } = this.#around;
    if (!isAddress(request.address)) {
      throw new ConclaveError('CV_ARGUMENT_INVALID', 'the address must be HOST:PORT', {
        hint: 'Use the join address that `conclave token create` printed.',
      });
    }
    const token = parseToken(Buffer.from(request.token).toString('latin1'));
    const isManager = token.role === 'manager';
    if (!isManager) await checkWorkerHost(this.#around);
    const { clusterAddress, joinAddress } = advertisedAddresses(
      request.advertise,
      this.#around.config,
    );
    const host = { hostname, platformOs: platform(), version, clusterAddress, joinAddress };
    let membership = '';
    await this.#begin(async () => {
      const joined = await this.#joinHolding(isManager, () =>
        joinCluster(request.address, token, host, this.#around),
      );
      const { identity, privateKeyPem, fresh } = joined;
      await identityFile.create(identity, privateKeyPem);
      // From here on the cluster lists this host: a failure to start is no reason to forget it.
      this.#phase = 'failed';
      const member =
        fresh === undefined
          ? await WorkerMember.start(this.#around, identity, privateKeyPem)
          : await ManagerMember.start(this.#around, identity, privateKeyPem, {
              kind: 'joined',
              fresh,
            });
      membership = member.membership();
      return { member, identity };
    }).finally(() => token.seed.wipe());
    return { clusterId: this.#clusterId, nodeId: this.#nodeId, role: token.role, membership };
  }

  /** A joining manager keeps its port open meanwhile: the cluster checks that it can be reached. */
  async #joinHolding(isManager: boolean, act: () => Promise<JoinedHost>): Promise<JoinedHost> {
    if (!isManager) return act();
    const { listenHost, clusterPort } = this.#around.config;
    const held = await holdPort(listenHost, clusterPort);
    try {
      return await act();
    } finally {
      await held.close();
    }
  }

  async #leave(force: boolean): Promise<{ nodeId: string }> {
    const member = this.#member;
    if (member === undefined) {
      throw new ConclaveError('CV_NOT_INITIALIZED', 'this host is not a member of a cluster');
    }
    await member.leave(force);
    const nodeId = this.#nodeId;
    this.#member = undefined;
    this.#phase = 'not-initialized';
    await member.stop();
    await this.#around.identityFile.destroy();
    this.#nodeId = '';
    this.#clusterId = '';
    this.#around.logger.info('daemon.left', { nodeId });
    return { nodeId };
  }

  async #begin(
    act: () => Promise<{ member: Member; identity: { clusterId: string; nodeId: string } }>,
  ): Promise<void> {
    this.#phase = 'joining';
    // What an attempt that was cut off left behind belongs to no member.
    await this.#around.identityFile.destroy();
    try {
      const { member, identity } = await act();
      this.#become(member, identity);
    } catch (error) {
      // A method may have changed it meanwhile; the compiler cannot see that.
      if ((this.#phase as Phase) === 'failed') {
        this.#onFatal(toConclaveError(error));
      } else {
        this.#phase = 'not-initialized';
        await this.#around.identityFile.destroy();
      }
      throw error;
    }
  }

  #become(member: Member, identity: { readonly clusterId: string; readonly nodeId: string }): void {
    this.#member = member;
    this.#clusterId = identity.clusterId;
    this.#nodeId = identity.nodeId;
    this.#phase = 'ready';
    void member.fatal.then((error) => {
      if (this.#member !== member) return;
      this.#onFatal(toConclaveError((error as { cause?: unknown }).cause ?? error));
    });
  }

  /** Says why and ends, so that whoever supervises the daemon starts it again. */
  #onFatal(failure: ConclaveError): void {
    if (this.#phase === 'stopping') return;
    this.#phase = 'failed';
    this.#message = failure.message;
    this.#around.logger.error('daemon.failed', { error: failure });
    process.stderr.write(`error: ${failure.message}\nhint: ${failure.hint}\n`);
    // The caller of a command that failed should still get its answer.
    this.#around.timers.after(LAST_WORDS_MS, () => this.#end(EXIT_CODES[failure.kind]));
  }

  #demandFree(): void {
    if (this.#member === undefined) return;
    throw new ConclaveError('CV_ALREADY_INITIALIZED', 'this host is a member of a cluster already');
  }

  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#busy.then(act, act);
    this.#busy = next.catch(() => undefined);
    return next;
  }

  async #close(): Promise<void> {
    try {
      await this.#local?.close();
      await this.#member?.stop();
    } finally {
      this.#around.folder.close();
    }
  }
}
