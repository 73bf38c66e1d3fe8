export { loadWire } from './codec.js';
export type { Services } from './generated/services.js';
export { grpcDefinition } from './method.js';
export type { AnyMethod, Method, MethodKind } from './method.js';
export { ERROR_TRAILER, errorOf, statusOf } from './status.js';
export type { CallStatus, ForeignStatus } from './status.js';
// Messages: `X` is what a peer sent, `XInput` what may be given to send.
export type * from './generated/messages.js';
