import type { Admin, AdminSpec } from '@conclave/client';
import { createRoot, issueCertificate } from '@conclave/pki';
import type { CreatedRoot } from '@conclave/pki';
import type { Answers } from './fake-client.js';
import { NOW_MS } from './objects.js';
import { countingBytes, failure } from './run-command.js';

const CLUSTER_ID = 'c1';
const TTL_MS = 12 * 3_600_000;
const RANDOM = { bytes: (count: number) => countingBytes(count).fill(7), below: () => 0 };

/** One root for all dialogs: it takes a moment to make. */
let root: Promise<CreatedRoot> | undefined;

async function certificateOf(id: string, spec: AdminSpec): Promise<Uint8Array> {
  root ??= createRoot({ clusterId: CLUSTER_ID, now: NOW_MS, random: RANDOM });
  const { certificateDer, privateKeyPkcs8 } = await root;
  return issueCertificate({
    rootDer: certificateDer,
    rootPrivateKey: privateKeyPkcs8,
    clusterId: CLUSTER_ID,
    subject: { kind: 'admin', id },
    spkiDer: spec.key.publicKey,
    serial: countingBytes(16).fill(1),
    notBefore: NOW_MS,
    notAfter: NOW_MS + (spec.ttlMs ?? TTL_MS),
  });
}

/** Administrators of the small cluster, with certificates that are certificates. */
export function adminCalls(next: () => number): Answers {
  const admins = new Map<string, Admin>();
  return {
    'admins.create': async (spec: AdminSpec) => {
      const { name, roles, uses = [], ttlMs = TTL_MS } = spec;
      if (admins.get(name)?.revoked === false) {
        return failure('CV_NAME_TAKEN', 'an administrator with this name exists');
      }
      const id = `a${admins.size + 1}`;
      const admin: Admin = {
        id,
        name,
        roles: [...roles],
        uses: [...uses],
        serial: '01',
        expiresAtMs: NOW_MS + ttlMs,
        ttlMs,
        revoked: false,
        createdAtMs: NOW_MS,
        createdBy: { kind: 'admin', id: 'local' },
      };
      admins.set(name, admin);
      const certificate = await certificateOf(id, spec);
      const { certificateDer } = (await root) as CreatedRoot;
      return {
        admin,
        certificate,
        rootCertificates: [certificateDer],
        clusterId: CLUSTER_ID,
        addresses: ['10.0.0.5:7420'],
        index: next(),
      };
    },
    'admins.list': () => [...admins.values()],
    'admins.revoke': (name: string) => {
      const admin = admins.get(name);
      if (admin === undefined) {
        return failure('CV_ADMIN_NOT_FOUND', 'no administrator has this name or id');
      }
      admins.set(name, { ...admin, revoked: true });
      return { index: next() };
    },
  };
}
