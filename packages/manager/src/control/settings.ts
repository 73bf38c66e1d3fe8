import { limits } from '@conclave/kernel';
import type { State } from '@conclave/state';
import type {
  ClusterSettingsInput,
  GetSettingsRequest,
  UpdateSettingsRequest,
} from '@conclave/wire';
import { commit } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { invalid, wholeNumber } from './invalid.js';
import { clusterOf } from './lookups.js';
import { readState } from './reading.js';

/** What administrators have decided about the whole cluster. */
export async function getSettings(
  deps: ControlDependencies,
  _request: GetSettingsRequest,
): Promise<ClusterSettingsInput> {
  return settingsMessage(await readState(deps));
}

/**
 * Changes what is named; answers how it is then.
 * @throws CV_ARGUMENT_INVALID for a life outside its bounds, or with nothing to change
 * @throws CV_VERSION_STALE when the caller has read an older version
 */
export async function updateSettings(
  deps: ControlDependencies,
  request: UpdateSettingsRequest,
  call: CallContext,
): Promise<ClusterSettingsInput> {
  const { idempotencyKey, objectVersion } = request;
  const nodes = limits.CERTIFICATE_LIFE_MS_MAX;
  const certificates = {
    managerLifeMs: life('manager', request.managerCertificateLifeMs, nodes),
    workerLifeMs: life('worker', request.workerCertificateLifeMs, nodes),
    adminLifeMs: life('admin', request.adminCertificateLifeMs, limits.ADMIN_TTL_MS_MAX),
  };
  if (Object.values(certificates).every((lifeMs) => lifeMs === undefined)) {
    throw invalid('settings', 'are missing: there is nothing to change');
  }
  const asked = { objectVersion, certificates };
  await commit(deps, {
    call,
    request: requestOf(call, { method: 'Cluster.UpdateSettings', idempotencyKey, asked }),
    body: { kind: 'cluster.settings', ...asked },
  });
  return settingsMessage(deps.state());
}

/** Undefined: stays. */
function life(of: string, lifeMs: number, lifeMsMax: number): number | undefined {
  if (lifeMs === 0) return undefined;
  return wholeNumber(`${of}_certificate_life_ms`, lifeMs, [
    limits.CERTIFICATE_LIFE_MS_MIN,
    lifeMsMax,
  ]);
}

function settingsMessage(state: State): ClusterSettingsInput {
  const { objectVersion, settings } = clusterOf(state);
  const { adminLifeMs, managerLifeMs, workerLifeMs } = settings.certificates;
  return {
    objectVersion,
    managerCertificateLifeMs: managerLifeMs,
    workerCertificateLifeMs: workerLifeMs,
    adminCertificateLifeMs: adminLifeMs,
  };
}
