import { checkLabels } from '@conclave/kernel';
import type { SecretRow, State } from '@conclave/state';
import type {
  CommittedInput,
  DestroySecretVersionRequest,
  GetSecretRequest,
  ListSecretsRequest,
  RemoveSecretRequest,
  RollbackSecretRequest,
  SecretEventInput,
  SecretHistoryRequest,
  SecretInput,
  SecretPageInput,
  SecretStatusRequest,
  SecretUseInput,
  SetSecretRequest,
  SetSecretResponseInput,
  UpdateSecretRequest,
} from '@conclave/wire';
import { commit, numberOf } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { checkDescription, demandVersion, invalid } from './invalid.js';
import { idForRemoval, secretOf } from './lookups.js';
import { pagesOf } from './pages.js';
import { checkFilter, lookUp, passes, readState } from './reading.js';
import { secretMessage, weightOfSecret } from './secret-message.js';
import { countFollowers, setSecret } from './secret-set.js';
import { secretUses } from './secret-status.js';

/** The handlers of the service `Secrets`. None of them answers a value. */
export interface SecretsHandlers {
  set(request: SetSecretRequest, call: CallContext): Promise<SetSecretResponseInput>;
  get(request: GetSecretRequest, call: CallContext): Promise<SecretInput>;
  list(request: ListSecretsRequest, call: CallContext): AsyncGenerator<SecretPageInput, void>;
  history(request: SecretHistoryRequest, call: CallContext): AsyncGenerator<SecretEventInput, void>;
  status(request: SecretStatusRequest, call: CallContext): AsyncGenerator<SecretUseInput, void>;
  update(request: UpdateSecretRequest, call: CallContext): Promise<SecretInput>;
  rollback(request: RollbackSecretRequest, call: CallContext): Promise<SetSecretResponseInput>;
  destroyVersion(request: DestroySecretVersionRequest, call: CallContext): Promise<CommittedInput>;
  remove(request: RemoveSecretRequest, call: CallContext): Promise<CommittedInput>;
}

/** Handlers over `deps`. Writes need the leader. */
export function createSecretsHandlers(deps: ControlDependencies): SecretsHandlers {
  return {
    set: (request, call) => setSecret(deps, request, call),
    get: (request) => getSecret(deps, request),
    list: (request) => listSecrets(deps, request),
    history: (request) => secretHistory(deps, request),
    status: (request) => secretStatus(deps, request),
    update: (request, call) => updateSecret(deps, request, call),
    rollback: (request, call) => rollbackSecret(deps, request, call),
    destroyVersion: (request, call) => destroyVersion(deps, request, call),
    remove: (request, call) => removeSecret(deps, request, call),
  };
}

async function getSecret(
  deps: ControlDependencies,
  request: GetSecretRequest,
): Promise<SecretInput> {
  const state = await readState(deps, request.stale);
  return wholeSecret(state, secretOf(state, request.secret));
}

function wholeSecret(state: State, row: SecretRow): SecretInput {
  return secretMessage(state, row, state.secretVersions(row.id));
}

async function* listSecrets(
  deps: ControlDependencies,
  request: ListSecretsRequest,
): AsyncGenerator<SecretPageInput, void> {
  checkFilter(request);
  const state = await readState(deps, request.stale);
  for (const secrets of pagesOf(listedSecrets(state, request), weightOfSecret)) yield { secrets };
}

function* listedSecrets(state: State, request: ListSecretsRequest): Generator<SecretInput> {
  for (const row of state.secrets(request.namePrefix)) {
    if (!passes(request, row.name, row.labels)) continue;
    // Only the version that the name points at: all of them are for a get.
    const current = state.secretVersionInfo(row.id, row.currentVersion);
    yield secretMessage(state, row, current === undefined ? [] : [current]);
  }
}

async function* secretHistory(
  deps: ControlDependencies,
  request: SecretHistoryRequest,
): AsyncGenerator<SecretEventInput, void> {
  const state = await readState(deps);
  const { id } = secretOf(state, request.secret);
  for (const { revision, what, version, atMs, by, index } of state.secretHistory(id)) {
    yield { revision, what, version, atMs, by, index };
  }
}

async function* secretStatus(
  deps: ControlDependencies,
  request: SecretStatusRequest,
): AsyncGenerator<SecretUseInput, void> {
  const state = await readState(deps);
  yield* secretUses(state, secretOf(state, request.secret));
}

async function updateSecret(
  deps: ControlDependencies,
  request: UpdateSecretRequest,
  call: CallContext,
): Promise<SecretInput> {
  const { secret, labels, description, idempotencyKey } = request;
  checkLabels(labels);
  checkDescription(description);
  const objectVersion = demandVersion(request.objectVersion);
  const { id } = await lookUp(deps, (state) => secretOf(state, secret));
  const asked = { id, objectVersion, labels, description };
  await commit(deps, {
    call,
    request: requestOf(call, { method: 'Secrets.Update', idempotencyKey, asked }),
    body: { kind: 'secret.update', ...asked },
  });
  const state = deps.state();
  return wholeSecret(state, secretOf(state, id));
}

async function rollbackSecret(
  deps: ControlDependencies,
  request: RollbackSecretRequest,
  call: CallContext,
): Promise<SetSecretResponseInput> {
  const { version, idempotencyKey } = request;
  const { id, name } = await lookUp(deps, (state) => secretOf(state, request.secret));
  const done = await commit(deps, {
    call,
    request: requestOf(call, {
      method: 'Secrets.Rollback',
      idempotencyKey,
      asked: { id, version },
    }),
    body: { kind: 'secret.rollback', id, version },
  });
  return {
    id,
    name,
    version: numberOf(done, 'version'),
    unchanged: done.values['unchanged'] === true,
    index: done.index,
    affectedTasks: countFollowers(deps, id),
  };
}

async function destroyVersion(
  deps: ControlDependencies,
  request: DestroySecretVersionRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { version, force, idempotencyKey } = request;
  if (version === 0) throw invalid('version', 'is missing');
  const { id } = await lookUp(deps, (state) => secretOf(state, request.secret));
  const asked = { id, version, force };
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Secrets.DestroyVersion', idempotencyKey, asked }),
    body: { kind: 'secret.destroy-version', ...asked },
  });
  return { index: done.index };
}

async function removeSecret(
  deps: ControlDependencies,
  request: RemoveSecretRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { secret, idempotencyKey } = request;
  const id = await idForRemoval(deps, { reference: secret, idempotencyKey }, secretOf);
  const identity = { method: 'Secrets.Remove', idempotencyKey, asked: { secret } };
  const done = await commit(deps, {
    call,
    request: requestOf(call, identity),
    body: { kind: 'secret.remove', id },
  });
  return { index: done.index };
}
