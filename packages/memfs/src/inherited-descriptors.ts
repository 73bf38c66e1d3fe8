import { closeSync, readdirSync, readFileSync } from 'node:fs';

const STDIO_MAX = 2;
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what this process was started with beyond its standard streams; the number of closed
 * descriptors. Everything that Node itself opens is closed in children anyway, but what a careless
 * parent left open would reach every task. For the first statements of a daemon.
 */
export function closeInheritedDescriptors(): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor <= STDIO_MAX || !reachesChildren(descriptor)) continue;
    closeSync(descriptor);
    count += 1;
  }
  return count;
}

function reachesChildren(descriptor: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '', 8);
    return Number.isSafeInteger(flags) && (flags & CLOSE_ON_EXEC) === 0;
  } catch {
    // The listing's own descriptor, closed by now.
    return false;
  }
}
