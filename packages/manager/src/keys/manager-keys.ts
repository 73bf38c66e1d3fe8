import { ConclaveError, required } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import {
  createRecipientKeyPair,
  createSigningKey,
  recipientPublicKey,
  SecretBytes,
  signingPublicKey,
} from '@conclave/sealed';
import type { KeyRing, RecipientKeyPair, SigningKey } from '@conclave/sealed';
import type { ResealSteps } from '@conclave/store';
import type { FileVault } from './file-vault.js';
import {
  LOCAL_FILE,
  openLocalFile,
  openRingFile,
  placeNextFiles,
  RING_FILE,
  sealLocalFile,
  sealRingFile,
  settleKeyFiles,
  writeNextFiles,
} from './key-files.js';
import type { KeyFilePlace, KeyFileSet, KeyOwner } from './key-files.js';

const KEY_BYTES = 32;
/** Keys in the local file. */
const LOCAL_SECRET_COUNT = 4;

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

/** What replacing the local key takes besides the keys themselves. */
export interface LocalKeySteps {
  /** Seals the keys of the log under the fresh key, with a new epoch, and takes both steps. */
  readonly reseal: (fresh: SecretBytes, steps: ResealSteps) => Promise<void>;
  /** Stores slots that open the fresh key and no other. */
  readonly commit: (fresh: SecretBytes) => Promise<void>;
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
  /** Marks the witness of the log store. */
  readonly witnessKey: SecretBytes;
  readonly #vault: FileVault;
  readonly #owner: KeyOwner;
  readonly #random: Random;
  #localKey: SecretBytes;
  #ring: KeyRing | undefined;
  /** Changes of the files happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** The switch to another local key failed: nobody knows which one the slots on the disk open. */
  #isTorn = false;

  private constructor(fields: {
    fresh: FreshKeys;
    tlsKey: SecretBytes;
    witnessKey: SecretBytes;
    vault: FileVault;
    owner: KeyOwner;
    localKey: SecretBytes;
    random: Random;
    ring: KeyRing | undefined;
  }) {
    this.static = fields.fresh.static;
    this.signing = fields.fresh.signing;
    this.tlsKey = fields.tlsKey;
    this.witnessKey = fields.witnessKey;
    this.#vault = fields.vault;
    this.#owner = fields.owner;
    this.#localKey = fields.localKey;
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
    const witnessKey = SecretBytes.random(random, KEY_BYTES);
    const tlsKey = made.tlsKey.copy();
    const ring = undefined;
    const fields = { fresh, tlsKey, witnessKey, vault, owner, localKey, random, ring };
    const keys = new ManagerKeys(fields);
    try {
      await vault.write(LOCAL_FILE, keys.#sealLocal(localKey));
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
    const place = { owner, localKey };
    try {
      await settleKeyFiles(vault, place);
      opened.push(...openLocalFile(place, await need(vault, LOCAL_FILE), LOCAL_SECRET_COUNT));
      const staticKey = required(opened[0], 'static key');
      const signingKey = required(opened[1], 'signing key');
      const ringEnvelope = await vault.read(RING_FILE);
      return new ManagerKeys({
        fresh: {
          static: { publicKey: recipientPublicKey(staticKey), privateKey: staticKey },
          signing: { publicKey: signingPublicKey(signingKey), privateKey: signingKey },
        },
        witnessKey: required(opened[2], 'witness key'),
        tlsKey: required(opened[3], 'TLS key'),
        vault,
        owner,
        localKey,
        random,
        ring: ringEnvelope === undefined ? undefined : openRingFile(place, ringEnvelope),
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

  /** What slots are sealed to open. @throws CV_STORE_FAILED after a change that failed half way */
  get localKey(): SecretBytes {
    if (this.#isTorn) throw torn();
    return this.#localKey;
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
  saveRing(ring: KeyRing): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#vault.write(RING_FILE, sealRingFile(this.#place(this.localKey), ring));
      } catch (error) {
        if (this.#ring !== ring) ring.wipe();
        throw error;
      }
      if (this.#ring !== ring) this.#ring?.wipe();
      this.#ring = ring;
    });
  }

  /**
   * Puts a fresh local key in the place of the one in use; see `LocalKeyHolder.renew`.
   * @throws whatever a step failed with. From `commit` on only a new start tells then which of the
   * two is in force; before it the old one is, and it can be tried again.
   */
  renewLocalKey({ reseal, commit }: LocalKeySteps): Promise<void> {
    return this.#inTurn(async () => {
      const old = this.localKey;
      const fresh = createLocalKey(this.#random);
      try {
        await reseal(fresh, this.#switchTo(fresh, commit));
      } catch (error) {
        fresh.wipe();
        throw error;
      }
      this.#localKey = fresh;
      old.wipe();
    });
  }

  /** Overwrites every key in memory. */
  wipe(): void {
    this.static.privateKey.wipe();
    this.signing.privateKey.wipe();
    this.tlsKey.wipe();
    this.witnessKey.wipe();
    this.#localKey.wipe();
    this.#ring?.wipe();
  }

  #place(localKey: SecretBytes): KeyFilePlace {
    return { owner: this.#owner, localKey, random: this.#random };
  }

  #sealLocal(localKey: SecretBytes): Uint8Array {
    const { static: own, signing, witnessKey, tlsKey } = this;
    const secrets = [own.privateKey, signing.privateKey, witnessKey, tlsKey];
    return sealLocalFile(this.#place(localKey), secrets);
  }

  #filesUnder(localKey: SecretBytes, epochs: Uint8Array): KeyFileSet {
    const ring = this.#ring;
    return {
      local: this.#sealLocal(localKey),
      ring: ring === undefined ? new Uint8Array(0) : sealRingFile(this.#place(localKey), ring),
      epochs,
    };
  }

  /** The files under the fresh key, and what puts them in force together with its slots. */
  #switchTo(fresh: SecretBytes, commit: LocalKeySteps['commit']): ResealSteps {
    let set: KeyFileSet | undefined;
    return {
      keep: (epochs) => {
        set = this.#filesUnder(fresh, epochs);
        return writeNextFiles(this.#vault, set);
      },
      put: async () => {
        try {
          await commit(fresh);
          await placeNextFiles(this.#vault, required(set, 'the kept files'));
        } catch (error) {
          this.#isTorn = true;
          throw error;
        }
      },
    };
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

const torn = (): ConclaveError =>
  new ConclaveError('CV_STORE_FAILED', 'the local key of this manager was changed only in part', {
    hint: 'See that its disk is well and has room, then restart conclaved on this host.',
  });

async function need(vault: FileVault, name: string): Promise<Uint8Array> {
  const content = await vault.read(name);
  if (content !== undefined) return content;
  throw new ConclaveError('CV_LOG_DAMAGED', `the key file ${name} is missing from the data folder`);
}
