import { AssignmentAssembler } from '@conclave/agent';
import type { Assignment } from '@conclave/agent';
import { createId } from '@conclave/kernel';
import {
  agentHello,
  agentOpen,
  managerAccept,
  SecretBytes,
  sessionContext,
} from '@conclave/sealed';
import type { FrameOpener, FrameSealer } from '@conclave/sealed';
import type { BindingSpec, CommandBody, TaskReport } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type {
  AgentMessage,
  AgentMessageInput,
  AssignmentChunk,
  AssignmentChunkInput,
  ManagerMessage,
  ManagerMessageInput,
} from '@conclave/wire';
import { CLUSTER_ID } from '../founded-cluster.js';
import type { FoundedCluster } from '../founded-cluster.js';
import { seededRandom, specOf } from '../scheduling/cluster.js';

/** A message of a manager as it arrives at an agent. */
export function toAgent(message: ManagerMessageInput): ManagerMessage {
  const method = loadWire().Dispatcher.Session;
  return method.decodeResponse(method.encodeResponse(message));
}

/** A message of an agent as it arrives at a manager. */
export function toManager(message: AgentMessageInput): AgentMessage {
  const method = loadWire().Dispatcher.Session;
  return method.decodeRequest(method.encodeRequest(message));
}

export function chunkOf(assignments: AssignmentChunkInput): AssignmentChunk {
  const chunk = toAgent({ assignments }).assignments;
  if (chunk === null || chunk === undefined) throw new Error('there is no chunk');
  return chunk;
}

/** Both ends of a session's frames, without a stream between them. */
export function frameEnds(): { readonly sealer: FrameSealer; readonly opener: FrameOpener } {
  const random = seededRandom(21);
  const { hello, privateKey } = agentHello(random);
  const binding = {
    clusterId: CLUSTER_ID,
    nodeId: 'node',
    agentSerial: 'a1',
    managerSerial: 'b2',
    context: new Uint8Array(0),
  };
  const { accept, sealer } = managerAccept({ hello, binding, random });
  const { opener } = agentOpen({ hello, privateKey, accept, binding });
  return { sealer, opener };
}

/** What an agent makes of assignments: checks them as the real one and keeps the values. */
export class ReceivingAgent {
  readonly held = new Map<string, string>();
  /** Names of the values that came with the last assignment. */
  arrived: string[] = [];
  assignment: Assignment | undefined;
  readonly #assembler: AssignmentAssembler;

  constructor(opener: FrameOpener, held: readonly string[] = []) {
    for (const key of held) this.held.set(key, 'from before');
    this.#assembler = new AssignmentAssembler({
      opener,
      position: { epoch: 0, index: 0 },
      isHeld: (key) => this.held.has(key),
    });
  }

  /** True when the chunk was the last of an assignment. */
  take(chunk: AssignmentChunk): boolean {
    const assignment = this.#assembler.add(chunk);
    if (assignment === undefined) return false;
    this.assignment = assignment;
    this.arrived = [...assignment.values.keys()].sort();
    for (const [key, value] of assignment.values) {
      this.held.set(
        key,
        value.use((bytes) => Buffer.from(bytes).toString('latin1')),
      );
    }
    return true;
  }

  /** Tasks as the agent knows them: what to do about each, and the files of those that run. */
  tasks(): Record<string, string> {
    return Object.fromEntries(
      [...(this.assignment?.tasks ?? [])].map(([id, task]) => [
        id,
        task.kind === 'end' ? 'end' : task.files.map((file) => file.target).join(','),
      ]),
    );
  }
}

/** Secrets, services and tasks put straight into the tables. */
export class Workload {
  readonly #cluster: FoundedCluster;
  readonly #random = seededRandom(33);

  constructor(cluster: FoundedCluster) {
    this.#cluster = cluster;
  }

  /** A new version of a secret; answers the id of the secret. */
  secret(name: string, text: string | Uint8Array): string {
    const { state, keys } = this.#cluster;
    const known = state.secretByName(name);
    const newId = createId(this.#random);
    const secretId = known?.id ?? newId;
    const version = (known?.latestVersion ?? 0) + 1;
    const value = SecretBytes.take(
      typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'latin1')) : text,
    );
    const ring = keys.requireRing();
    const place = { clusterId: CLUSTER_ID, secretId, version, value, random: this.#random };
    const body: CommandBody = {
      kind: 'secret.set',
      newId,
      name,
      secretId,
      version,
      sealed: ring.sealValue(place),
      digest: ring.digestValue({ secretId, value }),
      compared: { keyId: ring.currentKeyId, digest: ring.digestValue({ secretId, value }) },
      labels: {},
      description: '',
      createOnly: false,
      force: true,
      objectVersion: 0,
    };
    this.#cluster.apply(body);
    return secretId;
  }

  binding(name: string, fields: Partial<BindingSpec> = {}): BindingSpec {
    return {
      secretId: this.#cluster.state.secretByName(name)?.id ?? createId(this.#random),
      secretName: name,
      version: 0,
      target: name,
      uid: undefined,
      gid: undefined,
      mode: 0o400,
      onChange: { kind: 'none' },
      isOptional: false,
      ...fields,
    };
  }

  /** A task of a service of its own, assigned to a node. */
  task(nodeId: string, bindings: readonly BindingSpec[], env: Record<string, string> = {}): string {
    const serviceId = createId(this.#random);
    const id = createId(this.#random);
    const spec = specOf({ name: `service-${serviceId}`, bindings, env });
    this.#cluster.apply({ kind: 'service.create', id: serviceId, spec });
    const { specVersion = 0 } = this.#cluster.state.serviceById(serviceId) ?? {};
    this.#cluster.apply({
      kind: 'tasks.schedule',
      changes: [
        {
          kind: 'create',
          id,
          serviceId,
          slot: 1,
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

  desire(id: string, desiredState: 'SHUTDOWN' | 'REMOVE'): void {
    this.#cluster.apply({
      kind: 'tasks.schedule',
      changes: [{ kind: 'desire', id, desiredState }],
    });
  }

  delete(id: string): void {
    this.#cluster.apply({ kind: 'tasks.schedule', changes: [{ kind: 'delete', id }] });
  }

  report(nodeId: string, taskId: string, state: TaskReport['state']): void {
    const report = { nodeId, taskId, state, message: '', error: '', exitCode: undefined };
    this.#cluster.apply({
      kind: 'tasks.report',
      reports: [{ ...report, atMs: this.#cluster.time.now() }],
    });
  }
}

/** The context that both ends of a session bind it to. */
export function contextOf(sessionId: string): Uint8Array {
  return sessionContext({
    protocol: 1,
    bootId: 'boot',
    clusterEpoch: 0,
    appliedIndex: 0,
    sessionId,
  });
}
