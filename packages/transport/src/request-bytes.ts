import { authorisationRow } from './authorisation.js';
import * as limits from './limits.js';

/** Methods whose requests may be larger than others: they carry a value, an entry or a long list. */
const LARGER: Readonly<Record<string, number>> = {
  '/conclave.v1.Dispatcher/Session': limits.SESSION_BYTES_MAX,
  '/conclave.v1.Managers/Beat': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Managers/Propose': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Raft/Entries': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Raft/Messages': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Raft/Snapshot': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Secrets/Set': limits.MESSAGE_BYTES_MAX,
  '/conclave.v1.Services/Create': limits.SERVICE_BYTES_MAX,
  '/conclave.v1.Services/Update': limits.SERVICE_BYTES_MAX,
};

/** Bytes of one request message of a method, whoever sends it. */
export function requestBytesMax(path: string): number {
  if (authorisationRow(path)?.join !== undefined) return limits.JOIN_MESSAGE_BYTES_MAX;
  return Object.hasOwn(LARGER, path)
    ? (LARGER[path] ?? limits.REQUEST_BYTES_DEFAULT)
    : limits.REQUEST_BYTES_DEFAULT;
}
