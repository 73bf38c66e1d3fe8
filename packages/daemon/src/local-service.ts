import { serveControl } from '@conclave/manager';
import type { ControlSource } from '@conclave/manager';
import { serve } from '@conclave/transport';
import type { CallContext, Handlers, ServedService } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type {
  InitRequest,
  InitResponseInput,
  JoinClusterRequest,
  JoinClusterResponseInput,
  LeaveClusterRequest,
  LeaveClusterResponseInput,
  LocalStatusInput,
  Services,
} from '@conclave/wire';

/** What the local service asks of the daemon. */
export interface LocalHost {
  status(): LocalStatusInput;
  init(request: InitRequest): Promise<InitResponseInput>;
  join(request: JoinClusterRequest): Promise<JoinClusterResponseInput>;
  leave(force: boolean): Promise<LeaveClusterResponseInput>;
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
