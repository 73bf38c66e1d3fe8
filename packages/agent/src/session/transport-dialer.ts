import { required } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import { openChannel } from '@conclave/transport';
import type { IdentitySource } from '@conclave/transport';
import { loadWire } from '@conclave/wire';

import { MANAGER_SILENCE_MS_MAX } from '../limits.js';
import type { ManagerDialer } from './connection.js';

/** A dialer over mutual TLS. Each stream has a connection of its own. */
export function transportDialer(options: {
  readonly identity: IdentitySource;
  readonly clusterId: string;
  /** Serial of a certificate (DER), lower-case hexadecimal. */
  readonly serialOf: (certificateDer: Uint8Array) => string;
  readonly clock: Clock;
  readonly timers: Timers;
}): ManagerDialer {
  const { identity, clusterId, serialOf, clock, timers } = options;
  return {
    dial: ({ nodeId, address }) => {
      // Read before the connection is made: a renewal meanwhile concerns the next one.
      const [ownDer] = identity.current().certificatesDer;
      const agentSerial = serialOf(required(ownDer, 'the certificate of this node'));
      const channel = openChannel({
        address,
        identity,
        expect: { clusterId, nodeId },
        silenceMsMax: MANAGER_SILENCE_MS_MAX,
        clock,
        timers,
      });
      const call = channel.bidi(loadWire().Dispatcher.Session);
      return {
        write: (message) => call.requests.write(message),
        messages: call.responses,
        managerSerial: () => serialOf(required(channel.peerCertificateDer, 'its certificate')),
        agentSerial: () => agentSerial,
        close: () => {
          call.cancel();
          channel.close();
        },
      };
    },
  };
}
