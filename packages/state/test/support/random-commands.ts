import fc from 'fast-check';
import type {
  BindingSpec,
  CommandBody,
  TaskChange,
  TaskReport,
  TaskState,
} from '../../src/index.js';
import { TASK_STATES } from '../../src/index.js';
import type { Bench } from './bench.js';
import {
  adminFields,
  bindingSpec,
  equipment,
  managerFields,
  nodeFields,
  serviceSpec,
  tokenFields,
} from './bench.js';
import { sampleCommands } from './samples.js';

/** A command in outline: what it is, and numbers that pick what it is about. */
export interface Outline {
  readonly what: (typeof KINDS)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly flag: boolean;
  /** 0: no idempotency key. */
  readonly key: number;
}

const KINDS = [
  'set',
  'set',
  'set',
  'update-secret',
  'rollback',
  'destroy',
  'remove-secret',
  'create-service',
  'create-service',
  'update-service',
  'update-state',
  'remove-service',
  'create-task',
  'create-task',
  'create-task',
  'assign',
  'assign',
  'assign',
  'change-task',
  'report',
  'report',
  'receipt',
  'join',
  'join',
  'join',
  'observe',
  'observe',
  'node',
  'node',
  'remove-node',
  'role',
  'role',
  'token',
  'token',
  'admin',
  'admin',
  'settings',
  'ring',
  'ring',
  'ring',
  'ring',
  'ring',
] as const;

/** Long lists of outlines; few names and ids, so that commands meet each other. */
export const outlines: fc.Arbitrary<Outline[]> = fc.array(
  fc.record({
    what: fc.constantFrom(...KINDS),
    a: fc.nat(7),
    b: fc.nat(7),
    c: fc.nat(7),
    flag: fc.boolean(),
    key: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(5)),
  }),
  { minLength: 20, maxLength: 120, size: 'max' },
);

const NAMES = ['a', 'A', 'b', 'db-2', 'db-10', 'c', 'B', 'd'];
const secretId = (bench: Bench, pick: number): string =>
  bench.state.secretByName(NAMES[pick] ?? 'a')?.id ?? 'nobody';
const taskId = (bench: Bench, pick: number): string => {
  const tasks = [...bench.state.tasks()];
  return tasks[pick % Math.max(tasks.length, 1)]?.id ?? 'nobody';
};

function bindings(bench: Bench, { a, b, c, flag }: Outline): BindingSpec[] {
  return [a, b].slice(0, c % 3).map((pick, place) => {
    const id = secretId(bench, pick);
    const secretName = bench.state.secretById(id)?.name ?? 'gone';
    const target = flag ? `file-${place}` : secretName;
    const version = c > 4 ? 1 : 0;
    return bindingSpec({ secretId: id, secretName, target, version, isOptional: c === 3 });
  });
}

function secretBody(bench: Bench, outline: Outline): CommandBody | undefined {
  const { what, a, b, c, flag } = outline;
  const id = secretId(bench, a);
  switch (what) {
    case 'set': {
      const force = c === 0;
      const fresh = `id-${bench.log.length}`;
      const known = bench.state.secretByName(NAMES[a] ?? 'a');
      const ids = { newId: fresh, secretId: c === 1 ? 'wrong' : (known?.id ?? fresh) };
      const version = { version: (known?.latestVersion ?? 0) + (c === 2 ? 0 : 1) };
      const read = flag ? { objectVersion: known?.objectVersion ?? 0 } : {};
      const fields = { ...ids, ...version, ...read, force, createOnly: c === 3 };
      return bench.setCommand(NAMES[a] ?? 'a', b, fields);
    }
    case 'update-secret': {
      const objectVersion = flag ? 0 : b;
      return {
        kind: 'secret.update',
        id,
        objectVersion,
        labels: { b: String(b) },
        description: '',
      };
    }
    case 'rollback':
      return { kind: 'secret.rollback', id, version: b % 4 };
    case 'destroy':
      return { kind: 'secret.destroy-version', id, version: b % 4, force: flag };
    case 'remove-secret':
      return { kind: 'secret.remove', id };
    default:
      return undefined;
  }
}

function serviceBody(bench: Bench, outline: Outline): CommandBody | undefined {
  const { what, a, b, c, flag } = outline;
  const name = NAMES[a % 3] ?? 'a';
  const known = bench.state.serviceByName(name);
  const mode = a === 2 ? 'global' : 'replicated';
  const id = known?.id ?? 'nobody';
  switch (what) {
    case 'create-service': {
      const spec = serviceSpec({ name, mode, bindings: bindings(bench, outline) });
      return { kind: 'service.create', id: `service-${bench.log.length}`, spec };
    }
    case 'update-service': {
      const fields = { replicas: b, user: c > 3 ? 'app' : '', bindings: bindings(bench, outline) };
      const spec = serviceSpec({ ...known?.spec, ...fields, name: b === 0 ? 'renamed' : name });
      return { kind: 'service.update', id, spec, objectVersion: flag ? 0 : c };
    }
    case 'update-state': {
      const changed = bench.state.services().find((row) => row.previousSpec !== undefined);
      if (changed !== undefined && c > 4) {
        const specVersion = flag ? changed.specVersion : b;
        return { kind: 'service.rollback', id: changed.id, specVersion, reason: String(c) };
      }
      const specVersion = flag ? (known?.specVersion ?? 0) : b;
      const state = c > 3 ? 'completed' : 'paused';
      return { kind: 'service.update-state', id, specVersion, state, message: String(c) };
    }
    case 'remove-service':
      return { kind: 'service.remove', id };
    default:
      return undefined;
  }
}

const node = (pick: number): string => `n${pick % 4}`;

function taskChange(bench: Bench, { what, a, b, c, flag }: Outline): TaskChange {
  const id = taskId(bench, a);
  if (what === 'create-task') {
    const service = bench.state.serviceByName(NAMES[a % 3] ?? 'a');
    const isGlobal = service?.spec.mode === 'global';
    return {
      kind: 'create',
      id: `task-${bench.log.length}-${b}`,
      serviceId: service?.id ?? 'nobody',
      slot: isGlobal ? 0 : b + 1,
      nodeId: isGlobal ? node(c) : '',
      specVersion: service?.specVersion ?? 1,
      notBeforeMs: flag && b === 0 ? bench.atMs + 5 : 0,
      message: '',
    };
  }
  if (what === 'assign') return { kind: 'assign', id, nodeId: node(b) };
  switch (b % 5) {
    case 0:
      return { kind: 'explain', id, message: String(c) };
    case 1:
      return { kind: 'desire', id, desiredState: flag ? 'SHUTDOWN' : 'REMOVE' };
    case 2:
      return { kind: 'end', id, state: flag ? 'REJECTED' : 'ORPHANED', message: '' };
    default:
      return { kind: 'delete', id };
  }
}

function taskBody(bench: Bench, outline: Outline): CommandBody | undefined {
  const { what, a, b, c, flag } = outline;
  const id = taskId(bench, a);
  const task = bench.state.taskById(id);
  const nodeId = flag ? (task?.nodeId ?? '') : node(c);
  switch (what) {
    case 'create-task':
    case 'assign':
    case 'change-task': {
      const second = { ...outline, a: outline.a + 1, b: outline.b + 1 };
      const changes = [taskChange(bench, outline), taskChange(bench, second)];
      return { kind: 'tasks.schedule', changes };
    }
    case 'report': {
      const state: TaskState = TASK_STATES[(b * 8 + c) % TASK_STATES.length] ?? 'NEW';
      const text = { message: '', error: '', exitCode: flag ? c : undefined };
      const report: TaskReport = { nodeId, taskId: id, state, atMs: bench.atMs, ...text };
      return { kind: 'tasks.report', reports: [report, { ...report, taskId: 'nobody' }] };
    }
    case 'receipt': {
      const binding = task?.spec.bindings[0];
      const about = { target: binding?.target ?? 'x', secretId: binding?.secretId ?? 'x' };
      const rest = { version: b % 3, outcome: 'delivered', detail: '', atMs: 1 } as const;
      const receipts = [{ taskId: id, nodeId, ...about, ...rest }];
      return { kind: 'receipts.report', receipts };
    }
    default:
      return undefined;
  }
}

function adminBody(bench: Bench, { a, b, c, flag }: Outline): CommandBody {
  const id = `admin-${a % 3}`;
  if (c === 0) return { kind: 'admin.revoke', id };
  const notAfterMs = bench.atMs + (flag ? 1_000 : 3);
  const certificate = {
    serial: `admin-${b}-${c}`,
    notAfterMs,
    publicKeyHash: `admin-key-${b}`,
    root: 1,
    notBeforeMs: 0,
  };
  if (c < 4) {
    const usedSerial = bench.state.adminById(id)?.certificate.serial ?? 'none';
    return { kind: 'admin.renew', id, usedSerial, certificate, previousUntilMs: bench.atMs + 2 };
  }
  const name = NAMES[b % 4] ?? 'a';
  return { kind: 'admin.create', admin: adminFields(id, { name, certificate, uses: ['db-2'] }) };
}

function nodeBody(bench: Bench, outline: Outline): CommandBody {
  const { what, a, b, c, flag } = outline;
  const id = node(a);
  switch (what) {
    case 'join': {
      const certificate = {
        serial: `serial-${bench.log.length}`,
        notAfterMs: 1,
        publicKeyHash: flag ? `key-${bench.log.length}` : `key-${b}`,
        root: 1,
        notBeforeMs: 0,
      };
      const manager = c === 0 ? managerFields(b) : undefined;
      const tokenId = ['token-1', 'token-2', 'token-2'][c] ?? 'token-0';
      return { kind: 'node.join', tokenId, node: nodeFields(id, { certificate, manager }) };
    }
    case 'observe': {
      const description = { daemonVersion: '1', executors: [] };
      const session = c === 0 ? { id: `session-${b}`, ...description } : undefined;
      const state = b < 6 ? 'READY' : 'DOWN';
      return { kind: 'nodes.observe', nodes: [{ id, state, message: '', session }] };
    }
    case 'remove-node':
      return { kind: 'node.remove', id, force: flag };
    case 'role':
      if (c === 0) return compromiseBody(bench, id, { b, flag });
      return roleBody(bench, id, b);
    case 'token': {
      if (flag && b < 4) return { kind: 'token.revoke', id: `token-${a % 3}` };
      const role = a % 3 === 1 ? 'manager' : 'worker';
      return {
        kind: 'token.create',
        token: tokenFields(`token-${a % 3}`, {
          role,
          usesLeft: 3 + b,
          needsApproval: a % 3 === 2,
          addressRanges: flag ? ['10.0.0.0/8'] : [],
          hostnamePattern: flag ? 'web-*' : '',
        }),
      };
    }
    case 'admin':
      return adminBody(bench, outline);
    case 'settings': {
      const certificates = { managerLifeMs: a, workerLifeMs: undefined, adminLifeMs: c };
      if (flag) return recoveryBody(bench, { a, b });
      return { kind: 'cluster.settings', objectVersion: b % 2, certificates };
    }
    case 'ring':
      return ringBody(bench, { a, b });
    default:
      return nodeUpdate(id, { b, c, flag });
  }
}

/** Any step of a change of role, most often the one that comes next. */
function roleBody(bench: Bench, drawn: string, b: number): CommandBody {
  const waits = [...bench.state.nodes()].find(({ waiting }) => waiting !== undefined);
  if (waits !== undefined && b > 5) return { kind: 'node.approve', id: waits.id };
  const underWay = [...bench.state.nodes()].find(({ role, wantedRole }) => role !== wantedRole);
  const id = b > 2 ? (underWay?.id ?? drawn) : drawn;
  const row = bench.state.nodeById(id);
  if (b === 0 || row === undefined) return { kind: 'node.demoted', id };
  if (row.wantedRole === 'worker' && row.role === 'manager') return { kind: 'node.demoted', id };
  if (row.wantedRole === 'manager' && row.role === 'worker' && b > 3) {
    const { serial } = row.certificate;
    const made = `manager-${bench.log.length}`;
    const certificate = {
      serial: made,
      notBeforeMs: 0,
      root: bench.state.cluster()?.rootGeneration ?? 0,
      notAfterMs: 1,
      publicKeyHash: made,
    };
    const manager = equipment(100 + bench.log.length);
    return { kind: 'node.equip', id, usedSerial: serial, certificate, manager };
  }
  return { kind: 'node.set-role', id, role: b % 2 === 0 ? 'manager' : 'worker' };
}

/** Any step of a rotation, most often the one that comes next. */
function ringBody(bench: Bench, { a, b }: { readonly a: number; readonly b: number }): CommandBody {
  const cluster = bench.state.cluster();
  const rotation = cluster?.ringRotation;
  const keyId = a === 0 ? b : (rotation?.keyId ?? 0);
  const ringGeneration = rotation?.generation ?? 0;
  const lacking = [...bench.state.nodes()].find(
    ({ manager }) => manager !== undefined && manager.ringGeneration < ringGeneration,
  );
  if (lacking !== undefined && a < 6) {
    return { kind: 'node.membership', id: lacking.id, membership: undefined, ringGeneration };
  }
  const versions = [...bench.state.secrets()].flatMap(({ id }) => bench.state.secretVersions(id));
  const steps: CommandBody[] = [
    { kind: 'ring.rotate' },
    { kind: 'ring.offer', keyId: keyId + 1, commitment: Uint8Array.of(a, b) },
    { kind: 'ring.activate', keyId },
    {
      kind: 'ring.rewrap',
      keyId,
      versions: versions.slice(a === 1 ? 1 : 0).map(({ secretId, version }) => ({
        secretId,
        version,
        wrappedDek: Uint8Array.of(a, b),
        digest: Uint8Array.of(b),
      })),
      rootKeySealed: a === 2 ? undefined : Uint8Array.of(b),
    },
    { kind: 'ring.retire', keyId },
    { kind: 'ring.finish', keyId },
  ];
  const phases = ['', 'offering', 'spreading', 'rewrapping', '', 'retiring'];
  const phase = rotation?.phase ?? '';
  const isMoved = cluster?.rootKeyId === keyId && bench.state.countOtherKeys(keyId) === 0;
  const next = phases.indexOf(phase) + (phase === 'rewrapping' && isMoved ? 1 : 0);
  return steps[a > 6 ? b % steps.length : next] ?? { kind: 'ring.rotate' };
}

/** The beginning of a recovery from a compromise, or its end. */
function compromiseBody(
  bench: Bench,
  id: string,
  { b, flag }: { readonly b: number; readonly flag: boolean },
): CommandBody {
  const isOver = bench.state.openCompromiseSteps().length === 0;
  if (b > 6 && isOver) return { kind: 'compromise.finish' };
  return { kind: 'compromise.begin', evict: b === 0 ? [] : [id], endsAdmins: flag };
}

/** Any step of a new recovery key, most often the one that comes next. */
function recoveryBody(
  bench: Bench,
  { a, b }: { readonly a: number; readonly b: number },
): CommandBody {
  const cluster = bench.state.cluster();
  const staged = cluster?.stagedRecovery;
  const old = cluster?.oldRecoveryOn[0];
  if (old !== undefined && a > 5) {
    return { kind: 'recovery.sealed', id: old, generation: cluster?.recovery.generation ?? 0 };
  }
  if (staged === undefined || a === 0) {
    const recovery = { publicKey: Uint8Array.of(b), threshold: 0, shareHashes: [] };
    return { kind: 'recovery.stage', recovery };
  }
  const generation = a === 1 ? b : staged.generation;
  const lacking = [...bench.state.nodes()].find(
    ({ id, manager }) => manager !== undefined && !cluster?.stagedRecoveryBy.includes(id),
  );
  if (lacking !== undefined && a < 7)
    return { kind: 'recovery.sealed', id: lacking.id, generation };
  return { kind: 'recovery.confirm', generation };
}

function nodeUpdate(
  id: string,
  { b, c, flag }: { readonly b: number; readonly c: number; readonly flag: boolean },
): CommandBody {
  const ringGeneration = flag ? b : undefined;
  if (b < 2) {
    const membership = c > 4 ? 'removing' : 'voter';
    return { kind: 'node.membership', id, membership, ringGeneration };
  }
  if (b < 4) {
    const certificate = {
      serial: `renewed-${b}-${c}`,
      notAfterMs: 1,
      publicKeyHash: `key-${c}`,
      root: 1,
      notBeforeMs: 0,
    };
    const usedSerial = flag ? `cert-${id}` : `renewed-${b}-${(c + 1) % 8}`;
    return { kind: 'node.renew', id, usedSerial, certificate, previousUntilMs: 5 };
  }
  const availability = c > 5 ? 'drain' : 'active';
  const labels = { labelsSet: { c: String(c) }, labelsRemove: ['old'] };
  return { kind: 'node.update', id, objectVersion: 0, availability, ...labels };
}

/** Applies what the outline stands for at this state; the bench keeps it in its log. */
export function applyOutline(bench: Bench, outline: Outline): void {
  const body =
    secretBody(bench, outline) ??
    serviceBody(bench, outline) ??
    taskBody(bench, outline) ??
    nodeBody(bench, outline);
  const { key } = outline;
  const fingerprint = outline.flag ? outline.what : 'other';
  // Some entries are of an administrator who may be gone, or have no right to use a secret.
  const isOfAdmin =
    (outline.a === 7 && outline.b < 3) || /^(?:create|update)-service$/.test(outline.what);
  const by = {
    kind: 'admin',
    id: isOfAdmin && outline.a > 4 ? `admin-${outline.b % 3}` : 'local',
  } as const;
  bench.apply(body, { by, ...(key === 0 ? {} : { request: { key: `key-${key}`, fingerprint } }) });
}

/** Secrets, services that bind them, and tasks on two nodes: something to work on. */
export function furnish(bench: Bench): void {
  for (const command of sampleCommands()) {
    if (command.kind === 'cluster.create') bench.apply(command);
  }
  bench.apply({ kind: 'token.create', token: tokenFields('token-0') });
  bench.apply({ kind: 'token.create', token: tokenFields('token-1', { role: 'manager' }) });
  for (const id of ['n0', 'n1']) {
    bench.apply({ kind: 'node.join', tokenId: 'token-0', node: nodeFields(id) });
    bench.apply({
      kind: 'nodes.observe',
      nodes: [{ id, state: 'READY', message: '', session: undefined }],
    });
  }
  for (const id of ['admin-0', 'admin-1']) {
    bench.apply({ kind: 'admin.create', admin: adminFields(id, { uses: ['db-2'] }) });
  }
  for (const name of ['a', 'b', 'c']) bench.apply(bench.setCommand(name, 1));
  const follows = [bindingSpec({ secretId: 'id-a' }), bindingSpec({ secretId: 'id-b' })];
  const pins = [bindingSpec({ secretId: 'id-b', version: 1 })];
  bench.service('a', { bindings: follows });
  bench.service('db', { bindings: [...follows.slice(0, 1), ...pins] });
  // Not in the order of the ids, so that an order that only an index knows is noticed.
  bench.task('task-2', 'service-a', 'n1');
  bench.task('task-1', 'service-a', 'n0');
  bench.task('task-0', 'service-db', 'n0');
}
