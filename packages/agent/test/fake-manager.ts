import { createId } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import {
  createSigningKey,
  deliveryFields,
  managerAccept,
  sessionContext,
  signTranscript,
} from '@conclave/sealed';
import type { FrameSealer } from '@conclave/sealed';
import type {
  AgentMessage,
  AgentMessageInput,
  AssignmentChunk,
  ManagerMessage,
  SecretPart,
  ServiceSpec,
  TaskAssignment,
} from '@conclave/wire';
import { loadWire } from '@conclave/wire';

import type { ManagerConnection, ManagerDialer, ManagerPlace } from '../src/index.js';

export interface FakeBinding {
  readonly target: string;
  readonly secretId: string;
  readonly version: number;
  readonly onChange?: { kind: string; signal: string; command: string };
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
  readonly optional?: boolean;
  /** Version that the binding is pinned to. */
  readonly pinned?: number;
}

export interface FakeTask {
  readonly id: string;
  readonly desiredState?: string;
  readonly undeliverable?: string;
  readonly bindings?: readonly FakeBinding[];
  readonly spec?: Partial<ServiceSpec>;
  readonly secrets?: TaskAssignment['secrets'];
}

export function taskMessage(task: FakeTask): TaskAssignment {
  const { desiredState = 'RUNNING', undeliverable = '', bindings = [] } = task;
  const isRunning = desiredState === 'RUNNING' && undeliverable === '';
  return {
    id: task.id,
    serviceId: 'service',
    serviceName: 'web',
    slot: 1,
    desiredState,
    spec: {
      name: 'web',
      runtime: '',
      command: ['run'],
      image: '',
      env: {},
      workingDirectory: '',
      user: '',
      mode: '',
      bindings: bindings.map((binding) => ({
        secretId: binding.secretId,
        secretName: 'name',
        version: binding.pinned ?? 0,
        target: binding.target,
        ...(binding.uid === undefined ? {} : { uid: binding.uid }),
        ...(binding.gid === undefined ? {} : { gid: binding.gid }),
        ...(binding.mode === undefined ? {} : { mode: binding.mode }),
        onChange: binding.onChange ?? null,
        optional: binding.optional ?? false,
      })),
      constraints: [],
      restart: null,
      update: null,
      stopSignal: '',
      labels: {},
      replicasPerNodeMax: 0,
      ...task.spec,
    },
    secrets:
      task.secrets ??
      (isRunning
        ? bindings.map(({ secretId, version }, binding) => ({ binding, secretId, version }))
        : []),
    objectVersion: 1,
    undeliverable,
  };
}

/** What a manager sends in one assignment. */
export interface FakeAssignment {
  readonly tasks?: readonly FakeTask[];
  readonly tasksRemoved?: readonly string[];
  /** Values by `id@version`, with the ids of the tasks that use each. */
  readonly values?: Readonly<Record<string, { text: string; taskIds: readonly string[] }>>;
  readonly held?: readonly string[];
  readonly secretsRemoved?: readonly string[];
  readonly kind?: 'complete' | 'incremental';
  /** Replaces fields of every chunk. */
  readonly head?: Partial<AssignmentChunk>;
  readonly partBytes?: number;
}

const nameOf = (key: string): { secretId: string; version: number } => {
  const [secretId = '', version] = key.split('@');
  return { secretId, version: Number(version) };
};

/** The manager's end of one session, driven by a test; speaks through the real codec. */
export class FakeSession {
  readonly received: AgentMessage[] = [];
  sealer: FrameSealer | undefined;
  sessionId = 'session';
  sequence = 0;
  /** Acknowledges reports at once. */
  acknowledges = true;
  isClosed = false;
  readonly #queue: ManagerMessage[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;
  #failure: Error | undefined;
  readonly #manager: FakeManager;
  index: number;

  constructor(manager: FakeManager) {
    this.#manager = manager;
    this.index = manager.index;
  }

  get connection(): ManagerConnection {
    return {
      write: (message) => this.#take(message),
      messages: this.#messages(),
      managerSerial: () => this.#manager.serial,
      agentSerial: () => 'a1',
      close: () => {
        this.isClosed = true;
        this.end();
      },
    };
  }

  /** Everything of one kind that the agent sent. */
  all<K extends keyof AgentMessage>(kind: K): NonNullable<AgentMessage[K]>[] {
    return this.received.flatMap((message) => {
      const part = message[kind];
      return part === undefined || part === null ? [] : [part];
    });
  }

  get states(): string[] {
    return this.all('taskReports').flatMap(({ reports }) =>
      reports.map(({ taskId, state }) => `${taskId} ${state}`),
    );
  }

  get receipts(): string[] {
    return this.all('receiptReports').flatMap(({ reports }) =>
      reports.map(({ target, version, outcome }) => `${target} ${version} ${outcome}`),
    );
  }

  send(message: Parameters<ReturnType<typeof wireSession>['encodeResponse']>[0]): void {
    const wire = wireSession();
    this.#queue.push(wire.decodeResponse(wire.encodeResponse(message)));
    this.#wake();
  }

  end(failure?: Error): void {
    this.#isOver = true;
    this.#failure = failure;
    this.#wake();
  }

  accept(changes: { managerId?: string; nodeId?: string; signer?: FakeManager } = {}): void {
    const [hello] = this.all('hello');
    if (hello === undefined) throw new Error('there was no Hello');
    const { random, cluster } = this.#manager;
    const { accept, sealer, transcript } = managerAccept({
      hello: { kemPublicKey: hello.kemPublicKey, nonce: hello.nonce },
      binding: {
        ...cluster,
        agentSerial: 'a1',
        managerSerial: this.#manager.serial,
        context: sessionContext({
          protocol: hello.protocol,
          bootId: hello.bootId,
          clusterEpoch: hello.clusterEpoch,
          appliedIndex: hello.appliedIndex,
          sessionId: this.sessionId,
        }),
      },
      random,
    });
    this.sealer = sealer;
    const signer = changes.signer ?? this.#manager;
    this.send({
      accept: {
        sessionId: this.sessionId,
        kemCiphertext: accept.ciphertext,
        nonce: accept.nonce,
        streamHeader: accept.header,
        managerId: changes.managerId ?? this.#manager.place.nodeId,
        signature: signTranscript(signer.signing.privateKey, transcript),
        info: { heartbeatPeriodMs: 1_500, managers: [], availability: 'active' },
        clusterId: cluster.clusterId,
        nodeId: changes.nodeId ?? cluster.nodeId,
      },
    });
  }

  /** Sends an assignment: tasks in one chunk, values in the next ones. */
  assign(assignment: FakeAssignment): void {
    for (const chunk of this.chunks(assignment)) this.send({ assignments: chunk });
  }

  chunks(assignment: FakeAssignment): AssignmentChunk[] {
    const kind = assignment.kind ?? (this.sequence === 0 ? 'complete' : 'incremental');
    const appliesTo = kind === 'complete' ? 0 : this.sequence;
    this.sequence += 1;
    this.index += 1;
    this.#manager.index = Math.max(this.#manager.index, this.index);
    const head = {
      kind,
      appliesTo,
      resultsIn: this.sequence,
      index: this.index,
      clusterEpoch: 1,
      tasks: [],
      tasksRemoved: [],
      secrets: [],
      secretsRemoved: [],
      last: false,
    };
    const chunks = [
      {
        ...head,
        tasks: (assignment.tasks ?? []).map(taskMessage),
        tasksRemoved: [...(assignment.tasksRemoved ?? [])],
        secretsRemoved: (assignment.secretsRemoved ?? []).map(nameOf),
      },
      ...this.#parts(assignment).map((part) => ({ ...head, secrets: [part] })),
      { ...head, last: true },
    ];
    return chunks.map((chunk, number) => ({ ...chunk, chunk: number, ...assignment.head }));
  }

  #parts(assignment: FakeAssignment): SecretPart[] {
    const { partBytes = 1_000_000, head } = assignment;
    const held = (assignment.held ?? []).map((key) => ({
      ...nameOf(key),
      part: 0,
      parts: 0,
      frame: Buffer.alloc(0),
      held: true,
    }));
    const sent = Object.entries(assignment.values ?? {}).flatMap(([key, { text, taskIds }]) => {
      const name = nameOf(key);
      const bytes = new TextEncoder().encode(text);
      const place = { ...name, index: head?.index ?? this.index, clusterEpoch: 1, taskIds };
      const parts = Math.max(1, Math.ceil(bytes.length / partBytes));
      return Array.from({ length: parts }, (_, part) => {
        const plaintext = bytes.slice(part * partBytes, (part + 1) * partBytes);
        const aad = [...deliveryFields(place), part, parts];
        const frame = this.sealer?.seal({ aad, plaintext }) ?? new Uint8Array(0);
        return { ...name, part, parts, frame: Buffer.from(frame), held: false };
      });
    });
    return [...held, ...sent];
  }

  #take(message: AgentMessageInput): Promise<void> {
    if (this.#isOver) return Promise.reject(new Error('the stream is over'));
    const wire = wireSession();
    const decoded = wire.decodeRequest(wire.encodeRequest(message));
    this.received.push(decoded);
    const batch = decoded.taskReports?.batch ?? decoded.receiptReports?.batch;
    if (batch !== undefined && this.acknowledges) this.send({ reportAck: { batch } });
    return Promise.resolve();
  }

  async *#messages(): AsyncGenerator<ManagerMessage> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        yield message;
        continue;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function wireSession() {
  return loadWire().Dispatcher.Session;
}

/** A manager that a test plays; it remembers the sessions that agents opened. */
export class FakeManager {
  readonly place: ManagerPlace;
  readonly serial = 'b2';
  readonly signing: ReturnType<typeof createSigningKey>;
  readonly sessions: FakeSession[] = [];
  isReachable = true;
  index = 10;
  readonly random: Random;
  readonly cluster: { readonly clusterId: string; readonly nodeId: string };

  constructor(options: {
    random: Random;
    cluster: { readonly clusterId: string; readonly nodeId: string };
  }) {
    this.random = options.random;
    this.cluster = options.cluster;
    this.signing = createSigningKey(this.random);
    const nodeId = createId(this.random);
    this.place = {
      nodeId,
      address: `${nodeId}:7420`,
      joinAddress: `${nodeId}:7421`,
      signingPublicKey: this.signing.publicKey,
    };
  }

  get session(): FakeSession {
    const last = this.sessions.at(-1);
    if (last === undefined) throw new Error('no session was opened');
    return last;
  }
}

/** Leads agents to the managers of a test. */
export function dialerTo(managers: readonly FakeManager[]): ManagerDialer {
  return {
    dial: (place) => {
      const manager = managers.find((one) => one.place.nodeId === place.nodeId);
      if (manager === undefined) throw new Error('no such manager');
      const session = new FakeSession(manager);
      if (manager.isReachable) manager.sessions.push(session);
      else session.end(new Error('unreachable'));
      return session.connection;
    },
  };
}
