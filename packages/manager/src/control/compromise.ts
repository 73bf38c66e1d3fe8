import { ConclaveError } from '@conclave/kernel';
import { isSpent, tokenFault } from '@conclave/state';
import type { EvictedNode, NodeRow, State } from '@conclave/state';
import type {
  BeginCompromiseRequest,
  BeginCompromiseResponseInput,
  CommittedInput,
  CompromiseStatusInput,
  FinishCompromiseRequest,
} from '@conclave/wire';
import { commit, errorOfRefusal } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { invalid } from './invalid.js';
import { clusterOf, nodeOf } from './lookups.js';
import { readState } from './reading.js';

/** Nodes that one request takes out. */
const EVICTED_COUNT_MAX = 100;

/**
 * Takes nodes out and ends tokens and administrators, in one entry that also notes that a recovery
 * is on its way. Nodes that it has taken out before are passed over, so that it can be asked again.
 * @throws CV_NODE_NOT_FOUND
 * @throws CV_LAST_MANAGER when too few of the managers that stay can be reached
 * @throws CV_NODE_IN_USE when the manager that answers or the leader is to go
 */
export async function beginCompromise(
  deps: ControlDependencies,
  request: BeginCompromiseRequest,
  call: CallContext,
): Promise<BeginCompromiseResponseInput> {
  const { endsAdmins, idempotencyKey, isDryRun } = request;
  if (request.evict.length > EVICTED_COUNT_MAX) {
    throw invalid('evict', `names more than ${EVICTED_COUNT_MAX} nodes`);
  }
  const state = await readState(deps);
  const rows = rowsToEvict(state, request.evict);
  demandOthers(deps, rows);
  const refusal = state.refuseEviction(rows);
  if (refusal?.ok === false) throw withAdvice(errorOfRefusal(refusal));
  const nowMs = deps.clock.now();
  const plan = {
    evicted: rows.map(({ id, hostname, manager }) => ({
      id,
      hostname,
      isManager: manager !== undefined,
    })),
    tokens: [...state.tokens()].filter((row) => tokenFault(row, nowMs) === undefined).length,
    admins: endsAdmins ? [...state.admins()].filter((row) => !isSpent(row, nowMs)).length : 0,
  };
  if (isDryRun) return { index: 0, ...plan };
  const asked = { evict: [...request.evict], endsAdmins };
  const { index } = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Cluster.BeginCompromise', idempotencyKey, asked }),
    body: { kind: 'compromise.begin', evict: rows.map(({ id }) => id), endsAdmins },
  });
  deps.logger.warn('compromise.begun', { count: rows.length });
  return { index, ...plan };
}

/** @throws CV_STATE_STALE while a step is open */
export async function finishCompromise(
  deps: ControlDependencies,
  { idempotencyKey }: FinishCompromiseRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { index } = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Cluster.FinishCompromise', idempotencyKey, asked: {} }),
    body: { kind: 'compromise.finish' },
  });
  deps.logger.info('compromise.finished', {});
  return { index };
}

/** How far the recovery is; null when there is none. */
export function compromiseStatus(state: State): CompromiseStatusInput | null {
  const compromise = state.cluster()?.compromise;
  if (compromise === undefined) return null;
  const { evicted, isRingAsked, isRootAsked, recoveryGeneration, startedAtMs } = compromise;
  return {
    startedAtMs,
    evicted: evicted.map((node) => ({ ...node })),
    openSteps: state.openCompromiseSteps(),
    isRootAsked,
    isRingAsked,
    recoveryGeneration,
  };
}

function rowsToEvict(state: State, references: readonly string[]): NodeRow[] {
  const before = clusterOf(state).compromise?.evicted ?? [];
  const rows = new Map<string, NodeRow>();
  for (const reference of references) {
    // A host that joined anew under an old name is not meant.
    if (state.nodeById(reference) === undefined && isNamed(before, reference)) continue;
    const row = nodeOf(state, reference, '');
    rows.set(row.id, row);
  }
  return [...rows.values()];
}

function isNamed(evicted: readonly EvictedNode[], reference: string): boolean {
  return evicted.some(({ id, hostname }) => id === reference || hostname === reference);
}

/** Who is to go must neither carry this out nor hold it up. */
function demandOthers(deps: ControlDependencies, rows: readonly NodeRow[]): void {
  const { leaderId, nodeId } = deps.status.current();
  for (const { hostname, id } of rows) {
    if (id === nodeId) {
      throw new ConclaveError('CV_NODE_IN_USE', `${hostname} is the manager that was asked`, {
        hint: 'Run this on a manager that stays.',
        details: { id },
      });
    }
    if (id === leaderId) {
      throw new ConclaveError('CV_NODE_IN_USE', `${hostname} leads the managers`, {
        hint: `Stop ${hostname}, or cut it off; once another manager leads, run this again.`,
        details: { id },
      });
    }
  }
}

function withAdvice({ code, message, details }: ConclaveError): ConclaveError {
  return new ConclaveError(code, message, {
    details,
    hint:
      'Start the managers that stay, or let another one join first; evict the rest of the nodes ' +
      'afterwards.',
  });
}
