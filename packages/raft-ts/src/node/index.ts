export { DriverError } from './driver-error.js';
export type { DriverErrorCode, DriverErrorOptions } from './driver-error.js';
export { Node } from './node.js';
export { DEFAULT_LIMITS } from './options.js';
export type { NodeLimits, NodeOptions } from './options.js';
export type * from './types.js';
