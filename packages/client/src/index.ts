export { decodeRequest, encodeRequest, REQUEST_LENGTH_MAX } from './admin-request.js';
export type { AdminsApi, AdminSpec, CreatedAdmin, ProvenKey } from './admins.js';
export { createClient } from './client.js';
export type { ConclaveClient } from './client.js';
export type {
  ClusterApi,
  RotationWaitOptions,
  SettingsChange,
  WatchKind,
  WatchOptions,
} from './cluster.js';
export { refuseCommandEnvironment } from '@conclave/transport';
export { channelPort } from './channel-port.js';
export { isOutcomeOpen } from './retry.js';
export { connectLocal, connectRemote } from './connect.js';
export type { ConnectLocalOptions, ConnectRemoteOptions } from './connect.js';
export type { CallOptions, ClientEnvironment, ReadOptions, WriteOptions } from './context.js';
export {
  certificateOf,
  createAdminKey,
  CREDENTIALS_BYTES_MAX,
  decodeCredentials,
  encodeCredentials,
  encodeGrant,
  lifeShare,
  renewCredentials,
} from './credentials.js';
export type { AdminCredentials, AdminKey, RenewedCredentials } from './credentials.js';
export type { DeliveryProgress, WaitOptions } from './delivery.js';
export { localContext } from './local-intake.js';
export type { SecretCall } from './local-intake.js';
export type { InitSpec, JoinSpec, LocalApi } from './local.js';
export type { ListNodesOptions, NodeChange, NodesApi } from './nodes.js';
export type { AttemptOptions, RpcPort, StreamMethod, UnaryMethod } from './port.js';
export type { CompromiseApi, CompromiseRequest } from './compromise.js';
export { recoveryContext } from './recovery.js';
export type { RecoveryApi, RecoveryWaitOptions } from './recovery.js';
export { intakeContext } from './seal-value.js';
export type { ListSecretsOptions, SecretChange, SecretsApi, SetSecretOptions } from './secrets.js';
export type { ListServicesOptions, LogsOptions, ServiceChange, ServicesApi } from './services.js';
export type { ListTasksOptions, TasksApi } from './tasks.js';
export type { CreatedToken, TokensApi, TokenSpec } from './tokens.js';
// The objects of the API are the messages of the wire.
export type {
  Actor,
  Admin,
  Binding,
  BindingInput,
  ClusterInfo,
  ClusterSettings,
  ClusterStatus,
  Committed,
  CompromiseStatus,
  EvictedNode,
  ExposedVersion,
  InitResponse,
  JoinClusterResponse,
  KeySlot,
  LeaveClusterResponse,
  LocalStatus,
  LogChunk,
  ManagerStatus,
  Node,
  OnChange,
  RingStatus,
  RootStatus,
  Problem,
  Recovery,
  RecoveryPublicKey,
  RemoveNodeResponse,
  Secret,
  SecretEvent,
  SecretUse,
  SecretVersion,
  Service,
  ServiceResponse,
  ServiceSpec,
  ServiceSpecInput,
  SetSecretResponse,
  Task,
  TaskReceipt,
  Token,
  UnlockResponse,
  WatchEvent,
} from '@conclave/wire';
