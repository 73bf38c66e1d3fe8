import { readFileSync, writeFileSync } from 'node:fs';
import { closeInheritedDescriptors } from '@conclave/memfs';
import { refuseEnvironment } from '@conclave/transport';

/**
 * Hardens the process before it touches any key: refuses variables that would weaken TLS or open a
 * debugger, makes new files private, and keeps memory out of core files.
 * @throws CV_ENVIRONMENT_REFUSED naming the variable
 */
export function hardenProcess(): void {
  refuseEnvironment(process.env);
  process.umask(0o077);
  // Whoever started us may have left some open: they would reach every task.
  closeInheritedDescriptors();
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // No /proc here: the launcher's core limit has to do.
  }
}

/** The truth about swap on this host, for `status`. */
export function describeSwap(): { readonly isActive: boolean; readonly text: string } {
  try {
    const devices = readFileSync('/proc/swaps', 'utf8').trim().split('\n').length - 1;
    if (devices <= 0) return { isActive: false, text: 'off on this host' };
    const own = swapLimit();
    if (own === '0') return { isActive: false, text: 'on, but not for this process' };
    return { isActive: true, text: 'on: memory of this process may reach a disk' };
  } catch {
    return { isActive: true, text: 'unknown: /proc/swaps cannot be read' };
  }
}

/** `memory.swap.max` of our own control group, version 2 only. */
function swapLimit(): string | undefined {
  try {
    const line = readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .find((text) => text.startsWith('0::'));
    if (line === undefined) return undefined;
    return readFileSync(`/sys/fs/cgroup${line.slice(3)}/memory.swap.max`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
