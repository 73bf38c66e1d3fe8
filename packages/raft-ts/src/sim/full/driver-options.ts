import type { NodeOptions } from '../../node/index.js';
import type { FullParameters } from './parameters.js';

/** The times and limits of the driver in a run. */
export function driverOptions(
  parameters: FullParameters,
): Pick<NodeOptions, 'electionTick' | 'heartbeatTick' | 'limits' | 'tickMs'> {
  const { messageSizeMax, applyingSizeMax, uncommittedSizeMax, inflightSizeMax } = parameters;
  const { writeSizeMax, appendQueueLengthMax, snapshotEntries, keepEntries } = parameters;
  return {
    tickMs: parameters.tickMicros / 1000,
    electionTick: parameters.electionTick,
    heartbeatTick: parameters.heartbeatTick,
    limits: {
      messageSizeMax,
      applyingSizeMax,
      uncommittedSizeMax,
      inflightSizeMax,
      inflightMessagesMax: parameters.maxInflightMsgs,
      writeSizeMax,
      appendQueueLengthMax,
      snapshotEntries,
      keepEntries,
    },
  };
}
