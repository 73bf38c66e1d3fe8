/** Who makes a call, in the words of the table below. */
export type Caller =
  | 'admin' // holds an administrator's certificate
  | 'local' // came through the unix socket of this host
  | 'manager' // acts for itself
  | 'forwarding-manager' // passes on the call of an administrator, whom it names
  | 'worker'
  | 'anonymous'; // has no certificate: the join listener

/** Where a call can arrive. */
export type ListenerKind = 'cluster' | 'join' | 'local';

/** Who may make a call on which listener; a listener that is absent does not serve it. */
export type Row = Readonly<Partial<Record<ListenerKind, readonly Caller[]>>>;

/** What administrators ask any manager, on the network or on its socket. */
const CONTROL: Row = { cluster: ['admin', 'forwarding-manager'], local: ['local'] };
/** What members do for their own identity and tasks. Managers run an agent as well. */
const MEMBERS: Row = { cluster: ['worker', 'manager'] };
const MANAGERS: Row = { cluster: ['manager'] };
const JOINING: Row = { join: ['anonymous'] };
/** Served by the daemon before and without a cluster; changes this host. */
const HOST: Row = { local: ['local'] };

/**
 * Every method of the product. A method without a row here cannot be served; a test compares the
 * table with the descriptors, so that a new method needs a decision.
 */
export const AUTHORISATION: Readonly<Record<string, Row>> = {
  '/conclave.v1.Cluster/GetInfo': CONTROL,
  '/conclave.v1.Cluster/GetStatus': CONTROL,
  '/conclave.v1.Cluster/Watch': CONTROL,
  '/conclave.v1.Dispatcher/Session': MEMBERS,
  '/conclave.v1.Identity/Leave': MEMBERS,
  '/conclave.v1.Identity/Renew': MEMBERS,
  '/conclave.v1.Join/Challenge': JOINING,
  '/conclave.v1.Join/Join': JOINING,
  '/conclave.v1.Local/Init': HOST,
  '/conclave.v1.Local/Join': HOST,
  '/conclave.v1.Local/Leave': HOST,
  '/conclave.v1.Local/Status': HOST,
  '/conclave.v1.Managers/Beat': MANAGERS,
  '/conclave.v1.Managers/GetRing': MANAGERS,
  '/conclave.v1.Managers/Propose': MANAGERS,
  '/conclave.v1.Managers/TaskLogs': MANAGERS,
  '/conclave.v1.Nodes/Exposure': CONTROL,
  '/conclave.v1.Nodes/Get': CONTROL,
  '/conclave.v1.Nodes/List': CONTROL,
  '/conclave.v1.Nodes/Remove': CONTROL,
  '/conclave.v1.Nodes/Update': CONTROL,
  '/conclave.v1.Raft/Entries': MANAGERS,
  '/conclave.v1.Raft/Messages': MANAGERS,
  '/conclave.v1.Raft/Snapshot': MANAGERS,
  '/conclave.v1.Secrets/DestroyVersion': CONTROL,
  '/conclave.v1.Secrets/Get': CONTROL,
  '/conclave.v1.Secrets/History': CONTROL,
  '/conclave.v1.Secrets/List': CONTROL,
  '/conclave.v1.Secrets/Remove': CONTROL,
  '/conclave.v1.Secrets/Rollback': CONTROL,
  '/conclave.v1.Secrets/Set': CONTROL,
  '/conclave.v1.Secrets/Status': CONTROL,
  '/conclave.v1.Secrets/Update': CONTROL,
  '/conclave.v1.Services/Create': CONTROL,
  '/conclave.v1.Services/Get': CONTROL,
  '/conclave.v1.Services/List': CONTROL,
  '/conclave.v1.Services/Logs': CONTROL,
  '/conclave.v1.Services/Remove': CONTROL,
  '/conclave.v1.Services/Scale': CONTROL,
  '/conclave.v1.Services/Update': CONTROL,
  '/conclave.v1.Tasks/Get': CONTROL,
  '/conclave.v1.Tasks/List': CONTROL,
  '/conclave.v1.Tokens/Create': CONTROL,
  '/conclave.v1.Tokens/List': CONTROL,
  '/conclave.v1.Tokens/Revoke': CONTROL,
};

/** The row of `path`, when it has one. */
export function authorisationRow(path: string): Row | undefined {
  return Object.hasOwn(AUTHORISATION, path) ? AUTHORISATION[path] : undefined;
}
