import { createAdminsApi } from './admins.js';
import type { AdminsApi } from './admins.js';
import { createClusterApi } from './cluster.js';
import type { ClusterApi } from './cluster.js';
import { createCompromiseApi } from './compromise.js';
import type { CompromiseApi } from './compromise.js';
import type { ClientContext, ClientEnvironment } from './context.js';
import { createInfoSource } from './info-source.js';
import { createLocalApi } from './local.js';
import type { LocalApi } from './local.js';
import { createNodesApi } from './nodes.js';
import type { NodesApi } from './nodes.js';
import type { RpcPort } from './port.js';
import { createRecoveryApi } from './recovery.js';
import type { RecoveryApi } from './recovery.js';
import { createSecretsApi } from './secrets.js';
import type { SecretsApi } from './secrets.js';
import { createServicesApi } from './services.js';
import type { ServicesApi } from './services.js';
import { createTasksApi } from './tasks.js';
import type { TasksApi } from './tasks.js';
import { createTokensApi } from './tokens.js';
import type { TokensApi } from './tokens.js';

/**
 * The control API of a cluster. Errors are ConclaveErrors with the code that the manager gave.
 * Reads are linearizable unless asked otherwise. Reads and writes are repeated while the cluster
 * has no leader, within a deadline; writes carry an idempotency key, so that they are done once.
 */
export interface ConclaveClient extends AsyncDisposable {
  readonly secrets: SecretsApi;
  readonly services: ServicesApi;
  readonly tasks: TasksApi;
  readonly nodes: NodesApi;
  readonly tokens: TokensApi;
  readonly admins: AdminsApi;
  readonly cluster: ClusterApi;
  readonly recovery: RecoveryApi;
  readonly compromise: CompromiseApi;
  /** Only over the local socket. */
  readonly local: LocalApi;
  /** Ends every open call; may be called again. */
  close(): Promise<void>;
}

/** A client over a connection that is already made. The client closes it. */
export function createClient(port: RpcPort, environment: ClientEnvironment): ConclaveClient {
  const context: ClientContext = { ...environment, port };
  const cluster = createClusterApi(context);
  const close = (): Promise<void> => {
    port.close();
    return Promise.resolve();
  };
  return {
    secrets: createSecretsApi(context, createInfoSource(context, cluster)),
    services: createServicesApi(context),
    tasks: createTasksApi(context),
    nodes: createNodesApi(context),
    tokens: createTokensApi(context),
    admins: createAdminsApi(context),
    cluster,
    recovery: createRecoveryApi(context, cluster),
    compromise: createCompromiseApi(context),
    local: createLocalApi(context),
    close,
    [Symbol.asyncDispose]: close,
  };
}
