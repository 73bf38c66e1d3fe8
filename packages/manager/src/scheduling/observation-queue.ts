import { ConclaveError } from '@conclave/kernel';
import type { CommandBody, CommandResult, NodeObservation } from '@conclave/state';

/** Observations of one `nodes.observe` entry. */
export const OBSERVATIONS_PER_ENTRY_MAX = 500;
/** Observations that wait for their entry: all nodes of the largest cluster, twice. */
export const OBSERVATION_QUEUE_MAX = 10_000;

interface Waiting {
  readonly observation: NodeObservation;
  readonly resolve: (index: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Commits observations in batches, one entry at a time: what comes while an entry is on its way
 * goes together into the next.
 */
export class ObservationQueue {
  readonly #propose: (body: CommandBody) => Promise<CommandResult>;
  #waiting: Waiting[] = [];
  #isBusy = false;

  constructor(propose: (body: CommandBody) => Promise<CommandResult>) {
    this.#propose = propose;
  }

  /**
   * Resolves with the log index once the observation is applied.
   * @throws CV_QUEUE_FULL, and what the proposal throws
   */
  add(observation: NodeObservation): Promise<number> {
    if (this.#waiting.length >= OBSERVATION_QUEUE_MAX) {
      return Promise.reject(
        new ConclaveError('CV_QUEUE_FULL', 'too many nodes wait to be noted', {
          retryAfterMs: 1_000,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ observation, resolve, reject });
      if (this.#isBusy) return;
      this.#isBusy = true;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    // Observations of one turn go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, OBSERVATIONS_PER_ENTRY_MAX);
      await this.#commit(batch);
    }
    this.#isBusy = false;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    try {
      const nodes = batch.map(({ observation }) => observation);
      const result = await this.#propose({ kind: 'nodes.observe', nodes });
      if (!result.ok) throw new ConclaveError('CV_INTERNAL', 'observations were refused');
      for (const { resolve } of batch) resolve(result.index);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
