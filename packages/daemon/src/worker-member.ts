import { ConclaveError } from '@conclave/kernel';
import type { MemberIdentity } from './identity-file.js';
import type { Member, Surroundings } from './member.js';
export async function checkWorkerHost(_around: Surroundings): Promise<void> {}
export class WorkerMember {
  static async start(_a: Surroundings, _b: MemberIdentity, _c: Uint8Array): Promise<Member> {
    throw new ConclaveError('CV_UNSUPPORTED', 'soon');
  }
}
