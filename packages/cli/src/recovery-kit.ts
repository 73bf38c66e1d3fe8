import { limits } from '@conclave/kernel';
import type { RecoveryKit, SecretBytes, Split } from '@conclave/sealed';
import type { Call, OptionSpec } from './command-spec.js';
import { usageError } from './flags.js';

/** Options of a command that makes a recovery key. */
export const KIT_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--recovery-shares <k/n>',
    help: 'split the recovery key: any k of n shares make it again, for instance 2/3',
  },
  {
    flags: '--recovery-key-file <path>',
    help: 'write the key or its shares to a new file instead of showing them',
  },
];

/** Where the key goes. */
export interface MadeKit {
  readonly kit: RecoveryKit;
  /** The file that has it, when one was asked for. */
  readonly path: string | undefined;
  /** Takes the file away again: the key opens nothing. */
  readonly discard: () => Promise<void>;
}

/**
 * Makes a recovery key here, so that only its public half leaves this process, and writes it to its
 * file when there is one: what is to be relied on has to be safe first.
 * @throws CV_ARGUMENT_INVALID for a malformed option or a file that is there already
 */
export async function makeKit(call: Call): Promise<MadeKit> {
  const split = readSplit(call.flags.text('recoveryShares'));
  const path = call.flags.text('recoveryKeyFile');
  const { createRecoveryKit, openSealed } = await import('@conclave/sealed');
  await openSealed();
  const kit = createRecoveryKit(call.tools.random, split);
  if (path === undefined) return { kit, path, discard: () => Promise.resolve() };
  const { rm } = await import('node:fs/promises');
  await writeNewFile(path, kit.texts);
  return { kit, path, discard: () => rm(path, { force: true }) };
}

/** The lines that a person keeps; they are strings from here on, as whatever is printed. */
export function kitLines({ kit }: MadeKit): readonly string[] {
  return kit.texts.map((text) => text.use((view) => new TextDecoder().decode(view)));
}

/** The fields of a new key for programs. */
export function kitData(made: MadeKit): Readonly<Record<string, unknown>> {
  return made.path === undefined ? { recoveryKey: kitLines(made) } : { recoveryKeyFile: made.path };
}

/** What a person is told about a new key, with the key unless it is in a file. */
export function kitText(made: MadeKit): string {
  const { threshold, shareHashes } = made.kit.recipient;
  const what =
    threshold === 0
      ? 'recovery key'
      : `${shareHashes.length} shares of the recovery key, of which any ${threshold} make it`;
  if (made.path !== undefined)
    return `The ${what} is in ${made.path}. Keep it away from this disk.`;
  return [
    `This is the ${what}. Nobody can show it again: keep it away from this disk.`,
    '',
    ...kitLines(made).map((line) => `    ${line}`),
    '',
    'See whether it was kept well with: conclave keys check-kit',
  ].join('\n');
}

/** Overwrites the key in this process. */
export function wipeKit({ kit }: MadeKit): void {
  for (const text of kit.texts) text.wipe();
}

function readSplit(text: string | undefined): Split | undefined {
  if (text === undefined) return undefined;
  const [, threshold, count] = /^([1-9]\d?)\/([1-9]\d?)$/.exec(text) ?? [];
  const split = { threshold: Number(threshold), count: Number(count) };
  const most = limits.RECOVERY_SHARE_COUNT_MAX;
  if (split.threshold >= 2 && split.threshold <= split.count && split.count <= most) return split;
  throw usageError(`--recovery-shares must be K/N with 2 <= K <= N <= ${most}, for instance 2/3`);
}

async function writeNewFile(path: string, texts: readonly SecretBytes[]): Promise<void> {
  const { open } = await import('node:fs/promises');
  const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    throw usageError(
      `--recovery-key-file cannot be made (${code})`,
      'Name a file that is not there.',
    );
  });
  try {
    for (const text of texts) {
      await text.use((view) => file.write(view));
      await file.write('\n');
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
