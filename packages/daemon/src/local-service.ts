import { serveControl } from '@conclave/manager';
import type { ControlSource } from '@conclave/manager';
import type { SecretBytes } from '@conclave/sealed';
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
import type { LocalIntake } from './local-intake.js';
import type { SlotAdmin } from './slot-admin.js';

/** What the local service asks of the daemon. */
export interface LocalHost {
  status(): LocalStatusInput;
  init(request: InitRequest): Promise<InitResponseInput>;
  /** Takes the text of a join token, which is not wiped. */
  join(request: JoinClusterRequest, token: SecretBytes): Promise<JoinClusterResponseInput>;
  leave(force: boolean): Promise<LeaveClusterResponseInput>;
  /** Takes the text of a recovery key or share, which is not wiped. */
  unlock(text: SecretBytes): Promise<UnlockResponseInput>;
  /** @throws CV_NOT_INITIALIZED, CV_NOT_MANAGER, CV_LOCKED */
  slots(): SlotAdmin;
}

/** What the administrator of this host may ask on its socket, member or not. */
export class LocalService implements Handlers<Services['Local']> {
  readonly #host: LocalHost;
  readonly #intake: LocalIntake;

  constructor(host: LocalHost, intake: LocalIntake) {
    this.#host = host;
    this.#intake = intake;
  }

  status(): Promise<LocalStatusInput> {
    const { publicKey } = this.#intake;
    return Promise.resolve({ ...this.#host.status(), intakePublicKey: publicKey });
  }

  init(_call: CallContext, request: InitRequest): Promise<InitResponseInput> {
    return this.#host.init(request);
  }

  join(_call: CallContext, request: JoinClusterRequest): Promise<JoinClusterResponseInput> {
    return this.#intake.open('join', request.sealedToken, (token) =>
      this.#host.join(request, token),
    );
  }

  leave(_call: CallContext, request: LeaveClusterRequest): Promise<LeaveClusterResponseInput> {
    return this.#host.leave(request.force);
  }

  unlock(_call: CallContext, request: UnlockRequest): Promise<UnlockResponseInput> {
    return this.#intake.open('unlock', request.sealedText, (text) => this.#host.unlock(text));
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
  intake: LocalIntake,
  source: Omit<ControlSource, 'onAnswer'>,
): ServedService[] {
  return [
    serve(loadWire().Local, new LocalService(host, intake)),
    ...serveControl({ ...source, onAnswer: () => undefined }),
  ];
}
