import { createAdmin, refuseAuthor, renewAdmin, revokeAdmin } from './admins.js';
import { createCluster, setAddresses, setClusterSettings, setMembership } from './membership.js';
import { joinNode, observeNodes, removeNode, renewNode, updateNode } from './nodes.js';
import { reportReceipts } from './receipts.js';
import type { CommandResult } from './rows.js';
import type { Scope } from './scope.js';
import {
  destroyVersion,
  removeSecret,
  rollbackSecret,
  setSecret,
  updateSecret,
} from './secrets.js';
import { createService, removeService, setUpdateState, updateService } from './services.js';
import { reportTasks, scheduleTasks } from './tasks.js';
import { createToken, revokeToken } from './tokens.js';

/** Hands the command of the entry to its handler. */
export function applyCommand(scope: Scope): CommandResult {
  const { command } = scope;
  const refusal = refuseAuthor(scope);
  if (refusal !== undefined) return refusal;
  switch (command.kind) {
    case 'cluster.create':
      return createCluster(scope, command);
    case 'cluster.settings':
      return setClusterSettings(scope, command);
    case 'secret.set':
      return setSecret(scope, command);
    case 'secret.update':
      return updateSecret(scope, command);
    case 'secret.rollback':
      return rollbackSecret(scope, command);
    case 'secret.destroy-version':
      return destroyVersion(scope, command);
    case 'secret.remove':
      return removeSecret(scope, command);
    case 'service.create':
      return createService(scope, command);
    case 'service.update':
      return updateService(scope, command);
    case 'service.update-state':
      return setUpdateState(scope, command);
    case 'service.remove':
      return removeService(scope, command);
    case 'tasks.schedule':
      return scheduleTasks(scope, command);
    case 'tasks.report':
      return reportTasks(scope, command);
    case 'receipts.report':
      return reportReceipts(scope, command);
    case 'node.join':
      return joinNode(scope, command);
    case 'node.update':
      return updateNode(scope, command);
    case 'node.renew':
      return renewNode(scope, command);
    case 'nodes.observe':
      return observeNodes(scope, command);
    case 'node.membership':
      return setMembership(scope, command);
    case 'node.addresses':
      return setAddresses(scope, command);
    case 'node.remove':
      return removeNode(scope, command);
    case 'token.create':
      return createToken(scope, command);
    case 'token.revoke':
      return revokeToken(scope, command);
    case 'admin.create':
      return createAdmin(scope, command);
    case 'admin.renew':
      return renewAdmin(scope, command);
    case 'admin.revoke':
      return revokeAdmin(scope, command);
  }
}
