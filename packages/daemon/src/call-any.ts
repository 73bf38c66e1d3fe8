import { ConclaveError } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import { openChannel } from '@conclave/transport';
import type { Channel } from '@conclave/transport';
import type { MemberRecord } from './member-record.js';

/**
 * Makes a call to the first manager that answers.
 * @throws the last failure
 */
export async function callAny<T>(
  { record, clock, timers }: { record: MemberRecord; clock: Clock; timers: Timers },
  call: (channel: Channel) => Promise<T>,
): Promise<T> {
  const { clusterId, managers } = record.current;
  let failure: unknown = new ConclaveError('CV_PEER_UNREACHABLE', 'no manager is known');
  for (const { nodeId, address } of managers) {
    const channel = openChannel({
      address,
      identity: record.identity,
      expect: { clusterId, nodeId },
      clock,
      timers,
    });
    try {
      return await call(channel);
    } catch (error) {
      failure = error;
    } finally {
      channel.close();
    }
  }
  throw failure;
}
