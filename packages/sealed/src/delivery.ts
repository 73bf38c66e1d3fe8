import { encodeFields } from './fields.js';
import type { Field } from './fields.js';
import { hashFields } from './hash.js';

/** What a delivered value is bound to; manager and agent build it on their own. */
export interface DeliveryPlace {
  /** Applied index that the assignment shows. */
  readonly index: number;
  readonly clusterEpoch: number;
  readonly secretId: string;
  readonly version: number;
  /**
   * The tasks of the node that use the version once the assignment is applied: those whose
   * assignment lists it. In any order.
   */
  readonly taskIds: readonly string[];
}

/** The associated data of the frames of a value; part and part count follow. */
export function deliveryFields(place: DeliveryPlace): Field[] {
  const { index, clusterEpoch, secretId, version } = place;
  const tasks = hashFields(...[...place.taskIds].sort());
  return [index, clusterEpoch, secretId, version, tasks];
}

/** The fields of Hello and Accept that the key agreement covers besides its own. */
export interface SessionContext {
  readonly protocol: number;
  readonly bootId: string;
  readonly clusterEpoch: number;
  readonly appliedIndex: number;
  readonly sessionId: string;
}

/** {@link SessionContext} as the context of a session binding. */
export function sessionContext(context: SessionContext): Uint8Array {
  const { protocol, bootId, clusterEpoch, appliedIndex, sessionId } = context;
  return encodeFields([protocol, bootId, clusterEpoch, appliedIndex, sessionId]);
}
