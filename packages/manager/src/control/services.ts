import { createId } from '@conclave/kernel';
import type { CommandBase, ServiceRow, State } from '@conclave/state';
import type {
  CommittedInput,
  CreateServiceRequest,
  GetServiceRequest,
  ListServicesRequest,
  LogChunkInput,
  RemoveServiceRequest,
  ScaleServiceRequest,
  ServiceInput,
  ServiceLogsRequest,
  ServicePageInput,
  ServiceResponseInput,
  UpdateServiceRequest,
} from '@conclave/wire';
import { commit, errorOfRefusal, textOf, tryCommit } from './commit.js';
import type { Done } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { demandVersion, invalid } from './invalid.js';
import { idForRemoval, serviceOf } from './lookups.js';
import { pagesOf } from './pages.js';
import { checkFilter, lookUp, passes, readState } from './reading.js';
import { serviceMessage, weightOfService } from './service-message.js';
import { checkReplicas, serviceSpecOf } from './service-spec.js';

/** Times that a scale is tried again because the service changed in between. */
const SCALE_ATTEMPTS_MAX = 5;

/** The handlers of the service `Services`. */
export interface ServicesHandlers {
  create(request: CreateServiceRequest, call: CallContext): Promise<ServiceResponseInput>;
  update(request: UpdateServiceRequest, call: CallContext): Promise<ServiceResponseInput>;
  scale(request: ScaleServiceRequest, call: CallContext): Promise<ServiceResponseInput>;
  get(request: GetServiceRequest, call: CallContext): Promise<ServiceInput>;
  list(request: ListServicesRequest, call: CallContext): AsyncGenerator<ServicePageInput, void>;
  remove(request: RemoveServiceRequest, call: CallContext): Promise<CommittedInput>;
  logs(request: ServiceLogsRequest, call: CallContext): AsyncGenerator<LogChunkInput, void>;
}

/** Handlers over `deps`. Writes need the leader. */
export function createServicesHandlers(deps: ControlDependencies): ServicesHandlers {
  return {
    create: (request, call) => createService(deps, request, call),
    update: (request, call) => updateService(deps, request, call),
    scale: (request, call) => scaleService(deps, request, call),
    get: (request) => getService(deps, request),
    list: (request) => listServices(deps, request),
    remove: (request, call) => removeService(deps, request, call),
    logs: (request, call) => serviceLogs(deps, request, call),
  };
}

async function createService(
  deps: ControlDependencies,
  request: CreateServiceRequest,
  call: CallContext,
): Promise<ServiceResponseInput> {
  const spec = await lookUp(deps, (state) => serviceSpecOf(state, request.spec));
  // What was asked for, not what it stands for now: a repetition may find other secrets.
  const { idempotencyKey, ...asked } = request;
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Services.Create', idempotencyKey, asked }),
    body: { kind: 'service.create', id: createId(deps.random), spec },
  });
  return answer(deps, done);
}

async function updateService(
  deps: ControlDependencies,
  request: UpdateServiceRequest,
  call: CallContext,
): Promise<ServiceResponseInput> {
  const objectVersion = demandVersion(request.objectVersion);
  const { row, spec } = await lookUp(deps, (state) => {
    const found = serviceOf(state, request.service);
    return { row: found, spec: serviceSpecOf(state, request.spec, found) };
  });
  const { idempotencyKey, ...asked } = request;
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Services.Update', idempotencyKey, asked }),
    body: { kind: 'service.update', id: row.id, spec, objectVersion },
  });
  return answer(deps, done);
}

async function scaleService(
  deps: ControlDependencies,
  request: ScaleServiceRequest,
  call: CallContext,
): Promise<ServiceResponseInput> {
  const replicas = checkReplicas('replicas', request.replicas);
  const { id } = await lookUp(deps, (state) => serviceOf(state, request.service));
  const { idempotencyKey } = request;
  const asked = { id, replicas };
  const identity = requestOf(call, { method: 'Services.Scale', idempotencyKey, asked });
  for (let attempt = 1; ; attempt += 1) {
    const result = await tryScale(deps, {
      call,
      identity,
      row: serviceOf(deps.state(), id),
      replicas,
    });
    if (result.ok) return answer(deps, result);
    const isStale = result.code === 'CV_VERSION_STALE';
    if (!isStale || attempt >= SCALE_ATTEMPTS_MAX) throw errorOfRefusal(result);
  }
}

interface ScaleStep {
  readonly call: CallContext;
  readonly identity: CommandBase['request'];
  readonly row: ServiceRow;
  readonly replicas: number;
}

function tryScale(
  deps: ControlDependencies,
  { call, identity, row, replicas }: ScaleStep,
): ReturnType<typeof tryCommit> {
  if (row.spec.mode === 'global') {
    throw invalid('service', 'is global: it has one task per node, not a number of replicas');
  }
  const { id, objectVersion } = row;
  const spec = { ...row.spec, replicas };
  // Based on the version that was read: only the number changes, whatever else came in between.
  const body = { kind: 'service.update', id, spec, objectVersion } as const;
  return tryCommit(deps, { call, request: identity, body });
}

async function getService(
  deps: ControlDependencies,
  request: GetServiceRequest,
): Promise<ServiceInput> {
  const state = await readState(deps, request.stale);
  return serviceMessage(state, serviceOf(state, request.service));
}

async function* listServices(
  deps: ControlDependencies,
  request: ListServicesRequest,
): AsyncGenerator<ServicePageInput, void> {
  checkFilter(request);
  const state = await readState(deps, request.stale);
  for (const services of pagesOf(listedServices(state, request), weightOfService)) {
    yield { services };
  }
}

function* listedServices(state: State, request: ListServicesRequest): Generator<ServiceInput> {
  for (const row of state.services()) {
    if (passes(request, row.spec.name, row.spec.labels)) yield serviceMessage(state, row);
  }
}

async function removeService(
  deps: ControlDependencies,
  request: RemoveServiceRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { service, idempotencyKey } = request;
  const id = await idForRemoval(deps, { reference: service, idempotencyKey }, serviceOf);
  const identity = { method: 'Services.Remove', idempotencyKey, asked: { service } };
  const done = await commit(deps, {
    call,
    request: requestOf(call, identity),
    body: { kind: 'service.remove', id },
  });
  return { index: done.index };
}

async function* serviceLogs(
  deps: ControlDependencies,
  request: ServiceLogsRequest,
  call: CallContext,
): AsyncGenerator<LogChunkInput, void> {
  yield* deps.logs(request, call);
}

function answer(deps: ControlDependencies, done: Done): ServiceResponseInput {
  const state = deps.state();
  const row = serviceOf(state, textOf(done, 'id'));
  return { service: serviceMessage(state, row), index: done.index };
}
