import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import {
  encodeFields,
  KeyRing,
  PURPOSE,
  sealEnvelope,
  spend,
  unsealEnvelope,
} from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { FileVault } from './file-vault.js';
import { packSecrets, unpackSecrets } from './secret-list.js';
import { splitFields } from './split-fields.js';

/** Secret keys of the manager itself, under the local key. */
export const LOCAL_FILE = 'keys/local.sealed';
/** The key ring, under the local key. */
export const RING_FILE = 'keys/ring.sealed';
/** The keys of the log's records, under the local key; the store writes it. */
export const EPOCH_FILE = 'keys/epochs.sealed';
/** The other files under the next local key, while it takes the place of the one in use. */
export const NEXT_FILE = 'keys/next.sealed';

const FILE_KEY_ID = 1;
const NEXT_FIELD_COUNT = 3;
/** In the ring file: the generation is inside the ring; here it is not known before opening. */
const ANY_GENERATION = 0;

/** Whose keys they are; part of what every file is bound to. */
export interface KeyOwner {
  readonly clusterId: string;
  readonly nodeId: string;
}

/** What a key file is sealed with and for whom. */
export interface KeyFilePlace {
  readonly owner: KeyOwner;
  readonly localKey: SecretBytes;
  readonly random: Random;
}

/** The content of {@link LOCAL_FILE}. Does not wipe the secrets. */
export function sealLocalFile(place: KeyFilePlace, secrets: readonly SecretBytes[]): Uint8Array {
  return spend(packSecrets(secrets), (plaintext) =>
    sealEnvelope({ ...localEnvelope(place), plaintext, random: place.random }),
  );
}

/** @throws CV_ENVELOPE_FORGED when it was changed, or is of another manager or key */
export function openLocalFile(
  place: Omit<KeyFilePlace, 'random'>,
  envelope: Uint8Array,
  count: number,
): readonly SecretBytes[] {
  const packed = unsealEnvelope({ ...localEnvelope(place), envelope });
  return spend(packed, (whole) => unpackSecrets(whole, count));
}

/** The content of {@link RING_FILE}. */
export function sealRingFile(place: KeyFilePlace, ring: KeyRing): Uint8Array {
  return spend(ring.encode(), (plaintext) =>
    sealEnvelope({ ...ringEnvelope(place), plaintext, random: place.random }),
  );
}

/** @throws CV_ENVELOPE_FORGED when it was changed, or is of another manager or key */
export function openRingFile(place: Omit<KeyFilePlace, 'random'>, envelope: Uint8Array): KeyRing {
  const encoded = unsealEnvelope({ ...ringEnvelope(place), envelope });
  return spend(encoded, (whole) => KeyRing.decode(whole));
}

/** All key files under one local key. */
export interface KeyFileSet {
  readonly local: Uint8Array;
  /** Empty: this manager has no ring yet. */
  readonly ring: Uint8Array;
  readonly epochs: Uint8Array;
}

/** Keeps a set beside the files in use, as one file. */
export function writeNextFiles(vault: FileVault, set: KeyFileSet): Promise<void> {
  return vault.write(NEXT_FILE, encodeFields([set.local, set.ring, set.epochs]));
}

/** Puts a set in the place of the files in use; a crash at any point leaves the kept set. */
export async function placeNextFiles(vault: FileVault, set: KeyFileSet): Promise<void> {
  await vault.write(EPOCH_FILE, set.epochs);
  if (set.ring.length > 0) await vault.write(RING_FILE, set.ring);
  await vault.write(LOCAL_FILE, set.local);
  await vault.remove(NEXT_FILE);
}

/**
 * Ends a change of the local key that a crash left half done: the key that the slots gave decides
 * which files are true.
 * @throws CV_LOG_DAMAGED when the kept set is not what was written
 */
export async function settleKeyFiles(
  vault: FileVault,
  place: Omit<KeyFilePlace, 'random'>,
): Promise<void> {
  const content = await vault.read(NEXT_FILE);
  if (content === undefined) return;
  const [local, ring, epochs] = splitFields(content, NEXT_FIELD_COUNT) ?? [];
  if (local === undefined || ring === undefined || epochs === undefined) {
    throw new ConclaveError('CV_LOG_DAMAGED', `the key file ${NEXT_FILE} is not what was written`);
  }
  if (opens(place, local)) await placeNextFiles(vault, { local, ring, epochs });
  // A key that opens neither decides nothing.
  else if (opens(place, await vault.read(LOCAL_FILE))) await vault.remove(NEXT_FILE);
}

function opens(place: Omit<KeyFilePlace, 'random'>, local: Uint8Array | undefined): boolean {
  if (local === undefined) return false;
  try {
    unsealEnvelope({ ...localEnvelope(place), envelope: local }).wipe();
    return true;
  } catch {
    return false;
  }
}

const localEnvelope = ({ owner, localKey }: Omit<KeyFilePlace, 'random'>) =>
  ({
    purpose: PURPOSE.localKeyFile,
    key: localKey,
    keyId: FILE_KEY_ID,
    fields: [owner.clusterId, owner.nodeId],
  }) as const;

const ringEnvelope = ({ owner, localKey }: Omit<KeyFilePlace, 'random'>) =>
  ({
    purpose: PURPOSE.ringFile,
    key: localKey,
    keyId: FILE_KEY_ID,
    fields: [owner.clusterId, owner.nodeId, ANY_GENERATION],
  }) as const;
