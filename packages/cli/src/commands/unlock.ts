import { EXIT_CODES } from '@conclave/kernel';
import type { UnlockResponse } from '@conclave/client';
import type { CommandSpec } from '../command-spec.js';
import { checkDoneOptions, DONE_OPTIONS, printDone } from '../output/print.js';
import { eachRecoveryText } from '../recovery-input.js';

/** `unlock`: opens the keys of this host's manager after a restart. */
export const UNLOCK_COMMAND: CommandSpec = {
  path: 'unlock',
  isOfHost: true,
  summary: 'Open the keys of the manager on this host after a restart',
  details: [
    'The recovery key comes on standard input, or is typed without echo; never as an argument. ' +
      'Shares may be given in any order, several lines at once or in calls of their own: the host ' +
      'keeps them for 15 minutes. The exit code is 75 while shares are missing.',
  ],
  examples: ['conclave unlock', 'conclave unlock < /media/stick/recovery-key'],
  options: DONE_OPTIONS,
  fields: ['isUnlocked', 'haveCount', 'needCount'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const { signal } = call.tools;
    let last: UnlockResponse | undefined;
    await eachRecoveryText(call, async (text) => {
      last = await client.local.unlock(text, { signal });
      return last.isUnlocked ? 'enough' : 'more';
    });
    const { isUnlocked = false, haveCount = 0, needCount = 0 } = last ?? {};
    const text = isUnlocked
      ? 'unlocked; this manager takes part again'
      : `${haveCount} of ${needCount} shares; still locked`;
    await printDone(call, { text, data: { isUnlocked, haveCount, needCount } });
    if (!isUnlocked) call.setExitCode(EXIT_CODES['not-ready']);
  },
};
