import { join } from 'node:path';
import { ConclaveError, EXIT_CODES, toConclaveError, VERSION } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { listenLocal } from '@conclave/transport';
import type { Listener } from '@conclave/transport';
import { openLog } from '@conclave/telemetry';
import type {
  InitRequest,
  InitResponseInput,
  JoinClusterRequest,
  JoinClusterResponseInput,
  LocalStatusInput,
  UnlockResponseInput,
  LeaveClusterResponseInput,
} from '@conclave/wire';
import { foundMember, joinMember, resumeMember, startJoined, switchRole } from './become-member.js';
import type { Begun, Joined } from './become-member.js';
import { closeAll } from './close-all.js';
import type { DaemonConfig } from './config.js';
import { controlOf, slotsOf } from './control-access.js';
import { DataFolder } from './data-folder.js';
import { HostWatch } from './host-watch.js';
import { describeSwap } from './hygiene.js';
import { IdentityFile } from './identity-file.js';
import type { MemberIdentity } from './identity-file.js';
import { LocalIntake } from './local-intake.js';
import { localServices } from './local-service.js';
import { LockedMember } from './locked-member.js';
import type { LockedMemberOptions } from './locked-member.js';
import { ManagerMember } from './manager-member.js';
import { makeFolder } from './make-folder.js';
import type { Member, Surroundings } from './member.js';
import { describeProcess } from './process-state.js';
import { QuarantinedMember } from './quarantined-member.js';
import { checkRunFolder } from './run-folder.js';
import type { SlotAdmin } from './slot-admin.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from './platform.js';

type Phase =
  'not-initialized' | 'joining' | 'locked' | 'quarantined' | 'ready' | 'stopping' | 'failed';

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
  readonly #hostWatch: HostWatch;
  readonly #intake: LocalIntake;
  #local: Listener | undefined;
  #member: Member | undefined;
  #phase: Phase = 'not-initialized';
  #isStopping = false;
  #message = '';
  #nodeId = '';
  #clusterId = '';
  /** One of init, join, leave and stop at a time. */
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(around: Omit<Surroundings, 'changeRole'>) {
    this.#around = { ...around, changeRole: this.#changeRole };
    this.#startedAtMs = around.clock.now();
    this.#hostWatch = new HostWatch(around);
    this.#intake = new LocalIntake(around.random);
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
      // Commands that come while the host takes up its role wait for the end of that: one that
      // found no member yet would clear away what the member is made of.
      await daemon.#exclusively(async () => {
        const identity = await daemon.#recall();
        await daemon.#open();
        if (identity !== undefined) {
          daemon.#become(await resumeMember(daemon.#around, identity, daemon.#unlocked));
        }
      });
    } catch (error) {
      daemon.#phase = 'failed';
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /** Begins an orderly stop; `ended` resolves with 0. May be called again. */
  requestStop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
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
      certificateNotAfterMs: role?.certificateNotAfterMs ?? 0,
      connectedManager: role?.connectedManager ?? '',
      runningTasks: role?.runningTasks ?? 0,
      heldVersions: role?.heldVersions ?? 0,
      medium: role?.medium ?? '',
      swap: describeSwap().text,
      process: describeProcess(this.#member?.role ?? ''),
    };
  }

  /** Makes a cluster of this host. */
  init(request: InitRequest): Promise<InitResponseInput> {
    return this.#exclusively(() => this.#init(request));
  }

  /** Makes this host a member of a cluster. */
  join(request: JoinClusterRequest, token: SecretBytes): Promise<JoinClusterResponseInput> {
    return this.#exclusively(() => this.#join(request, token));
  }

  /** Takes this host out of its cluster. */
  leave(force: boolean): Promise<LeaveClusterResponseInput> {
    return this.#exclusively(() => this.#leave(force));
  }

  /**
   * Gives a locked manager its recovery key or one share.
   * @throws CV_NOT_LOCKED, CV_RECOVERY_KEY_INVALID, CV_RECOVERY_KEY_WRONG
   */
  async unlock(text: SecretBytes): Promise<UnlockResponseInput> {
    if (this.#member instanceof LockedMember) return await this.#member.unlock(text);
    throw new ConclaveError('CV_NOT_LOCKED', 'this host is not a locked manager');
  }

  /** What opens the keys of this host's manager. */
  slots(): SlotAdmin {
    return slotsOf(this.#member);
  }

  async #open(): Promise<void> {
    const { config, clock, timers, logger } = this.#around;
    await makeFolder('run folder', config.runDir);
    await checkRunFolder(config.runDir);
    this.#local = await listenLocal({
      path: join(config.runDir, SOCKET_NAME),
      services: localServices(this, this.#intake, {
        api: () => controlOf(this.#member),
        selfNodeId: () => this.#nodeId,
      }),
      clock,
      timers,
      logger,
    });
  }

  /** Reads who this host is before anybody can ask: `status` must not call a member a newcomer. */
  async #recall(): Promise<MemberIdentity | undefined> {
    const { identityFile, logger } = this.#around;
    const identity = await identityFile.read();
    logger.info('daemon.started', { state: identity === undefined ? 'not-initialized' : 'member' });
    if (identity !== undefined) {
      this.#phase = 'joining';
      this.#message = 'takes up its role again';
    }
    return identity;
  }

  /** A locked manager takes up its role; fails when it is not what this host is any more. */
  readonly #unlocked: LockedMemberOptions['unlocked'] = (locked, localKey) =>
    this.#exclusively(async () => {
      if (this.#member !== locked || this.#isStopping) {
        localKey.wipe();
        throw new ConclaveError('CV_NOT_LOCKED', 'this host is not a locked manager any more');
      }
      const { identity, slotStore: slots } = locked;
      const member = await ManagerMember.start(this.#around, identity, { localKey, slots });
      await locked.stop();
      this.#around.logger.info('keys.unlocked', {});
      this.#become({ member, identity });
    });

  /** Gives this host the other role. @throws what kept it from getting it, without effect */
  readonly #changeRole: Surroundings['changeRole'] = (old, obtain) =>
    this.#exclusively(async () => {
      if (this.#member !== old || this.#isStopping) return;
      const joined = await obtain();
      const { role } = joined.identity;
      try {
        this.#become(await switchRole(this.#around, old, joined));
        this.#around.logger.info('daemon.role-changed', { role });
      } catch (error) {
        // The cluster has changed it already: the next start takes up the role that is stored.
        this.#onFatal(toConclaveError(error));
      }
    });

  async #init(request: InitRequest): Promise<InitResponseInput> {
    await this.#beginAnew();
    try {
      const { answer, ...begun } = await foundMember(request, this.#around);
      this.#become(begun);
      return answer;
    } catch (error) {
      await this.#forget();
      throw error;
    }
  }

  async #join(request: JoinClusterRequest, token: SecretBytes): Promise<JoinClusterResponseInput> {
    await this.#beginAnew();
    let joined: Joined;
    try {
      joined = await joinMember(request, token, this.#around);
    } catch (error) {
      await this.#forget();
      throw error;
    }
    try {
      this.#become(await startJoined(this.#around, joined));
    } catch (error) {
      // The cluster lists this host already: the next start tries again.
      this.#onFatal(toConclaveError(error));
      throw error;
    }
    const { clusterId, nodeId, role } = joined.identity;
    const membership = this.#member?.membership() ?? '';
    return { clusterId, nodeId, role, membership, notes: [...joined.notes] };
  }

  async #leave(force: boolean): Promise<LeaveClusterResponseInput> {
    const member = this.#member;
    if (member === undefined) {
      throw new ConclaveError('CV_NOT_INITIALIZED', 'this host is not a member of a cluster');
    }
    const farewell = await member.leave(force);
    const nodeId = this.#nodeId;
    this.#member = undefined;
    this.#setPhase('not-initialized');
    await closeAll(
      () => member.stop(),
      () => this.#around.identityFile.destroy(),
    );
    this.#nodeId = '';
    this.#clusterId = '';
    this.#around.logger.info('daemon.left', { nodeId });
    return { nodeId, isUntold: farewell === 'untold' };
  }

  /** What an attempt that was cut off left behind belongs to no member. */
  async #beginAnew(): Promise<void> {
    if (this.#isStopping || this.#phase === 'failed') {
      throw new ConclaveError('CV_CANCELLED', 'the daemon of this host is stopping');
    }
    if (this.#member !== undefined) {
      throw new ConclaveError(
        'CV_ALREADY_INITIALIZED',
        'this host is a member of a cluster already',
      );
    }
    this.#setPhase('joining');
    await this.#around.identityFile.destroy();
  }

  async #forget(): Promise<void> {
    this.#setPhase('not-initialized');
    await this.#around.identityFile.destroy();
  }

  #become({ member, identity }: Begun): void {
    this.#member = member;
    this.#clusterId = identity.clusterId;
    this.#nodeId = identity.nodeId;
    this.#message = '';
    this.#setPhase(phaseOf(member));
    void member.fatal.then((error) => {
      if (this.#member !== member) return;
      const failure = toConclaveError((error as { cause?: unknown }).cause ?? error);
      if (failure.code !== 'CV_STATE_DIVERGED') this.#onFatal(failure);
      else void this.#quarantine({ member, identity }, failure);
    });
  }

  /** This host takes no part any more; its daemon stays to tell why. */
  async #quarantine({ member, identity }: Begun, failure: ConclaveError): Promise<void> {
    const { identityFile, logger } = this.#around;
    logger.error('daemon.quarantined', { error: failure });
    try {
      // At once: a command that is under way must not keep it in its role meanwhile.
      await closeAll(
        () => identityFile.quarantine(failure.message),
        () => member.stop(),
      );
      if (this.#member !== member) return;
      this.#become({ member: new QuarantinedMember(identity, failure.message), identity });
    } catch (error) {
      this.#onFatal(toConclaveError(error));
    }
  }

  /** A daemon that stops says so until the end. */
  #setPhase(phase: Phase): void {
    if (!this.#isStopping) this.#phase = phase;
  }

  /** Says why and ends, so that whoever supervises the daemon starts it again. */
  #onFatal(failure: ConclaveError): void {
    if (this.#isStopping) return;
    this.#phase = 'failed';
    this.#message = failure.message;
    this.#around.logger.error('daemon.failed', { error: failure });
    process.stderr.write(`error: ${failure.message}\nhint: ${failure.hint}\n`);
    // The caller of a command that failed should still get its answer.
    this.#around.timers.after(LAST_WORDS_MS, () => this.#end(EXIT_CODES[failure.kind]));
  }

  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#busy.then(act, act);
    this.#busy = next.catch(() => undefined);
    return next;
  }

  /** A command that is under way is waited for: half a join would be left behind. */
  async #close(): Promise<void> {
    await closeAll(
      () => this.#hostWatch.close(),
      () => this.#local?.close(),
      () => this.#busy,
      () => this.#member?.stop(),
      () => this.#intake.wipe(),
      () => this.#around.folder.close(),
    );
  }
}

function phaseOf(member: Member): Phase {
  if (member instanceof LockedMember) return 'locked';
  return member instanceof QuarantinedMember ? 'quarantined' : 'ready';
}
