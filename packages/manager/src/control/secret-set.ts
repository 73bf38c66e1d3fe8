import { intakeContext } from '@conclave/client';
import { checkLabels, checkSecretName, ConclaveError, createId, toHex } from '@conclave/kernel';
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
    const done = await commitValue(deps, { request, call, value });
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

/**
 * What an idempotency key stands for here: the request, and a digest of its value, as the sealed
 * bytes differ from try to try. Digests compare under one version of the ring only, so a repetition
 * is digested under the one that the first try was; once that is retired, the request has to do.
 */
function identityOf(
  deps: ControlDependencies,
  { request, call, value }: SetCall,
): CommandBase['request'] {
  const { sealedValue: _sealed, idempotencyKey, ...asked } = request;
  const identity = requestOf(call, { method: 'Secrets.Set', idempotencyKey, asked });
  if (identity === undefined) return undefined;
  const ring = deps.ring();
  const known = deps.state().requestFingerprint(identity.key) ?? '';
  const [rest, knownKey = ''] = known.split('.');
  const isRepeated = rest === identity.fingerprint;
  if (isRepeated && !ring.versions.includes(Number(knownKey))) {
    return { ...identity, fingerprint: known };
  }
  const keyId = isRepeated ? Number(knownKey) : ring.currentKeyId;
  const digest = ring.digestValue({ secretId: `request\n${request.name}`, value, keyId });
  return { ...identity, fingerprint: `${identity.fingerprint}.${keyId}.${toHex(digest)}` };
}

async function commitValue(deps: ControlDependencies, work: SetCall): Promise<Done> {
  const newId = createId(deps.random);
  for (let attempt = 1; ; attempt += 1) {
    const identity = identityOf(deps, work);
    const body = sealedBody(deps, work, newId);
    const result = await tryCommit(deps, { call: work.call, request: identity, body });
    if (result.ok) return result;
    const isSealedForAnother =
      result.code === 'CV_VERSION_STALE' && result.details['retry'] === true;
    // The first try may have come to this manager only now, and under another version of the ring.
    const isNewlyKnown =
      result.code === 'CV_IDEMPOTENCY_REUSED' &&
      identityOf(deps, work)?.fingerprint !== identity?.fingerprint;
    const isRetried = isSealedForAnother || isNewlyKnown;
    if (!isRetried || attempt >= SEAL_ATTEMPTS_MAX) throw errorOfRefusal(result);
  }
}

/** Seals for the version that comes next as far as this manager knows; apply checks it. */
function sealedBody(deps: ControlDependencies, work: SetCall, newId: string): CommandBody {
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
    digest: ring.digestValue({ secretId, value }),
    compared: comparedOf(ring, { secretId, value, keyId: current?.keyId ?? 0 }),
    labels: request.labels,
    description: request.description,
    createOnly: request.createOnly,
    force: request.force,
    objectVersion: request.objectVersion,
  };
}

/** The digest that tells whether the value is the current one; `keyId` 0: there is none. */
function comparedOf(
  ring: ControlRing,
  place: { readonly secretId: string; readonly value: SecretBytes; readonly keyId: number },
): { readonly keyId: number; readonly digest: Uint8Array } | undefined {
  const { keyId } = place;
  // Retired a moment ago: apply says so, and the next try compares under the one that came after.
  if (!ring.versions.includes(keyId)) return undefined;
  return { keyId, digest: ring.digestValue(place) };
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
