import { ConclaveError, encodeBase32, equalBytes, limits } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { createRecipientKeyPair, recipientPublicKey } from './encapsulation.js';
import { encodeFields } from './fields.js';
import { hash } from './hash.js';
import { encodeRecoveryText, recoveryId } from './recovery-text.js';
import type { RecoveryText } from './recovery-text.js';
import { SecretBytes } from './secret-bytes.js';
import { combineShares, splitSecret } from './shamir.js';
import type { Share } from './shamir.js';

/** How many shares a recovery key is split into, and how many of them make it again. */
export interface Split {
  /** 2..count. */
  readonly threshold: number;
  /** ..{@link limits.RECOVERY_SHARE_COUNT_MAX} */
  readonly count: number;
}

/** The public half of a recovery key: all that the cluster keeps of it. */
export interface RecoveryRecipient {
  readonly publicKey: Uint8Array;
  /** Shares that make the key; 0: it is whole. */
  readonly threshold: number;
  /** One hash per share, in their order, so that a wrong one can be named. */
  readonly shareHashes: readonly Uint8Array[];
}

/** A new recovery key. */
export interface RecoveryKit {
  readonly recipient: RecoveryRecipient;
  /** What people keep: the key, or its shares. Secret; the owner wipes them. */
  readonly texts: readonly SecretBytes[];
}

/** Makes a recovery key, whole or split. Nothing of the secret half is kept but the texts. */
export function createRecoveryKit(random: Random, split?: Split): RecoveryKit {
  const { publicKey, privateKey } = createRecipientKeyPair(random);
  const id = recoveryId(publicKey);
  const text = (parts: Omit<RecoveryText, 'id'>): SecretBytes =>
    SecretBytes.take(encodeRecoveryText({ id, ...parts }));
  try {
    if (split === undefined) {
      const recipient = { publicKey, threshold: 0, shareHashes: [] };
      return { recipient, texts: [text({ secret: privateKey, place: undefined })] };
    }
    const shares = splitSecret(privateKey, { ...split, random });
    const shareHashes = shares.map((share) => shareHash(publicKey, share));
    const texts = shares.map(({ index, bytes }) =>
      text({ secret: bytes, place: { ...split, index } }),
    );
    for (const { bytes } of shares) bytes.wipe();
    return { recipient: { publicKey, threshold: split.threshold, shareHashes }, texts };
  } finally {
    privateKey.wipe();
  }
}

/** True when a recipient that came from outside has a possible shape. */
export function isRecoverySplit({ threshold, shareHashes }: RecoveryRecipient): boolean {
  const count = shareHashes.length;
  if (threshold === 0) return count === 0;
  return threshold >= 2 && threshold <= count && count <= limits.RECOVERY_SHARE_COUNT_MAX;
}

/**
 * Gathers what people give to open something with a recovery key: the key itself, or one share
 * after the other, in any order.
 */
export class RecoveryEntry {
  readonly #recipient: RecoveryRecipient;
  readonly #shares = new Map<number, Share>();

  constructor(recipient: RecoveryRecipient) {
    this.#recipient = recipient;
  }

  /** Shares that were given so far. */
  get haveCount(): number {
    return this.#shares.size;
  }

  /** Shares that are needed in all; 1 for a key that is whole. */
  get needCount(): number {
    return Math.max(1, this.#recipient.threshold);
  }

  /**
   * Takes what `parseRecoveryText` read, secret included. Answers the key once it is complete; the
   * caller wipes it, and the shares are forgotten then.
   * @throws CV_RECOVERY_KEY_WRONG when it belongs to another key, or a share is not what was made
   */
  add({ id, secret, place }: RecoveryText): SecretBytes | undefined {
    const { publicKey, shareHashes, threshold } = this.#recipient;
    if (!equalBytes(id, recoveryId(publicKey))) {
      secret.wipe();
      throw wrong(`it belongs to recovery key ${encodeBase32(id)}, not to this one`);
    }
    if (place === undefined) return this.#checked(secret);
    const share = { index: place.index, bytes: secret };
    const known = shareHashes[place.index - 1];
    if (known === undefined || !equalBytes(known, shareHash(publicKey, share))) {
      secret.wipe();
      throw wrong(`share ${place.index} is not one that was handed out`);
    }
    this.#shares.get(place.index)?.bytes.wipe();
    this.#shares.set(place.index, share);
    if (this.#shares.size < threshold) return undefined;
    const combined = combineShares([...this.#shares.values()].slice(0, threshold));
    this.wipe();
    return this.#checked(combined);
  }

  /** Forgets the shares. */
  wipe(): void {
    for (const { bytes } of this.#shares.values()) bytes.wipe();
    this.#shares.clear();
  }

  #checked(key: SecretBytes): SecretBytes {
    if (equalBytes(recipientPublicKey(key), this.#recipient.publicKey)) return key;
    key.wipe();
    throw wrong('it does not fit its own id');
  }
}

/** The hash of a share: it names a wrong one, and says nothing about a right one. */
function shareHash(publicKey: Uint8Array, { index, bytes }: Share): Uint8Array {
  return bytes.use((view) => hash(encodeFields(['CV-SHARE-1', publicKey, index]), view));
}

function wrong(why: string): ConclaveError {
  return new ConclaveError('CV_RECOVERY_KEY_WRONG', `this is not the recovery key: ${why}`);
}
