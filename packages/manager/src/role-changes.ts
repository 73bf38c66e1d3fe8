import type { Clock } from '@conclave/kernel';
import type { NodeRow, State } from '@conclave/state';
import type { StateEvent } from './consensus/replicated-state.js';

/** True while a node has not become what an operator has decided it to be. */
function isChanging({ manager, role, wantedRole, waiting }: NodeRow): boolean {
  if (waiting !== undefined) return false;
  const isOnItsWay = manager !== undefined && manager.membership !== 'voter';
  return role !== wantedRole || isOnItsWay;
}

/**
 * Since when nodes change their role, as far as this manager has seen: the tables do not tell. Kept
 * in memory, one time per node; a restart begins anew.
 */
export class RoleChanges {
  readonly #clock: Clock;
  readonly #sinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called after each change of the state, with what it is now. */
  follow(event: StateEvent, state: State): void {
    if (event.kind === 'replaced') {
      for (const id of this.#sinceMs.keys()) this.#note(id, state.nodeById(id));
      for (const node of state.nodes()) this.#note(node.id, node);
      return;
    }
    for (const change of event.batch.changes) {
      if (change.kind === 'node') this.#note(change.id, change.after);
    }
  }

  /** Ids of the nodes that have been at it for longer than `ms` milliseconds. */
  longerThan(ms: number): ReadonlySet<string> {
    const nowMs = this.#clock.monotonic();
    const late = [...this.#sinceMs].filter(([, sinceMs]) => nowMs - sinceMs > ms);
    return new Set(late.map(([id]) => id));
  }

  #note(id: string, node: NodeRow | undefined): void {
    if (node === undefined || !isChanging(node)) this.#sinceMs.delete(id);
    else if (!this.#sinceMs.has(id)) this.#sinceMs.set(id, this.#clock.monotonic());
  }
}
