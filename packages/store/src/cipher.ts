import type { Random } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';

/** What every record of one store is sealed with and bound to. */
export interface StoreCipher {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Generation of the storage key, from 1. */
  readonly epoch: number;
  readonly key: SecretBytes;
  readonly random: Random;
}
