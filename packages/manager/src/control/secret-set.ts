import {
  checkLabels,
  checkSecretName,
  ConclaveError,
  createId,
  equalBytes,
} from '@conclave/kernel';
import { paddedSizeOf } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { CommandBase, CommandBody } from '@conclave/state';
import type { SetSecretRequest, SetSecretResponseInput } from '@conclave/wire';
import { errorOfRefusal, numberOf, textOf, tryCommit } from './commit.js';
import type { Done } from './commit.js';
import type { CallContext, ControlDependencies, ControlRing } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { checkDescription, invalid } from './invalid.js';
import { clusterOf } from './lookups.js';

/** Times that a value is sealed again because another entry came in between. */
const SEAL_ATTEMPTS_MAX = 5;
/** Bytes that sealing to the intake key adds to a padded value, at most. */
const INTAKE_OVERHEAD_BYTES_MAX = 4_096;

/** What the value is bound to on its way: has to be what the client computes. */
function intakeContext(name: string): Uint8Array {
  return new TextEncoder().encode(`secret.set\n${name}`);
}

/** Makes the next version of a secret, or the secret itself. The value is wiped in every case. */
export async function setSecret(
  deps: ControlDependencies,
  request: SetSecretRequest,
  call: CallContext,
): Promise<SetSecretResponseInput> {
  checkSecretName(request.name);
  checkLabels(request.labels);
  checkDescription(request.description);
  const value = openValue(deps, deps.ring(), request);
  try {
    const identity = identityOf(deps.ring(), { request, call, value });
    const done = await commitValue(deps, { request, call, value, identity });
    return answer(deps, request, done);
  } finally {
    value.wipe();
  }
}

function openValue(
  deps: ControlDependencies,
  ring: ControlRing,
  request: SetSecretRequest,
): SecretBytes {
  const cluster = clusterOf(deps.state());
  const sizeMax = cluster.settings.secretValueBytesMax;
  const { sealedValue: sealed } = request;
  if (sealed.length === 0) throw invalid('sealed_value', 'is missing');
  // Before any work with it: what is longer cannot hold a value that is allowed.
  if (sealed.length > paddedSizeOf(sizeMax) + INTAKE_OVERHEAD_BYTES_MAX) throw tooLarge(sizeMax);
  const context = intakeContext(request.name);
  const value = ring.openIntake({ clusterId: cluster.id, context, sealed });
  if (value.size > 0 && value.size <= sizeMax) return value;
  const isEmpty = value.size === 0;
  value.wipe();
  throw isEmpty ? invalid('value', 'is empty') : tooLarge(sizeMax);
}

function tooLarge(sizeMax: number): ConclaveError {
  return new ConclaveError('CV_SECRET_TOO_LARGE', `value is over ${sizeMax} bytes`, {
    details: { field: 'value', limit: sizeMax },
  });
}

interface SetCall {
  readonly request: SetSecretRequest;
  readonly call: CallContext;
  readonly value: SecretBytes;
}

function identityOf(ring: ControlRing, { request, call, value }: SetCall): CommandBase['request'] {
  const { sealedValue: _sealed, idempotencyKey, ...asked } = request;
  // The sealed bytes differ from try to try; what is the same is the value.
  const valueDigest = ring.digestValue({ secretId: `request\n${request.name}`, value });
  return requestOf(call, { method: 'Secrets.Set', idempotencyKey, asked, valueDigest });
}

interface SetWork extends SetCall {
  readonly identity: CommandBase['request'];
}

async function commitValue(deps: ControlDependencies, work: SetWork): Promise<Done> {
  const newId = createId(deps.random);
  for (let attempt = 1; ; attempt += 1) {
    const body = sealedBody(deps, work, newId);
    const result = await tryCommit(deps, { call: work.call, request: work.identity, body });
    if (result.ok) return result;
    const isSealedForAnother =
      result.code === 'CV_VERSION_STALE' && result.details['retry'] === true;
    if (!isSealedForAnother || attempt >= SEAL_ATTEMPTS_MAX) throw errorOfRefusal(result);
  }
}

/** Seals for the version that comes next as far as this manager knows; apply checks it. */
function sealedBody(deps: ControlDependencies, work: SetWork, newId: string): CommandBody {
  const { request, value } = work;
  // Anew for each attempt: the ring may have been rotated meanwhile.
  const ring = deps.ring();
  const state = deps.state();
  const known = state.secretByName(request.name);
  const secretId = known?.id ?? newId;
  const version = (known?.latestVersion ?? 0) + 1;
  const current = state
    .secretVersions(secretId)
    .find((info) => info.version === known?.currentVersion);
  const clusterId = clusterOf(state).id;
  return {
    kind: 'secret.set',
    newId,
    name: request.name,
    secretId,
    version,
    sealed: ring.sealValue({ clusterId, secretId, version, value, random: deps.random }),
    digest: digestOf(ring, { secretId, value, current: current?.digest }),
    labels: request.labels,
    description: request.description,
    createOnly: request.createOnly,
    force: request.force,
    objectVersion: request.objectVersion,
  };
}

/**
 * Digests compare under one version of the ring only. A value that was set under an older one gets
 * the digest of that version when it is the same value, so that apply sees that nothing changed.
 */
function digestOf(
  ring: ControlRing,
  place: {
    readonly secretId: string;
    readonly value: SecretBytes;
    readonly current: Uint8Array | undefined;
  },
): Uint8Array {
  const { secretId, value, current } = place;
  const newest = ring.digestValue({ secretId, value });
  if (current === undefined || equalBytes(newest, current)) return newest;
  for (const keyId of ring.versions) {
    if (keyId === ring.currentKeyId) continue;
    const digest = ring.digestValue({ secretId, value, keyId });
    if (equalBytes(digest, current)) return digest;
  }
  return newest;
}

function answer(
  deps: ControlDependencies,
  request: SetSecretRequest,
  done: Done,
): SetSecretResponseInput {
  const id = textOf(done, 'id');
  const state = deps.state();
  return {
    id,
    name: state.secretById(id)?.name ?? request.name,
    version: numberOf(done, 'version'),
    unchanged: done.values['unchanged'] === true,
    index: done.index,
    affectedTasks: countFollowers(deps, id),
  };
}

/** Live tasks that follow the pointer of a secret. */
export function countFollowers(deps: ControlDependencies, secretId: string): number {
  return deps
    .state()
    .tasksUsingSecret(secretId)
    .filter((task) =>
      task.spec.bindings.some((binding) => binding.secretId === secretId && binding.version === 0),
    ).length;
}
