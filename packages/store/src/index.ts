export { singleEpoch } from './cipher.js';
export type { EpochKey, StorageKeys, StoreCipher } from './cipher.js';
export type { EpochFile, EpochFilePlace } from './epoch-file.js';
export { LevelLogStore } from './level-log-store.js';
export type { LogDatabase, LogOperation, LogWitness } from './level-log-store.js';
export { LevelSnapshotStore } from './level-snapshot-store.js';
export type { SnapshotDatabase, SnapshotName, SnapshotStore } from './level-snapshot-store.js';
export { LevelStore } from './level-store.js';
export type { LevelStoreOptions } from './level-store.js';
