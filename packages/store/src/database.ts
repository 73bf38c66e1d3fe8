import type { Level } from 'level';

/** The database behind a store: bytes to bytes. */
export type Database = Level<Uint8Array, Uint8Array>;
