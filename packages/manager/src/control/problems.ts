import { CERTIFICATE_SKEW_MS } from '@conclave/pki';
import type { NodeRow, State } from '@conclave/state';
import type { ProblemInput } from '@conclave/wire';
import { isUnplaced, isWanted } from '../scheduling/task-kinds.js';
import { ringStatus } from './ring.js';
import { rootStatus } from './root.js';
import type { ConsensusStatus } from './status-source.js';

/** Problems of one kind that a status names one by one; the rest is counted in the last one. */
const PROBLEMS_PER_KIND_MAX = 20;
/**
 * The last part of its life in which a certificate that was not renewed is a problem; of a long life
 * at most so many milliseconds. Renewals begin long before.
 */
const CERTIFICATE_NOTICE_SHARE = 0.2;
const CERTIFICATE_NOTICE_MS_MAX: number = 2 * 3_600_000;

/** Milliseconds that a rotation may take before a person should look what it waits for. */
const ROTATION_NOTICE_MS: number = 10 * 60_000;

/** Nothing else that a removed manager knows is true any more. */
const REMOVED: ProblemInput = {
  code: 'removed',
  message: 'this host was removed from the cluster; the other managers refuse it',
  next: 'conclave leave --force',
};

/** What needs a person, each with the next command. Reads committed state and consensus only. */
export function problemsOf(
  state: State,
  consensus: ConsensusStatus,
  nowMs: number,
): ProblemInput[] {
  if (consensus.isRefused) return [REMOVED];
  const nodes = [...state.nodes()];
  return [
    ...quorumProblems(consensus, nodes),
    ...capped(nodes.filter((node) => node.state === 'DOWN').map(downProblem)),
    ...compromiseProblems(state),
    ...capped(state.managersWithOldRecovery().map(oldRecoveryProblem)),
    ...capped(nodes.filter((node) => isExpiring(node, nowMs)).map(certificateProblem)),
    ...capped(nodes.filter((node) => node.waiting !== undefined).map(approvalProblem)),
    ...capped(nodes.filter((node) => consensus.stuck.has(node.id)).map(roleProblem)),
    ...rotationProblems(state, nowMs),
    ...capped(serviceProblems(state)),
    ...capped(pendingProblems(state)),
  ];
}

function quorumProblems(consensus: ConsensusStatus, nodes: readonly NodeRow[]): ProblemInput[] {
  const problems: ProblemInput[] = [];
  if (!consensus.hasQuorum) {
    problems.push({
      code: 'no-quorum',
      message: 'the managers have no quorum: writes wait, running tasks go on',
      next: 'start the managers that are missing',
    });
  }
  const reach = new Map(consensus.managers.map((manager) => [manager.nodeId, manager]));
  for (const node of nodes) {
    if (node.manager === undefined || node.id === consensus.nodeId) continue;
    if (reach.get(node.id)?.isReachable !== false) continue;
    problems.push({
      code: 'manager-unreachable',
      message: `manager ${node.hostname} does not answer`,
      next: `conclave node inspect ${node.id}`,
    });
  }
  for (const { id, hostname } of nodes) {
    if (!consensus.diverged.has(id)) continue;
    problems.push({
      code: 'manager-diverged',
      message: `manager ${hostname} has another state than this one at the same index`,
      next: `conclave node rm --force ${id}`,
    });
  }
  const voters = nodes.filter((node) => node.manager?.membership === 'voter').length;
  if (voters > 0 && voters % 2 === 0) {
    problems.push({
      code: 'even-managers',
      message: `${voters} managers vote: the last of them adds no safety`,
      next: 'conclave token create manager',
    });
  }
  return problems;
}

function downProblem(node: NodeRow): ProblemInput {
  return {
    code: 'node-down',
    message: `node ${node.hostname} is DOWN: ${node.message}`,
    next: `conclave node inspect ${node.id}`,
  };
}

function compromiseProblems(state: State): ProblemInput[] {
  if (state.cluster()?.compromise === undefined) return [];
  const steps = state.openCompromiseSteps();
  const what = steps.length === 0 ? 'its end has to be told' : `left to do: ${steps.join(', ')}`;
  return [
    {
      code: 'compromise-recovery',
      message: `the recovery from a compromise is not over; ${what}`,
      next: 'conclave cluster compromise-recovery',
    },
  ];
}

function oldRecoveryProblem(hostname: string): ProblemInput {
  return {
    code: 'recovery-key-old',
    message: `manager ${hostname} still opens with the recovery key before`,
    next: `start or restart it and unlock it, or: conclave node rm ${hostname} --force`,
  };
}

function isExpiring(node: NodeRow, nowMs: number): boolean {
  const { notAfterMs, notBeforeMs } = node.certificate;
  const lifeMs = notAfterMs - notBeforeMs - CERTIFICATE_SKEW_MS;
  const noticeMs = Math.min(CERTIFICATE_NOTICE_MS_MAX, lifeMs * CERTIFICATE_NOTICE_SHARE);
  return notAfterMs - nowMs < noticeMs;
}

function certificateProblem(node: NodeRow): ProblemInput {
  return {
    code: 'certificate-expiring',
    message: `the certificate of node ${node.hostname} was not renewed and is about to end`,
    next: `conclave node inspect ${node.id}`,
  };
}

function approvalProblem({ id, hostname, waiting }: NodeRow): ProblemInput {
  const role = waiting?.manager === undefined ? 'worker' : 'manager';
  return {
    code: 'approval-pending',
    message: `host ${hostname} has joined as a ${role} and waits for approval`,
    next: `conclave node approve ${id}`,
  };
}

function roleProblem({ id, hostname, manager, role, wantedRole }: NodeRow): ProblemInput {
  const whatOf = (): string => {
    if (role !== wantedRole) return wantedRole === 'manager' ? 'the promotion' : 'the demotion';
    return manager?.membership === 'removing' ? 'the way out' : 'the way into the quorum';
  };
  return {
    code: 'role-change-stuck',
    message: `${whatOf()} of node ${hostname} does not get on`,
    next: `conclave node inspect ${id}`,
  };
}

function rotationProblems(state: State, nowMs: number): ProblemInput[] {
  const cluster = state.cluster();
  if (cluster === undefined) return [];
  const isLate = (rotation: { readonly startedAtMs: number } | undefined): boolean =>
    rotation !== undefined && nowMs - rotation.startedAtMs > ROTATION_NOTICE_MS;
  const problems: ProblemInput[] = [];
  if (isLate(cluster.ringRotation)) {
    problems.push(lateRotation('key ring', ringStatus(state).waitingFor));
  }
  if (isLate(cluster.rootRotation)) {
    problems.push(lateRotation('root certificate', rootStatus(state, nowMs).waitingFor));
  }
  if (cluster.stagedRecovery !== undefined) {
    problems.push({
      code: 'recovery-unconfirmed',
      message: 'a new recovery key was made and is not in force',
      next: 'conclave keys confirm-recovery',
    });
  }
  return problems;
}

function lateRotation(what: string, waitingFor: readonly string[] = []): ProblemInput {
  const [first] = waitingFor;
  const waits = first === undefined ? '' : `: it waits for ${waitingFor.length} nodes, ${first}`;
  return {
    code: 'rotation-late',
    message: `the rotation of the ${what} takes longer than it should${waits}`,
    next: first === undefined ? 'conclave node ls' : `conclave node inspect ${first}`,
  };
}

function serviceProblems(state: State): ProblemInput[] {
  return state
    .services()
    .filter((service) => service.updateState === 'paused')
    .map((service) => ({
      code: 'update-paused',
      message: `the update of service ${service.spec.name} is ${service.updateMessage}`,
      next: `conclave service ps ${service.spec.name}`,
    }));
}

/** One line per service: its tasks wait for the same reason. */
function pendingProblems(state: State): ProblemInput[] {
  const waiting = new Map<string, { count: number; message: string }>();
  for (const task of state.tasks()) {
    if (task.state !== 'PENDING' || !isUnplaced(task) || !isWanted(task)) continue;
    const known = waiting.get(task.serviceName);
    if (known === undefined) waiting.set(task.serviceName, { count: 1, message: task.message });
    else known.count += 1;
  }
  return [...waiting].map(([name, { count, message }]) => ({
    code: 'tasks-pending',
    message: `${count} tasks of service ${name} wait: ${message}`,
    next: `conclave service ps ${name}`,
  }));
}

function capped(problems: readonly ProblemInput[]): ProblemInput[] {
  const shown = problems.slice(0, PROBLEMS_PER_KIND_MAX);
  const rest = problems.length - shown.length;
  const last = shown.at(-1);
  if (rest === 0 || last === undefined) return shown;
  return [...shown, { ...last, message: `${rest} more of this kind` }];
}
