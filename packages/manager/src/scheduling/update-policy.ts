import type { ServiceRow, TaskRow } from '@conclave/state';
import type { PlaceStatus } from './place-status.js';
import type { Place } from './places.js';
import { isFailure, stateSinceMs } from './task-kinds.js';

/** Milliseconds that the tasks of an update must have been RUNNING before it counts as completed. */
export const UPDATE_MONITOR_MS = 5_000;

/** What the scheduler has to propose about the update itself, before any task. */
export type UpdateStep =
  | {
      readonly kind: 'state';
      readonly state: 'updating' | 'paused' | 'completed';
      readonly message: string;
    }
  | { readonly kind: 'rollback'; readonly message: string };

/** One place with what it needs. */
export interface JudgedPlace {
  readonly place: Place;
  readonly status: PlaceStatus;
}

/** How far the update may go in this round. */
export interface UpdateDecision {
  readonly step: UpdateStep | undefined;
  /** Places whose old tasks may be replaced now. */
  readonly replaceNow: readonly JudgedPlace[];
  /** When to look again, milliseconds since 1970; `undefined`: at the next change. */
  readonly wakeAtMs: number | undefined;
}

const NOTHING: UpdateDecision = { step: undefined, replaceNow: [], wakeAtMs: undefined };

/** Decides the next step of a rolling update from committed state. */
export function decideUpdate(
  service: ServiceRow,
  judged: readonly JudgedPlace[],
  nowMs: number,
): UpdateDecision {
  if (service.updateState === 'paused') return NOTHING;
  const failure = service.updateState === 'updating' ? firstFailure(service, judged) : undefined;
  const reaction = failure === undefined ? undefined : reactTo(service, failure);
  if (reaction !== undefined) return { ...NOTHING, step: reaction };
  const outdated = judged.filter(needsReplacement);
  if (outdated.length === 0) return finish(service, judged, nowMs);
  const { busy, wakeAtMs } = countBusy(service, judged, nowMs);
  const free = Math.max(0, service.spec.update.parallelism - busy);
  const isKnown = service.updateState === 'updating' || service.updateState === 'rolled-back';
  const message = `replacing ${outdated.length} of ${judged.length} tasks`;
  return {
    step: isKnown ? undefined : { kind: 'state', state: 'updating', message },
    replaceNow: outdated.toSorted(byHarm).slice(0, free),
    wakeAtMs,
  };
}

function needsReplacement({ status }: JudgedPlace): boolean {
  if (status.kind === 'outdated') return status.next.kind === 'restart';
  return status.kind === 'down' && status.isOutdated;
}

/** Places whose tasks do not run anyway come first; then by slot. */
function byHarm(left: JudgedPlace, right: JudgedPlace): number {
  const runs = ({ place }: JudgedPlace): number =>
    place.wanted.some((task) => task.state === 'RUNNING') ? 1 : 0;
  return runs(left) - runs(right) || left.place.slot - right.place.slot;
}

function firstFailure(
  service: ServiceRow,
  judged: readonly JudgedPlace[],
): { place: Place; task: TaskRow } | undefined {
  for (const { place } of judged) {
    const task = place.ended.find(
      (ended) => ended.specVersion === service.specVersion && isFailure(ended),
    );
    if (task !== undefined) return { place, task };
  }
  return undefined;
}

function reactTo(
  service: ServiceRow,
  { place, task }: { place: Place; task: TaskRow },
): UpdateStep | undefined {
  const where = place.slot === 0 ? `on node ${place.nodeId}` : `of slot ${place.slot}`;
  const reason = [task.error, task.message].find((text) => text !== '') ?? '';
  const why = reason === '' ? '' : `: ${reason}`;
  const failed = `task ${task.id} ${where} is ${task.state}${why}`;
  switch (service.spec.update.failureAction) {
    case 'continue':
      return undefined;
    case 'pause':
      return { kind: 'state', state: 'paused', message: `paused: ${failed}` };
    case 'rollback':
      // Without a spec to go back to, stopping is the careful choice.
      return service.previousSpec === undefined
        ? { kind: 'state', state: 'paused', message: `paused: ${failed}` }
        : { kind: 'rollback', message: failed };
  }
}

/** How many places the update keeps busy, and when the first of their delays ends. */
function countBusy(
  service: ServiceRow,
  judged: readonly JudgedPlace[],
  nowMs: number,
): { busy: number; wakeAtMs: number | undefined } {
  let busy = 0;
  let wakeAtMs: number | undefined;
  for (const { place, status } of judged) {
    if (status.kind === 'stopping' || status.kind === 'empty') busy += 1;
    if (status.kind !== 'served') continue;
    if (status.task.state !== 'RUNNING') {
      busy += isOldWait(place, status) ? 0 : 1;
      continue;
    }
    const readyAtMs = stateSinceMs(status.task) + service.spec.update.delayMs;
    if (readyAtMs <= nowMs) continue;
    busy += 1;
    wakeAtMs = Math.min(wakeAtMs ?? readyAtMs, readyAtMs);
  }
  return { busy, wakeAtMs };
}

/** It waits for a node, and so did the one before it: the update did not take it down. */
function isOldWait(place: Place, { task, before }: PlaceStatus & { kind: 'served' }): boolean {
  const last = place.ended[0];
  const isAlone = before === undefined && (last === undefined || last.nodeId === '');
  return task.state === 'PENDING' && isAlone;
}

/** Nothing is left to replace: completed once every task has run for a while. */
function finish(
  service: ServiceRow,
  judged: readonly JudgedPlace[],
  nowMs: number,
): UpdateDecision {
  if (service.updateState !== 'updating') return NOTHING;
  let wakeAtMs = 0;
  let keptCount = 0;
  for (const { status } of judged) {
    if (status.kind === 'outdated') keptCount += 1;
    if (status.kind === 'down' || status.kind === 'outdated') continue;
    if (status.kind !== 'served' || status.before !== undefined) return NOTHING;
    if (status.task.state !== 'RUNNING') return NOTHING;
    wakeAtMs = Math.max(wakeAtMs, stateSinceMs(status.task) + UPDATE_MONITOR_MS);
  }
  if (wakeAtMs > nowMs) return { ...NOTHING, wakeAtMs };
  const kept = keptCount === 0 ? '' : `; ${keptCount} tasks could not be replaced`;
  return { ...NOTHING, step: { kind: 'state', state: 'completed', message: `completed${kept}` } };
}
