import { limits } from '@conclave/kernel';
import type { Call, CommandSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  ONE_OPTIONS,
  printDone,
  printOne,
} from '../output/print.js';
import { formatDuration } from '../spec/duration.js';
import { SETTINGS_VIEW } from '../views/settings.js';
import { IDEMPOTENCY_OPTION, writeOptions } from './shared.js';

const INSPECT: CommandSpec = {
  path: 'cluster inspect',
  summary: 'Show the settings of the cluster',
  examples: ['conclave cluster inspect', 'conclave cluster inspect -o table'],
  options: ONE_OPTIONS,
  fields: SETTINGS_VIEW.fields,
  run: (call) =>
    printOne(call, SETTINGS_VIEW, async () =>
      (await call.client()).cluster.settings({ signal: call.tools.signal }),
    ),
};

function lifeOf(call: Call, of: string, lifeMsMax: number): number | undefined {
  const lifeMs = call.flags.durationMs(`${of}CertificateLife`);
  const lifeMsMin = limits.CERTIFICATE_LIFE_MS_MIN;
  if (lifeMs === undefined || (lifeMs >= lifeMsMin && lifeMs <= lifeMsMax)) return lifeMs;
  throw usageError(
    `--${of}-certificate-life must be from ${formatDuration(lifeMsMin)} to ${formatDuration(lifeMsMax)}`,
  );
}

const UPDATE: CommandSpec = {
  path: 'cluster update',
  summary: 'Change settings of the cluster; what is not named stays',
  details: [
    'Lives count for every certificate that is issued from now on. Nodes whose certificate was to ' +
      'live longer than the new life renew it within a quarter of that, at a random moment; what ' +
      'they had ends with the first use of the new one, and after 10 minutes. Administrators keep the ' +
      'life they were made with.',
    'A node renews between half and three quarters of the life: a quarter of it is the longest that ' +
      'the managers may be without a quorum before nodes lose their certificates. Below an hour is ' +
      'for trying things out.',
  ],
  examples: [
    'conclave cluster update --worker-certificate-life 12h',
    'conclave cluster update --manager-certificate-life 3d --admin-certificate-life 1h',
  ],
  options: [
    { flags: '--manager-certificate-life <duration>', help: '1m to 90d; at first 7d' },
    { flags: '--worker-certificate-life <duration>', help: '1m to 90d; at first 24h' },
    {
      flags: '--admin-certificate-life <duration>',
      help: 'of administrators made without --ttl: 1m to 7d; at first 12h',
    },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: [...SETTINGS_VIEW.fields, 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const change = {
      managerLifeMs: lifeOf(call, 'manager', limits.CERTIFICATE_LIFE_MS_MAX),
      workerLifeMs: lifeOf(call, 'worker', limits.CERTIFICATE_LIFE_MS_MAX),
      adminLifeMs: lifeOf(call, 'admin', limits.ADMIN_TTL_MS_MAX),
    };
    const { managerLifeMs, workerLifeMs, adminLifeMs } = change;
    if ((managerLifeMs ?? workerLifeMs ?? adminLifeMs) === undefined) {
      throw usageError('there is nothing to change: name at least one setting');
    }
    const client = await call.client();
    const settings = await client.cluster.updateSettings(change, writeOptions(call));
    const lives = [
      `managers ${formatDuration(settings.managerCertificateLifeMs)}`,
      `workers ${formatDuration(settings.workerCertificateLifeMs)}`,
      `administrators ${formatDuration(settings.adminCertificateLifeMs)}`,
    ].join(', ');
    const index = settings.objectVersion;
    const text = `certificates live: ${lives}; committed at index ${index}`;
    await printDone(call, { text, data: { ...settings, index }, id: String(index) });
  },
};

/** Commands about the settings of the cluster. */
export const SETTINGS_COMMANDS: readonly CommandSpec[] = [INSPECT, UPDATE];
