import { ConclaveError, equalBytes } from '@conclave/kernel';
import type { Logger, Random } from '@conclave/kernel';
import type { KeySlots, Slot, SlotDraft } from '@conclave/manager';
import { createRecipientKeyPair, RECIPIENT_SEED_BYTES, recipientPublicKey } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { hostFile } from './host-file.js';
import { hasTpm, hostTpm } from './host-tpm.js';
import type { ProviderTools, UnlockProvider } from './provider.js';
import { unlockCommand } from './unlock-command.js';

const COMMAND_PREFIX = 'command:';

/** A slot that opens without a person, and what to tell whoever chose it. */
export interface AutoSlot {
  readonly draft: SlotDraft;
  readonly note: string;
}

/**
 * What `host` or `command:PATH` means on this host.
 * @throws CV_ARGUMENT_INVALID for other words
 */
export async function chooseProvider(how: string, tools: ProviderTools): Promise<UnlockProvider> {
  if (how === 'host') return (await hasTpm(tools)) ? hostTpm(tools) : hostFile(tools);
  if (how.startsWith(COMMAND_PREFIX)) {
    return unlockCommand(how.slice(COMMAND_PREFIX.length), tools);
  }
  throw new ConclaveError('CV_ARGUMENT_INVALID', 'auto_unlock must be host or command:PATH', {
    details: { field: 'auto_unlock' },
  });
}

/**
 * Makes a key for a new slot, gives its private half to the provider, and sees whether that gives
 * it back.
 * @throws CV_UNLOCK_FAILED when it does not
 */
export async function createAutoSlot(provider: UnlockProvider, random: Random): Promise<AutoSlot> {
  const { publicKey, privateKey } = createRecipientKeyPair(random);
  try {
    const kept = await provider.wrap(privateKey);
    const draft = { kind: provider.kind, publicKey, ...kept };
    (await unwrapChecked(provider, draft)).wipe();
    return { draft, note: `keys at rest: ${provider.worth}` };
  } finally {
    privateKey.wipe();
  }
}

/**
 * The local key through a slot that needs no person.
 * @throws CV_UNLOCK_FAILED, CV_ENVELOPE_FORGED
 */
export async function openBySlot(
  slots: KeySlots,
  slot: Slot,
  tools: ProviderTools,
): Promise<SecretBytes> {
  const privateKey = await unwrapChecked(providerOf(slot, tools), slot);
  try {
    return slots.open(slot, privateKey);
  } finally {
    privateKey.wipe();
  }
}

/**
 * The local key through a key file, where there is one: the only slot that never has to wait for
 * anything. Undefined when no such slot opens.
 */
export async function openAtOnce(
  slots: KeySlots,
  tools: ProviderTools & { readonly logger: Logger },
): Promise<SecretBytes | undefined> {
  const slot = slots.list().find(({ kind, detail }) => kind === 'host' && detail === 'file');
  if (slot === undefined) return undefined;
  try {
    return await openBySlot(slots, slot, tools);
  } catch (error) {
    tools.logger.warn('keys.slot-failed', { slotId: slot.id, error });
    return undefined;
  }
}

/** The provider that a stored slot was made with. */
export function providerOf({ kind, detail }: Slot, tools: ProviderTools): UnlockProvider {
  if (kind === 'command') return unlockCommand(detail, tools);
  return detail === 'tpm' ? hostTpm(tools) : hostFile(tools);
}

/** A provider that fails and one that gives another key are the same to whoever waits. */
async function unwrapChecked(
  provider: UnlockProvider,
  slot: Pick<Slot, 'publicKey' | 'detail' | 'data'>,
): Promise<SecretBytes> {
  const privateKey = await provider.unwrap(slot);
  const isRight =
    privateKey.size === RECIPIENT_SEED_BYTES &&
    equalBytes(recipientPublicKey(privateKey), slot.publicKey);
  if (isRight) return privateKey;
  privateKey.wipe();
  throw new ConclaveError('CV_UNLOCK_FAILED', `the ${provider.kind} slot was given another key`);
}
