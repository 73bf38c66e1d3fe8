import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { createRoot, generateNodeKey, issueCertificate } from '@conclave/pki';
import { resumeMember } from '../src/become-member.js';
import { DataFolder } from '../src/data-folder.js';
import { IdentityFile } from '../src/identity-file.js';
import type { MemberIdentity } from '../src/identity-file.js';
import type { Surroundings } from '../src/member.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../src/platform.js';
import { QuarantinedMember } from '../src/quarantined-member.js';

const REASON = 'the state of this manager at index 7 is not that of the others';

let folder: DataFolder;
let file: IdentityFile;
let identity: MemberIdentity;
let around: Surroundings;

beforeEach(async () => {
  folder = await DataFolder.open(await mkdtemp(join(tmpdir(), 'conclave-quarantine-')));
  file = new IdentityFile(folder);
  identity = await manager();
  await file.write(identity);
  around = {
    folder,
    identityFile: file,
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
    random: SYSTEM_RANDOM,
    logger: SILENT_LOGGER,
  } as Surroundings;
});
afterEach(async () => {
  folder.close();
  await rm(folder.path, { recursive: true });
});

async function manager(): Promise<MemberIdentity> {
  const clusterId = 'c'.repeat(26);
  const nodeId = 'n'.repeat(26);
  const root = await createRoot({ clusterId, now: 0, random: SYSTEM_RANDOM });
  const certificateDer = await issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId,
    subject: { kind: 'node', role: 'manager', id: nodeId },
    spkiDer: generateNodeKey().spkiDer,
    serial: SYSTEM_RANDOM.bytes(16),
    notBefore: 0,
    notAfter: 1_000_000,
  });
  return {
    clusterId,
    nodeId,
    role: 'manager',
    raftId: 5,
    certificateDer,
    rootsDer: [root.certificateDer],
    crossDer: new Uint8Array(0),
    managers: [],
  };
}

const never = (): Promise<void> => Promise.reject(new Error('opened'));

test('a manager in quarantine stays there over restarts and opens no key', async () => {
  await file.quarantine(REASON);
  for (let start = 0; start < 2; start += 1) {
    // There are no keys to open here: a manager, locked or not, could not even begin.
    const { member } = await resumeMember(around, identity, never);
    expect(member).toBeInstanceOf(QuarantinedMember);
    expect(member.status().message).toBe(`takes no part: ${REASON}`);
    const diverged = expect.objectContaining({ code: 'CV_STATE_DIVERGED', message: REASON });
    expect(() => member.control).toThrow(diverged);
    expect(() => member.slots).toThrow(diverged);
    await expect(member.leave(false)).rejects.toMatchObject({ code: 'CV_STATE_DIVERGED' });
    await member.stop();
  }
});

test('a new identity does not inherit it', async () => {
  await file.quarantine(REASON);
  const { member } = await resumeMember(around, identity, never);
  await expect(member.leave(true)).resolves.toBe('untold');
  await file.destroy();
  expect(await file.readQuarantine()).toBeUndefined();
  expect(await folder.list()).toEqual([]);
});
