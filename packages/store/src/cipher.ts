import type { Random } from '@conclave/kernel';
import { envelopeKeyId } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { damaged } from './errors.js';

/** A storage key and its number, from 1. */
export interface EpochKey {
  readonly epoch: number;
  readonly key: SecretBytes;
}

/** The storage keys of one store: new ones come with snapshots, old ones go with what they sealed. */
export interface StorageKeys {
  /** What new records are sealed under. */
  readonly current: EpochKey;
  /** The key of an epoch; undefined when it was destroyed or never was. */
  keyOf(epoch: number): SecretBytes | undefined;
  /** Makes a new key the current one; durable when it resolves. */
  advance(): Promise<void>;
  /** Destroys the keys that no record needs any more; durable when it resolves. */
  retire(): Promise<void>;
  /** Keeps the current key until the function that it answers is called. */
  hold(): { readonly held: EpochKey; readonly release: () => void };
}

/** What every record of one store is sealed with and bound to. */
export interface StoreCipher {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly keys: StorageKeys;
  readonly random: Random;
}

/** Keys that never change: one epoch, for a store that keeps no snapshots. */
export function singleEpoch(key: SecretBytes): StorageKeys {
  const current = { epoch: 1, key };
  return {
    current,
    keyOf: (epoch) => (epoch === current.epoch ? key : undefined),
    advance: () => Promise.resolve(),
    retire: () => Promise.resolve(),
    hold: () => ({ held: current, release: () => undefined }),
  };
}

/**
 * The key that an envelope names.
 * @throws CV_LOG_DAMAGED when there is none, CV_ENVELOPE_FORGED when it is no envelope
 */
export function epochOf({ keys }: StoreCipher, envelope: Uint8Array): EpochKey {
  const epoch = envelopeKeyId(envelope);
  const key = keys.keyOf(epoch);
  if (key === undefined) throw damaged(`the key of epoch ${epoch} is gone`);
  return { epoch, key };
}
