export { AUTHORISATION } from './authorisation.js';
export type { Caller, ListenerKind, Row } from './authorisation.js';
export type { Authority, CurrentIdentity } from './authority.js';
export { IDEMPOTENCY_KEY, INDEX, SERVED_BY } from './call-context.js';
export type { CallContext } from './call-context.js';
export type { CallOptions } from './call-spec.js';
export type { BidiCall } from './calls.js';
export { openChannel, openJoinChannel, openLocalChannel, openStrangerChannel } from './channel.js';
export type {
  Channel,
  OpenChannelOptions,
  OpenJoinChannelOptions,
  OpenLocalChannelOptions,
  OpenStrangerChannelOptions,
} from './channel.js';
export { refuseCommandEnvironment, refusedVariables, refuseEnvironment } from './environment.js';
export type { ExpectedManager } from './handshakes.js';
export { ReplaceableIdentity } from './identity.js';
export type { IdentitySource, TlsIdentity } from './identity.js';
export * as transportLimits from './limits.js';
export { listenLocal } from './listen-local.js';
export type { ListenLocalOptions } from './listen-local.js';
export { listenCluster, listenJoin } from './listen-tls.js';
export type { ListenClusterOptions, ListenOptions } from './listen-tls.js';
export type { Listener } from './listener.js';
export type { CallOutcome, EndedCall, TransportObserver } from './observer.js';
export { checkOwnPlace } from './own-place.js';
export type { CallActor, Peer } from './peer.js';
export { serve } from './serve.js';
export type { Handler, Handlers, ServedMethod, ServedService } from './serve.js';
export type { StreamWriter } from './stream-writer.js';
