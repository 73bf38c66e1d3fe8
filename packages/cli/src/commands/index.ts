import type { CommandSpec } from '../command-spec.js';
import { ADMIN_COMMANDS } from './admin.js';
import { COMPROMISE_COMMAND } from './compromise.js';
import { CONTEXT_COMMANDS } from './context.js';
import { EVENTS_COMMAND } from './events.js';
import { KEYS_COMMANDS } from './keys.js';
import { MEMBERSHIP_COMMANDS } from './membership.js';
import { NODE_COMMANDS } from './node.js';
import { COMPLETION_COMMAND, DAEMON_COMMAND, VERSION_COMMAND } from './other.js';
import { ROTATE_RING_COMMAND } from './ring.js';
import { ROTATE_ROOT_COMMAND } from './root.js';
import { SECRET_MANAGE_COMMANDS } from './secret-manage.js';
import { SECRET_CHANGE_COMMANDS } from './secret.js';
import { SERVICE_CHANGE_COMMANDS } from './service-change.js';
import { SERVICE_SHOW_COMMANDS, TASK_COMMANDS } from './service-show.js';
import { SETTINGS_COMMANDS } from './settings.js';
import { STATUS_COMMAND } from './status.js';
import { TOKEN_COMMANDS } from './token.js';
import { UNLOCK_COMMAND } from './unlock.js';

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  DAEMON_COMMAND,
  ...MEMBERSHIP_COMMANDS,
  UNLOCK_COMMAND,
  ...KEYS_COMMANDS,
  ...TOKEN_COMMANDS,
  ...SECRET_CHANGE_COMMANDS,
  ...SECRET_MANAGE_COMMANDS,
  ...SERVICE_CHANGE_COMMANDS,
  ...SERVICE_SHOW_COMMANDS,
  ...TASK_COMMANDS,
  ...NODE_COMMANDS,
  ...ADMIN_COMMANDS,
  ...CONTEXT_COMMANDS,
  ...SETTINGS_COMMANDS,
  COMPROMISE_COMMAND,
  ROTATE_RING_COMMAND,
  ROTATE_ROOT_COMMAND,
  STATUS_COMMAND,
  EVENTS_COMMAND,
  COMPLETION_COMMAND,
  VERSION_COMMAND,
];
