export { LeakScanner } from './leak-scan.js';
export type { Leak, Marker, ScanReport } from './leak-scan.js';
export { countInMemory } from './memory-search.js';
export { loopbackNetwork, namespaceNetwork } from './network.js';
export type { HostNetwork } from './network.js';
export { cleanEnvironment, eventually, holds, run, runOk } from './run.js';
export type { RunOptions, RunResult } from './run.js';
export { Farm } from './farm.js';
export type { FarmOptions } from './farm.js';
export { Host } from './host.js';
export type { HostOptions } from './host.js';
export {
  callHeaders,
  FLAG,
  FRAME,
  frameBytes,
  headerBlock,
  RawHttp2,
  resetCalls,
} from './raw-http2.js';
export type { Frame } from './raw-http2.js';
export {
  DAMAGE_KINDS,
  damaged,
  decodeHostile,
  FUZZ_RUNS,
  LOADED_NAMES,
  pollution,
} from './fuzz.js';
export type { Damage } from './fuzz.js';
