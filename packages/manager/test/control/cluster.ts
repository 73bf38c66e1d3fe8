import { createId, SILENT_LOGGER, toHex, limits } from '@conclave/kernel';
import { hash, KeyRing, openSealed, SecretBytes, sealIntake } from '@conclave/sealed';
import { decodeCommand, encodeCommand, State } from '@conclave/state';
import type { Command, CommandBody, CommandResult, JoiningNode } from '@conclave/state';
import type { ServiceSpec, SetSecretRequest } from '@conclave/wire';
import { createAdminsHandlers } from '../../src/control/admins.js';
import type { AdminsHandlers } from '../../src/control/admins.js';
import { createClusterHandlers } from '../../src/control/cluster.js';
import type { ClusterHandlers } from '../../src/control/cluster.js';
import type { CallContext, ControlDependencies } from '../../src/control/dependencies.js';
import { createNodesHandlers } from '../../src/control/nodes.js';
import type { NodesHandlers } from '../../src/control/nodes.js';
import { createSecretsHandlers } from '../../src/control/secrets.js';
import type { SecretsHandlers } from '../../src/control/secrets.js';
import { createServicesHandlers } from '../../src/control/services.js';
import type { ServicesHandlers } from '../../src/control/services.js';
import { createTasksHandlers } from '../../src/control/tasks.js';
import type { TasksHandlers } from '../../src/control/tasks.js';
import { createTokensHandlers } from '../../src/control/tokens.js';
import type { TokensHandlers } from '../../src/control/tokens.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

export const CLUSTER_ID = 'aaaaaaaaaaaaaaaaaaaaaaaaaa';
export const VALUE_BYTES_MAX = 1_024;
export const CALL: CallContext = {
  actor: { kind: 'admin', id: 'local' },
  selfNodeId: 'alphaaaaaaaaaaaaaaaaaaaaaa',
};

/** A whole message of a service spec, as it is decoded. */
export function specMessage(fields: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: 'web',
    runtime: '',
    command: ['/bin/web'],
    image: '',
    env: {},
    workingDirectory: '',
    user: '',
    mode: '',
    bindings: [],
    constraints: [],
    restart: null,
    update: null,
    stopSignal: '',
    labels: {},
    replicasPerNodeMax: 0,
    ...fields,
  };
}

/** A whole message of a binding. */
export function bindingMessage(
  fields: Partial<ServiceSpec['bindings'][number]> = {},
): ServiceSpec['bindings'][number] {
  return {
    secretId: '',
    secretName: 'shop/db',
    version: 0,
    target: '',
    onChange: null,
    optional: false,
    ...fields,
  };
}

export function workerId(name: string): string {
  // Only letters of ids.
  return name.replaceAll(/[0189]/g, 'x').padEnd(26, 'a');
}

/** The control API of one leading manager over a real state and a real ring. */
export class TestControl {
  readonly time: SimulatedTime = new SimulatedTime();
  readonly state: State = new State({ watchHistoryMax: 200 });
  ring: KeyRing;
  readonly proposals: Command[] = [];
  readonly removedMembers: string[] = [];
  barriers = 0;
  /** What the other managers make of this one. */
  isRefused = false;
  /** Managers that have another state than this one. */
  readonly diverged = new Set<string>();
  /** Nodes whose role has been changing for too long. */
  readonly stuck = new Set<string>();
  /** Runs before a proposal is applied. */
  beforeApply: (() => void) | undefined;
  readonly secrets: SecretsHandlers;
  readonly services: ServicesHandlers;
  readonly tasks: TasksHandlers;
  readonly nodes: NodesHandlers;
  readonly tokens: TokensHandlers;
  readonly admins: AdminsHandlers;
  issuedCount = 0;
  /** Managers whose demotion was waited for. */
  readonly demoted: string[] = [];
  readonly cluster: ClusterHandlers;
  readonly deps: ControlDependencies;
  /** Who wants to know when a snapshot replaces the state. */
  readonly replacedListeners = new Set<() => void>();
  #index = 0;
  readonly random: ReturnType<typeof seededRandom> = seededRandom(7);

  private constructor() {
    this.ring = KeyRing.create(this.random);
    const deps: ControlDependencies = {
      state: () => this.state,
      onReplaced: (callback) => {
        this.replacedListeners.add(callback);
        return () => this.replacedListeners.delete(callback);
      },
      ring: () => this.ring,
      propose: (command) => this.#propose(command),
      readIndex: () => {
        this.barriers += 1;
        return Promise.resolve();
      },
      rootPin: () => new Uint8Array(32).fill(3),
      removeMember: (nodeId) => {
        this.removedMembers.push(nodeId);
        this.apply({
          kind: 'node.membership',
          id: nodeId,
          membership: 'removing',
          ringGeneration: undefined,
        });
        return Promise.resolve();
      },
      awaitDemotion: (nodeId) => {
        this.demoted.push(nodeId);
        this.apply({ kind: 'node.demoted', id: nodeId });
        return Promise.resolve();
      },
      issue: ({ spkiDer }) => {
        this.issuedCount += 1;
        const serial = String(this.issuedCount).padStart(32, '0');
        const publicKeyHash = toHex(hash(spkiDer));
        const notAfterMs = this.time.now() + 1_000;
        const row = { serial, publicKeyHash, notAfterMs, root: 1, notBeforeMs: 0 };
        return Promise.resolve({ der: Uint8Array.of(7, this.issuedCount), row });
      },
      status: {
        current: () => ({
          nodeId: CALL.selfNodeId,
          leaderId: CALL.selfNodeId,
          term: 2,
          commitIndex: this.#index,
          hasQuorum: true,
          isRefused: this.isRefused,
          diverged: this.diverged,
          stuck: this.stuck,
          managers: [{ nodeId: CALL.selfNodeId, isReachable: true, matchIndex: this.#index }],
        }),
      },
      logs: async function* () {
        yield await Promise.resolve({ taskId: 't', stream: 'stdout' });
      },
      clock: this.time,
      random: this.random,
      logger: SILENT_LOGGER,
      version: '0.1.0',
    };
    this.deps = deps;
    this.secrets = createSecretsHandlers(deps);
    this.services = createServicesHandlers(deps);
    this.tasks = createTasksHandlers(deps);
    this.nodes = createNodesHandlers(deps);
    this.tokens = createTokensHandlers(deps);
    this.admins = createAdminsHandlers(deps);
    this.cluster = createClusterHandlers(deps);
  }

  static async open(): Promise<TestControl> {
    await openSealed();
    const control = new TestControl();
    control.#createCluster();
    return control;
  }

  apply(body: CommandBody): CommandResult {
    const base = { atMs: this.time.now(), by: CALL.actor, request: undefined };
    return this.#apply({ ...base, ...body });
  }

  addWorker(name: string, hostname = name): string {
    const id = workerId(name);
    this.apply({
      kind: 'node.join',
      tokenId: 'token',
      node: nodeFields(id, hostname, this.time.now()),
    });
    this.observe(id, 'READY');
    return id;
  }

  /** A host that has joined as a worker and waits for approval. */
  addWaiting(name: string): string {
    const id = workerId(name);
    this.#addToken(name, 'worker', true);
    const node = nodeFields(id, name, this.time.now());
    this.apply({ kind: 'node.join', tokenId: `token of ${name}`, node });
    return id;
  }

  /** Another manager, READY. */
  addManager(name: string, membership: 'voter' | 'learner' = 'voter'): string {
    const id = workerId(name);
    const founder = this.state.nodeById(CALL.selfNodeId)?.manager;
    if (founder === undefined) throw new Error('the founder is a manager');
    this.#addToken(name, 'manager', false);
    const raftIds = [...this.state.nodes()].map((node) => node.manager?.raftId ?? 0);
    const manager = { ...founder, raftId: 1 + Math.max(...raftIds) };
    const node = { ...nodeFields(id, name, this.time.now()), manager };
    this.apply({ kind: 'node.join', tokenId: `token of ${name}`, node });
    this.apply({ kind: 'node.membership', id, membership, ringGeneration: undefined });
    this.observe(id, 'READY');
    return id;
  }

  #addToken(name: string, role: 'manager' | 'worker', needsApproval: boolean): void {
    this.apply({
      kind: 'token.create',
      token: {
        id: `token of ${name}`,
        role,
        publicKey: new Uint8Array(32),
        expiresAtMs: Number.MAX_SAFE_INTEGER,
        usesLeft: 1,
        needsApproval,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
        createdAtMs: this.time.now(),
        createdBy: CALL.actor,
      },
    });
  }

  observe(id: string, state: 'READY' | 'DOWN'): void {
    const session =
      state === 'DOWN'
        ? undefined
        : {
            id: createId(this.random),
            daemonVersion: '0.1.0',
            executors: ['process'],
          };
    this.apply({ kind: 'nodes.observe', nodes: [{ id, state, message: '', session }] });
  }

  /** Puts a task of the service on the node. */
  addTask(serviceId: string, nodeId: string, slot = 1): string {
    const id = createId(this.random);
    const specVersion = this.state.serviceById(serviceId)?.specVersion ?? 0;
    this.apply({
      kind: 'tasks.schedule',
      changes: [
        {
          kind: 'create',
          id,
          serviceId,
          slot,
          nodeId: '',
          specVersion,
          notBeforeMs: 0,
          message: '',
        },
        { kind: 'assign', id, nodeId },
      ],
    });
    return id;
  }

  /** A set request as a client makes it. */
  setRequest(
    name: string,
    value: string | Uint8Array,
    fields: Partial<SetSecretRequest> = {},
  ): SetSecretRequest {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value.slice();
    const secret = SecretBytes.take(bytes);
    const sealed = sealIntake({
      publicKey: this.ring.intakePublicKey(),
      clusterId: CLUSTER_ID,
      context: new TextEncoder().encode(`secret.set\n${name}`),
      value: secret,
      random: this.random,
    });
    secret.wipe();
    return {
      name,
      sealedValue: Buffer.from(sealed),
      labels: {},
      description: '',
      createOnly: false,
      force: false,
      idempotencyKey: '',
      objectVersion: 0,
      ...fields,
    };
  }

  async set(
    name: string,
    value: string,
    fields: Partial<SetSecretRequest> = {},
  ): ReturnType<SecretsHandlers['set']> {
    return await this.secrets.set(this.setRequest(name, value, fields), CALL);
  }

  #propose(command: Command): Promise<CommandResult> {
    const before = this.beforeApply;
    this.beforeApply = undefined;
    before?.();
    this.proposals.push(command);
    return Promise.resolve(this.#apply(command));
  }

  #apply(command: Command): CommandResult {
    this.#index += 1;
    return this.state.apply(this.#index, decodeCommand(encodeCommand(command)));
  }

  #createCluster(): void {
    const nowMs = this.time.now();
    this.apply({
      kind: 'cluster.create',
      cluster: {
        id: CLUSTER_ID,
        createdAtMs: nowMs,
        epoch: 1,
        rootCertificate: Uint8Array.of(1, 2),
        rootKeySealed: Uint8Array.of(3),
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
          secretValueBytesMax: VALUE_BYTES_MAX,
          heartbeatPeriodMs: 1_500,
          certificates: limits.CERTIFICATES_DEFAULT,
        },
      },
      node: {
        ...nodeFields(CALL.selfNodeId, 'alpha', nowMs),
        role: 'manager',
        wantedRole: 'manager',
        waiting: undefined,
        tokenId: '',
        manager: {
          raftId: 1,
          clusterAddress: 'alpha:7420',
          joinAddress: 'alpha:7421',
          staticPublicKey: Uint8Array.of(1),
          signingPublicKey: Uint8Array.of(1),
          membership: 'voter',
          ringGeneration: 1,
        },
      },
    });
    this.apply({
      kind: 'token.create',
      token: {
        id: 'token',
        role: 'worker',
        publicKey: Uint8Array.of(1),
        expiresAtMs: Number.MAX_SAFE_INTEGER,
        usesLeft: 10_000,
        needsApproval: false,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
        createdAtMs: nowMs,
        createdBy: CALL.actor,
      },
    });
  }
}

function nodeFields(id: string, hostname: string, nowMs: number): JoiningNode {
  return {
    id,
    hostname,
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
      notAfterMs: nowMs + 86_400_000,
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

/** All items of a stream. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
