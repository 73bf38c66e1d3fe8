import { ConclaveError } from '@conclave/kernel';
import type { RecoveryPublicKey } from '@conclave/client';
import type { RecoveryEntry, SecretBytes } from '@conclave/sealed';
import type { Call } from './command-spec.js';
import { eachLine, eachRecoveryText } from './recovery-input.js';
import type { Take } from './recovery-input.js';

type Source = (take: Take) => Promise<void>;

/**
 * The whole recovery key out of what is typed or piped, checked against its public half; the caller
 * wipes it.
 * @throws CV_RECOVERY_KEY_INVALID, CV_RECOVERY_KEY_WRONG
 */
export function readRecoveryKey(call: Call, recipient: RecoveryPublicKey): Promise<SecretBytes> {
  return gather(recipient, (take) => eachRecoveryText(call, take));
}

/**
 * The same out of a file, one text per line; undefined when there is no such file.
 * @throws CV_RECOVERY_KEY_INVALID, CV_RECOVERY_KEY_WRONG
 */
export async function recoveryKeyIn(
  path: string,
  recipient: RecoveryPublicKey,
): Promise<SecretBytes | undefined> {
  const { readFile } = await import('node:fs/promises');
  const { SecretBytes: Secret } = await import('@conclave/sealed');
  const content = await readFile(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (content === undefined) return undefined;
  const whole = Secret.take(content);
  try {
    return await gather(recipient, async (take) => void (await eachLine(whole, take)));
  } finally {
    whole.wipe();
  }
}

async function gather(recipient: RecoveryPublicKey, source: Source): Promise<SecretBytes> {
  const { openSealed, parseRecoveryText, RecoveryEntry: Entry } = await import('@conclave/sealed');
  await openSealed();
  const entry: RecoveryEntry = new Entry(recipient);
  let key: SecretBytes | undefined;
  try {
    await source((text) => {
      key = entry.add(text.use(parseRecoveryText));
      return Promise.resolve(key === undefined ? 'more' : 'enough');
    });
    if (key !== undefined) return key;
    const counts = `${entry.haveCount} of ${entry.needCount} shares`;
    throw new ConclaveError('CV_RECOVERY_KEY_INVALID', `only ${counts} were given`);
  } finally {
    entry.wipe();
  }
}
