import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { parseMountInfo } from '@conclave/memfs';
import type { MountLine } from '@conclave/memfs';

import type { TaskUser } from '../executor.js';

const PROCESS_NAME = /^[1-9][0-9]*$/;
/** Fields of /proc/PID/stat after the command, which is in parentheses and may hold anything. */
const STATE_OFFSET = 0;
const START_TIME_OFFSET = 19;

/** A process, told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from the start of the host to the start of the process. */
  readonly startTime: number;
}

/** Reads a line of `/proc/PID/stat`; undefined when it has not that form. */
export function parseStat(line: string): (ProcessIdentity & { isZombie: boolean }) | undefined {
  const close = line.lastIndexOf(')');
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(close + 2).split(' ');
  const startTime = Number(fields[START_TIME_OFFSET]);
  if (close === -1 || !Number.isSafeInteger(pid) || !Number.isSafeInteger(startTime)) {
    return undefined;
  }
  return { pid, startTime, isZombie: fields[STATE_OFFSET] === 'Z' };
}

/** The identity of a living process; undefined when there is none or only its status is left. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = parseStat(readOr('', () => readFileSync(`/proc/${pid}/stat`, 'utf8')));
  return stat === undefined || stat.isZombie ? undefined : { pid, startTime: stat.startTime };
}

/** True while exactly this process lives. */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** The mount namespace of a process as the kernel names it; empty when it cannot be known. */
function mountNamespaceOf(pid: number): string {
  return readOr('', () => readlinkSync(`/proc/${pid}/ns/mnt`));
}

/** By what the processes of a task are known. */
export interface TaskMarks {
  readonly user: TaskUser | undefined;
  /** Recognises the task's view in a mount table. */
  readonly isViewMount: (line: MountLine) => boolean;
  /** The supervisor, which is in the namespace but not of the task. */
  readonly exceptPid: number | undefined;
}

/**
 * Every living process of a task: those in whose mount namespace its view is mounted, and those
 * with its own uid. The namespace is known by that mount and not by its number, which the kernel
 * gives to the next namespace as soon as it is free.
 */
export function processesOf(marks: TaskMarks): number[] {
  const own = mountNamespaceOf(process.pid);
  const isTaskNamespace = new Map<string, boolean>([
    [own, false],
    ['', false],
  ]);
  const found: number[] = [];
  for (const name of readOr([], () => readdirSync('/proc'))) {
    const pid = Number(name);
    if (!PROCESS_NAME.test(name) || pid === process.pid || pid === marks.exceptPid) continue;
    const namespace = mountNamespaceOf(pid);
    let isMember = isTaskNamespace.get(namespace);
    if (isMember === undefined) {
      isMember = showsView(pid, marks);
      isTaskNamespace.set(namespace, isMember);
    }
    if ((isMember || hasUser(pid, marks.user)) && identify(pid) !== undefined) found.push(pid);
  }
  return found;
}

function showsView(pid: number, marks: TaskMarks): boolean {
  const table = readOr('', () => readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
  return parseMountInfo(table).some((line) => marks.isViewMount(line));
}

function hasUser(pid: number, user: TaskUser | undefined): boolean {
  if (user?.isExclusive !== true) return false;
  const status = readOr('', () => readFileSync(`/proc/${pid}/status`, 'utf8'));
  const ids = /^Uid:\s*(.*)$/m.exec(status)?.[1] ?? '';
  return ids.split(/\s+/).includes(String(user.uid));
}

/** Errors that say something of this process, and nothing of the one that was looked for. */
const OWN_TROUBLE: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/**
 * What `read` answers, or `otherwise` when the process is gone or not ours to look into.
 * @throws EMFILE, ENFILE, ENOMEM: a process that cannot be seen for that may well live
 */
function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (OWN_TROUBLE.has((error as { code?: unknown }).code)) throw error;
    return otherwise;
  }
}
