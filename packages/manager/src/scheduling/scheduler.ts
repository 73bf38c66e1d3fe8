import { createId, isConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import type { ChangeBatch, CommandBody, CommandResult, State } from '@conclave/state';
import { Agenda } from './agenda.js';
import { FailureMemory } from './failure-memory.js';
import { LoadIndex } from './load-index.js';
import { RoundLoads } from './round-context.js';
import type { RoundContext } from './round-context.js';
import { RoundPlan } from './round-plan.js';
import { planService } from './service-plan.js';
import type { UpdateStep } from './update-policy.js';

/** Milliseconds until another try when a proposal was refused or its outcome is unknown. */
export const RETRY_DELAY_MS = 1_000;
/** Milliseconds after which waiting times are looked at again, whatever the wall clock did. */
export const WAKE_DELAY_MS_MAX = 60_000;

/** What a scheduler works with. */
export interface SchedulerOptions {
  readonly state: State;
  /** Commits a command as the system and answers what apply said. Throws when not leading. */
  readonly propose: (body: CommandBody) => Promise<CommandResult>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** A step of the update of one service. */
interface ServiceStep {
  readonly serviceId: string;
  readonly step: UpdateStep;
}

/**
 * Keeps the tasks of all services as they should be. Runs on the leader only, between `start` and
 * `stop`. One round is in flight at a time: it plans the services that something happened to from
 * committed state, proposes one bounded entry, and goes on until nothing is left to do.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #agenda: Agenda;
  readonly #failures = new FailureMemory();
  readonly #loads = new LoadIndex();
  #unwatch: (() => void) | undefined;
  #timer: TimerHandle | undefined;
  /** Changes with every start and stop: a round of an older one ends quietly. */
  #generation = 0;
  #running: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#agenda = new Agenda(options.state);
  }

  /** Begins with all services. Does nothing when it runs already. */
  start(): void {
    if (this.#unwatch !== undefined) return;
    const { state } = this.#options;
    this.#generation += 1;
    this.#unwatch = state.watch((batch) => {
      this.#follow(batch);
    });
    for (const task of state.tasks()) {
      this.#loads.follow(undefined, task);
      this.#failures.note(task);
    }
    this.#agenda.addAll(state.services());
    this.#kick();
  }

  /** Stops at once; a proposal that is on its way may still be committed. */
  stop(): void {
    this.#generation += 1;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#agenda.clear();
    this.#loads.clear();
    this.#failures.clear();
  }

  /** Resolves when no round is under way; for tests and an orderly end. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #follow(batch: ChangeBatch): void {
    for (const change of batch.changes) {
      if (change.kind !== 'task') continue;
      const { before, after } = change;
      this.#loads.follow(before, after);
      if (after !== undefined && before?.state !== after.state) this.#failures.note(after);
    }
    this.#agenda.follow(batch);
    if (this.#agenda.hasWork) this.#kick();
  }

  #kick(): void {
    if (this.#running !== undefined || this.#unwatch === undefined) return;
    this.#running = this.#runSafely(this.#generation);
  }

  async #runSafely(generation: number): Promise<void> {
    let isBackingOff = false;
    try {
      await this.#runRounds(generation);
    } catch (error) {
      isBackingOff = generation === this.#generation;
      if (isBackingOff) this.#backOff(error);
    }
    this.#running = undefined;
    // What came while this was ending; after a failure the timer brings the next try.
    if (!isBackingOff && this.#agenda.hasWork) this.#kick();
  }

  async #runRounds(generation: number): Promise<void> {
    // Batches that are applied in one go are seen by one round.
    await Promise.resolve();
    while (generation === this.#generation && this.#agenda.hasWork) {
      await this.#round(generation);
    }
    if (generation === this.#generation) this.#setTimer();
  }

  async #round(generation: number): Promise<void> {
    const context = this.#context();
    const { planned, steps } = this.#plan(context);
    try {
      for (const step of steps) {
        await this.#tryStep(step);
        if (generation !== this.#generation) return;
      }
      const changes = context.plan.changes;
      if (changes.length > 0) await this.#propose({ kind: 'tasks.schedule', changes });
    } catch (error) {
      if (generation === this.#generation) for (const id of planned) this.#agenda.add(id);
      throw error;
    }
  }

  #plan(context: RoundContext): { planned: string[]; steps: ServiceStep[] } {
    const planned: string[] = [];
    const steps: ServiceStep[] = [];
    for (const serviceId of this.#agenda.due()) {
      const service = context.view.serviceById(serviceId);
      this.#agenda.take(serviceId);
      if (service === undefined) continue;
      planned.push(serviceId);
      const outcome = planService(context, service);
      this.#agenda.note(serviceId, outcome);
      if (outcome.step !== undefined) steps.push({ serviceId, step: outcome.step });
      // One that was cut short, or takes a step, is looked at again from what it becomes.
      if (context.plan.wasCut || outcome.step !== undefined) this.#agenda.add(serviceId);
      if (context.plan.wasCut) break;
    }
    return { planned, steps };
  }

  #context(): RoundContext {
    const { state, clock, random } = this.#options;
    return {
      view: state,
      nowMs: clock.now(),
      createId: () => createId(random),
      plan: new RoundPlan(),
      loads: new RoundLoads(this.#loads),
      failures: this.#failures,
    };
  }

  /** A step that is refused holds up its own service only, and for a while. */
  async #tryStep(step: ServiceStep): Promise<void> {
    try {
      await this.#takeStep(step);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      const { serviceId } = step;
      this.#options.logger.warn('service-update-refused', { serviceId, code: error.code });
      this.#agenda.take(serviceId);
      const wakeAtMs = this.#options.clock.now() + RETRY_DELAY_MS;
      this.#agenda.note(serviceId, { wakeAtMs, isWaiting: false });
    }
  }

  async #takeStep({ serviceId, step }: ServiceStep): Promise<void> {
    const { state, logger } = this.#options;
    const service = state.serviceById(serviceId);
    if (service === undefined) return;
    const { specVersion } = service;
    const { message } = step;
    const base = { id: serviceId, specVersion } as const;
    if (step.kind === 'state') {
      logger.info('service-update', { serviceId, state: step.state });
      await this.#propose({ kind: 'service.update-state', ...base, state: step.state, message });
      return;
    }
    logger.warn('service-update', { serviceId, state: 'rollback' });
    await this.#propose({ kind: 'service.rollback', ...base, reason: message });
  }

  /** A refusal means that something changed meanwhile: the change itself brings the next round. */
  async #propose(body: CommandBody): Promise<void> {
    const result = await this.#options.propose(body);
    // A round of which nothing was as planned: planning again at once could go on for ever.
    const isVain = result.ok && result.values['applied'] === 0;
    if (result.ok && !isVain) return;
    throw new RefusedError(result.ok ? 'CV_VERSION_STALE' : result.code);
  }

  #backOff(error: unknown): void {
    const isKnown = isConclaveError(error) || error instanceof RefusedError;
    const code = isKnown ? error.code : 'CV_INTERNAL';
    this.#options.logger.warn('schedule-failed', { code });
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(RETRY_DELAY_MS, () => {
      this.#kick();
    });
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { wakeAtMs } = this.#agenda;
    if (wakeAtMs === undefined) return;
    const { clock, timers } = this.#options;
    const delayMs = Math.max(1, Math.min(wakeAtMs - clock.now(), WAKE_DELAY_MS_MAX));
    this.#timer = timers.after(delayMs, () => {
      this.#agenda.wake(clock.now());
      if (this.#agenda.hasWork) this.#kick();
      else this.#setTimer();
    });
  }
}

/** Apply refused what a round proposed. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: string;

  constructor(code: string) {
    super(`refused with ${code}`);
    this.code = code;
  }
}
