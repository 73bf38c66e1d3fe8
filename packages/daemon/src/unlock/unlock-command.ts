import { SecretBytes } from '@conclave/sealed';
import { checkHelper } from './helper-path.js';
import type { ProviderTools, UnlockProvider } from './provider.js';
import { runHelper } from './run-helper.js';

/**
 * A command of the operator, for example one that asks a key service. `PATH wrap` reads a key from
 * its standard input and prints what it wants to see again; `PATH unwrap` reads that and prints the
 * key. Bytes as they are, no line ends.
 */
export function unlockCommand(
  path: string,
  { timers }: Pick<ProviderTools, 'timers'>,
): UnlockProvider {
  return {
    kind: 'command',
    worth: `opened by ${path}: whoever may run it with success can open the keys`,
    wrap: async (privateKey) => {
      await checkHelper(path);
      const wrapped = await runHelper([path, 'wrap'], privateKey, timers);
      return { detail: path, data: wrapped.use((view) => Uint8Array.from(view)) };
    },
    unwrap: async ({ data }) => {
      await checkHelper(path);
      return runHelper([path, 'unwrap'], SecretBytes.take(Uint8Array.from(data)), timers);
    },
    forget: () => Promise.resolve(),
  };
}
