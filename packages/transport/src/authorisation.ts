import type { AdminRole } from '@conclave/kernel';

/** Who makes a call, in the words of the table below. */
export type Caller =
  | AdminRole // holds an administrator's certificate, and has this role in committed state
  | 'local' // came through the unix socket of this host
  | 'manager' // acts for itself
  | 'worker'
  | 'anonymous'; // has no certificate: the join listener

/** Where a call can arrive. */
export type ListenerKind = 'cluster' | 'join' | 'local';

/** Who may make a call on which listener; a listener that is absent does not serve it. */
export type Row = Readonly<Partial<Record<ListenerKind, readonly Caller[]>>>;

/** What administrators ask any manager; on its socket whoever may open it is one with all rights. */
function control(...roles: readonly AdminRole[]): Row {
  return { cluster: [...roles, 'admin'], local: ['local'] };
}

/** Names, states and history; no answer has a value. */
const READ: Row = control('viewer', 'operator', 'secret-writer', 'auditor');
/** Who was ever given what. */
const AUDIT: Row = control('auditor');
/** What runs, and where. To bind a secret is a right apart, which the tables decide on. */
const OPERATE: Row = control('operator');
/** New values and what becomes of old ones. */
const WRITE_SECRETS: Row = control('secret-writer');
/** Who belongs to the cluster. */
const ADMINISTER: Row = control();
/** What members do for their own identity and tasks. Managers run an agent as well. */
const MEMBERS: Row = { cluster: ['worker', 'manager'] };
/** What everybody with a certificate does for it, whatever its roles. */
const IDENTIFIED: Row = {
  cluster: ['worker', 'manager', 'viewer', 'operator', 'secret-writer', 'auditor', 'admin'],
};
/** What only a worker has reason to ask. */
const WORKERS: Row = { cluster: ['worker'] };
const MANAGERS: Row = { cluster: ['manager'] };
const JOINING: Row = { join: ['anonymous'] };
/** Served by the daemon before and without a cluster; changes this host. */
const HOST: Row = { local: ['local'] };

/**
 * Every method of the product. A method without a row here cannot be served; a test compares the
 * table with the descriptors, so that a new method needs a decision.
 */
export const AUTHORISATION: Readonly<Record<string, Row>> = {
  '/conclave.v1.Admins/Create': ADMINISTER,
  '/conclave.v1.Admins/List': READ,
  '/conclave.v1.Admins/Revoke': ADMINISTER,
  '/conclave.v1.Cluster/BeginCompromise': ADMINISTER,
  '/conclave.v1.Cluster/ConfirmRecovery': ADMINISTER,
  '/conclave.v1.Cluster/FinishCompromise': ADMINISTER,
  '/conclave.v1.Cluster/GetInfo': READ,
  '/conclave.v1.Cluster/GetRecovery': ADMINISTER,
  '/conclave.v1.Cluster/GetSettings': READ,
  '/conclave.v1.Cluster/GetStatus': READ,
  '/conclave.v1.Cluster/RotateRing': ADMINISTER,
  '/conclave.v1.Cluster/RotateRoot': ADMINISTER,
  '/conclave.v1.Cluster/StageRecovery': ADMINISTER,
  '/conclave.v1.Cluster/UpdateSettings': ADMINISTER,
  '/conclave.v1.Cluster/Watch': READ,
  '/conclave.v1.Dispatcher/Session': MEMBERS,
  '/conclave.v1.Identity/BecomeManager': WORKERS,
  '/conclave.v1.Identity/ConfirmRoots': MEMBERS,
  '/conclave.v1.Identity/GetRole': MEMBERS,
  '/conclave.v1.Identity/Leave': MEMBERS,
  '/conclave.v1.Identity/Renew': IDENTIFIED,
  '/conclave.v1.Join/Challenge': JOINING,
  '/conclave.v1.Join/Join': JOINING,
  '/conclave.v1.Join/Recover': JOINING,
  '/conclave.v1.Local/AddSlot': HOST,
  '/conclave.v1.Local/Init': HOST,
  '/conclave.v1.Local/Join': HOST,
  '/conclave.v1.Local/Leave': HOST,
  '/conclave.v1.Local/ListSlots': HOST,
  '/conclave.v1.Local/RemoveSlot': HOST,
  '/conclave.v1.Local/Status': HOST,
  '/conclave.v1.Local/Unlock': HOST,
  '/conclave.v1.Managers/Beat': MANAGERS,
  '/conclave.v1.Managers/CompareState': MANAGERS,
  '/conclave.v1.Managers/GetRing': MANAGERS,
  '/conclave.v1.Managers/Propose': MANAGERS,
  '/conclave.v1.Managers/TaskLogs': MANAGERS,
  '/conclave.v1.Nodes/Approve': ADMINISTER,
  '/conclave.v1.Nodes/Exposure': AUDIT,
  '/conclave.v1.Nodes/Get': READ,
  '/conclave.v1.Nodes/List': READ,
  '/conclave.v1.Nodes/Remove': ADMINISTER,
  '/conclave.v1.Nodes/SetRole': ADMINISTER,
  '/conclave.v1.Nodes/Update': ADMINISTER,
  '/conclave.v1.Raft/Entries': MANAGERS,
  '/conclave.v1.Raft/Messages': MANAGERS,
  '/conclave.v1.Raft/Snapshot': MANAGERS,
  '/conclave.v1.Secrets/DestroyVersion': WRITE_SECRETS,
  '/conclave.v1.Secrets/Get': READ,
  '/conclave.v1.Secrets/History': READ,
  '/conclave.v1.Secrets/List': READ,
  '/conclave.v1.Secrets/Remove': WRITE_SECRETS,
  '/conclave.v1.Secrets/Rollback': WRITE_SECRETS,
  '/conclave.v1.Secrets/Set': WRITE_SECRETS,
  '/conclave.v1.Secrets/Status': READ,
  '/conclave.v1.Secrets/Update': WRITE_SECRETS,
  '/conclave.v1.Services/Create': OPERATE,
  '/conclave.v1.Services/Get': READ,
  '/conclave.v1.Services/List': READ,
  '/conclave.v1.Services/Logs': OPERATE,
  '/conclave.v1.Services/Remove': OPERATE,
  '/conclave.v1.Services/Scale': OPERATE,
  '/conclave.v1.Services/Update': OPERATE,
  '/conclave.v1.Tasks/Get': READ,
  '/conclave.v1.Tasks/List': READ,
  '/conclave.v1.Tokens/Create': ADMINISTER,
  '/conclave.v1.Tokens/List': READ,
  '/conclave.v1.Tokens/Revoke': ADMINISTER,
};

/** The row of `path`, when it has one. */
export function authorisationRow(path: string): Row | undefined {
  return Object.hasOwn(AUTHORISATION, path) ? AUTHORISATION[path] : undefined;
}
