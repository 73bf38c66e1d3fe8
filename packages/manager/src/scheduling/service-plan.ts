import { isEnded } from '@conclave/state';
import type { ServiceRow, TaskChange, TaskRow } from '@conclave/state';
import { isForTasks, NodeFitness } from './node-fitness.js';
import { planPending } from './pending-plan.js';
import type { PendingTask } from './pending-plan.js';
import { statusOf } from './place-status.js';
import type { PlaceRules } from './place-status.js';
import { groupPlaces } from './places.js';
import type { Place } from './places.js';
import { chooseGlobal, chooseReplicated } from './place-choice.js';
import type { PlaceChoice } from './place-choice.js';
import { historyCount } from './restart-policy.js';
import { earlier } from './round-context.js';
import type { RoundContext } from './round-context.js';
import { removeChanges, stopChanges } from './task-changes.js';
import { currentTest, isUnplaced, isWanted } from './task-kinds.js';
import { decideUpdate } from './update-policy.js';
import type { JudgedPlace, UpdateStep } from './update-policy.js';

/** Milliseconds after which a task that should stop on a node that stays DOWN is given up. */
export const ORPHAN_AFTER_MS: number = 24 * 3_600_000;

/** What planning one service came to, besides the changes in the round's plan. */
export interface ServiceOutcome {
  /** To be proposed before the task changes. */
  readonly step: UpdateStep | undefined;
  /** When to look again without a change, milliseconds since 1970. */
  readonly wakeAtMs: number | undefined;
  /** Tasks wait for a node: look again when nodes change. */
  readonly isWaiting: boolean;
}

/**
 * Compares what a service should have with what committed state shows and adds the difference to
 * the round's plan. Decides nothing from memory that another leader would not have, except the
 * rank of failing nodes.
 */
export function planService(context: RoundContext, service: ServiceRow): ServiceOutcome {
  return new ServicePlanner(context, service).run();
}

class ServicePlanner {
  readonly #context: RoundContext;
  readonly #service: ServiceRow;
  readonly #fitness: NodeFitness;
  readonly #rules: PlaceRules;
  /** Node id to whether the node is of the kind that the spec asks for. */
  readonly #rightKinds = new Map<string, boolean>();
  readonly #pending: PendingTask[] = [];
  #wakeAtMs: number | undefined;

  constructor(context: RoundContext, service: ServiceRow) {
    this.#context = context;
    this.#service = service;
    this.#fitness = new NodeFitness(service.spec, context.view);
    const runsWhatIsAsked = currentTest(service);
    this.#rules = {
      service,
      isCurrent: (task) => runsWhatIsAsked(task) && this.#isRightKind(task),
      isReachable: (nodeId) => context.view.nodeById(nodeId)?.state === 'READY',
    };
  }

  run(): ServiceOutcome {
    const tasks = [...this.#context.view.tasksOfService(this.#service.id)];
    this.#giveUpLost(tasks);
    if (this.#service.isRemoving) {
      this.#add(tasks.flatMap(removeChanges));
      return this.#outcome(undefined, false);
    }
    const leaving = tasks.filter((task) => task.desiredState === 'REMOVE');
    this.#add(leaving.flatMap(removeChanges));
    const { kept, dropped } = this.#choose(tasks);
    for (const place of dropped) this.#drop(place);
    for (const place of kept) this.#release(place);
    const judged = kept.map((place) => ({ place, status: statusOf(place, this.#rules) }));
    // A global service is updated where its nodes take tasks; the others follow when they do.
    const updatable = judged.filter(({ place }) => this.#mayStart(place));
    const update = decideUpdate(this.#service, updatable, this.#context.nowMs);
    this.#wake(update.wakeAtMs);
    // Until a step about the update itself is committed, only what is missing is filled in.
    const isHalted = update.step !== undefined && update.step.kind !== 'state';
    if (!isHalted) {
      for (const item of judged) this.#serve(item);
      for (const item of update.replaceNow) this.#replace(item);
    }
    this.#trimHistory(kept);
    const { isWaiting, wakeAtMs } = planPending(this.#context, this.#service, this.#pending, tasks);
    this.#wake(wakeAtMs);
    return this.#outcome(update.step, isWaiting);
  }

  #outcome(step: UpdateStep | undefined, isWaiting: boolean): ServiceOutcome {
    return { step, wakeAtMs: this.#wakeAtMs, isWaiting };
  }

  #choose(tasks: readonly TaskRow[]): PlaceChoice {
    const { view } = this.#context;
    if (this.#service.spec.mode === 'replicated') {
      const places = groupPlaces(tasks, (task) => task.slot);
      return chooseReplicated(places, this.#service.spec.replicas, (task) => this.#isLost(task));
    }
    const places = groupPlaces(tasks, (task) => task.nodeId);
    return chooseGlobal({ places, nodes: view.nodes(), fitness: this.#fitness });
  }

  /** Ends tasks that should stop and of which no agent will ever tell. */
  #giveUpLost(tasks: readonly TaskRow[]): void {
    for (const task of tasks) {
      if (isEnded(task.state) || isUnplaced(task)) {
        if (isUnplaced(task) && !isWanted(task)) this.#end(task, 'SHUTDOWN', 'never started');
        continue;
      }
      const node = this.#context.view.nodeById(task.nodeId);
      if (node === undefined) this.#end(task, 'ORPHANED', 'its node was removed');
      if (node?.state !== 'DOWN' || isWanted(task)) continue;
      const giveUpAtMs = node.stateAtMs + ORPHAN_AFTER_MS;
      if (giveUpAtMs > this.#context.nowMs) this.#wake(giveUpAtMs);
      else this.#end(task, 'ORPHANED', 'its node has been down for a day');
    }
  }

  #end(task: TaskRow, state: 'SHUTDOWN' | 'ORPHANED', message: string): void {
    this.#add([{ kind: 'end', id: task.id, state, message }]);
  }

  /** A place that the service does not have any more. */
  #drop(place: Place): void {
    const all = [...place.wanted, ...place.stopping, ...place.ended];
    if (this.#service.spec.mode === 'replicated') {
      this.#add(all.flatMap(removeChanges));
      return;
    }
    // A node that a global service left: it may come back, and its history is still of interest.
    for (const task of place.wanted) this.#add(stopChanges(task, 'its node takes no tasks'));
    this.#trimHistory([place]);
  }

  /** Lets go of tasks whose node is lost to them; the place becomes empty in the same round. */
  #release(place: Place): void {
    if (!place.wanted.some((task) => this.#isLost(task))) return;
    for (const task of place.wanted.filter((wanted) => this.#isLost(wanted))) {
      this.#add(stopChanges(task, 'its node takes no tasks'));
      place.wanted.splice(place.wanted.indexOf(task), 1);
      place.stopping.push(task);
    }
  }

  /** The node cannot go on running the task. A global service has no other place for it. */
  #isLost(task: TaskRow): boolean {
    if (isUnplaced(task)) return false;
    const node = this.#context.view.nodeById(task.nodeId);
    if (node === undefined) return true;
    if (!isForTasks(node)) return true;
    if (this.#service.spec.mode === 'replicated' && node.state === 'DOWN') return true;
    // The node changed its kind, not the service: no update will come by.
    return task.specVersion === this.#service.specVersion && !this.#isRightKind(task);
  }

  #isRightKind(task: TaskRow): boolean {
    if (task.nodeId === '') return true;
    let isRight = this.#rightKinds.get(task.nodeId);
    if (isRight === undefined) {
      const node = this.#context.view.nodeById(task.nodeId);
      isRight = node !== undefined && this.#fitness.refusalOfKind(node) === undefined;
      this.#rightKinds.set(task.nodeId, isRight);
    }
    return isRight;
  }

  #serve({ place, status }: JudgedPlace): void {
    switch (status.kind) {
      case 'served':
        this.#stopAll(status.spare);
        this.#settle(place, status.task, status.before);
        return;
      case 'outdated':
        this.#stopAll(status.spare);
        this.#await(place, status.task);
        return;
      case 'empty':
        if (this.#mayStart(place)) this.#create(place, status.notBeforeMs, status.message);
        return;
      case 'stopping':
      case 'down':
        return;
    }
  }

  /** The task is there: the one before it may go once it runs, and it may wait for a node. */
  #settle(place: Place, task: TaskRow, before: TaskRow | undefined): void {
    const isOver = before !== undefined && (task.state === 'RUNNING' || isUnplaced(before));
    if (isOver) this.#stopAll([before]);
    this.#await(place, task);
  }

  #stopAll(tasks: readonly TaskRow[]): void {
    for (const task of tasks) this.#add(stopChanges(task, 'replaced'));
  }

  #replace({ place, status }: JudgedPlace): void {
    if (status.kind === 'down') this.#create(place, 0, '');
    if (status.kind !== 'outdated' || status.next.kind !== 'restart') return;
    const { task, next } = status;
    const isStopFirst = this.#service.spec.update.order === 'stop-first';
    if (isUnplaced(task)) {
      const at = this.#pending.findIndex((pending) => pending.id === task.id);
      if (at >= 0) this.#pending.splice(at, 1);
    }
    if (isStopFirst || isUnplaced(task)) this.#stopAll([task]);
    // Stop-first: the new one comes when the old one has stopped, in a later round.
    if (isStopFirst && !isUnplaced(task)) return;
    this.#create(place, next.notBeforeMs, next.message);
  }

  /** A new task of a global service starts only where its node takes new ones. */
  #mayStart(place: Place): boolean {
    if (this.#service.spec.mode === 'replicated') return true;
    const node = this.#context.view.nodeById(place.nodeId);
    return node !== undefined && this.#fitness.refusalOfNew(node) === undefined;
  }

  #create(place: Place, notBeforeMs: number, message: string): void {
    const { nowMs, plan, createId } = this.#context;
    // A clock that was ahead at an older leader must not hold the task back longer than meant.
    const latestMs = nowMs + this.#service.spec.restart.delayMs;
    const task = {
      id: createId(),
      serviceId: this.#service.id,
      slot: place.slot,
      nodeId: place.nodeId,
      specVersion: this.#service.specVersion,
      notBeforeMs: Math.min(notBeforeMs, latestMs),
      message,
    };
    if (!plan.add({ kind: 'create', ...task })) return;
    const ranBefore = place.ended.some((ended) => ended.nodeId !== '');
    this.#pending.push({ ...task, ranBefore });
  }

  /** Queues a task that is not placed yet. */
  #await(place: Place, task: TaskRow): void {
    if (!isUnplaced(task)) return;
    const { id, nodeId, notBeforeMs, message } = task;
    const ranBefore = place.ended.some((ended) => ended.nodeId !== '');
    this.#pending.push({ id, nodeId, notBeforeMs, message, ranBefore });
  }

  #trimHistory(places: readonly Place[]): void {
    const count = historyCount(this.#service.spec.restart);
    for (const place of places) {
      if (place.ended.length <= count) continue;
      const old = place.ended.slice(count);
      this.#add(old.map((task) => ({ kind: 'delete', id: task.id })));
    }
  }

  /** Each change stands alone: the plan may be full after any of them. */
  #add(changes: readonly TaskChange[]): void {
    for (const change of changes) if (!this.#context.plan.add(change)) return;
  }

  #wake(atMs: number | undefined): void {
    this.#wakeAtMs = earlier(this.#wakeAtMs, atMs);
  }
}
