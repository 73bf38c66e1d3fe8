import { SecretBytes } from '@conclave/sealed';
import type { ProviderTools, UnlockProvider } from './provider.js';
import { runHelper } from './run-helper.js';

const COMMAND = '/usr/bin/systemd-creds';
/** Part of what systemd binds the sealed bytes to. */
const NAME = '--name=conclave-keys';
/** The variable by which systemd's own tools are told of another TPM than the one they find. */
const DEVICE_VARIABLE = 'SYSTEMD_TPM2_DEVICE';

/** Helpers get no environment of ours, so the choice of a TPM goes as an argument. */
const device = (): string => `--tpm2-device=${process.env[DEVICE_VARIABLE] ?? 'auto'}`;

/** The TPM of this host, through systemd-creds: the disk alone opens nothing. */
export function hostTpm({ timers }: Pick<ProviderTools, 'timers'>): UnlockProvider {
  return {
    kind: 'host',
    worth: 'opened by the TPM of this host: the disk alone opens nothing, this machine does',
    wrap: async (privateKey) => {
      const argv = [COMMAND, 'encrypt', '--with-key=host+tpm2', device(), NAME, '-', '-'] as const;
      const sealed = await runHelper(argv, privateKey, timers);
      return { detail: 'tpm', data: sealed.use((view) => Uint8Array.from(view)) };
    },
    unwrap: ({ data }) => {
      const sealed = SecretBytes.take(Uint8Array.from(data));
      return runHelper([COMMAND, 'decrypt', device(), NAME, '-', '-'], sealed, timers);
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
    // With the TPM alone first: the key of the host is made when it is missing, TPM or not.
    const probe = [COMMAND, 'encrypt', '--with-key=tpm2', device(), NAME, '-', '-'] as const;
    (await runHelper(probe, nothing, tools.timers)).wipe();
    await hostTpm(tools).wrap(nothing);
    return true;
  } catch {
    return false;
  } finally {
    nothing.wipe();
  }
}
