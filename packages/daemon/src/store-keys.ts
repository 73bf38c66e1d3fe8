import { createLocalKey, KeySlots, ManagerKeys } from '@conclave/manager';
import type { FileVault, FreshKeys, KeyOwner, SlotDraft, SlotTools } from '@conclave/manager';
import { SecretBytes } from '@conclave/sealed';
import type { KeyRing } from '@conclave/sealed';

/** The way to the keys of a manager on this host; the local key is the holder's to wipe. */
export interface OpenedKeys {
  readonly localKey: SecretBytes;
  readonly slots: KeySlots;
}

/** What is stored of a new manager. */
export interface MadeKeys {
  readonly fresh: FreshKeys;
  /** PEM; copied. */
  readonly privateKeyPem: Uint8Array;
  /** The founder's; others receive it later. */
  readonly ring?: KeyRing;
  readonly drafts: readonly SlotDraft[];
  readonly tools: SlotTools;
}

/**
 * Stores the keys of a new manager under a local key of their own. Afterwards, also after a failure,
 * the local key in the answer is the only one that is open: the fresh keys and the ring are wiped.
 */
export async function storeKeys(
  vault: FileVault,
  { clusterId, nodeId }: KeyOwner,
  { fresh, privateKeyPem, ring, drafts, tools }: MadeKeys,
): Promise<OpenedKeys> {
  const owner = { clusterId, nodeId };
  const localKey = createLocalKey(tools.random);
  const tlsKey = SecretBytes.take(Uint8Array.from(privateKeyPem));
  let keys: ManagerKeys | undefined;
  try {
    const made = { fresh, tlsKey, localKey: localKey.copy() };
    keys = await ManagerKeys.create(vault, owner, made, tools.random);
    if (ring !== undefined) await keys.saveRing(ring);
    const slots = await KeySlots.create(vault, owner, { localKey, drafts, tools });
    return { localKey, slots };
  } catch (error) {
    localKey.wipe();
    throw error;
  } finally {
    tlsKey.wipe();
    keys?.wipe();
    ring?.wipe();
  }
}
