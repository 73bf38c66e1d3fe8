import { ConclaveError } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';
import { KeyRing, openFromRecipient, spend } from '@conclave/sealed';
import type { ClusterRow, CommandBody, State } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import { ringContext } from '../consensus/managers-service.js';
import type { StateEvent } from '../consensus/replicated-state.js';
import type { Peers } from '../peers.js';
import { StepLoop } from '../step-loop.js';
import type { ManagerKeys } from './manager-keys.js';
import { ringDemandOf } from './ring-demand.js';
import type { RingDemand } from './ring-demand.js';

/** Milliseconds between two rounds of asking. */
const RETRY_MS = 400;
const CALL_MS = 5_000;

/** What keeping the ring takes. */
export interface RingKeeperOptions {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly keys: ManagerKeys;
  /** Serial of the certificate in use. */
  readonly ownSerial: () => string;
  readonly peers: Peers;
  readonly state: () => State;
  readonly commit: (body: CommandBody) => Promise<unknown>;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Keeps the key ring of this manager as committed state wants it: asks the other managers for what
 * is missing, drops what is retired, and says in the log what it holds. Only after that a joining
 * manager may vote, and a rotation goes on. Safe to repeat after a restart at any point, but to be
 * started on confirmed state only: an older one asks for versions that are gone, and gives up those
 * that are in use.
 */
export class RingKeeper {
  readonly #options: RingKeeperOptions;
  readonly #loop: StepLoop;

  constructor(options: RingKeeperOptions) {
    this.#options = options;
    this.#loop = new StepLoop({
      timers: options.timers,
      periodMs: RETRY_MS,
      step: () => this.#step(),
      onFailure: (error) => options.logger.debug('ring.retry', { error }),
    });
  }

  /** Begins; `signal` ends it. */
  start(): void {
    const { signal } = this.#options;
    if (signal.aborted) return;
    signal.addEventListener('abort', () => this.#loop.stop(), { once: true });
    this.#loop.start();
  }

  /** To be called after each change of the state. */
  follow(event: StateEvent): void {
    if (event.kind === 'replaced' || event.batch.changes.some(({ kind }) => kind === 'cluster')) {
      this.#loop.wake();
    }
  }

  /** One step towards what is wanted; true when something was done. */
  async #step(): Promise<boolean> {
    const { keys, state, signal } = this.#options;
    const cluster = state().cluster();
    if (signal.aborted || cluster === undefined) return false;
    const demand = ringDemandOf(cluster);
    if (keys.ring === undefined || !demand.isMetBy(keys.ring)) {
      await this.#fetch((ring) => demand.isMetBy(ring));
      return true;
    }
    if (await this.#retire(keys.ring, demand)) return true;
    return this.#announce(cluster, demand.generation);
  }

  /**
   * Drops the versions that nothing refers to any more; they are gone for good. One that is newer
   * than the only one stays: who holds it has seen more of the log than these tables.
   */
  async #retire(ring: KeyRing, { only, generation }: RingDemand): Promise<boolean> {
    if (only === undefined || ring.newestKeyId > only) return false;
    if (ring.versions.every((keyId) => keyId === only)) return false;
    await this.#options.keys.saveRing(ring.retireAllBut({ keyId: only, generation }));
    this.#options.logger.info('ring.retired', { generation });
    return true;
  }

  async #announce(cluster: ClusterRow, generation: number): Promise<boolean> {
    const { nodeId, state, commit, logger } = this.#options;
    const manager = state().nodeById(nodeId)?.manager;
    if (manager === undefined || manager.ringGeneration === generation) return false;
    // Between two rotations a manager holds what it announced; it never takes that back.
    if (cluster.ringRotation === undefined && manager.ringGeneration > generation) return false;
    const ringGeneration = generation;
    await commit({ kind: 'node.membership', id: nodeId, membership: undefined, ringGeneration });
    logger.info('ring.received', { generation });
    return true;
  }

  /** Takes the first ring of another manager that will do. */
  async #fetch(isGood: (ring: KeyRing) => boolean): Promise<void> {
    let failure: unknown = new Error('no other manager has the key ring that is needed');
    for (const { nodeId } of this.#options.peers.list()) {
      try {
        const ring = await this.#ask(nodeId);
        if (ring === undefined) continue;
        if (isGood(ring)) {
          await this.#options.keys.saveRing(ring);
          return;
        }
        ring.wipe();
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #ask(nodeId: string): Promise<KeyRing | undefined> {
    const { peers, keys, clusterId, nodeId: own, signal } = this.#options;
    const channel = peers.byNodeId(nodeId);
    if (channel === undefined) return undefined;
    const call = { timeoutMs: CALL_MS, signal };
    const answer = await channel.unary(loadWire().Managers.GetRing, {}, call);
    const { generation, sealedRing: sealed, serial } = answer;
    if (!this.#isOwnSerial(serial)) throw notOurs('is for another certificate');
    const context = ringContext({ clusterId, nodeId: own, serial, generation });
    const encoded = openFromRecipient({ keyPair: keys.static, context, sealed });
    const ring = spend(encoded, (whole) => KeyRing.decode(whole));
    if (ring.generation === generation) return ring;
    ring.wipe();
    throw notOurs('is of another generation');
  }

  /** The certificate in use, or one on record: a connection keeps that with which it began. */
  #isOwnSerial(serial: string): boolean {
    const { nodeId, ownSerial, state } = this.#options;
    const node = state().nodeById(nodeId);
    const known = [ownSerial(), node?.certificate.serial, node?.previousCertificate?.serial];
    return known.includes(serial);
  }
}

const notOurs = (text: string): ConclaveError =>
  new ConclaveError('CV_ENVELOPE_FORGED', `the key ring of another manager ${text}`);
