import { ConclaveError } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';
import { checkContextName } from '../../src/contexts.js';
import type { ContextStore } from '../../src/contexts.js';

const notFound = (name: string): ConclaveError =>
  new ConclaveError('CV_CONTEXT_NOT_FOUND', `there is no context ${name}`);

/** Contexts that a test looks at. */
export class MemoryContexts implements ContextStore {
  readonly contents = new Map<string, Uint8Array>();
  chosen = '';

  place(name: string): string {
    return `/home/ann/.config/conclave/contexts/${name}`;
  }

  names(): Promise<readonly string[]> {
    return Promise.resolve([...this.contents.keys()].toSorted());
  }

  read(name: string): Promise<SecretBytes> {
    const content = this.contents.get(checkContextName(name));
    if (content === undefined) return Promise.reject(notFound(name));
    return Promise.resolve(SecretBytes.take(content.slice()));
  }

  write(name: string, content: SecretBytes): Promise<void> {
    this.contents.set(
      checkContextName(name),
      content.use((view) => view.slice()),
    );
    return Promise.resolve();
  }

  /** Stands for another command that renews. */
  isBusy = false;

  async renew(
    name: string,
    next: (content: SecretBytes) => Promise<SecretBytes | undefined>,
  ): Promise<boolean> {
    if (this.isBusy) return false;
    const content = await next(await this.read(name));
    if (content !== undefined) await this.write(name, content);
    return true;
  }

  async remove(name: string): Promise<void> {
    await Promise.resolve();
    if (!this.contents.delete(name)) throw notFound(name);
    if (this.chosen === name) this.chosen = '';
  }

  current(): Promise<string> {
    return Promise.resolve(this.chosen);
  }

  choose(name: string): Promise<void> {
    this.chosen = name;
    return Promise.resolve();
  }
}
