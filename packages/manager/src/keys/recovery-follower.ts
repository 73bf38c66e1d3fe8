import { delay, jitter } from '@conclave/kernel';
import type { Logger, Random, Timers } from '@conclave/kernel';
import type { CommandBody } from '@conclave/state';
import type { ReplicatedState, StateEvent } from '../consensus/replicated-state.js';
import type { LocalKeyHolder } from './local-key.js';
import { recoveryRows } from './slots.js';
import type { KeySlots } from './slots.js';

/** Milliseconds until the next try after a failure. */
const RETRY_MS = 1_000;

/** What following the recovery key takes. */
export interface RecoveryFollowerOptions {
  readonly nodeId: string;
  readonly slots: KeySlots;
  readonly localKeyHolder: LocalKeyHolder;
  readonly replicated: ReplicatedState;
  readonly commit: (body: CommandBody) => Promise<unknown>;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Keeps this manager's keys sealed to the recovery keys of committed state: to the next one as soon
 * as it is staged, and no more to the old one, under another local key, once the next one is in
 * force. It says both in the log.
 */
export class RecoveryFollower {
  readonly #options: RecoveryFollowerOptions;
  readonly #end = new AbortController();
  #unlisten: () => void = () => undefined;
  #isDue = false;
  #underWay: Promise<void> | undefined;

  constructor(options: RecoveryFollowerOptions) {
    this.#options = options;
  }

  /** Looks now, and again whenever the row of the cluster changes: only on confirmed state. */
  start(): void {
    if (this.#end.signal.aborted) return;
    const isAbout = (event: StateEvent): boolean =>
      event.kind === 'replaced' || event.batch.changes.some(({ kind }) => kind === 'cluster');
    this.#unlisten = this.#options.replicated.listen((event) => {
      if (isAbout(event)) this.#wake();
    });
    this.#wake();
  }

  /** Ends; resolves when no slot is written any more. */
  async stop(): Promise<void> {
    this.#unlisten();
    this.#end.abort();
    await this.#underWay;
  }

  #wake(): void {
    this.#isDue = true;
    this.#underWay ??= this.#run().finally(() => {
      this.#underWay = undefined;
    });
  }

  async #run(): Promise<void> {
    const { logger, random, timers } = this.#options;
    const { signal } = this.#end;
    while (this.#isDue && !signal.aborted) {
      this.#isDue = false;
      try {
        await this.#follow();
      } catch (error) {
        logger.warn('recovery.retry', { error });
        this.#isDue = true;
        await delay(timers, jitter(random, RETRY_MS, 0.3), signal);
      }
    }
  }

  async #follow(): Promise<void> {
    const { commit, localKeyHolder, logger, nodeId, replicated, slots } = this.#options;
    const cluster = replicated.state.cluster();
    if (cluster === undefined) return;
    const { recovery, stagedRecovery } = cluster;
    const wanted = stagedRecovery === undefined ? [recovery] : [recovery, stagedRecovery];
    if (await slots.setRecovery(localKeyHolder, wanted)) {
      const generations = recoveryRows(slots.list()).map(({ generation }) => generation);
      logger.info('recovery.sealed', { generation: Math.max(...generations) });
    }
    const held = recoveryRows(slots.list()).map(({ generation }) => generation);
    const say = (generation: number): Promise<unknown> =>
      commit({ kind: 'recovery.sealed', id: nodeId, generation });
    const isOldGone = held.every((generation) => generation >= recovery.generation);
    if (cluster.oldRecoveryOn.includes(nodeId) && isOldGone) await say(recovery.generation);
    if (stagedRecovery === undefined || cluster.stagedRecoveryBy.includes(nodeId)) return;
    if (held.includes(stagedRecovery.generation)) await say(stagedRecovery.generation);
  }
}
