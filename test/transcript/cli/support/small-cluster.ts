import type { Node, SecretUse, ServiceSpec, ServiceSpecInput } from '@conclave/client';
import type { ErrorCode } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';
import {
  clusterOf,
  localOf,
  nodeOf,
  NOW_MS,
  secretOf,
  serviceOf,
  specOf,
  taskOf,
  tokenOf,
  useOf,
} from '../../../../packages/cli/test/support/objects.js';
import type { Answers } from '../../../../packages/cli/test/support/fake-client.js';
import { adminCalls } from '../../../../packages/cli/test/support/small-admins.js';
import { failure } from '../../../../packages/cli/test/support/run-command.js';

interface Version {
  readonly bytes: Uint8Array;
}

interface StoredSecret {
  versions: Version[];
  current: number;
  previous: number;
  events: { what: string; version: number; index: number }[];
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

const CLUSTER_ID = 'c1';
const MANAGER = 'manager-1';

const replicasOf = ({ replicas = 1 }: ServiceSpec): number => replicas;

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/**
 * What the dialogs talk to: just enough of a cluster that a command sees what an earlier one did.
 * Errors have the codes of the real one; hints come from the table of codes.
 */
export class SmallCluster {
  readonly #secrets = new Map<string, StoredSecret>();
  readonly #services = new Map<string, ServiceSpec>();
  readonly #nodes = new Map<string, Node>();
  readonly #tokens = new Map<string, ReturnType<typeof tokenOf>>();
  readonly #failures = new Map<string, Error>();
  readonly #problems: Problem[] = [];
  #index = 10;
  #state = 'not-initialized';

  /** The next call of a method fails. */
  fail(method: string, code: ErrorCode, message: string): void {
    this.#failures.set(method, failure(code, message));
  }

  addNode(hostname: string, state: string): void {
    const role = hostname.startsWith('manager') ? 'manager' : 'worker';
    const id = `id-of-${hostname}`;
    this.#nodes.set(hostname, nodeOf({ id, hostname, state, role, taskCount: 0 }));
    this.#state = 'ready';
  }

  addProblem(problem: Problem): void {
    this.#problems.push(problem);
  }

  #next(): number {
    this.#index += 1;
    return this.#index;
  }

  /** Answers for the fake client; a scripted failure comes first, once. */
  answers(): Answers {
    const all = { ...this.#membership(), ...this.#secretCalls(), ...this.#serviceCalls() };
    const more = { ...this.#nodeCalls(), ...adminCalls(() => this.#next()) };
    const guarded = Object.entries({ ...all, ...more }).map(([method, answer]) => [
      method,
      (...input: never[]) => {
        const error = this.#failures.get(method);
        this.#failures.delete(method);
        return error ?? (answer as (...input: never[]) => unknown)(...input);
      },
    ]);
    return Object.fromEntries(guarded) as Answers;
  }

  #clusterStatus(): object {
    const [manager] = clusterOf().managers;
    const nodes = [...this.#nodes.values()];
    const nodesReady = nodes.filter(({ state }) => state === 'READY').length;
    const services = [...this.#services.values()];
    return clusterOf({
      clusterId: CLUSTER_ID,
      managers: manager === undefined ? [] : [{ ...manager, hostname: MANAGER }],
      nodesReady,
      nodesDown: nodes.length - nodesReady,
      secrets: this.#secrets.size,
      services: services.length,
      tasksRunning: services.reduce((sum, spec) => sum + replicasOf(spec), 0),
      problems: this.#problems,
    });
  }

  #membership(): Answers {
    return {
      'local.init': ({ advertise = '10.0.0.5' }: { advertise?: string }) => {
        if (this.#state === 'ready') {
          return failure('CV_ALREADY_INITIALIZED', `this host is a member of cluster ${CLUSTER_ID}`);
        }
        this.addNode(MANAGER, 'READY');
        const address = (port: number): string => `${advertise}:${port}`;
        return {
          clusterId: CLUSTER_ID,
          nodeId: `id-of-${MANAGER}`,
          clusterAddress: address(7420),
          joinAddress: address(7421),
          notes: [],
        };
      },
      'local.join': ({ token }: { token: SecretBytes }) => {
        const text = token.use((view) => new TextDecoder().decode(view));
        if (text !== 'cvj1-w-good') return failure('CV_TOKEN_INVALID', 'the token is not known');
        return { clusterId: CLUSTER_ID, nodeId: 'id-of-worker-1', role: 'worker', membership: '', notes: [] };
      },
      'local.leave': () => ({ nodeId: 'id-of-worker-1' }),
      'local.status': () =>
        this.#state === 'ready'
          ? localOf({ clusterId: CLUSTER_ID, hostname: MANAGER, nodeId: `id-of-${MANAGER}` })
          : localOf({ state: this.#state, role: '', nodeId: '', certificateNotAfterMs: 0 }),
      'cluster.status': () => this.#clusterStatus(),
      'cluster.info': () => ({ secretValueBytesMax: 64 }),
      'tokens.create': (spec: { role: 'worker' | 'manager'; uses?: number; ttlMs?: number }) => {
        const { role, uses = 1, ttlMs = 3_600_000 } = spec;
        const id = `t${this.#tokens.size + 1}`;
        const token = tokenOf({ id, role, usesLeft: uses, expiresAtMs: NOW_MS + ttlMs });
        this.#tokens.set(id, token);
        const text = SecretBytes.take(new TextEncoder().encode(`cvj1-${role[0] ?? ''}-example`));
        return { token, text, joinAddresses: ['10.0.0.5:7421'], index: this.#next() };
      },
      'tokens.list': () => [...this.#tokens.values()],
      'tokens.revoke': (id: string) => {
        const token = this.#tokens.get(id);
        if (token === undefined) return failure('CV_TOKEN_NOT_FOUND', `there is no token ${id}`);
        this.#tokens.set(id, { ...token, revoked: true });
        return { index: this.#next() };
      },
    };
  }

  #users(name: string): string[] {
    return [...this.#services.values()]
      .filter(({ bindings }) => bindings.some(({ secretName }) => secretName === name))
      .map((spec) => spec.name);
  }

  #found(name: string, work: (secret: StoredSecret) => unknown): unknown {
    const secret = this.#secrets.get(name);
    return secret === undefined
      ? failure('CV_SECRET_NOT_FOUND', `there is no secret ${name}`)
      : work(secret);
  }

  #done(name: string, secret: StoredSecret, unchanged: boolean): object {
    const affectedTasks = unchanged ? 0 : this.#uses(name, secret).length;
    const index = secret.events.at(-1)?.index ?? 0;
    return { id: `id-of-${name}`, name, version: secret.current, unchanged, index, affectedTasks };
  }

  #point(secret: StoredSecret, what: string, version: number): void {
    secret.previous = secret.current;
    secret.current = version;
    secret.events.push({ what, version, index: this.#next() });
  }

  #uses(name: string, secret: StoredSecret): SecretUse[] {
    return this.#users(name).flatMap((serviceName) =>
      Array.from({ length: this.#services.get(serviceName)?.replicas ?? 0 }, (_, i) =>
        useOf({
          serviceName,
          taskId: `${serviceName}-task-${i + 1}`,
          wantedVersion: secret.current,
          deliveredVersion: secret.current,
          outcome: 'loaded',
        }),
      ),
    );
  }

  #view(name: string, secret: StoredSecret): object {
    return secretOf({
      id: `id-of-${name}`,
      name,
      currentVersion: secret.current,
      usedBy: this.#users(name),
    });
  }

  #secretCalls(): Answers {
    return {
      'secrets.set': (name: string, value: SecretBytes) => {
        const bytes = value.use((view) => view.slice());
        const secret = this.#secrets.get(name) ?? {
          versions: [],
          current: 0,
          previous: 0,
          events: [],
        };
        this.#secrets.set(name, secret);
        const present = secret.versions[secret.current - 1];
        if (present !== undefined && isSame(present.bytes, bytes)) {
          return this.#done(name, secret, true);
        }
        secret.versions.push({ bytes });
        this.#point(secret, secret.versions.length === 1 ? 'created' : 'set', secret.versions.length);
        return this.#done(name, secret, false);
      },
      'secrets.rollback': (name: string, version: number) =>
        this.#found(name, (secret) => {
          const target = version === 0 ? secret.previous : version;
          if (secret.versions[target - 1] === undefined) {
            return failure('CV_VERSION_NOT_FOUND', `${name} has no version ${target}`);
          }
          this.#point(secret, 'rolled-back', target);
          return this.#done(name, secret, false);
        }),
      'secrets.get': (name: string) =>
        this.#found(name, (secret) => this.#view(name, secret)),
      'secrets.list': ({ namePrefix }: { namePrefix: string }) =>
        [...this.#secrets]
          .filter(([name]) => name.startsWith(namePrefix))
          .map(([name, secret]) => this.#view(name, secret)),
      'secrets.history': (name: string) =>
        this.#found(name, ({ events }) =>
          events.map((event, i) => ({
            ...event,
            revision: i + 1,
            atMs: NOW_MS,
            by: { kind: 'admin', id: 'local' },
          })),
        ),
      'secrets.status': (name: string) =>
        this.#found(name, (secret) => this.#uses(name, secret)),
      'secrets.remove': (name: string) =>
        this.#found(name, () => {
          const users = this.#users(name);
          if (users.length > 0) {
            const message = `secret ${name} is used by service ${users.join(', ')}`;
            return failure('CV_SECRET_IN_USE', message);
          }
          this.#secrets.delete(name);
          return { index: this.#next() };
        }),
    };
  }

  #service(spec: ServiceSpec): object {
    const count = replicasOf(spec);
    const id = `id-of-${spec.name}`;
    return serviceOf({ id, spec, desiredTasks: count, runningTasks: count });
  }

  #store(spec: ServiceSpec): object {
    this.#services.set(spec.name, spec);
    return { service: this.#service(spec), index: this.#next() };
  }

  #serviceCalls(): Answers {
    const found = (name: string, work: (spec: ServiceSpec) => unknown): unknown => {
      const spec = this.#services.get(name);
      const missing = failure('CV_SERVICE_NOT_FOUND', `there is no service ${name}`);
      return spec === undefined ? missing : work(spec);
    };
    return {
      'services.create': (input: ServiceSpecInput) => {
        const { name = '', replicas = 1, command = [] } = input;
        if (this.#services.has(name)) {
          return failure('CV_NAME_TAKEN', `there is a service ${name}`);
        }
        const bindings = (input.bindings ?? []).flatMap(({ secretName = '' }) =>
          specOf().bindings.map((binding) => ({ ...binding, secretName })),
        );
        return this.#store(specOf({ name, replicas, command: [...command], bindings }));
      },
      'services.list': () => [...this.#services.values()].map((spec) => this.#service(spec)),
      'services.scale': (name: string, replicas: number) =>
        found(name, (spec) => this.#store({ ...spec, replicas })),
      'services.remove': (name: string) =>
        found(name, () => {
          this.#services.delete(name);
          return { index: this.#next() };
        }),
      'tasks.list': ({ service }: { service: string }) =>
        found(service, (spec) =>
          Array.from({ length: replicasOf(spec) }, (_, i) =>
            taskOf({ id: `${service}-task-${i + 1}`, serviceName: service, slot: i + 1 }),
          ),
        ),
    };
  }

  #nodeCalls(): Answers {
    return {
      'nodes.list': () => [...this.#nodes.values()],
      'nodes.update': (hostname: string, change: Partial<Node>) => {
        const node = this.#nodes.get(hostname);
        if (node === undefined) return failure('CV_NODE_NOT_FOUND', `there is no node ${hostname}`);
        const changed = { ...node, ...change, objectVersion: this.#next() };
        this.#nodes.set(hostname, changed);
        return changed;
      },
      'nodes.remove': (hostname: string, { isForced }: { isForced: boolean }) => {
        const node = this.#nodes.get(hostname);
        if (node === undefined) return failure('CV_NODE_NOT_FOUND', `there is no node ${hostname}`);
        if (node.state === 'READY' && !isForced) {
          return failure('CV_NODE_IN_USE', 'the node is READY: stop it first, or force the removal');
        }
        this.#nodes.delete(hostname);
        const held = [...this.#secrets].map(([secretName, { current: version }]) => ({
          secretId: `id-of-${secretName}`,
          secretName,
          version,
          firstAtMs: NOW_MS,
          lastAtMs: NOW_MS,
        }));
        return { index: this.#next(), held, heldCount: held.length, orphanedTasks: node.taskCount };
      },
    };
  }
}
