import { ConclaveError, limits } from '@conclave/kernel';
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
}

/** What a command does with a new recovery key. */
export interface KitUse<T> {
  /** Gives the public half to the cluster. */
  readonly give: (kit: RecoveryKit) => Promise<T>;
  /** Tells what was made, with the key unless it is in its file. */
  readonly tell: (given: T, made: MadeKit) => Promise<void>;
}

/**
 * Makes a recovery key here, so that only its public half leaves this process, writes it to its file
 * when there is one (what is to be relied on has to be safe first), gives it and tells it. The key
 * is lost on purpose only when it was refused: as long as the cluster may rely on it, it is kept in
 * its file or shown on standard error, whatever else failed.
 * @throws CV_ARGUMENT_INVALID for a malformed option or a file that is there already
 * @throws CV_OUTPUT_FAILED when the key cannot be written
 */
export async function withNewKit<T>(call: Call, { give, tell }: KitUse<T>): Promise<void> {
  const split = readSplit(call.flags.text('recoveryShares'));
  const path = call.flags.text('recoveryKeyFile');
  const { createRecoveryKit, openSealed } = await import('@conclave/sealed');
  await openSealed();
  const kit = createRecoveryKit(call.tools.random, split);
  const made = { kit, path };
  try {
    if (path !== undefined) await writeNewFile(path, kit.texts);
    const given = await give(kit).catch((error: unknown) => saveOrDiscard(call, made, error));
    await tell(given, made).catch((error: unknown) => saveUntold(call, made, error));
  } finally {
    for (const text of kit.texts) text.wipe();
  }
}

async function saveOrDiscard(call: Call, made: MadeKit, error: unknown): Promise<never> {
  const { isOutcomeOpen } = await import('@conclave/client');
  if (isOutcomeOpen(error)) {
    const what = 'It is not known whether this key is in force: keep it until that is clear.';
    await call.io.stderr.write(`${what}\n${kitText(made)}\n`);
  } else if (made.path !== undefined) await remove(made.path);
  throw error;
}

/** Also a reader that went away is an error here: it took the only copy with it. */
async function saveUntold(call: Call, made: MadeKit, cause: unknown): Promise<never> {
  if (made.path === undefined) await call.io.stderr.write(`${kitText(made)}\n`);
  throw new ConclaveError(
    'CV_OUTPUT_FAILED',
    'the recovery key is in force, and standard output did not take what was to be said',
    { cause },
  );
}

async function remove(path: string): Promise<void> {
  const { rm } = await import('node:fs/promises');
  await rm(path, { force: true });
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

/** `--recovery-shares`. @throws CV_ARGUMENT_INVALID */
export function readSplit(text: string | undefined): Split | undefined {
  if (text === undefined) return undefined;
  const [, threshold, count] = /^([1-9]\d?)\/([1-9]\d?)$/.exec(text) ?? [];
  const split = { threshold: Number(threshold), count: Number(count) };
  const most = limits.RECOVERY_SHARE_COUNT_MAX;
  if (split.threshold >= 2 && split.threshold <= split.count && split.count <= most) return split;
  throw usageError(`--recovery-shares must be K/N with 2 <= K <= N <= ${most}, for instance 2/3`);
}

/** A file of a key that is safe on disk beside the place where it is to be. */
export interface Draft {
  readonly keep: () => Promise<void>;
  readonly drop: () => Promise<void>;
}

/**
 * As {@link writeNewFile}, but in its place only when it is kept: what a killed run leaves behind is
 * in nobody's way.
 * @throws CV_ARGUMENT_INVALID, CV_OUTPUT_FAILED
 */
export async function draftFile(path: string, texts: readonly SecretBytes[]): Promise<Draft> {
  const { lstat, rename } = await import('node:fs/promises');
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  if (isThere) throw notMade('EEXIST');
  const draft = `${path}.new`;
  await remove(draft);
  await writeNewFile(draft, texts);
  return { keep: () => rename(draft, path), drop: () => remove(draft) };
}

function notMade(code: string): ConclaveError {
  return usageError(
    `--recovery-key-file cannot be made (${code})`,
    'Name a file that is not there.',
  );
}

/** One text per line, in a file that was not there. @throws CV_ARGUMENT_INVALID, CV_OUTPUT_FAILED */
export async function writeNewFile(path: string, texts: readonly SecretBytes[]): Promise<void> {
  const { open } = await import('node:fs/promises');
  const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
    throw notMade((cause as NodeJS.ErrnoException).code ?? '');
  });
  try {
    for (const text of texts) {
      await text.use((view) => file.writeFile(view));
      await file.writeFile('\n');
    }
    await file.sync();
  } catch (cause) {
    await remove(path);
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    throw new ConclaveError(
      'CV_OUTPUT_FAILED',
      `the recovery key cannot be kept in its file (${code})`,
      {
        hint: 'Nothing was changed. Give a place with room to --recovery-key-file.',
        cause,
      },
    );
  } finally {
    await file.close();
  }
}
