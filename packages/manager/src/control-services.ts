import { serve } from '@conclave/transport';
import type { CallContext as TransportCall, ServedService } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { createAdminsHandlers } from './control/admins.js';
import { createClusterHandlers } from './control/cluster.js';
import type { CallContext, ControlDependencies } from './control/dependencies.js';
import { createNodesHandlers } from './control/nodes.js';
import { createSecretsHandlers } from './control/secrets.js';
import { createServicesHandlers } from './control/services.js';
import { createTasksHandlers } from './control/tasks.js';
import { createTokensHandlers } from './control/tokens.js';

/** Handlers that take the message first, as those of the control API do. */
type ControlHandlers = Readonly<Record<string, (request: never, call: CallContext) => unknown>>;

/** The names of the services that administrators call. */
export const CONTROL_SERVICES = [
  'Secrets',
  'Services',
  'Tasks',
  'Nodes',
  'Tokens',
  'Admins',
  'Cluster',
] as const;
export type ControlServiceName = (typeof CONTROL_SERVICES)[number];

/** All handlers of the control API by service. */
export type ControlApi = Readonly<Record<ControlServiceName, ControlHandlers>>;

/** The handlers of all control services over one set of dependencies. */
export function createControlApi(deps: ControlDependencies): ControlApi {
  const api = {
    Secrets: createSecretsHandlers(deps),
    Services: createServicesHandlers(deps),
    Tasks: createTasksHandlers(deps),
    Nodes: createNodesHandlers(deps),
    Tokens: createTokensHandlers(deps),
    Admins: createAdminsHandlers(deps),
    Cluster: createClusterHandlers(deps),
  };
  return api as unknown as ControlApi;
}

/** What {@link serveControl} needs for each call. */
export interface ControlSource {
  /** The handlers, or the error that says why there are none on this host now. */
  readonly api: () => ControlApi;
  readonly selfNodeId: () => string;
  /** Called after each answer, to say who served it. */
  readonly onAnswer: (call: TransportCall) => void;
}

/**
 * The control API as services of a listener. Looked up for each call, so that a listener may open
 * before the host is a manager.
 */
export function serveControl(source: ControlSource): ServedService[] {
  const wire = loadWire();
  return CONTROL_SERVICES.map((name) => {
    const service = wire[name] as object;
    const handlers = Object.fromEntries(
      Object.keys(service).map((method) => {
        const handler = `${method.charAt(0).toLowerCase()}${method.slice(1)}`;
        return [handler, bind(source, name, handler)];
      }),
    );
    return serve(service, handlers as never);
  });
}

function bind(source: ControlSource, service: ControlServiceName, handler: string) {
  return (call: TransportCall, request: unknown): unknown => {
    const handlers = source.api()[service];
    source.onAnswer(call);
    return handlers[handler]?.(request as never, {
      actor: { kind: 'admin', id: call.actor.id },
      selfNodeId: source.selfNodeId(),
      idempotencyKey: call.idempotencyKey,
      signal: call.signal,
    });
  };
}
