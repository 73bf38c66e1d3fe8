import { byteLength, ConclaveError } from '@conclave/kernel';
import type { AgentHello } from '@conclave/wire';
import { HELD_MAX, PROTOCOL } from './limits.js';

/** Bytes of a host name; of each other word that an agent says of itself. */
const HOSTNAME_BYTES_MAX = 255;
const WORD_BYTES_MAX = 64;
/** Executors of one agent. */
const EXECUTORS_MAX = 16;

/**
 * The first message of an agent. What it says of itself goes into the record of the node, so that
 * an agent which lies could otherwise make an entry too large for everybody.
 * @throws CV_PROTOCOL when it is missing or of another protocol
 * @throws CV_LIMIT_EXCEEDED when a part is too large
 */
export function checkedHello(hello: AgentHello | null | undefined): AgentHello {
  if (hello === undefined || hello === null) {
    throw new ConclaveError('CV_PROTOCOL', 'a session begins with a hello');
  }
  if (hello.protocol !== PROTOCOL) {
    throw new ConclaveError('CV_PROTOCOL', `this manager speaks protocol ${PROTOCOL} only`);
  }
  if (hello.held.length > HELD_MAX) {
    throw new ConclaveError('CV_LIMIT_EXCEEDED', `an agent may name ${HELD_MAX} held versions`);
  }
  const { hostname, platformOs, version, executors, bootId } = hello;
  const isLong = [platformOs, version, bootId, ...executors].some(
    (word) => byteLength(word) > WORD_BYTES_MAX,
  );
  if (isLong || executors.length > EXECUTORS_MAX || byteLength(hostname) > HOSTNAME_BYTES_MAX) {
    throw new ConclaveError('CV_LIMIT_EXCEEDED', 'the description of the node is too long');
  }
  return hello;
}
