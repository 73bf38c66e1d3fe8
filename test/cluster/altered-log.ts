import { randomFillSync, randomInt } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Random } from '@conclave/kernel';
import { KeySlots, ManagerKeys } from '@conclave/manager';
import type { FileVault } from '@conclave/manager';
import { SecretBytes } from '@conclave/sealed';
import { decodeCommand, encodeCommand } from '@conclave/state';
import type { Command } from '@conclave/state';
import { LevelStore } from '@conclave/store';

/** Bytes by which the driver of Raft knows its own entries, in front of each command. */
const PROPOSAL_ID_BYTES = 16;

const RANDOM: Random = {
  bytes: (size) => new Uint8Array(randomFillSync(Buffer.alloc(size))),
  below: (limit) => randomInt(limit),
};

/** The small files of a data folder whose daemon is not running. */
function vaultOf(folder: string): FileVault {
  return {
    read: (name) => readFile(join(folder, name)).catch(() => undefined),
    write: async (name, content) => {
      const target = join(folder, name);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await writeFile(`${target}.new`, content, { mode: 0o600 });
      await rename(`${target}.new`, target);
    },
    remove: (name) => rm(join(folder, name), { recursive: true, force: true }),
  };
}

/** Opens the log of a stopped manager with the keys that lie beside it. */
async function openStore(dataDir: string): Promise<{ store: LevelStore; close: () => unknown }> {
  const vault = vaultOf(dataDir);
  const identity = JSON.parse(await readFile(join(dataDir, 'identity.json'), 'utf8')) as {
    clusterId: string;
    nodeId: string;
  };
  const { clusterId, nodeId } = identity;
  const slots = await KeySlots.open(vault, identity, {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    random: RANDOM,
  });
  const slot = slots.list().find(({ kind }) => kind === 'host');
  if (slot === undefined) throw new Error('the manager has no slot of its host');
  const hostKey = SecretBytes.take(await readFile(join(dataDir, 'keys/host.key')));
  const keys = await ManagerKeys.open(vault, identity, slots.open(slot, hostKey), RANDOM);
  hostKey.wipe();
  const epochFile = 'keys/epochs.sealed';
  const store = await LevelStore.open({
    directory: join(dataDir, 'raft'),
    clusterId,
    nodeId,
    key: keys.localKey,
    witnessKey: keys.witnessKey,
    epochFile: {
      read: () => vault.read(epochFile),
      write: (content) => vault.write(epochFile, content),
    },
    random: RANDOM,
  });
  return {
    store,
    close: async () => {
      await store.close();
      keys.wipe();
    },
  };
}

/**
 * Puts another command in place of one of the log of a stopped manager, sealed and chained as if it
 * had been written so: only what it comes to is another than with the others.
 * @param edit answers the other command, or undefined for those that stay
 */
export async function alterLog(
  dataDir: string,
  edit: (command: Command) => Command | undefined,
): Promise<void> {
  const { store, close } = await openStore(dataDir);
  try {
    const { entries } = await store.log.load();
    for (const [place, entry] of entries.entries()) {
      if (entry.type !== 'EntryNormal' || entry.data.length <= PROPOSAL_ID_BYTES) continue;
      const altered = edit(decodeCommand(entry.data.slice(PROPOSAL_ID_BYTES)));
      if (altered === undefined) continue;
      const id = entry.data.slice(0, PROPOSAL_ID_BYTES);
      const data = new Uint8Array(Buffer.concat([id, encodeCommand(altered)]));
      const rest = entries.slice(place + 1);
      await store.log.write({ entries: [{ ...entry, data }, ...rest] }, { sync: true });
      return;
    }
    throw new Error('the log has no such command');
  } finally {
    await close();
  }
}
