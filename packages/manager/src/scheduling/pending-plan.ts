import type { ServiceRow, TaskRow } from '@conclave/state';
import { NodeFitness } from './node-fitness.js';
import { Placement } from './placement.js';
import { earlier } from './round-context.js';
import type { RoundContext } from './round-context.js';

/** A task that no node has yet. */
export interface PendingTask {
  readonly id: string;
  /** Global services: the only node that it may go to. */
  readonly nodeId: string;
  readonly notBeforeMs: number;
  /** What it says now. */
  readonly message: string;
  /** Its place ran before: it gets a node before places that never did. */
  readonly ranBefore: boolean;
}

/** What is left when all tasks that fit somewhere are placed. */
export interface PendingOutcome {
  /** Some wait for a node. */
  readonly isWaiting: boolean;
  /** When the next restart delay ends, milliseconds since 1970. */
  readonly wakeAtMs: number | undefined;
}

/** Gives nodes to the tasks that wait for one, or tells them why they go on waiting. */
export function planPending(
  context: RoundContext,
  service: ServiceRow,
  pending: readonly PendingTask[],
  tasks: readonly TaskRow[],
): PendingOutcome {
  let wakeAtMs: number | undefined;
  const due: PendingTask[] = [];
  for (const task of pending) {
    if (task.notBeforeMs <= context.nowMs) due.push(task);
    else wakeAtMs = earlier(wakeAtMs, task.notBeforeMs);
  }
  if (due.length === 0) return { isWaiting: false, wakeAtMs };
  due.sort((left, right) => Number(right.ranBefore) - Number(left.ranBefore));
  const find = finderOf(context, service, tasks);
  let isWaiting = false;
  for (const task of due) {
    const found = find(task);
    if ('nodeId' in found) {
      if (!context.plan.add({ kind: 'assign', id: task.id, nodeId: found.nodeId })) break;
      context.loads.place(found.nodeId);
      continue;
    }
    isWaiting = true;
    if (found.why === task.message) continue;
    if (!context.plan.add({ kind: 'explain', id: task.id, message: found.why })) break;
  }
  return { isWaiting, wakeAtMs };
}

type Found = { readonly nodeId: string } | { readonly why: string };

function finderOf(
  context: RoundContext,
  service: ServiceRow,
  tasks: readonly TaskRow[],
): (task: PendingTask) => Found {
  const { view, loads, failures, nowMs } = context;
  if (service.spec.mode === 'global') {
    const fitness = new NodeFitness(service.spec, view);
    return ({ nodeId }) => {
      const node = view.nodeById(nodeId);
      if (node === undefined) return { why: 'its node was removed' };
      const refusal = fitness.refusalOfNew(node);
      return refusal === undefined ? { nodeId } : { why: `its node ${refusal.one}` };
    };
  }
  const placement = new Placement({
    service,
    view,
    tasks,
    loads,
    failures,
    nowMs,
  });
  return () => {
    const nodeId = placement.take();
    return nodeId === undefined ? { why: placement.explanation() } : { nodeId };
  };
}
