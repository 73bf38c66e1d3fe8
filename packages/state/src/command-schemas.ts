import type {
  Command,
  CommandBody,
  NodeObservation,
  RewrappedVersion,
  TaskChange,
  TaskReport,
} from './commands.js';
import {
  actor,
  adminFields,
  certificate,
  clusterFields,
  labels,
  managerFields,
  nodeFields,
  receiptFields,
  recoveryFields,
  root,
  sealedValue,
  serviceSpec,
  taskState,
  tokenFields,
} from './row-schemas.js';
import type { Fields, Parser } from './schema.js';
import {
  bytes,
  count,
  fields,
  flag,
  list,
  oneOf,
  optional,
  text,
  variants,
  whole,
} from './schema.js';

type Kind = CommandBody['kind'];
type BodyOf<K extends Kind> = Extract<CommandBody, { kind: K }>;
type Bodies = { readonly [K in Kind]: Omit<Fields<BodyOf<K>>, 'kind'> };

/** The fields without one of them: rows travel without what apply adds to them. */
function without<T extends object, Key extends keyof T>(all: T, ...keys: Key[]): Omit<T, Key> {
  const dropped = new Set<string>(keys.map(String));
  const kept = Object.entries(all).filter(([key]) => !dropped.has(key));
  return Object.fromEntries(kept) as Omit<T, Key>;
}

type ChangeOf<K extends TaskChange['kind']> = Extract<TaskChange, { kind: K }>;

const taskChange: Parser<TaskChange> = variants<TaskChange>('kind', {
  create: fields<ChangeOf<'create'>>({
    kind: oneOf('create'),
    id: text,
    serviceId: text,
    slot: count,
    nodeId: text,
    specVersion: count,
    notBeforeMs: count,
    message: text,
  }),
  assign: fields<ChangeOf<'assign'>>({ kind: oneOf('assign'), id: text, nodeId: text }),
  explain: fields<ChangeOf<'explain'>>({ kind: oneOf('explain'), id: text, message: text }),
  desire: fields<ChangeOf<'desire'>>({
    kind: oneOf('desire'),
    id: text,
    desiredState: oneOf('SHUTDOWN', 'REMOVE'),
  }),
  end: fields<ChangeOf<'end'>>({
    kind: oneOf('end'),
    id: text,
    state: oneOf('SHUTDOWN', 'ORPHANED', 'REJECTED', 'FAILED'),
    message: text,
  }),
  delete: fields<ChangeOf<'delete'>>({ kind: oneOf('delete'), id: text }),
});

const taskReport: Parser<TaskReport> = fields<TaskReport>({
  nodeId: text,
  taskId: text,
  state: taskState,
  message: text,
  error: text,
  exitCode: optional(whole),
  atMs: count,
});

const observation: Parser<NodeObservation> = fields<NodeObservation>({
  id: text,
  state: oneOf('READY', 'DOWN'),
  message: text,
  session: optional(
    fields<NonNullable<NodeObservation['session']>>({
      id: text,
      daemonVersion: text,
      executors: list(text),
    }),
  ),
});

const BODIES: Bodies = {
  'cluster.create': {
    cluster: fields(without(clusterFields, 'objectVersion')),
    node: fields(without(nodeFields, 'objectVersion')),
  },
  'cluster.settings': {
    objectVersion: count,
    certificates: fields<BodyOf<'cluster.settings'>['certificates']>({
      managerLifeMs: optional(count),
      workerLifeMs: optional(count),
      adminLifeMs: optional(count),
    }),
  },
  'ring.rotate': {},
  'ring.offer': { keyId: count, commitment: bytes },
  'ring.activate': { keyId: count },
  'ring.rewrap': {
    keyId: count,
    versions: list(
      fields<RewrappedVersion>({
        secretId: text,
        version: count,
        wrappedDek: bytes,
        digest: bytes,
      }),
    ),
    rootKeySealed: optional(bytes),
  },
  'ring.retire': { keyId: count },
  'ring.finish': { keyId: count },
  'root.rotate': { distrustsFormer: flag },
  'root.offer': {
    next: root,
    crossCertificate: bytes,
  },
  'root.activate': { step: count },
  'root.drop': { step: count },
  'root.finish': { step: count },
  'recovery.stage': { recovery: fields(without(recoveryFields, 'generation')) },
  'recovery.sealed': { id: text, generation: count },
  'recovery.confirm': { generation: count },
  'compromise.begin': { evict: list(text), endsAdmins: flag },
  'compromise.finish': {},
  'secret.set': {
    newId: text,
    name: text,
    secretId: text,
    version: count,
    sealed: sealedValue,
    digest: bytes,
    compared: optional(
      fields<{ keyId: number; digest: Uint8Array }>({ keyId: count, digest: bytes }),
    ),
    labels,
    description: text,
    createOnly: flag,
    force: flag,
    objectVersion: count,
  },
  'secret.update': { id: text, objectVersion: count, labels, description: text },
  'secret.rollback': { id: text, version: count },
  'secret.destroy-version': { id: text, version: count, force: flag },
  'secret.remove': { id: text },
  'service.create': { id: text, spec: serviceSpec },
  'service.update': { id: text, spec: serviceSpec, objectVersion: count },
  'service.update-state': {
    id: text,
    specVersion: count,
    state: oneOf('updating', 'paused', 'completed'),
    message: text,
  },
  'service.rollback': { id: text, specVersion: count, reason: text },
  'service.remove': { id: text },
  'tasks.schedule': { changes: list(taskChange) },
  'tasks.report': { reports: list(taskReport) },
  'receipts.report': {
    receipts: list(fields({ ...without(receiptFields, 'index'), nodeId: text })),
  },
  'node.join': {
    tokenId: text,
    node: fields(without(nodeFields, 'objectVersion', 'role', 'wantedRole', 'waiting', 'tokenId')),
  },
  'node.update': {
    id: text,
    objectVersion: count,
    availability: optional(nodeFields.availability),
    labelsSet: labels,
    labelsRemove: list(text),
  },
  'node.renew': { id: text, usedSerial: text, certificate, previousUntilMs: count },
  'node.root': { id: text, step: count, serial: text },
  'nodes.observe': { nodes: list(observation) },
  'node.membership': {
    id: text,
    membership: optional(oneOf('learner', 'voter', 'removing')),
    ringGeneration: optional(count),
  },
  'node.addresses': { id: text, clusterAddress: text, joinAddress: text },
  'node.remove': { id: text, force: flag },
  'node.approve': { id: text },
  'node.set-role': { id: text, role: nodeFields.role },
  'node.equip': {
    id: text,
    usedSerial: text,
    certificate,
    manager: fields(without(managerFields, 'membership', 'ringGeneration')),
  },
  'node.demoted': { id: text },
  'token.create': { token: fields(without(tokenFields, 'objectVersion')) },
  'token.revoke': { id: text },
  'admin.create': { admin: fields(without(adminFields, 'objectVersion')) },
  'admin.renew': { id: text, usedSerial: text, certificate, previousUntilMs: count },
  'admin.revoke': { id: text },
};

const base = {
  atMs: count,
  by: actor,
  request: optional(fields<NonNullable<Command['request']>>({ key: text, fingerprint: text })),
};

function commandParsers(): Record<string, Parser<Command>> {
  const parsers: Record<string, Parser<Command>> = {};
  for (const [kind, body] of Object.entries(BODIES)) {
    // The table above is checked kind by kind; what is put together here has no static type.
    const parser = fields<object>({ kind: oneOf(kind), ...base, ...body });
    parsers[kind] = parser as Parser<Command>;
  }
  return parsers;
}

/** A command of any kind. */
export const command: Parser<Command> = variants<Command>('kind', commandParsers());
