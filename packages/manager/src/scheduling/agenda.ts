import type { Change, ChangeBatch, ServiceRow, State, TaskRow } from '@conclave/state';
import type { ServiceOutcome } from './service-plan.js';

/** The queries of the state that the agenda uses. */
type AgendaView = Pick<State, 'services' | 'tasksOfNode'>;

/** What the scheduler has to look at, and when, as the changes of the state tell it. */
export class Agenda {
  readonly #view: AgendaView;
  /** Services to look at, longest waiting first. */
  readonly #dirty = new Set<string>();
  /** Services with tasks that no node takes. */
  readonly #waiting = new Set<string>();
  /** When to look at a service without a change, milliseconds since 1970. */
  readonly #wakeAt = new Map<string, number>();
  #haveNodesChanged = false;

  constructor(view: AgendaView) {
    this.#view = view;
  }

  /** Something is to be looked at. */
  get hasWork(): boolean {
    return this.#dirty.size > 0 || this.#haveNodesChanged;
  }

  /** The earliest time at which something is to be looked at without a change. */
  get wakeAtMs(): number | undefined {
    let earliest: number | undefined;
    for (const atMs of this.#wakeAt.values()) earliest = Math.min(earliest ?? atMs, atMs);
    return earliest;
  }

  /** The services to look at now; changing the agenda meanwhile is safe. */
  due(): string[] {
    if (this.#haveNodesChanged) {
      this.#haveNodesChanged = false;
      for (const id of this.#waiting) this.#dirty.add(id);
      for (const service of this.#view.services()) {
        if (service.spec.mode === 'global') this.#dirty.add(service.id);
      }
    }
    return [...this.#dirty];
  }

  /** Puts a service on the agenda, behind those that are on it already. */
  add(serviceId: string): void {
    this.#dirty.add(serviceId);
  }

  /** Puts all services on the agenda. */
  addAll(services: Iterable<ServiceRow>): void {
    for (const service of services) this.#dirty.add(service.id);
  }

  /** Takes a service off the agenda as it is being looked at; forgets what was noted for it. */
  take(serviceId: string): void {
    this.#dirty.delete(serviceId);
    this.#waiting.delete(serviceId);
    this.#wakeAt.delete(serviceId);
  }

  /** Notes when a service that was looked at is to be looked at again. */
  note(serviceId: string, outcome: Pick<ServiceOutcome, 'wakeAtMs' | 'isWaiting'>): void {
    if (outcome.wakeAtMs !== undefined) this.#wakeAt.set(serviceId, outcome.wakeAtMs);
    if (outcome.isWaiting) this.#waiting.add(serviceId);
  }

  /** Puts the services on the agenda whose time has come. */
  wake(nowMs: number): void {
    for (const [id, atMs] of this.#wakeAt) if (atMs <= nowMs) this.#dirty.add(id);
  }

  /** Puts what the changes touch on the agenda. */
  follow(batch: ChangeBatch): void {
    for (const change of batch.changes) this.#followChange(change);
  }

  clear(): void {
    this.#dirty.clear();
    this.#waiting.clear();
    this.#wakeAt.clear();
    this.#haveNodesChanged = false;
  }

  #followChange(change: Change): void {
    switch (change.kind) {
      case 'service':
        if (change.after === undefined) this.take(change.id);
        else this.#dirty.add(change.id);
        return;
      case 'task':
        this.#addTask(change.after ?? change.before);
        return;
      case 'node':
        if (isIrrelevant(change)) return;
        this.#haveNodesChanged = true;
        for (const task of this.#view.tasksOfNode(change.id)) this.#addTask(task);
        return;
      case 'secret':
      case 'version':
      case 'token':
      case 'admin':
      case 'receipt':
      case 'cluster':
        return;
    }
  }

  #addTask(task: TaskRow | undefined): void {
    if (task !== undefined) this.#dirty.add(task.serviceId);
  }
}

/** Only what placement looks at matters; heartbeats, sessions and certificates do not. */
function isIrrelevant({ before, after }: Extract<Change, { kind: 'node' }>): boolean {
  if (before === undefined || after === undefined) return false;
  return (
    before.state === after.state &&
    before.availability === after.availability &&
    before.role === after.role &&
    before.wantedRole === after.wantedRole &&
    before.hostname === after.hostname &&
    before.platformOs === after.platformOs &&
    before.labels === after.labels &&
    before.executors.join() === after.executors.join()
  );
}
