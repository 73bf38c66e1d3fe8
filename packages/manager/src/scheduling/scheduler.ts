import { createId, isConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import type { Change, ChangeBatch, CommandBody, CommandResult, State } from '@conclave/state';
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

/**
 * Keeps the tasks of all services as they should be. Runs on the leader only, between `start` and
 * `stop`. One round is in flight at a time: it plans the services that something happened to from
 * committed state, proposes one bounded entry, and goes on until nothing is left to do.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #failures = new FailureMemory();
  readonly #loads = new LoadIndex();
  /** Services to look at. */
  readonly #dirty = new Set<string>();
  /** Services with tasks that no node takes. */
  readonly #waiting = new Set<string>();
  /** When to look at a service without a change, milliseconds since 1970. */
  readonly #wakeAt = new Map<string, number>();
  #haveNodesChanged = false;
  #unwatch: (() => void) | undefined;
  #timer: TimerHandle | undefined;
  /** Changes with every start and stop: a round of an older one ends quietly. */
  #generation = 0;
  #running: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Begins with all services. Does nothing when it runs already. */
  start(): void {
    if (this.#unwatch !== undefined) return;
    this.#generation += 1;
    this.#unwatch = this.#options.state.watch((batch) => {
      this.#follow(batch);
    });
    for (const task of this.#options.state.tasks()) {
      this.#loads.follow(undefined, task);
      this.#failures.note(task);
    }
    for (const service of this.#options.state.services()) this.#dirty.add(service.id);
    this.#kick();
  }

  /** Stops at once; a proposal that is on its way may still be committed. */
  stop(): void {
    this.#generation += 1;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dirty.clear();
    this.#waiting.clear();
    this.#wakeAt.clear();
    this.#loads.clear();
    this.#failures.clear();
    this.#haveNodesChanged = false;
  }

  /** Resolves when no round is under way; for tests and an orderly end. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #follow(batch: ChangeBatch): void {
    for (const change of batch.changes) this.#followChange(change);
    if (this.#dirty.size > 0 || this.#haveNodesChanged) this.#kick();
  }

  #followChange(change: Change): void {
    switch (change.kind) {
      case 'service':
        if (change.after === undefined) this.#forget(change.id);
        else this.#dirty.add(change.id);
        return;
      case 'task': {
        const { before, after } = change;
        this.#loads.follow(before, after);
        if (after !== undefined && before?.state !== after.state) this.#failures.note(after);
        const serviceId = (after ?? before)?.serviceId;
        if (serviceId !== undefined) this.#dirty.add(serviceId);
        return;
      }
      case 'node':
        if (isIrrelevant(change)) return;
        this.#haveNodesChanged = true;
        for (const task of this.#options.state.tasksOfNode(change.id)) {
          this.#dirty.add(task.serviceId);
        }
        return;
      case 'secret':
      case 'version':
      case 'token':
      case 'receipt':
      case 'cluster':
        return;
    }
  }

  #forget(serviceId: string): void {
    this.#dirty.delete(serviceId);
    this.#waiting.delete(serviceId);
    this.#wakeAt.delete(serviceId);
  }

  #kick(): void {
    if (this.#running !== undefined || this.#unwatch === undefined) return;
    const generation = this.#generation;
    this.#running = this.#runSafely(generation);
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
    if (!isBackingOff && (this.#dirty.size > 0 || this.#haveNodesChanged)) this.#kick();
  }

  async #runRounds(generation: number): Promise<void> {
    // Batches that are applied in one go are seen by one round.
    await Promise.resolve();
    while (generation === this.#generation && this.#markNodeChanges()) {
      const isDone = await this.#round(generation);
      if (!isDone) return;
    }
    if (generation === this.#generation) this.#setTimer();
  }

  /** Node changes touch global services and those that wait; true when there is something to do. */
  #markNodeChanges(): boolean {
    if (this.#haveNodesChanged) {
      this.#haveNodesChanged = false;
      for (const id of this.#waiting) this.#dirty.add(id);
      for (const service of this.#options.state.services()) {
        if (service.spec.mode === 'global') this.#dirty.add(service.id);
      }
    }
    return this.#dirty.size > 0;
  }

  async #round(generation: number): Promise<boolean> {
    const context = this.#context();
    const steps: { readonly serviceId: string; readonly step: UpdateStep }[] = [];
    const planned: string[] = [];
    for (const id of this.#dirty) {
      if (context.plan.wasCut) break;
      const step = this.#planOne(context, id);
      planned.push(id);
      if (step !== undefined) steps.push({ serviceId: id, step });
    }
    for (const id of planned) this.#dirty.delete(id);
    // A service that was cut short, or that takes a step, is looked at again from what it becomes.
    const last = planned.at(-1);
    if (context.plan.wasCut && last !== undefined) this.#dirty.add(last);
    try {
      for (const { serviceId, step } of steps) {
        this.#dirty.add(serviceId);
        await this.#takeStep(serviceId, step);
        if (generation !== this.#generation) return false;
      }
      const changes = context.plan.changes;
      if (changes.length > 0) await this.#propose({ kind: 'tasks.schedule', changes });
    } catch (error) {
      if (generation === this.#generation) for (const id of planned) this.#dirty.add(id);
      throw error;
    }
    return generation === this.#generation;
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

  #planOne(context: RoundContext, id: string): UpdateStep | undefined {
    const service = context.view.serviceById(id);
    this.#forgetTimes(id);
    if (service === undefined) return undefined;
    const outcome = planService(context, service);
    if (outcome.wakeAtMs !== undefined) this.#wakeAt.set(id, outcome.wakeAtMs);
    if (outcome.isWaiting) this.#waiting.add(id);
    return outcome.step;
  }

  #forgetTimes(id: string): void {
    this.#waiting.delete(id);
    this.#wakeAt.delete(id);
  }

  async #takeStep(serviceId: string, step: UpdateStep): Promise<void> {
    const { state, logger } = this.#options;
    const service = state.serviceById(serviceId);
    if (service === undefined) return;
    const base = { kind: 'service.update-state', id: serviceId } as const;
    if (step.kind === 'state') {
      logger.info('service-update', { serviceId, state: step.state });
      await this.#propose({
        ...base,
        specVersion: service.specVersion,
        state: step.state,
        message: step.message,
      });
      return;
    }
    logger.warn('service-update', { serviceId, state: 'rolled-back' });
    await this.#propose({
      kind: 'service.update',
      id: serviceId,
      spec: step.spec,
      objectVersion: service.objectVersion,
    });
    const specVersion = state.serviceById(serviceId)?.specVersion ?? 0;
    await this.#propose({ ...base, specVersion, state: 'rolled-back', message: step.message });
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
    const code = isConclaveError(error)
      ? error.code
      : error instanceof RefusedError
        ? error.code
        : 'CV_INTERNAL';
    this.#options.logger.warn('schedule-failed', { code });
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(RETRY_DELAY_MS, () => {
      this.#kick();
    });
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    let wakeAtMs: number | undefined;
    for (const atMs of this.#wakeAt.values()) wakeAtMs = Math.min(wakeAtMs ?? atMs, atMs);
    if (wakeAtMs === undefined) return;
    const delayMs = Math.max(1, Math.min(wakeAtMs - this.#options.clock.now(), WAKE_DELAY_MS_MAX));
    this.#timer = this.#options.timers.after(delayMs, () => {
      this.#wakeDue();
    });
  }

  #wakeDue(): void {
    const nowMs = this.#options.clock.now();
    for (const [id, atMs] of this.#wakeAt) if (atMs <= nowMs) this.#dirty.add(id);
    if (this.#dirty.size > 0) this.#kick();
    else this.#setTimer();
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

/** Only what placement looks at matters; heartbeats, sessions and certificates do not. */
function isIrrelevant({ before, after }: Extract<Change, { kind: 'node' }>): boolean {
  if (before === undefined || after === undefined) return false;
  return (
    before.state === after.state &&
    before.availability === after.availability &&
    before.role === after.role &&
    before.hostname === after.hostname &&
    before.platformOs === after.platformOs &&
    before.labels === after.labels &&
    before.executors.join() === after.executors.join()
  );
}
