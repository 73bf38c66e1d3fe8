import { ConclaveError } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';
import type { ProviderTools, UnlockProvider } from './provider.js';

const FILE = 'keys/host.key';

/** A key file of mode 0600 beside the keys that it opens. */
export function hostFile({ folder }: Pick<ProviderTools, 'folder'>): UnlockProvider {
  return {
    kind: 'host',
    worth: 'opened by a key file on this disk: anyone who copies this disk can open it',
    wrap: async (privateKey) => {
      await privateKey.use((bytes) => folder.write(FILE, bytes));
      return { detail: 'file', data: new Uint8Array(0) };
    },
    unwrap: async () => {
      const key = await folder.read(FILE);
      if (key !== undefined) return SecretBytes.take(key);
      throw new ConclaveError('CV_UNLOCK_FAILED', `the key file ${FILE} is missing`);
    },
    forget: () => folder.remove(FILE),
  };
}
