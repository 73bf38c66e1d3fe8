import type { Timers } from '@conclave/kernel';
import type { FileVault, Slot } from '@conclave/manager';
import type { SecretBytes } from '@conclave/sealed';

/** What keeps the private half of a slot's key. */
export interface UnlockProvider {
  readonly kind: 'host' | 'command';
  /** One sentence for whoever chose it: what it is worth. */
  readonly worth: string;
  /** Takes a slot's private key into its keeping. Does not wipe it. @throws CV_UNLOCK_FAILED */
  wrap(privateKey: SecretBytes): Promise<Pick<Slot, 'detail' | 'data'>>;
  /** Gives it back. @throws CV_UNLOCK_FAILED */
  unwrap(slot: Pick<Slot, 'detail' | 'data'>): Promise<SecretBytes>;
  /** Forgets what it keeps beside the slot. */
  forget(): Promise<void>;
}

/** What providers work with. */
export interface ProviderTools {
  readonly folder: FileVault;
  readonly timers: Timers;
}
