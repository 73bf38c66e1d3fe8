import type { SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type {
  InitResponse,
  JoinClusterResponse,
  LeaveClusterResponse,
  LocalStatus,
} from '@conclave/wire';
import { read, writeDeadline } from './calls.js';
import type { CallOptions, ClientContext } from './context.js';

/** How the local daemon becomes the first manager. */
export interface InitSpec {
  /** `host` or `host:port` that the others reach; default: chosen by the daemon. */
  readonly advertise?: string | undefined;
  /** "host": a manager of this host unlocks itself at start. */
  readonly autoUnlock?: 'host' | undefined;
}

/** How the local daemon joins a cluster. */
export interface JoinSpec {
  /** Join address of a manager, `host:port`. */
  readonly address: string;
  /** The text of the token; lent for the call, not wiped. */
  readonly token: SecretBytes;
  /** Managers: `host` or `host:port` that the others reach. */
  readonly advertise?: string | undefined;
}

/**
 * The daemon of this host. Its calls change one host and carry no idempotency key, so they are
 * sent once: a second `init` or `join` would only be refused.
 */
export interface LocalApi {
  status(options?: CallOptions): Promise<LocalStatus>;
  /** @throws CV_ALREADY_INITIALIZED */
  init(spec?: InitSpec, options?: CallOptions): Promise<InitResponse>;
  /** @throws CV_ALREADY_INITIALIZED, CV_TOKEN_INVALID, CV_CA_MISMATCH, CV_PEER_UNREACHABLE */
  join(spec: JoinSpec, options?: CallOptions): Promise<JoinClusterResponse>;
  /** @throws CV_NOT_INITIALIZED, CV_LAST_MANAGER unless forced */
  leave(
    options?: CallOptions & { readonly isForced?: boolean | undefined },
  ): Promise<LeaveClusterResponse>;
}

/** The daemon of this host over `context`'s port. */
export function createLocalApi(context: ClientContext): LocalApi {
  const wire = loadWire().Local;
  const attempt = (
    options: CallOptions,
  ): { deadlineMs: number; signal: CallOptions['signal'] } => ({
    deadlineMs: writeDeadline(context, options),
    signal: options.signal,
  });
  return {
    status: (options = {}) => read(context, { method: wire.Status, request: {} }, options),
    init: (spec = {}, options = {}) => {
      const request = { advertise: spec.advertise ?? '', autoUnlock: spec.autoUnlock ?? '' };
      return context.port.unary(wire.Init, request, attempt(options));
    },
    join: async (spec, options = {}) => {
      const token = spec.token.copy();
      try {
        const request = token.use((view) => ({
          address: spec.address,
          advertise: spec.advertise ?? '',
          token: view,
        }));
        return await context.port.unary(wire.Join, request, attempt(options));
      } finally {
        token.wipe();
      }
    },
    leave: (options = {}) =>
      context.port.unary(wire.Leave, { force: options.isForced ?? false }, attempt(options)),
  };
}
