import { serveControl } from '@conclave/manager';
import type { ControlSource } from '@conclave/manager';
import { serve } from '@conclave/transport';
import type { CallContext, Handlers, ServedService } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type {
  AddSlotRequest,
  InitRequest,
  InitResponseInput,
  JoinClusterRequest,
  JoinClusterResponseInput,
  KeySlotInput,
  LeaveClusterRequest,
  LeaveClusterResponseInput,
  ListSlotsResponseInput,
  LocalStatusInput,
  RemoveSlotRequest,
  Services,
  UnlockRequest,
  UnlockResponseInput,
} from '@conclave/wire';
import type { SlotAdmin } from './slot-admin.js';

/** What the local service asks of the daemon. */
export interface LocalHost {
  status(): LocalStatusInput;
  init(request: InitRequest): Promise<InitResponseInput>;
  join(request: JoinClusterRequest): Promise<JoinClusterResponseInput>;
  leave(force: boolean): Promise<LeaveClusterResponseInput>;
  /** Takes the text of a recovery key or share, which is not wiped. */
  unlock(text: Uint8Array): Promise<UnlockResponseInput>;
  /** @throws CV_NOT_INITIALIZED, CV_NOT_MANAGER, CV_LOCKED */
  slots(): SlotAdmin;
}

/** What the administrator of this host may ask on its socket, member or not. */
export class LocalService implements Handlers<Services['Local']> {
  readonly #host: LocalHost;

  constructor(host: LocalHost) {
    this.#host = host;
  }

  status(): Promise<LocalStatusInput> {
    return Promise.resolve(this.#host.status());
  }

  init(_call: CallContext, request: InitRequest): Promise<InitResponseInput> {
    return this.#host.init(request);
  }

  join(_call: CallContext, request: JoinClusterRequest): Promise<JoinClusterResponseInput> {
    return this.#host.join(request);
  }

  leave(_call: CallContext, request: LeaveClusterRequest): Promise<LeaveClusterResponseInput> {
    return this.#host.leave(request.force);
  }

  async unlock(_call: CallContext, request: UnlockRequest): Promise<UnlockResponseInput> {
    try {
      return await this.#host.unlock(request.recoveryText);
    } finally {
      request.recoveryText.fill(0);
    }
  }

  async listSlots(): Promise<ListSlotsResponseInput> {
    return await Promise.resolve({ slots: this.#host.slots().list() });
  }

  async addSlot(_call: CallContext, request: AddSlotRequest): Promise<KeySlotInput> {
    return await this.#host.slots().add(request.how);
  }

  async removeSlot(_call: CallContext, request: RemoveSlotRequest): Promise<KeySlotInput> {
    return await this.#host.slots().remove(request.id);
  }
}

/** What the socket of this host serves: its daemon, and the control API. */
export function localServices(
  host: LocalHost,
  source: Omit<ControlSource, 'onAnswer'>,
): ServedService[] {
  return [
    serve(loadWire().Local, new LocalService(host)),
    ...serveControl({ ...source, onAnswer: () => undefined }),
  ];
}
