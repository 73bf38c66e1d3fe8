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
  spend,
  unsealEnvelope,
} from '@conclave/sealed';
import type { RecipientKeyPair, SigningKey } from '@conclave/sealed';
import type { FileVault } from './file-vault.js';
import { packSecrets, unpackSecrets } from './secret-list.js';

const KEY_BYTES = 32;
const LOCAL_FILE = 'keys/local.sealed';
const RING_FILE = 'keys/ring.sealed';
const FILE_KEY_ID = 1;
/** Keys in the local file. */
const LOCAL_SECRET_COUNT = 4;

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

/** Overwrites keys that are of no use any more; may be called again. */
export function wipeFreshKeys(keys: FreshKeys): void {
  keys.static.privateKey.wipe();
  keys.signing.privateKey.wipe();
}

/** New static and signing keys of a manager. */
export function createFreshKeys(random: Random): FreshKeys {
  return { static: createRecipientKeyPair(random), signing: createSigningKey(random) };
}

/** Everything secret that a new manager begins with. */
export interface NewKeys {
  readonly fresh: FreshKeys;
  /** Private TLS key, PEM; copied. */
  readonly tlsKey: SecretBytes;
  /** 32 bytes that protect all the others on the disk; the caller seals them to slots. */
  readonly localKey: SecretBytes;
}

/** A new local key. */
export function createLocalKey(random: Random): SecretBytes {
  return SecretBytes.random(random, KEY_BYTES);
}

/**
 * The secret keys of one manager, in memory while it is unlocked and sealed on its disk: its own
 * and the cluster's ring, both under the local key, which the slots open.
 */
export class ManagerKeys {
  readonly static: RecipientKeyPair;
  readonly signing: SigningKey;
  /** Private TLS key, PEM. */
  readonly tlsKey: SecretBytes;
  /** Protects the keys of the log store. */
  readonly storageKey: SecretBytes;
  /** What slots are sealed to open. */
  readonly localKey: SecretBytes;
  readonly #vault: FileVault;
  readonly #owner: KeyOwner;
  readonly #random: Random;
  #ring: KeyRing | undefined;

  private constructor(fields: {
    fresh: FreshKeys;
    tlsKey: SecretBytes;
    storageKey: SecretBytes;
    vault: FileVault;
    owner: KeyOwner;
    localKey: SecretBytes;
    random: Random;
    ring: KeyRing | undefined;
  }) {
    this.static = fields.fresh.static;
    this.signing = fields.fresh.signing;
    this.tlsKey = fields.tlsKey;
    this.storageKey = fields.storageKey;
    this.#vault = fields.vault;
    this.#owner = fields.owner;
    this.localKey = fields.localKey;
    this.#random = fields.random;
    this.#ring = fields.ring;
  }

  /**
   * Stores the keys of a new manager. They are this object's from now on, the local key too; when
   * they cannot be stored they are wiped.
   */
  static async create(
    vault: FileVault,
    owner: KeyOwner,
    made: NewKeys,
    random: Random,
  ): Promise<ManagerKeys> {
    const { fresh, localKey } = made;
    const storageKey = SecretBytes.random(random, KEY_BYTES);
    const tlsKey = made.tlsKey.copy();
    const ring = undefined;
    const fields = { fresh, tlsKey, storageKey, vault, owner, localKey, random, ring };
    const keys = new ManagerKeys(fields);
    try {
      await vault.write(LOCAL_FILE, keys.#sealLocal());
      return keys;
    } catch (error) {
      keys.wipe();
      throw error;
    }
  }

  /**
   * Opens the stored keys with the local key, which is this object's from then on.
   * @throws CV_ENVELOPE_FORGED when a file was changed or belongs to another manager
   */
  static async open(
    vault: FileVault,
    owner: KeyOwner,
    localKey: SecretBytes,
    random: Random,
  ): Promise<ManagerKeys> {
    const opened: SecretBytes[] = [];
    try {
      opened.push(...openLocalFile(await need(vault, LOCAL_FILE), localKey, owner));
      const staticKey = required(opened[0], 'static key');
      const signingKey = required(opened[1], 'signing key');
      const ringEnvelope = await vault.read(RING_FILE);
      return new ManagerKeys({
        fresh: {
          static: { publicKey: recipientPublicKey(staticKey), privateKey: staticKey },
          signing: { publicKey: signingPublicKey(signingKey), privateKey: signingKey },
        },
        storageKey: required(opened[2], 'storage key'),
        tlsKey: required(opened[3], 'TLS key'),
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

  /** Stores and uses another ring; of it and the one before, that which is not used is wiped. */
  async saveRing(ring: KeyRing): Promise<void> {
    try {
      await this.#vault.write(RING_FILE, this.#sealRing(ring));
    } catch (error) {
      if (this.#ring !== ring) ring.wipe();
      throw error;
    }
    if (this.#ring !== ring) this.#ring?.wipe();
    this.#ring = ring;
  }

  /** Overwrites every key in memory. */
  wipe(): void {
    this.static.privateKey.wipe();
    this.signing.privateKey.wipe();
    this.tlsKey.wipe();
    this.storageKey.wipe();
    this.localKey.wipe();
    this.#ring?.wipe();
  }

  #sealLocal(): Uint8Array {
    const { clusterId, nodeId } = this.#owner;
    const packed = packSecrets([
      this.static.privateKey,
      this.signing.privateKey,
      this.storageKey,
      this.tlsKey,
    ]);
    return spend(packed, (plaintext) =>
      sealEnvelope({
        purpose: PURPOSE.localKeyFile,
        key: this.localKey,
        keyId: FILE_KEY_ID,
        fields: [clusterId, nodeId],
        plaintext,
        random: this.#random,
      }),
    );
  }

  #sealRing(ring: KeyRing): Uint8Array {
    const { clusterId, nodeId } = this.#owner;
    return spend(ring.encode(), (plaintext) =>
      sealEnvelope({
        purpose: PURPOSE.ringFile,
        key: this.localKey,
        keyId: FILE_KEY_ID,
        // The generation is inside the ring too; here it is not known before opening.
        fields: [clusterId, nodeId, 0],
        plaintext,
        random: this.#random,
      }),
    );
  }
}

/** The static key, the signing key, the storage key and the TLS key. */
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
  return spend(packed, (whole) => unpackSecrets(whole, LOCAL_SECRET_COUNT));
}

function openRing(envelope: Uint8Array, key: SecretBytes, owner: KeyOwner): KeyRing {
  const encoded = unsealEnvelope({
    purpose: PURPOSE.ringFile,
    key,
    keyId: FILE_KEY_ID,
    fields: [owner.clusterId, owner.nodeId, 0],
    envelope,
  });
  return spend(encoded, (whole) => KeyRing.decode(whole));
}

async function need(vault: FileVault, name: string): Promise<Uint8Array> {
  const content = await vault.read(name);
  if (content !== undefined) return content;
  throw new ConclaveError('CV_LOG_DAMAGED', `the key file ${name} is missing from the data folder`);
}
