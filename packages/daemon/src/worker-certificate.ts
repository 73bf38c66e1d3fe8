import { isConclaveError } from '@conclave/kernel';
import type { Clock, ConclaveError, Timers } from '@conclave/kernel';
import { encodeRenewTranscript, identityOf, proveKey } from '@conclave/pki';
import { loadWire } from '@conclave/wire';
import { callAny } from './call-any.js';
import { lifeOf } from './certificate-life.js';
import { checkRenewed } from './check-renewed.js';
import type { MemberIdentity } from './identity-file.js';
import type { MemberRecord } from './member-record.js';
import { WAITS } from './member.js';
import { spkiOfKey } from './public-key.js';
import { recoverCertificate } from './recover-certificate.js';

/** Milliseconds for one call to a manager. */
const CALL_MS = 10_000;

/** What a worker's certificate is kept with. */
export interface WorkerCertificateOptions {
  readonly record: MemberRecord;
  /** Told with the id of each manager that refuses to give another one, and the code of its error. */
  readonly onRefusal: (managerId: string, code: string) => void;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** The certificate of a worker: renewed while it counts, recovered once it has ended. */
export class WorkerCertificate {
  readonly #options: WorkerCertificateOptions;
  /** Why the last attempt to come back with an ended certificate failed. */
  #failure: ConclaveError | undefined;

  constructor(options: WorkerCertificateOptions) {
    this.#options = options;
  }

  /** End of the certificate in use, milliseconds since 1970. */
  get notAfterMs(): number {
    return identityOf(this.#options.record.current.certificateDer).notAfterMs;
  }

  /** What this host says of a certificate that has ended; empty while it counts. */
  get problem(): string {
    return this.#isEnded ? endedText(this.#failure) : '';
  }

  get #isEnded(): boolean {
    return this.#options.clock.now() > this.notAfterMs;
  }

  /**
   * Gets the next certificate, puts it in force and stores it. The cluster accepts the one before for
   * a few minutes only, so the new one is used also when the disk does not take it; the next attempts
   * store it before they ask for another one.
   * @throws what the managers answer, what the disk says
   */
  async renew(signal: AbortSignal): Promise<void> {
    const { clock, record } = this.#options;
    const { current, unsaved } = record;
    const isYoung = lifeOf(current.certificateDer, clock.now()).isYoung;
    if (unsaved !== undefined && isYoung) return record.update(unsaved);
    const change = await this.#next(signal);
    record.show(change);
    await record.update(change);
  }

  async #next(signal: AbortSignal): Promise<Partial<MemberIdentity>> {
    if (this.#isEnded) return this.#recover(signal);
    try {
      return await this.#obtainNext(signal);
    } catch (error) {
      // The root was replaced without this host: the clock of the leader is ahead of its own.
      if (isConclaveError(error) && error.code === 'CV_CA_MISMATCH') return this.#recover(signal);
      throw error;
    }
  }

  async #recover(signal: AbortSignal): Promise<Partial<MemberIdentity>> {
    const { record } = this.#options;
    const { privateKeyPem } = record.identity.current();
    const member = record.current;
    try {
      return await recoverCertificate({ ...this.#options, member, privateKeyPem, signal });
    } catch (error) {
      if (isConclaveError(error)) this.#failure = error;
      throw error;
    }
  }

  async #obtainNext(signal: AbortSignal): Promise<Partial<MemberIdentity>> {
    const { clock, record } = this.#options;
    const { clusterId, nodeId, certificateDer } = record.current;
    const { privateKeyPem } = record.identity.current();
    const publicKey = spkiOfKey(privateKeyPem);
    const { serial } = identityOf(certificateDer);
    const transcript = encodeRenewTranscript({ clusterId, id: nodeId, serial, publicKey });
    const request = { publicKey, proof: proveKey(privateKeyPem, transcript) };
    const { certificate } = await callAny(this.#options, (channel) =>
      channel.unary(loadWire().Identity.Renew, request, { timeoutMs: CALL_MS, signal }),
    );
    const certificateNew = Uint8Array.from(certificate);
    checkRenewed(certificateNew, record.current, clock.now());
    return { certificateDer: certificateNew };
  }
}

function endedText(failure: ConclaveError | undefined): string {
  const ended = 'its certificate has ended';
  if (failure === undefined) return `${ended}: asks for another one`;
  if (failure.kind === 'unavailable') return `${ended}: asks on for another (${failure.message})`;
  if (failure.code === 'CV_APPROVAL_PENDING') return WAITS;
  if (failure.code === 'CV_CLOCK_SKEW') return `compare the clocks: ${failure.message}`;
  return (
    `${ended} and no other is given (${failure.message}): run \`conclave node rm\` for it ` +
    'on a manager and `conclave leave --force` here, then join anew'
  );
}
