import { LEFTOVERS_MAX } from './limits.js';
import type { MountHost } from './mount-host.js';
import { parseMountInfo } from './mount-info.js';
import type { MountLine } from './mount-info.js';

/** A copy of a mount that outlived it, in the namespace of some other program. */
export interface Leftover {
  /** One process that sees it. */
  readonly pid: number;
  readonly mountNamespace: string;
  readonly mountPoint: string;
}

/** Every mount of any namespace that `isWanted` recognises, at most {@link LEFTOVERS_MAX}. */
export function findMounts(host: MountHost, isWanted: (line: MountLine) => boolean): Leftover[] {
  const found: Leftover[] = [];
  for (const { id, pid, mountInfo } of host.mountNamespaces()) {
    for (const line of parseMountInfo(mountInfo)) {
      if (!isWanted(line)) continue;
      found.push({ pid, mountNamespace: id, mountPoint: line.mountPoint });
      if (found.length >= LEFTOVERS_MAX) return found;
    }
  }
  return found;
}
