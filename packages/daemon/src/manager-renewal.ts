import type { Clock } from '@conclave/kernel';
import { CERTIFICATE_OVERLAP_MS } from '@conclave/manager';
import type { OwnCertificate } from '@conclave/manager';
import { isUsable, lifeOf } from './certificate-life.js';
import type { MemberRecord } from './member-record.js';
import { spkiOfKey } from './public-key.js';

/** What renewing the certificate of a manager takes. */
export interface ManagerRenewalOptions {
  readonly record: MemberRecord;
  readonly own: Pick<OwnCertificate, 'isRecorded' | 'issue' | 'record'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Gives this manager its next certificate, recorded in the log. With one that has ended, or that
 * begins in the future, nobody would hear it: then it first shows one that it has made by itself,
 * which the others accept for the key on record. So managers that were all off for long find each
 * other again. What nobody has recorded never takes the place of the stored one: it may have been
 * made by a clock that was wrong.
 * @throws CV_STATE_STALE, CV_NO_LEADER: to be tried again
 * @throws CV_NODE_REMOVED
 */
export async function renewManager(options: ManagerRenewalOptions): Promise<void> {
  const { clock, own, record, signal } = options;
  const shown = record.current.certificateDer;
  const { unsaved } = record;
  if (unsaved !== undefined && own.isRecorded && lifeOf(shown, clock.now()).isYoung) {
    return record.update(unsaved);
  }
  const spkiDer = spkiOfKey(record.identity.current().privateKeyPem);
  const issued = await own.issue(spkiDer);
  // One that no record knows counts only while it is newer than the one on record: it is used first.
  if (!isUsable(shown, clock.now()) || !own.isRecorded) record.show({ certificateDer: issued.der });
  await own.record(issued.row, { overlapMs: CERTIFICATE_OVERLAP_MS, signal });
  record.show({ certificateDer: issued.der });
  await record.update({ certificateDer: issued.der });
}
