import type { Command } from './commands.js';
import { createAdmin, refuseAuthor, renewAdmin, revokeAdmin } from './admins.js';
import { createCluster, setAddresses, setClusterSettings, setMembership } from './membership.js';
import { beginCompromise, finishCompromise } from './compromise.js';
import { approveNode, joinNode, observeNodes, removeNode, renewNode, updateNode } from './nodes.js';
import { reportReceipts } from './receipts.js';
import { confirmRecovery, noteRecovery, stageRecovery } from './recovery.js';
import {
  activateVersion,
  beginRotation,
  finishRotation,
  offerVersion,
  retireVersions,
  rewrapVersions,
} from './ring.js';
import { equipNode, noteDemoted, setRole } from './roles.js';
import {
  activateRoot,
  beginRootRotation,
  dropRoot,
  finishRootRotation,
  noteRoot,
  offerRoot,
} from './root.js';
import type { CommandResult } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import {
  destroyVersion,
  removeSecret,
  rollbackSecret,
  setSecret,
  updateSecret,
} from './secrets.js';
import {
  createService,
  removeService,
  rollbackService,
  setUpdateState,
  updateService,
} from './services.js';
import { reportTasks, scheduleTasks } from './tasks.js';
import { createToken, revokeToken } from './tokens.js';

type Handlers = {
  readonly [Kind in Command['kind']]: (scope: Scope, command: CommandOf<Kind>) => CommandResult;
};

const HANDLERS: Handlers = {
  'cluster.create': createCluster,
  'cluster.settings': setClusterSettings,
  'recovery.stage': stageRecovery,
  'recovery.sealed': noteRecovery,
  'recovery.confirm': confirmRecovery,
  'ring.rotate': beginRotation,
  'ring.offer': offerVersion,
  'ring.activate': activateVersion,
  'ring.rewrap': rewrapVersions,
  'ring.retire': retireVersions,
  'ring.finish': finishRotation,
  'root.rotate': beginRootRotation,
  'root.offer': offerRoot,
  'root.activate': activateRoot,
  'root.drop': dropRoot,
  'root.finish': finishRootRotation,
  'compromise.begin': beginCompromise,
  'compromise.finish': finishCompromise,
  'secret.set': setSecret,
  'secret.update': updateSecret,
  'secret.rollback': rollbackSecret,
  'secret.destroy-version': destroyVersion,
  'secret.remove': removeSecret,
  'service.create': createService,
  'service.update': updateService,
  'service.update-state': setUpdateState,
  'service.rollback': rollbackService,
  'service.remove': removeService,
  'tasks.schedule': scheduleTasks,
  'tasks.report': reportTasks,
  'receipts.report': reportReceipts,
  'node.join': joinNode,
  'node.update': updateNode,
  'node.renew': renewNode,
  'node.root': noteRoot,
  'nodes.observe': observeNodes,
  'node.membership': setMembership,
  'node.addresses': setAddresses,
  'node.remove': removeNode,
  'node.approve': approveNode,
  'node.set-role': setRole,
  'node.equip': equipNode,
  'node.demoted': noteDemoted,
  'token.create': createToken,
  'token.revoke': revokeToken,
  'admin.create': createAdmin,
  'admin.renew': renewAdmin,
  'admin.revoke': revokeAdmin,
};

/** Hands the command of the entry to its handler. */
export function applyCommand(scope: Scope): CommandResult {
  const { command } = scope;
  const refusal = refuseAuthor(scope);
  if (refusal !== undefined) return refusal;
  const handler = HANDLERS[command.kind] as (scope: Scope, command: Command) => CommandResult;
  return handler(scope, command);
}
