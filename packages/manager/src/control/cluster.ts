import type { State } from '@conclave/state';
import type {
  BeginCompromiseRequest,
  BeginCompromiseResponseInput,
  ClusterInfoInput,
  ClusterSettingsInput,
  ClusterStatusInput,
  CommittedInput,
  ConfirmRecoveryRequest,
  FinishCompromiseRequest,
  GetClusterInfoRequest,
  GetClusterStatusRequest,
  GetRecoveryRequest,
  GetSettingsRequest,
  ManagerStatusInput,
  RotateRingRequest,
  RotateRootRequest,
  RecoveryInput,
  StageRecoveryRequest,
  StageRecoveryResponseInput,
  UpdateSettingsRequest,
  WatchEventInput,
  WatchRequest,
} from '@conclave/wire';
import { isUnplaced, isWanted } from '../scheduling/task-kinds.js';
import { beginCompromise, compromiseStatus, finishCompromise } from './compromise.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { clusterOf } from './lookups.js';
import { problemsOf } from './problems.js';
import { confirmRecovery, getRecovery, stageRecovery } from './recovery.js';
import { ringStatus, rotateRing } from './ring.js';
import { rootStatus, rotateRoot } from './root.js';
import { getSettings, updateSettings } from './settings.js';
import { watchChanges } from './watch.js';

/** The handlers of the service `Cluster`. */
export interface ClusterHandlers {
  getInfo(request: GetClusterInfoRequest, call: CallContext): Promise<ClusterInfoInput>;
  /** Answers from what this manager knows, also without a quorum. */
  getStatus(request: GetClusterStatusRequest, call: CallContext): Promise<ClusterStatusInput>;
  rotateRing(request: RotateRingRequest, call: CallContext): Promise<CommittedInput>;
  rotateRoot(request: RotateRootRequest, call: CallContext): Promise<CommittedInput>;
  getSettings(request: GetSettingsRequest, call: CallContext): Promise<ClusterSettingsInput>;
  updateSettings(request: UpdateSettingsRequest, call: CallContext): Promise<ClusterSettingsInput>;
  watch(request: WatchRequest, call: CallContext): AsyncGenerator<WatchEventInput, void>;
  getRecovery(request: GetRecoveryRequest, call: CallContext): Promise<RecoveryInput>;
  stageRecovery(
    request: StageRecoveryRequest,
    call: CallContext,
  ): Promise<StageRecoveryResponseInput>;
  confirmRecovery(request: ConfirmRecoveryRequest, call: CallContext): Promise<CommittedInput>;
  beginCompromise(
    request: BeginCompromiseRequest,
    call: CallContext,
  ): Promise<BeginCompromiseResponseInput>;
  finishCompromise(request: FinishCompromiseRequest, call: CallContext): Promise<CommittedInput>;
}

/** Handlers over `deps`. */
export function createClusterHandlers(deps: ControlDependencies): ClusterHandlers {
  return {
    getInfo: async () => await Promise.resolve(clusterInfo(deps)),
    getStatus: async () => await Promise.resolve(clusterStatus(deps)),
    rotateRing: (request, call) => rotateRing(deps, request, call),
    rotateRoot: (request, call) => rotateRoot(deps, request, call),
    getSettings: (request) => getSettings(deps, request),
    updateSettings: (request, call) => updateSettings(deps, request, call),
    watch: (request, call) => watchChanges(deps, request, call),
    getRecovery: () => getRecovery(deps),
    stageRecovery: (request, call) => stageRecovery(deps, request, call),
    confirmRecovery: (request, call) => confirmRecovery(deps, request, call),
    beginCompromise: (request, call) => beginCompromise(deps, request, call),
    finishCompromise: (request, call) => finishCompromise(deps, request, call),
  };
}

function clusterInfo(deps: ControlDependencies): ClusterInfoInput {
  const cluster = clusterOf(deps.state());
  const ring = deps.ring();
  return {
    clusterId: cluster.id,
    rootCertificate: cluster.rootCertificate,
    intakePublicKey: ring.intakePublicKey(),
    intakeKeyId: ring.currentKeyId,
    secretValueBytesMax: cluster.settings.secretValueBytesMax,
    version: deps.version,
  };
}

function clusterStatus(deps: ControlDependencies): ClusterStatusInput {
  const state = deps.state();
  const consensus = deps.status.current();
  const counts = countAll(state);
  return {
    clusterId: state.cluster()?.id ?? '',
    leaderId: consensus.leaderId,
    term: consensus.term,
    commitIndex: consensus.commitIndex,
    appliedIndex: state.appliedIndex,
    managers: managersOf(deps, state),
    ...counts,
    problems: problemsOf(state, consensus, deps.clock.now()),
    hasQuorum: consensus.hasQuorum,
    servedBy: consensus.nodeId,
    ring: ringStatus(state),
    root: rootStatus(state, deps.clock.now()),
    compromise: compromiseStatus(state),
  };
}

type Counts = Required<
  Pick<
    ClusterStatusInput,
    'nodesReady' | 'nodesDown' | 'secrets' | 'services' | 'tasksRunning' | 'tasksPending'
  >
>;

function countAll(state: State): Counts {
  let [nodesReady, nodesDown, tasksRunning, tasksPending] = [0, 0, 0, 0];
  for (const node of state.nodes()) {
    if (node.state === 'READY') nodesReady += 1;
    if (node.state === 'DOWN') nodesDown += 1;
  }
  for (const task of state.tasks()) {
    if (!isWanted(task)) continue;
    if (task.state === 'RUNNING') tasksRunning += 1;
    if (isUnplaced(task)) tasksPending += 1;
  }
  const { secrets, services } = state.counts();
  return { nodesReady, nodesDown, secrets, services, tasksRunning, tasksPending };
}

function managersOf(deps: ControlDependencies, state: State): ManagerStatusInput[] {
  const { leaderId, managers } = deps.status.current();
  const reach = new Map(managers.map((manager) => [manager.nodeId, manager]));
  const rows = [...state.nodes()].filter((node) => node.manager !== undefined);
  return rows.map((node) => ({
    nodeId: node.id,
    hostname: node.hostname,
    address: node.manager?.clusterAddress ?? '',
    membership: node.manager?.membership ?? '',
    isLeader: node.id === leaderId,
    reachable: reach.get(node.id)?.isReachable ?? false,
    matchIndex: reach.get(node.id)?.matchIndex ?? 0,
  }));
}
