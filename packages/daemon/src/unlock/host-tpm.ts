import { SecretBytes } from '@conclave/sealed';
import type { ProviderTools, UnlockProvider } from './provider.js';
import { runHelper } from './run-helper.js';

const COMMAND = '/usr/bin/systemd-creds';
/** Part of what systemd binds the sealed bytes to. */
const NAME = '--name=conclave-keys';

/** The TPM of this host, through systemd-creds: the disk alone opens nothing. */
export function hostTpm({ timers }: Pick<ProviderTools, 'timers'>): UnlockProvider {
  return {
    kind: 'host',
    worth: 'opened by the TPM of this host: the disk alone opens nothing, this machine does',
    wrap: async (privateKey) => {
      const argv = [COMMAND, 'encrypt', '--with-key=host+tpm2', NAME, '-', '-'] as const;
      const sealed = await runHelper(argv, privateKey, timers);
      return { detail: 'tpm', data: sealed.use((view) => Uint8Array.from(view)) };
    },
    unwrap: ({ data }) => {
      const sealed = SecretBytes.take(Uint8Array.from(data));
      return runHelper([COMMAND, 'decrypt', NAME, '-', '-'], sealed, timers);
    },
    forget: () => Promise.resolve(),
  };
}

/**
 * True when systemd-creds is there and seals with the TPM of this host for us: a service without the
 * device, or a user who is not root, has none even where the host does.
 */
export async function hasTpm(tools: Pick<ProviderTools, 'timers'>): Promise<boolean> {
  const nothing = SecretBytes.allocate(1);
  try {
    (await runHelper([COMMAND, 'has-tpm2'], SecretBytes.allocate(0), tools.timers)).wipe();
    await hostTpm(tools).wrap(nothing);
    return true;
  } catch {
    return false;
  } finally {
    nothing.wipe();
  }
}
