import { assert, ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { KEY_BYTES } from './aead.js';
import { recipientPublicKey } from './encapsulation.js';
import type { RecipientKeyPair } from './encapsulation.js';
import {
  envelopeKeyId,
  forged,
  sealEnvelope,
  sealPadded,
  unsealEnvelope,
  unsealPadded,
} from './envelope.js';
import { encodeFields } from './fields.js';
import { deriveSubkey, keyedHash } from './hash.js';
import { encodeIntakePublicKey, intakeKeyId, openIntakeWith } from './intake.js';
import { paddedSizeOf } from './padding.js';
import { PURPOSE } from './purpose.js';
import { decodeRing, encodeRing, RING_VERSION_COUNT_MAX } from './ring-encoding.js';
import { SecretBytes, spend } from './secret-bytes.js';

/** What a subkey of the cluster root key is for. */
export type SubkeyContext =
  'cvwrap__' | 'cvcakey_' | 'cvaudit_' | 'cvbackup' | 'cvdigest' | 'cvintake';

const COMMITMENT_LABEL: Uint8Array = new TextEncoder().encode('CV-RING-VERSION-1');

/** A key id of 0 says: the wrapped data key beside it is the key. */
const DATA_KEY_ID = 0;

/** Which version of the ring, and which generation of the ring it comes with. */
export interface RingPlace {
  /** 1.. */
  readonly keyId: number;
  /** 1.. */
  readonly generation: number;
}

/** Which version of which secret. */
export interface ValuePlace {
  readonly clusterId: string;
  readonly secretId: string;
  /** 1.. */
  readonly version: number;
}

/** A value as the cluster keeps it. */
export interface SealedValue {
  /** Version of the cluster root key that wraps the data key. */
  readonly keyId: number;
  readonly wrappedDek: Uint8Array;
  readonly envelope: Uint8Array;
  /** Bytes of the padded value; its own size is known inside the envelope only. */
  readonly size: number;
}

/** The versions of the cluster root key, in the memory of an unlocked manager. */
export class KeyRing {
  readonly #versions: Map<number, SecretBytes>;
  readonly #generation: number;
  #currentKeyId: number;
  /** Public keys by version; making one costs a quarter of opening an intake. */
  readonly #intakePublicKeys = new Map<number, Uint8Array>();

  private constructor(generation: number, versions: Map<number, SecretBytes>) {
    this.#generation = generation;
    this.#versions = versions;
    this.#currentKeyId = this.newestKeyId;
  }

  /** A ring of generation 1 with one fresh version. */
  static create(random: Random): KeyRing {
    return new KeyRing(1, new Map([[1, SecretBytes.random(random, KEY_BYTES)]]));
  }

  /**
   * Reads what `encode` wrote. Does not wipe the input.
   * @throws CV_ENVELOPE_FORGED when the bytes are not a ring
   */
  static decode(encoded: SecretBytes): KeyRing {
    const { generation, versions } = decodeRing(encoded);
    return new KeyRing(generation, versions);
  }

  /** The ring as bytes, to be sealed into slots, files and deliveries. */
  encode(): SecretBytes {
    return encodeRing({ generation: this.#generation, versions: this.#versions });
  }

  /** Counts the changes of the ring, from 1. */
  get generation(): number {
    return this.#generation;
  }

  /** The version that wraps new data keys: the newest, or the one that was selected. */
  get currentKeyId(): number {
    return this.#currentKeyId;
  }

  /** The version that was made last. */
  get newestKeyId(): number {
    return Math.max(...this.#versions.keys());
  }

  /**
   * Makes new data keys be wrapped under `keyId`: a newer version may be here already that other
   * managers do not hold yet.
   * @throws CV_ENVELOPE_FORGED when the ring has no such version
   */
  selectCurrent(keyId: number): void {
    if (!this.#versions.has(keyId)) throw forged('key');
    this.#currentKeyId = keyId;
  }

  /** A digest (32 bytes) that names one version without telling anything of it. */
  commitment(keyId: number): Uint8Array {
    const version = this.#versions.get(keyId);
    if (version === undefined) throw forged('key');
    return keyedHash(version, COMMITMENT_LABEL);
  }

  /** The versions held, oldest first. */
  get versions(): number[] {
    return [...this.#versions.keys()].toSorted((left, right) => left - right);
  }

  /**
   * A ring of another generation with one more version, newer than all others. This ring stays as
   * it is.
   * @throws CV_LIMIT_EXCEEDED when the ring is full: retire old versions first
   */
  rotate(random: Random, next: Partial<RingPlace> = {}): KeyRing {
    const { keyId = this.newestKeyId + 1, generation = this.#generation + 1 } = next;
    assert(keyId > this.newestKeyId, 'a new version is newer than all others');
    if (this.#versions.size >= RING_VERSION_COUNT_MAX) {
      throw new ConclaveError(
        'CV_LIMIT_EXCEEDED',
        `a key ring holds at most ${RING_VERSION_COUNT_MAX} versions`,
      );
    }
    const versions = this.#copyVersions();
    versions.set(keyId, SecretBytes.random(random, KEY_BYTES));
    return new KeyRing(generation, versions);
  }

  /** A ring of another generation with nothing but `keyId`. This ring stays as it is. */
  retireAllBut({ keyId, generation }: RingPlace): KeyRing {
    const version = this.#versions.get(keyId);
    if (version === undefined) throw forged('key');
    return new KeyRing(generation, new Map([[keyId, version.copy()]]));
  }

  /** Overwrites all versions; the ring is of no use afterwards. */
  wipe(): void {
    for (const version of this.#versions.values()) version.wipe();
  }

  /**
   * The subkey of one version for one purpose; the caller wipes it.
   * @throws CV_ENVELOPE_FORGED when the ring has no such version
   */
  subkey(keyId: number, context: SubkeyContext): SecretBytes {
    const version = this.#versions.get(keyId);
    if (version === undefined) throw forged('key');
    return deriveSubkey(version, context);
  }

  /** Seals a value under a fresh data key and wraps that one. Does not wipe the value. */
  sealValue(request: ValuePlace & { value: SecretBytes; random: Random }): SealedValue {
    const { clusterId, secretId, version, value, random } = request;
    const size = paddedSizeOf(value.size);
    const fields = [clusterId, secretId, version, size];
    return spend(SecretBytes.random(random, KEY_BYTES), (dek) => {
      const place = { purpose: PURPOSE.value, key: dek, keyId: DATA_KEY_ID, fields };
      const envelope = sealPadded({ ...place, plaintext: value, random }, size);
      return { ...this.#wrap(request, dek), envelope, size };
    });
  }

  /**
   * Opens a value; the caller wipes it.
   * @throws CV_ENVELOPE_FORGED when anything was changed, moved, or its version is not in the ring
   */
  openValue(request: ValuePlace & { sealed: SealedValue }): SecretBytes {
    const { clusterId, secretId, version, sealed } = request;
    const { envelope, size } = sealed;
    const fields = [clusterId, secretId, version, size];
    return spend(this.#unwrap(request), (key) => {
      const place = { purpose: PURPOSE.value, key, keyId: DATA_KEY_ID, fields, envelope };
      return SecretBytes.adopt(unsealPadded(place, true));
    });
  }

  /**
   * The same value with its data key under the current version; the value itself stays sealed.
   * @throws CV_ENVELOPE_FORGED when the data key does not unwrap
   */
  rewrap(request: ValuePlace & { sealed: SealedValue; random: Random }): SealedValue {
    const { envelope, size } = request.sealed;
    return spend(this.#unwrap(request), (dek) => ({
      ...this.#wrap(request, dek),
      envelope,
      size,
    }));
  }

  /**
   * A keyed digest (32 bytes) that tells whether a value is unchanged, different for each secret.
   * Comparable only under one `keyId`, which is the current version unless given.
   */
  digestValue(request: { secretId: string; value: SecretBytes; keyId?: number }): Uint8Array {
    const { secretId, value, keyId = this.currentKeyId } = request;
    return spend(this.subkey(keyId, 'cvdigest'), (key) =>
      keyedHash(key, encodeFields([secretId]), value),
    );
  }

  /** The public key that clients seal new values to; it names the current version. */
  intakePublicKey(): Uint8Array {
    const keyId = this.currentKeyId;
    return spend(this.subkey(keyId, 'cvintake'), (privateKey) =>
      encodeIntakePublicKey(keyId, this.#intakeKeyPair(keyId, privateKey).publicKey),
    );
  }

  /**
   * Opens a value that a client sealed with `sealIntake`.
   * @throws CV_ENVELOPE_FORGED when it belongs to another cluster or request, or was changed
   */
  openIntake(request: { clusterId: string; context: Uint8Array; sealed: Uint8Array }): SecretBytes {
    const keyId = intakeKeyId(request.sealed);
    return spend(this.subkey(keyId, 'cvintake'), (privateKey) =>
      openIntakeWith({ ...request, keyPair: this.#intakeKeyPair(keyId, privateKey) }),
    );
  }

  /** Wraps the signing key of the CA. Does not wipe it. */
  sealCaKey(request: {
    clusterId: string;
    serial: string;
    key: SecretBytes;
    random: Random;
  }): Uint8Array {
    const { clusterId, serial, key: plaintext, random } = request;
    const keyId = this.currentKeyId;
    const place = { purpose: PURPOSE.caKeyWrap, keyId, fields: [clusterId, serial] };
    return spend(this.subkey(keyId, 'cvcakey_'), (key) =>
      sealEnvelope({ ...place, key, plaintext, random }),
    );
  }

  /**
   * Unwraps the signing key of the CA; the caller wipes it.
   * @throws CV_ENVELOPE_FORGED when it does not open for this cluster and serial
   */
  openCaKey(request: { clusterId: string; serial: string; envelope: Uint8Array }): SecretBytes {
    const { clusterId, serial, envelope } = request;
    const keyId = envelopeKeyId(envelope);
    const place = { purpose: PURPOSE.caKeyWrap, keyId, fields: [clusterId, serial] };
    return spend(this.subkey(keyId, 'cvcakey_'), (key) =>
      unsealEnvelope({ ...place, key, envelope }),
    );
  }

  #intakeKeyPair(keyId: number, privateKey: SecretBytes): RecipientKeyPair {
    let publicKey = this.#intakePublicKeys.get(keyId);
    if (publicKey === undefined) {
      publicKey = recipientPublicKey(privateKey);
      this.#intakePublicKeys.set(keyId, publicKey);
    }
    return { publicKey, privateKey };
  }

  #wrap(
    request: ValuePlace & { random: Random },
    dek: SecretBytes,
  ): { keyId: number; wrappedDek: Uint8Array } {
    const { clusterId, secretId, version, random } = request;
    const keyId = this.currentKeyId;
    const place = { purpose: PURPOSE.dekWrap, keyId, fields: [clusterId, secretId, version] };
    const wrappedDek = spend(this.subkey(keyId, 'cvwrap__'), (key) =>
      sealEnvelope({ ...place, key, plaintext: dek, random }),
    );
    return { keyId, wrappedDek };
  }

  #unwrap(request: ValuePlace & { sealed: SealedValue }): SecretBytes {
    const { clusterId, secretId, version, sealed } = request;
    const { keyId, wrappedDek: envelope } = sealed;
    const place = { purpose: PURPOSE.dekWrap, keyId, fields: [clusterId, secretId, version] };
    const dek = spend(this.subkey(keyId, 'cvwrap__'), (key) =>
      unsealEnvelope({ ...place, key, envelope }),
    );
    if (dek.size === KEY_BYTES) return dek;
    dek.wipe();
    throw forged('malformed');
  }

  #copyVersions(): Map<number, SecretBytes> {
    const copies = new Map<number, SecretBytes>();
    for (const [keyId, version] of this.#versions) copies.set(keyId, version.copy());
    return copies;
  }
}
