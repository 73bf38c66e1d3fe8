import { ReplaceableIdentity } from '@conclave/transport';
import type { IdentityFile, MemberIdentity } from './identity-file.js';
import { tlsIdentityOf } from './tls-identity.js';

/**
 * Who this host is, on its disk and in what it presents. Changes are made one after the other, each
 * stored before it is in force, so that a late one never brings back what an earlier one replaced.
 * Only what comes with a certificate can be in force without being stored.
 */
export class MemberRecord {
  /** What TLS uses; renewals and other roots replace it. */
  readonly identity: ReplaceableIdentity;
  readonly #file: IdentityFile;
  #stored: MemberIdentity;
  /** What is in force and not stored. */
  #unsaved: Partial<MemberIdentity> | undefined;
  #last: Promise<void> = Promise.resolve();

  /** @param privateKeyPem the record's from now on */
  constructor(file: IdentityFile, member: MemberIdentity, privateKeyPem: Uint8Array) {
    this.#file = file;
    this.#stored = member;
    this.identity = new ReplaceableIdentity(tlsIdentityOf(member, privateKeyPem));
  }

  /** What is in force. */
  get current(): MemberIdentity {
    return { ...this.#stored, ...this.#unsaved };
  }

  /** What is in force and would be lost with this process; undefined: nothing. */
  get unsaved(): Partial<MemberIdentity> | undefined {
    return this.#unsaved;
  }

  /** Puts a certificate in force, and what came with it; the next start finds what is stored. */
  show(change: Partial<MemberIdentity>): void {
    this.#unsaved = { ...this.#unsaved, ...change };
    this.#present();
  }

  /** Resolves when the change is stored and in force. */
  update(change: Partial<MemberIdentity>): Promise<void> {
    const next = this.#last.then(async () => {
      const member = { ...this.#stored, ...change };
      await this.#file.write(member);
      this.#stored = member;
      this.#unsaved = without(this.#unsaved, change);
      const isSameInTls = Object.keys(change).every((key) => key === 'managers');
      if (!isSameInTls) this.#present();
    });
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Overwrites the private key; nothing may connect with this identity any more. */
  async wipe(): Promise<void> {
    // A change that is under way would need it.
    await this.#last;
    this.identity.current().privateKeyPem.fill(0);
  }

  #present(): void {
    const { privateKeyPem } = this.identity.current();
    this.identity.replace(tlsIdentityOf(this.current, privateKeyPem));
  }
}

function without(
  unsaved: Partial<MemberIdentity> | undefined,
  stored: Partial<MemberIdentity>,
): Partial<MemberIdentity> | undefined {
  const left = Object.entries(unsaved ?? {}).filter(([key]) => !Object.hasOwn(stored, key));
  return left.length === 0 ? undefined : Object.fromEntries(left);
}
