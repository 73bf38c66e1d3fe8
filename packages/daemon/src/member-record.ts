import { ReplaceableIdentity } from '@conclave/transport';
import type { IdentityFile, MemberIdentity } from './identity-file.js';
import { tlsIdentityOf } from './tls-identity.js';

/**
 * Who this host is, on its disk and in what it presents. Changes are made one after the other, each
 * stored before it is in force, so that a late one never brings back what an earlier one replaced.
 */
export class MemberRecord {
  /** What TLS uses; renewals and other roots replace it. */
  readonly identity: ReplaceableIdentity;
  readonly #file: IdentityFile;
  #member: MemberIdentity;
  #last: Promise<void> = Promise.resolve();

  constructor(file: IdentityFile, member: MemberIdentity, privateKeyPem: Uint8Array) {
    this.#file = file;
    this.#member = member;
    this.identity = new ReplaceableIdentity(tlsIdentityOf(member, privateKeyPem));
  }

  get current(): MemberIdentity {
    return this.#member;
  }

  /** Resolves when the change is stored and in force. */
  update(change: Partial<MemberIdentity>): Promise<void> {
    const next = this.#last.then(async () => {
      const member = { ...this.#member, ...change };
      await this.#file.write(member);
      this.#member = member;
      const { privateKeyPem } = this.identity.current();
      const isSameInTls = Object.keys(change).every((key) => key === 'managers');
      if (!isSameInTls) this.identity.replace(tlsIdentityOf(member, privateKeyPem));
    });
    this.#last = next.catch(() => undefined);
    return next;
  }
}
