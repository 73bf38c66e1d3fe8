import { readFileSync } from 'node:fs';
import { secureHeapUsed } from 'node:crypto';
import { ConclaveError } from '@conclave/kernel';

/** What the launcher or the service manager has to give a daemon, as this process finds it. */
export interface ProcessState {
  /** True when reading `__proto__` throws. */
  readonly isProtoRefused: boolean;
  /** True when text cannot be compiled to code. */
  readonly isEvalRefused: boolean;
  /** Size of OpenSSL's locked heap for private keys; 0: there is none. */
  readonly secureHeapBytes: number;
  /** True when the kernel writes no core file of this process, or an empty one. */
  readonly isCoreOff: boolean;
  /** Numbers of the effective capabilities. */
  readonly capabilities: readonly number[];
}

/** CAP_SYS_ADMIN and the others of the unit of workers; the tasks themselves get none. */
export const WORKER_CAPABILITIES: readonly number[] = [0, 1, 3, 5, 6, 7, 8, 18, 19, 21];

/** Looks at this process. What cannot be seen counts as missing. */
export function readProcessState(): ProcessState {
  const status = readProc('status');
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? 'ffffffff'}`);
  const limit = /^Max core file size\s+(\S+)/m.exec(readProc('limits'))?.[1];
  const filter = readProc('coredump_filter').trim();
  return {
    isProtoRefused: isRefused(() => Reflect.get({}, '__proto__')),
    isEvalRefused: isRefused(() => Reflect.construct(Function, ['return 0']) as unknown),
    secureHeapBytes: secureHeapUsed().total,
    // A kernel that writes no core files at all has no filter.
    isCoreOff: limit === '0' && /^0*$/.test(filter),
    capabilities: Array.from({ length: 64 }, (_, bit) => bit).filter(
      (bit) => ((mask >> BigInt(bit)) & 1n) === 1n,
    ),
  };
}

/** What this process lacks, in words for people; empty: nothing. */
export function weaknessesOf(state: ProcessState): readonly string[] {
  const isBounded = state.capabilities.every((bit) => WORKER_CAPABILITIES.includes(bit));
  return [...missingOf(state), ...(isBounded ? [] : ['a bounded set of capabilities'])];
}

/**
 * Refuses a process that its launcher did not start. Rights are not looked at: some hosts have no
 * tool that takes them away.
 * @throws CV_ENVIRONMENT_REFUSED naming everything that is missing
 */
export function refuseWeakness(state: ProcessState): void {
  const missing = missingOf(state);
  if (missing.length === 0) return;
  throw new ConclaveError(
    'CV_ENVIRONMENT_REFUSED',
    `this process runs without ${missing.join(', ')}`,
    {
      details: { missing },
      hint: 'Start it by its name, conclaved, not with node. For trying out: --insecure-dev.',
    },
  );
}

/** What the launcher gives on every host. */
function missingOf(state: ProcessState): readonly string[] {
  const found: string[] = [];
  if (!state.isProtoRefused) found.push('--disable-proto=throw');
  if (!state.isEvalRefused) found.push('--disallow-code-generation-from-strings');
  if (state.secureHeapBytes === 0) found.push('--secure-heap');
  if (!state.isCoreOff) found.push('a limit of 0 for core files');
  return found;
}

/** The truth about this process, for `status`. */
export function describeProcess(role: string): string {
  const state = readProcessState();
  const missing = weaknessesOf(state);
  const count = state.capabilities.length;
  const rights = count === 0 ? 'no capability' : `${count} capabilities`;
  const excess = role === 'manager' && count > 0 ? ', of which a manager needs none' : '';
  const text = missing.length === 0 ? 'hardened' : `weak, runs without ${missing.join(', ')}`;
  return `${text}; ${rights}${excess}`;
}

function isRefused(act: () => unknown): boolean {
  try {
    act();
    return false;
  } catch {
    return true;
  }
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8');
  } catch {
    return '';
  }
}
