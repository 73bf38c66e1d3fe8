import type { FileHandle } from 'node:fs/promises';
import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import type { ContextStore } from './contexts.js';
import { checkContextName } from './contexts.js';
import type { Io } from './io.js';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Bits of a mode that let anybody else in. */
const OTHERS = 0o077;
const DRAFT_BYTES = 8;

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/** What the file system says of a file of ours, in our words; errors of ours as they are. */
function fileFailure(cause: unknown, what: string): unknown {
  const code = codeOf(cause);
  if (typeof code !== 'string' || cause instanceof ConclaveError) return cause;
  return new ConclaveError('CV_OUTPUT_FAILED', `${what} (${code})`, {
    hint: 'Check the permissions of the folder for contexts and the room on its disk.',
    cause,
  });
}

function notFound(name: string): ConclaveError {
  return new ConclaveError('CV_CONTEXT_NOT_FOUND', `there is no context ${name}`);
}

function folderOf(env: Io['env']): string {
  const base = env['XDG_CONFIG_HOME'] ?? '';
  if (base !== '') return `${base}/conclave`;
  return `${env['HOME'] ?? ''}/.config/conclave`;
}

/** Contexts as files in the folder for settings of this person, one each, mode 0600. */
export class ContextFiles implements ContextStore {
  readonly #folder: string;
  readonly #shelf: string;
  readonly #random: Random;

  constructor(env: Io['env'], random: Random, shelf: 'contexts' | 'requests' = 'contexts') {
    this.#folder = folderOf(env);
    this.#shelf = `${this.#folder}/${shelf}`;
    this.#random = random;
  }

  place(name: string): string {
    return `${this.#shelf}/${name}`;
  }

  async names(): Promise<readonly string[]> {
    const { readdir } = await import('node:fs/promises');
    try {
      const names = await readdir(this.#shelf);
      return names.filter((name) => !name.startsWith('.')).toSorted();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw fileFailure(error, 'the contexts cannot be read');
    }
  }

  async read(name: string): Promise<SecretBytes> {
    const { stat } = await import('node:fs/promises');
    const path = this.place(checkContextName(name));
    try {
      const { mode } = await stat(path);
      if ((mode & OTHERS) !== 0) {
        throw new ConclaveError('CV_CONTEXT_INVALID', `others may read the context ${name}`, {
          hint: `Revoke it, for it may be known; to use it all the same: chmod 600 ${path}`,
        });
      }
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw notFound(name);
      throw fileFailure(error, 'the context cannot be read');
    }
    const [{ readSecretFile }, { CREDENTIALS_BYTES_MAX }] = await Promise.all([
      import('./stdin.js'),
      import('@conclave/client'),
    ]);
    return readSecretFile(path, CREDENTIALS_BYTES_MAX);
  }

  async write(name: string, content: SecretBytes): Promise<void> {
    await this.#replace(this.place(checkContextName(name)), (file) =>
      content.use((view) => file.writeFile(view)),
    );
  }

  async renew(
    name: string,
    next: (content: SecretBytes) => Promise<SecretBytes | undefined>,
  ): Promise<boolean> {
    const { replaceAlone } = await import('./context-renewal.js');
    const path = this.place(checkContextName(name));
    try {
      return await replaceAlone(path, this.#draftOf(path), async () => next(await this.read(name)));
    } catch (error) {
      throw fileFailure(error, 'the file of the context cannot be written');
    }
  }

  async remove(name: string): Promise<void> {
    const { rm } = await import('node:fs/promises');
    try {
      await rm(this.place(checkContextName(name)));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw notFound(name);
      throw fileFailure(error, 'the context cannot be removed');
    }
    if ((await this.current()) === name) await this.choose('');
  }

  async current(): Promise<string> {
    const { readFile } = await import('node:fs/promises');
    try {
      return (await readFile(`${this.#folder}/current-context`, 'utf8')).trim();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return '';
      throw fileFailure(error, 'the chosen context cannot be read');
    }
  }

  async choose(name: string): Promise<void> {
    await this.#replace(`${this.#folder}/current-context`, (file) => file.writeFile(`${name}\n`));
  }

  #draftOf(path: string): string {
    const place = path.lastIndexOf('/') + 1;
    const suffix = Buffer.from(this.#random.bytes(DRAFT_BYTES)).toString('hex');
    return `${path.slice(0, place)}.${path.slice(place)}.${suffix}`;
  }

  async #replace(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
    try {
      await this.#write(path, write);
    } catch (error) {
      throw fileFailure(error, 'the file of the context cannot be written');
    }
  }

  async #write(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
    const { mkdir, open, rename, rm } = await import('node:fs/promises');
    await mkdir(this.#shelf, { recursive: true, mode: FOLDER_MODE });
    const draft = this.#draftOf(path);
    const file = await open(draft, 'wx', FILE_MODE);
    try {
      await write(file);
      await file.sync();
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }
}
