import { ConclaveError, required } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import {
  createRecipientKeyPair,
  createSigningKey,
  KeyRing,
  PURPOSE,
  recipientPublicKey,
  sealEnvelope,
  SecretBytes,
  signingPublicKey,
  unsealEnvelope,
} from '@conclave/sealed';
import type { RecipientKeyPair, SigningKey } from '@conclave/sealed';
import type { FileVault } from './file-vault.js';
import { packSecrets, unpackSecrets } from './secret-list.js';

const KEY_BYTES = 32;
const HOST_SLOT = 'keys/host.key';
const LOCAL_FILE = 'keys/local.sealed';
const RING_FILE = 'keys/ring.sealed';
const FILE_KEY_ID = 1;
/** Keys in the local file. */
const LOCAL_SECRET_COUNT = 3;
/** Storage keys are numbered by epoch; there is one until keys rotate. */
const STORAGE_EPOCH = 1;

/** Whose keys they are; part of what every file is bound to. */
export interface KeyOwner {
  readonly clusterId: string;
  readonly nodeId: string;
}

/** Secret keys that a manager makes before it joins, when it has no name yet. */
export interface FreshKeys {
  readonly static: RecipientKeyPair;
  readonly signing: SigningKey;
}

/** New static and signing keys of a manager. */
export function createFreshKeys(random: Random): FreshKeys {
  return { static: createRecipientKeyPair(random), signing: createSigningKey(random) };
}

/**
 * The secret keys of one manager, in memory while it is unlocked and sealed on its disk: its own
 * under the local key (which the host slot opens), the cluster's ring under the local key too.
 */
export class ManagerKeys {
  readonly static: RecipientKeyPair;
  readonly signing: SigningKey;
  /** Protects the records of the log store. */
  readonly storageKey: SecretBytes;
  readonly storageEpoch: number = STORAGE_EPOCH;
  readonly #vault: FileVault;
  readonly #owner: KeyOwner;
  readonly #localKey: SecretBytes;
  readonly #random: Random;
  #ring: KeyRing | undefined;

  private constructor(fields: {
    fresh: FreshKeys;
    storageKey: SecretBytes;
    vault: FileVault;
    owner: KeyOwner;
    localKey: SecretBytes;
    random: Random;
    ring: KeyRing | undefined;
  }) {
    this.static = fields.fresh.static;
    this.signing = fields.fresh.signing;
    this.storageKey = fields.storageKey;
    this.#vault = fields.vault;
    this.#owner = fields.owner;
    this.#localKey = fields.localKey;
    this.#random = fields.random;
    this.#ring = fields.ring;
  }

  /** Makes and stores the keys of a new manager. */
  static async create(
    vault: FileVault,
    owner: KeyOwner,
    fresh: FreshKeys,
    random: Random,
  ): Promise<ManagerKeys> {
    const localKey = SecretBytes.random(random, KEY_BYTES);
    const storageKey = SecretBytes.random(random, KEY_BYTES);
    const packed = packSecrets([fresh.static.privateKey, fresh.signing.privateKey, storageKey]);
    const sealed = sealEnvelope({
      purpose: PURPOSE.localKeyFile,
      key: localKey,
      keyId: FILE_KEY_ID,
      fields: [owner.clusterId, owner.nodeId],
      plaintext: packed,
      random,
    });
    packed.wipe();
    await localKey.use((bytes) => vault.write(HOST_SLOT, bytes));
    await vault.write(LOCAL_FILE, sealed);
    return new ManagerKeys({ fresh, storageKey, vault, owner, localKey, random, ring: undefined });
  }

  /**
   * Opens the stored keys with the host slot.
   * @throws CV_ENVELOPE_FORGED when a file was changed or belongs to another manager
   */
  static async open(vault: FileVault, owner: KeyOwner, random: Random): Promise<ManagerKeys> {
    const opened = [SecretBytes.take(await need(vault, HOST_SLOT))];
    try {
      const localKey = required(opened[0], 'local key');
      opened.push(...openLocalFile(await need(vault, LOCAL_FILE), localKey, owner));
      const staticKey = required(opened[1], 'static key');
      const signingKey = required(opened[2], 'signing key');
      const ringEnvelope = await vault.read(RING_FILE);
      return new ManagerKeys({
        fresh: {
          static: { publicKey: recipientPublicKey(staticKey), privateKey: staticKey },
          signing: { publicKey: signingPublicKey(signingKey), privateKey: signingKey },
        },
        storageKey: required(opened[3], 'storage key'),
        vault,
        owner,
        localKey,
        random,
        ring: ringEnvelope === undefined ? undefined : openRing(ringEnvelope, localKey, owner),
      });
    } catch (error) {
      // Files that do not fit together: what was opened of them goes.
      for (const secret of opened) secret.wipe();
      throw error;
    }
  }

  /** Removes every key of this host; the stored log cannot be opened any more. */
  static async destroy(vault: FileVault): Promise<void> {
    await vault.remove('keys');
  }

  /** The cluster's key ring, absent until this manager has received it. */
  get ring(): KeyRing | undefined {
    return this.#ring;
  }

  /** The ring, which the caller cannot do without. */
  requireRing(): KeyRing {
    if (this.#ring !== undefined) return this.#ring;
    throw new ConclaveError('CV_NO_LEADER', 'this manager has not received the key ring yet', {
      retryAfterMs: 500,
    });
  }

  /** Stores and uses another ring; the one before is wiped. */
  async saveRing(ring: KeyRing): Promise<void> {
    const encoded = ring.encode();
    const sealed = sealEnvelope({
      purpose: PURPOSE.ringFile,
      key: this.#localKey,
      keyId: FILE_KEY_ID,
      // The generation is inside the ring too; here it is not known before opening.
      fields: [this.#owner.clusterId, this.#owner.nodeId, 0],
      plaintext: encoded,
      random: this.#random,
    });
    encoded.wipe();
    await this.#vault.write(RING_FILE, sealed);
    if (this.#ring !== ring) this.#ring?.wipe();
    this.#ring = ring;
  }

  /** Overwrites every key in memory. */
  wipe(): void {
    this.static.privateKey.wipe();
    this.signing.privateKey.wipe();
    this.storageKey.wipe();
    this.#localKey.wipe();
    this.#ring?.wipe();
  }
}

/** The static key, the signing key and the storage key. */
function openLocalFile(
  envelope: Uint8Array,
  key: SecretBytes,
  owner: KeyOwner,
): readonly SecretBytes[] {
  const packed = unsealEnvelope({
    purpose: PURPOSE.localKeyFile,
    key,
    keyId: FILE_KEY_ID,
    fields: [owner.clusterId, owner.nodeId],
    envelope,
  });
  try {
    return unpackSecrets(packed, LOCAL_SECRET_COUNT);
  } finally {
    packed.wipe();
  }
}

function openRing(envelope: Uint8Array, key: SecretBytes, owner: KeyOwner): KeyRing {
  const encoded = unsealEnvelope({
    purpose: PURPOSE.ringFile,
    key,
    keyId: FILE_KEY_ID,
    fields: [owner.clusterId, owner.nodeId, 0],
    envelope,
  });
  try {
    return KeyRing.decode(encoded);
  } finally {
    encoded.wipe();
  }
}

async function need(vault: FileVault, name: string): Promise<Uint8Array> {
  const content = await vault.read(name);
  if (content !== undefined) return content;
  throw new ConclaveError('CV_LOG_DAMAGED', `the key file ${name} is missing from the data folder`);
}
