import { realpathSync } from 'node:fs';

import { ConclaveError } from '@conclave/kernel';

import type { MountHost } from './mount-host.js';
import { hasActiveSwap, mountOf, parseMountInfo } from './mount-info.js';
import type { MountLine } from './mount-info.js';

const TMPFS_TYPE = 0x01021994;
const RAMFS_TYPE = 0x858458f6;

/** A kind of memory file system, from the safest on. */
export type MediumKind = 'tmpfs-noswap' | 'ramfs' | 'tmpfs';

/** What a folder was proven to be on. */
export interface Medium {
  readonly kind: MediumKind;
  /** True when its pages cannot reach a swap area: by their kind, or because none is active now. */
  readonly isSwapSafe: boolean;
  /** True when its pages could reach a swap area that somebody turns on later. */
  readonly isSwappable: boolean;
  /** `major:minor`. */
  readonly device: string;
  readonly mountPoint: string;
  /** Where the mounted part begins inside the file system. */
  readonly root: string;
}

/**
 * Proves that `path` is on a memory file system: by statfs, by the mount table (both must agree)
 * and by the list of swap areas.
 * @throws CV_NOT_MEMORY_FS with the reason, also when the path does not exist
 */
export function proveMedium(path: string, host: MountHost): Medium {
  const place = realPath(path);
  const type = host.fileSystemType(place);
  const line = mountOf(parseMountInfo(host.mountInfo()), place);
  if (line === undefined) throw refusal('its mount is not in the mount table');
  const kind = kindOf(type, line);
  if (kind === undefined) throw refusal(`it is on ${line.fileSystem}, not on tmpfs or ramfs`);
  const isSwappable = kind === 'tmpfs';
  return {
    kind,
    isSwapSafe: !isSwappable || !hasActiveSwap(host.swaps()),
    isSwappable,
    device: line.device,
    mountPoint: line.mountPoint,
    root: line.root,
  };
}

function kindOf(type: number, line: MountLine): MediumKind | undefined {
  if (type === RAMFS_TYPE && line.fileSystem === 'ramfs') return 'ramfs';
  if (type !== TMPFS_TYPE || line.fileSystem !== 'tmpfs') return undefined;
  return line.superOptions.includes('noswap') ? 'tmpfs-noswap' : 'tmpfs';
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new ConclaveError('CV_NOT_MEMORY_FS', 'the runtime folder does not exist', { cause });
  }
}

function refusal(reason: string): ConclaveError {
  return new ConclaveError('CV_NOT_MEMORY_FS', `the runtime folder is not in memory: ${reason}`);
}
