import { loadWire } from '@conclave/wire';
import type {
  Committed,
  LogChunk,
  Service,
  ServicePage,
  ServiceResponse,
  ServiceSpec,
  ServiceSpecInput,
} from '@conclave/wire';
import { read, readPages, readStream, write } from './calls.js';
import type { CallOptions, ClientContext, ReadOptions, WriteOptions } from './context.js';

/** Which services `services.list` answers. */
export interface ListServicesOptions extends ReadOptions {
  readonly namePrefix?: string | undefined;
  /** All of these pairs; an empty value means that the key is there. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Which output `services.logs` answers. */
export interface LogsOptions extends CallOptions {
  /** Only this task. */
  readonly task?: string | undefined;
  /** Lines per task from the end; default: all that its host keeps. */
  readonly tailLines?: number | undefined;
  /** Go on with what comes; default false. */
  readonly isFollowing?: boolean | undefined;
}

/** A whole spec that replaces one read at `objectVersion`. */
export interface ServiceChange {
  readonly objectVersion: number;
  readonly spec: ServiceSpec | ServiceSpecInput;
}

/** Services: what should run, with which secrets. A service is named by name or id. */
export interface ServicesApi {
  /** @throws CV_ARGUMENT_INVALID, CV_NAME_TAKEN, CV_SECRET_NOT_FOUND, CV_UNSUPPORTED */
  create(spec: ServiceSpecInput, options?: WriteOptions): Promise<ServiceResponse>;
  /** @throws CV_VERSION_STALE when it changed since it was read */
  update(service: string, change: ServiceChange, options?: WriteOptions): Promise<ServiceResponse>;
  scale(service: string, replicas: number, options?: WriteOptions): Promise<ServiceResponse>;
  /** @throws CV_SERVICE_NOT_FOUND */
  get(service: string, options?: ReadOptions): Promise<Service>;
  /** In natural order of names. */
  list(options?: ListServicesOptions): AsyncIterable<Service>;
  remove(service: string, options?: WriteOptions): Promise<Committed>;
  /** What its tasks print, as their hosts still hold it in memory. */
  logs(service: string, options?: LogsOptions): AsyncIterable<LogChunk>;
}

/** Services over `context`'s port. */
export function createServicesApi(context: ClientContext): ServicesApi {
  const wire = loadWire().Services;
  return {
    create: (spec, options = {}) => {
      const request = (key: string) => ({ spec, idempotencyKey: key });
      return write(context, { method: wire.Create, request }, options);
    },
    update: (service, change, options = {}) => {
      const { objectVersion, spec } = change;
      const request = (key: string) => ({
        service,
        spec,
        objectVersion,
        idempotencyKey: key,
      });
      return write(context, { method: wire.Update, request }, options);
    },
    scale: (service, replicas, options = {}) => {
      const request = (key: string) => ({ service, replicas, idempotencyKey: key });
      return write(context, { method: wire.Scale, request }, options);
    },
    get: (service, options = {}) =>
      read(
        context,
        { method: wire.Get, request: { service, stale: options.isStale ?? false } },
        options,
      ),
    list: (options = {}) => {
      const { namePrefix = '', labels = {}, isStale = false } = options;
      const request = { namePrefix, labels: { ...labels }, stale: isStale };
      const call = { method: wire.List, request, itemsOf: (page: ServicePage) => page.services };
      return readPages(context, call, options);
    },
    remove: (service, options = {}) => {
      const request = (key: string) => ({ service, idempotencyKey: key });
      return write(context, { method: wire.Remove, request }, options);
    },
    logs: (service, options = {}) => {
      const { task = '', tailLines = 0, isFollowing = false } = options;
      const request = { service, task, tailLines, follow: isFollowing };
      const call = { method: wire.Logs, request, isEndless: isFollowing };
      return readStream(context, call, options);
    },
  };
}
