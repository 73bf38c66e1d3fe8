import { ConclaveError } from '@conclave/kernel';
import type { CommandSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  LIST_OPTIONS,
  printDone,
  printList,
} from '../output/print.js';
import { KIT_OPTIONS, kitData, kitLines, kitText, withNewKit } from '../recovery-kit.js';
import { readRecoveryKey } from '../recovery-proof.js';
import { SLOT_VIEW } from '../views/slots.js';
import { progressLines } from './ring.js';
import { argument, IDEMPOTENCY_OPTION, writeOptions } from './shared.js';

const LIST: CommandSpec = {
  path: 'keys ls',
  isOfHost: true,
  summary: 'List what opens the keys of the manager on this host',
  examples: ['conclave keys ls'],
  options: LIST_OPTIONS,
  fields: SLOT_VIEW.fields,
  run: (call) =>
    printList(call, SLOT_VIEW, async () => {
      const client = await call.client();
      const slots = await client.local.slots({ signal: call.tools.signal });
      return (async function* () {
        await Promise.resolve();
        yield* slots;
      })();
    }),
};

const ADD: CommandSpec = {
  path: 'keys add',
  isOfHost: true,
  arguments: '<how>',
  summary: 'Let the manager on this host open its keys without a person',
  details: [
    'HOW is host, which uses the TPM of this host where systemd-creds can, else a key file that ' +
      'opens for whoever copies the disk; or command:PATH, a command of yours that keeps a key.',
  ],
  examples: ['conclave keys add host', 'conclave keys add command:/usr/local/sbin/conclave-kms'],
  options: DONE_OPTIONS,
  fields: SLOT_VIEW.fields,
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const slot = await client.local.addSlot(argument(call, 0), { signal: call.tools.signal });
    const text = `${slot.kind} slot ${slot.id} is added (${slot.detail})`;
    await printDone(call, { text, data: { ...slot }, id: slot.id });
  },
};

const REMOVE: CommandSpec = {
  path: 'keys rm',
  isOfHost: true,
  arguments: '<id>',
  summary: 'Remove a slot; the recovery slot stays',
  details: ['Without any other slot this manager is locked after its next restart.'],
  examples: ['conclave keys rm 5hsxv2kqtzk2c6wqd4a7e3h3ym --yes'],
  options: [YES_OPTION, ...DONE_OPTIONS],
  fields: SLOT_VIEW.fields,
  run: async (call) => {
    checkDoneOptions(call);
    await confirm(call, 'Remove this slot?');
    const client = await call.client();
    const slot = await client.local.removeSlot(argument(call, 0), { signal: call.tools.signal });
    const text = `${slot.kind} slot ${slot.id} is removed`;
    await printDone(call, { text, data: { ...slot }, id: slot.id });
  },
};

const CHECK_KIT: CommandSpec = {
  path: 'keys check-kit',
  summary: 'See whether the recovery key, or enough shares of it, was kept well',
  details: [
    'The key comes on standard input, or is typed without echo, and stays in this process: it is ' +
      'compared with the public half that the cluster keeps.',
  ],
  examples: ['conclave keys check-kit', 'conclave keys check-kit < /media/stick/recovery-key'],
  options: DONE_OPTIONS,
  fields: ['generation'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const { current } = await client.recovery.get({ signal: call.tools.signal });
    if (current === null) throw new ConclaveError('CV_PROTOCOL', 'the answer has no recovery key');
    (await readRecoveryKey(call, current)).wipe();
    const { generation } = current;
    const text = 'this is the recovery key of the cluster: it opens every manager';
    await printDone(call, { text, data: { generation } });
  },
};

const ROTATE: CommandSpec = {
  path: 'keys rotate-recovery',
  summary: 'Make a new recovery key; the old one works until the new one is confirmed',
  details: [
    'Every manager that runs and is unlocked seals its keys to the new one as well. Then prove ' +
      'that you have it with `conclave keys confirm-recovery`. A new key that was never confirmed ' +
      'is given up by running this again.',
  ],
  examples: [
    'conclave keys rotate-recovery',
    'conclave keys rotate-recovery --recovery-shares 3/5',
  ],
  options: [...KIT_OPTIONS, YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['generation', 'index', 'recoveryKey', 'recoveryKeyFile'],
  run: async (call) => {
    checkDoneOptions(call);
    await confirm(call, 'Make a new recovery key?');
    const client = await call.client();
    await withNewKit(call, {
      give: ({ recipient }) => client.recovery.stage(recipient, writeOptions(call)),
      tell: async ({ generation, index }, made) => {
        const lines = [
          `recovery key ${generation} is made; committed at index ${index}`,
          kitText(made),
          '',
          'The old key works until you prove that you have this one: conclave keys confirm-recovery',
        ];
        const data = { generation, index, ...kitData(made) };
        const id = made.path ?? kitLines(made).join('\n');
        await printDone(call, { text: lines.join('\n'), data, id });
      },
    });
  },
};

const waitText = (managers: readonly string[]): string =>
  `the old key still opens ${managers.join(', ')}`;

const CONFIRM: CommandSpec = {
  path: 'keys confirm-recovery',
  summary: 'Prove that you have the new recovery key; the old one opens nothing from then on',
  details: [
    'The new key comes on standard input, or is typed without echo, and stays in this process: it ' +
      'opens a challenge. Refused while a manager is not sealed to the new key. Every manager then ' +
      'puts its keys under a new local key; one that is down does so when it is back.',
  ],
  examples: ['conclave keys confirm-recovery', 'conclave keys confirm-recovery < new-recovery-key'],
  options: [
    { flags: '--wait', help: 'return when the old key opens no manager any more' },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: ['generation', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const { staged } = await client.recovery.get({ signal: call.tools.signal });
    if (staged === null) {
      throw new ConclaveError('CV_RECOVERY_PENDING', 'no new recovery key is staged', {
        hint: 'Make one with: conclave keys rotate-recovery.',
      });
    }
    const key = await readRecoveryKey(call, staged);
    try {
      const { index } = await client.recovery.confirm(key, writeOptions(call));
      const { generation } = staged;
      if (call.flags.isOn('wait')) {
        const onProgress = progressLines(call, waitText);
        await client.recovery.waitForManagers({ signal: call.tools.signal, onProgress });
      }
      const text = `recovery key ${generation} is in force; committed at index ${index}`;
      await printDone(call, { text, data: { generation, index } });
    } finally {
      key.wipe();
    }
  },
};

/** Commands about what opens the keys at rest. */
export const KEYS_COMMANDS: readonly CommandSpec[] = [
  LIST,
  ADD,
  REMOVE,
  CHECK_KIT,
  ROTATE,
  CONFIRM,
];
