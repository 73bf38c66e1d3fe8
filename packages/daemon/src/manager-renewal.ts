import type { Clock } from '@conclave/kernel';
import { CERTIFICATE_OVERLAP_MS } from '@conclave/manager';
import type { Manager } from '@conclave/manager';
import { identityOf } from '@conclave/pki';
import type { MemberRecord } from './member-record.js';
import { spkiOfKey } from './public-key.js';

/** What renewing the certificate of a manager takes. */
export interface ManagerRenewalOptions {
  readonly record: MemberRecord;
  readonly manager: Pick<Manager, 'isRecorded' | 'issueOwn' | 'recordOwn'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Gives this manager its next certificate, recorded in the log. With one that has ended nobody would
 * hear it: then it first makes one by itself, which the others accept for the key on record. So
 * managers that were all off for long find each other again.
 * @throws CV_STATE_STALE, CV_NO_LEADER: to be tried again
 */
export async function renewManager(options: ManagerRenewalOptions): Promise<void> {
  const { clock, manager, record, signal } = options;
  const spkiDer = spkiOfKey(record.identity.current().privateKeyPem);
  const overlap = { overlapMs: CERTIFICATE_OVERLAP_MS, signal };
  const issued = await manager.issueOwn(spkiDer);
  const isEnded = clock.now() > identityOf(record.current.certificateDer).notAfterMs;
  // One that no record knows counts only while it is newer than the one on record: it is used first.
  if (isEnded || !manager.isRecorded) {
    await record.update({ certificateDer: issued.der });
    await manager.recordOwn(issued.row, overlap);
    return;
  }
  await manager.recordOwn(issued.row, overlap);
  await record.update({ certificateDer: issued.der });
}
