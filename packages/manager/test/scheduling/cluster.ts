import { createId, SILENT_LOGGER, limits } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { decodeCommand, encodeCommand, State, isEnded } from '@conclave/state';
import type {
  JoiningNode,
  Command,
  CommandBody,
  CommandResult,
  NodeRow,
  ServiceRow,
  ServiceSpec,
  TaskRow,
  TaskState,
} from '@conclave/state';
import { Scheduler } from '../../src/scheduling/scheduler.js';
import { isWanted } from '../../src/scheduling/task-kinds.js';
import { SimulatedTime } from '../simulated-time.js';

/** Slots of tasks in ascending order. */
export function slotsOf(tasks: readonly TaskRow[]): number[] {
  return tasks.map((task) => task.slot).toSorted((left, right) => left - right);
}

/** Deterministic bytes: tests name tasks by what they are, not by id. */
export function seededRandom(seed = 1): Random {
  let word = seed;
  // Every state of 32 bits comes once before one comes again: ids must not repeat.
  const next = (): number => {
    word = (word + 0x9e3779b9) | 0;
    let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 255),
    below: (limit) => next() % limit,
  };
}

export function specOf(fields: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: 'web',
    runtime: 'process',
    command: ['/bin/web'],
    image: '',
    env: {},
    workingDirectory: '',
    user: '',
    mode: 'replicated',
    replicas: 1,
    replicasPerNodeMax: 0,
    bindings: [],
    constraints: [],
    restart: { condition: 'any', delayMs: 5_000, attemptsMax: 0, windowMs: 0 },
    update: { parallelism: 1, delayMs: 0, order: 'stop-first', failureAction: 'pause' },
    stopSignal: 'TERM',
    stopGraceMs: 10_000,
    labels: {},
    ...fields,
  };
}

/** A committed state, a scheduler that proposes straight into it, and agents played by the test. */
export class TestCluster {
  readonly time: SimulatedTime = new SimulatedTime();
  readonly random: Random = seededRandom();
  readonly state: State = new State();
  readonly proposals: CommandBody[] = [];
  readonly scheduler: Scheduler;
  /** What `propose` does instead, when set. */
  failure: Error | undefined;
  /** Commands of the scheduler that apply would refuse. */
  refuse: (body: CommandBody) => boolean = () => false;
  #index = 0;

  constructor() {
    this.scheduler = new Scheduler({
      state: this.state,
      clock: this.time,
      timers: this.time,
      random: this.random,
      logger: SILENT_LOGGER,
      propose: async (body) => {
        await Promise.resolve();
        if (this.failure !== undefined) throw this.failure;
        this.proposals.push(body);
        if (this.refuse(body)) {
          return { ok: false, code: 'CV_VERSION_STALE', message: 'refused', details: {} };
        }
        return this.apply(body);
      },
    });
    this.#createCluster();
  }

  apply(body: CommandBody): CommandResult {
    this.#index += 1;
    const base = { atMs: this.time.now(), by: { kind: 'system', id: 'test' }, request: undefined };
    // Through the codec, as on its way through the log.
    const command = decodeCommand(encodeCommand({ ...base, ...body } as Command));
    return this.state.apply(this.#index, command);
  }

  mustApply(body: CommandBody): void {
    const result = this.apply(body);
    if (!result.ok) throw new Error(`${result.code}: ${result.message}`);
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) {
      await Promise.resolve();
      await this.scheduler.idle();
    }
  }

  async advance(byMs: number): Promise<void> {
    await this.time.advance(byMs, () => this.settle());
  }

  #createCluster(): void {
    this.mustApply({
      kind: 'cluster.create',
      cluster: {
        id: 'cluster',
        createdAtMs: this.time.now(),
        epoch: 1,
        rootCertificate: new Uint8Array(1),
        rootKeySealed: new Uint8Array(1),
        rootKeyId: 1,
        rootGeneration: 1,
        rootStep: 0,
        rootRotation: undefined,
        formerRoots: [],
        ringGeneration: 1,
        ringKeyId: 1,
        ringCommitment: new Uint8Array(32).fill(6),
        ringRotatedAtMs: 0,
        ringRotation: undefined,
        recovery: { generation: 1, publicKey: Uint8Array.of(2), threshold: 0, shareHashes: [] },
        stagedRecovery: undefined,
        stagedRecoveryBy: [],
        oldRecoveryOn: [],
        compromise: undefined,
        settings: {
          secretValueBytesMax: 1024,
          heartbeatPeriodMs: 1_500,
          certificates: limits.CERTIFICATES_DEFAULT,
        },
      },
      node: {
        ...nodeFields('m1', this.time.now()),
        role: 'manager',
        wantedRole: 'manager',
        waiting: undefined,
        tokenId: '',
        manager: {
          raftId: 1,
          clusterAddress: 'm1:7420',
          joinAddress: 'm1:7421',
          staticPublicKey: new Uint8Array(1),
          signingPublicKey: new Uint8Array(1),
          membership: 'voter',
          ringGeneration: 1,
        },
      },
    });
    this.mustApply({
      kind: 'token.create',
      token: {
        id: 'token',
        role: 'worker',
        publicKey: new Uint8Array(1),
        expiresAtMs: Number.MAX_SAFE_INTEGER,
        usesLeft: 10_000,
        needsApproval: false,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
        createdAtMs: this.time.now(),
        createdBy: { kind: 'system', id: 'test' },
      },
    });
  }

  /** Joins a worker and makes it READY. */
  addWorker(id: string, labels: Readonly<Record<string, string>> = {}, hostname = id): void {
    const node = { ...nodeFields(id, this.time.now()), hostname, labels, manager: undefined };
    this.mustApply({ kind: 'node.join', tokenId: 'token', node });
    this.ready(id);
  }

  ready(id: string): void {
    const session = {
      id: createId(this.random),
      daemonVersion: '0.1.0',
      executors: ['process'],
    };
    this.observe(id, 'READY', session);
  }

  down(id: string): void {
    this.observe(id, 'DOWN', undefined);
  }

  observe(
    id: string,
    state: 'READY' | 'DOWN',
    session: Extract<CommandBody, { kind: 'nodes.observe' }>['nodes'][number]['session'],
  ): void {
    this.mustApply({ kind: 'nodes.observe', nodes: [{ id, state, message: '', session }] });
  }

  updateNode(
    id: string,
    fields: {
      availability?: NodeRow['availability'];
      labelsSet?: Readonly<Record<string, string>>;
      labelsRemove?: readonly string[];
    },
  ): void {
    const { availability, labelsSet = {}, labelsRemove = [] } = fields;
    this.mustApply({
      kind: 'node.update',
      id,
      objectVersion: 0,
      availability,
      labelsSet,
      labelsRemove,
    });
  }

  create(fields: Partial<ServiceSpec> = {}): string {
    const id = createId(this.random);
    this.mustApply({ kind: 'service.create', id, spec: specOf(fields) });
    return id;
  }

  update(id: string, fields: Partial<ServiceSpec>): void {
    const { spec } = this.service(id);
    this.mustApply({
      kind: 'service.update',
      id,
      objectVersion: 0,
      spec: { ...spec, ...fields },
    });
  }

  service(id: string): ServiceRow {
    const row = this.state.serviceById(id);
    if (row === undefined) throw new Error('the service is gone');
    return row;
  }

  tasks(id: string): TaskRow[] {
    return this.state.tasksOfService(id);
  }

  wanted(id: string): TaskRow[] {
    return this.tasks(id).filter(isWanted);
  }

  running(id: string): TaskRow[] {
    return this.tasks(id).filter((task) => task.state === 'RUNNING');
  }

  /** An agent's report. */
  report(task: TaskRow, state: TaskState, error = ''): void {
    const report = {
      nodeId: task.nodeId,
      taskId: task.id,
      state,
      message: '',
      error,
      exitCode: undefined,
      atMs: this.time.now(),
    };
    this.mustApply({ kind: 'tasks.report', reports: [report] });
  }

  /** Agents of READY nodes do what they were told, until nothing is left to do. */
  async obey(
    options: { readonly fail?: (task: TaskRow) => boolean; readonly roundsMax?: number } = {},
  ): Promise<void> {
    await this.settle();
    for (let round = 0; round < (options.roundsMax ?? 200); round += 1) {
      const did = [...this.state.tasks()].map((task) => this.#obeyOne(task, options.fail));
      await this.settle();
      if (!did.includes(true)) return;
    }
  }

  #obeyOne(task: TaskRow, fail: ((task: TaskRow) => boolean) | undefined): boolean {
    const isHeard = this.state.nodeById(task.nodeId)?.state === 'READY';
    const isPlaced = task.state !== 'NEW' && task.state !== 'PENDING';
    if (!isHeard || !isPlaced || isEnded(task.state)) return false;
    if (task.desiredState !== 'RUNNING') this.report(task, 'SHUTDOWN');
    else if (fail?.(task) === true) this.report(task, 'FAILED', 'exit 1');
    else if (task.state !== 'RUNNING') this.report(task, 'RUNNING');
    else return false;
    return true;
  }
}

function nodeFields(id: string, nowMs: number): JoiningNode {
  return {
    id,
    hostname: id,
    state: 'UNKNOWN',
    stateAtMs: nowMs,
    message: '',
    availability: 'active',
    labels: {},
    platformOs: 'linux',
    daemonVersion: '0.1.0',
    executors: [],
    certificate: {
      serial: `serial-${id}`,
      notAfterMs: nowMs + 1,
      publicKeyHash: `key-${id}`,
      root: 1,
      notBeforeMs: 0,
    },
    previousCertificate: undefined,
    previousUntilMs: 0,
    manager: undefined,
    sessionId: '',
    rootStep: 0,
    sessionCount: 0,
    createdAtMs: nowMs,
  };
}
