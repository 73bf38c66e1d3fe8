import { readFileSync, writeFileSync } from 'node:fs';
import { closeInheritedDescriptors } from '@conclave/memfs';
import { refuseEnvironment } from '@conclave/transport';
import { readProcessState, refuseWeakness } from './process-state.js';

/**
 * Hardens the process before it touches any key: refuses variables and flags that would weaken TLS
 * or open a debugger, makes new files private, and keeps memory out of core files. What only the
 * launcher can give has to be there.
 * @param isInsecureDev for trying things out: flags, and what the launcher gives, are not looked at
 * @throws CV_ENVIRONMENT_REFUSED naming the variable, the flag or what is missing
 */
export function hardenProcess(isInsecureDev: boolean): void {
  refuseEnvironment(process.env, isInsecureDev ? [] : process.execArgv);
  process.umask(0o077);
  // Whoever started us may have left some open: they would reach every task.
  closeInheritedDescriptors();
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // What comes of it is seen below: a kernel without core files has no such file.
  }
  if (!isInsecureDev) refuseWeakness(readProcessState());
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
