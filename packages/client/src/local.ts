import type { RecoveryRecipient, SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type {
  InitResponse,
  JoinClusterResponse,
  KeySlot,
  LeaveClusterResponse,
  LocalStatus,
  UnlockResponse,
} from '@conclave/wire';
import { read, writeDeadline } from './calls.js';
import type { CallOptions, ClientContext } from './context.js';
import { sealToDaemon } from './local-intake.js';
import type { SecretCall } from './local-intake.js';

/** How the local daemon becomes the first manager. */
export interface InitSpec {
  /** `host` or `host:port` that the others reach; default: chosen by the daemon. */
  readonly advertise?: string | undefined;
  /** The public half of the recovery key, whose other half the caller keeps. */
  readonly recovery: RecoveryRecipient;
  /** `host` or `command:PATH`: what opens the keys after a restart; default: a person. */
  readonly autoUnlock?: string | undefined;
}

/** How the local daemon joins a cluster. */
export interface JoinSpec {
  /** Join address of a manager, `host:port`. */
  readonly address: string;
  /** The text of the token; lent for the call, not wiped. */
  readonly token: SecretBytes;
  /** Managers: `host` or `host:port` that the others reach. */
  readonly advertise?: string | undefined;
  /** Managers: as in {@link InitSpec}. */
  readonly autoUnlock?: string | undefined;
}

/**
 * The daemon of this host. Its calls change one host and carry no idempotency key, so they are
 * sent once: a second `init` or `join` would only be refused.
 */
export interface LocalApi {
  status(options?: CallOptions): Promise<LocalStatus>;
  /** @throws CV_ALREADY_INITIALIZED */
  init(spec: InitSpec, options?: CallOptions): Promise<InitResponse>;
  /** @throws CV_ALREADY_INITIALIZED, CV_TOKEN_INVALID, CV_CA_MISMATCH, CV_PEER_UNREACHABLE */
  join(spec: JoinSpec, options?: CallOptions): Promise<JoinClusterResponse>;
  /**
   * Gives a locked manager its recovery key, or one share of it. The text is lent, not wiped.
   * @throws CV_NOT_LOCKED, CV_RECOVERY_KEY_INVALID, CV_RECOVERY_KEY_WRONG
   */
  unlock(text: SecretBytes, options?: CallOptions): Promise<UnlockResponse>;
  /** What opens the keys of this host's manager. @throws CV_LOCKED */
  slots(options?: CallOptions): Promise<readonly KeySlot[]>;
  /** @param how `host` or `command:PATH`; @throws CV_SLOT_IN_USE, CV_UNLOCK_FAILED */
  addSlot(how: string, options?: CallOptions): Promise<KeySlot>;
  /** @throws CV_SLOT_NOT_FOUND, CV_SLOT_IN_USE for the recovery slot */
  removeSlot(id: string, options?: CallOptions): Promise<KeySlot>;
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
  const seal = async (
    call: SecretCall,
    secret: SecretBytes,
    options: CallOptions,
  ): Promise<Uint8Array> => {
    const status = await read(context, { method: wire.Status, request: {} }, options);
    return sealToDaemon(context, status.intakePublicKey, { call, secret });
  };
  return {
    status: (options = {}) => read(context, { method: wire.Status, request: {} }, options),
    init: (spec, options = {}) => {
      const { publicKey, threshold, shareHashes } = spec.recovery;
      const request = {
        advertise: spec.advertise ?? '',
        autoUnlock: spec.autoUnlock ?? '',
        recovery: { publicKey, threshold, shareHashes: [...shareHashes] },
      };
      return context.port.unary(wire.Init, request, attempt(options));
    },
    join: async (spec, options = {}) => {
      const request = {
        address: spec.address,
        advertise: spec.advertise ?? '',
        autoUnlock: spec.autoUnlock ?? '',
        sealedToken: await seal('join', spec.token, options),
      };
      return await context.port.unary(wire.Join, request, attempt(options));
    },
    unlock: async (text, options = {}) => {
      const sealedText = await seal('unlock', text, options);
      return await context.port.unary(wire.Unlock, { sealedText }, attempt(options));
    },
    slots: async (options = {}) =>
      (await read(context, { method: wire.ListSlots, request: {} }, options)).slots,
    addSlot: (how, options = {}) => context.port.unary(wire.AddSlot, { how }, attempt(options)),
    removeSlot: (id, options = {}) => context.port.unary(wire.RemoveSlot, { id }, attempt(options)),
    leave: (options = {}) =>
      context.port.unary(wire.Leave, { force: options.isForced ?? false }, attempt(options)),
  };
}
