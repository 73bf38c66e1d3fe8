import { checkFileMode, checkTarget, isId } from '@conclave/kernel';
import type { Position } from '../assignment/assembler.js';
import type { BoundFile, ChangeAction, RunningAssignment } from '../assignment/assigned-task.js';
import type { TaskPlan } from '../executors/executor.js';
import type { FileReceipt, TaskRecord } from './task-record.js';

type Check = (value: unknown) => boolean;
/** A check for every field: one that is added to a type is missed by the compiler otherwise. */
type Shape<T> = { readonly [Key in keyof T]-?: Check };

/** Owners of files: below the number that stands for nobody. */
const USER_ID_MAX = 0xffff_fffe;

const isText: Check = (value) => typeof value === 'string';
const isWhole: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isUserId: Check = (value) => isWhole(value) && (value as number) <= USER_ID_MAX;
const isVersion: Check = (value) => isWhole(value) && value !== 0;
const isObject: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    isText(value) && words.includes(value as string);
const accepted =
  <T>(check: (value: T) => void, isKind: Check): Check =>
  (value) => {
    try {
      if (!isKind(value)) return false;
      check(value as T);
      return true;
    } catch {
      return false;
    }
  };

function shaped<T>(shape: Shape<T>): Check {
  const fields = Object.entries<Check>(shape);
  return (value) =>
    isObject(value) &&
    fields.every(([name, check]) =>
      check(Object.hasOwn(value as object, name) ? Reflect.get(value as object, name) : undefined),
    );
}

const isTarget = accepted(checkTarget, isText);

const isAction: Check = (value) => {
  const kind = isObject(value) ? (value as Partial<ChangeAction>).kind : undefined;
  if (kind === 'signal') return isText((value as { signal?: unknown }).signal);
  if (kind === 'exec') return isText((value as { command?: unknown }).command);
  return kind === 'none' || kind === 'restart';
};

const isFile = shaped<BoundFile>({
  target: isTarget,
  secretId: (value) => isText(value) && isId(value as string),
  version: isVersion,
  uid: optional(isUserId),
  gid: optional(isUserId),
  mode: accepted(checkFileMode, isWhole),
  onChange: isAction,
});

const isPlan = shaped<TaskPlan>({
  taskId: (value) => isText(value) && isId(value as string),
  serviceName: isText,
  slot: isWhole,
  runtime: isText,
  command: listOf(isText),
  env: (value) => isObject(value) && Object.values(value as object).every(isText),
  workingDirectory: isText,
  user: isText,
  stopSignal: isText,
});

const isAssignment = shaped<RunningAssignment>({
  kind: oneOf('run'),
  plan: isPlan,
  stopGraceMs: isWhole,
  files: listOf(isFile),
  undeliverable: isText,
});

const isReceipt = shaped<FileReceipt>({
  target: isTarget,
  secretId: isText,
  version: isVersion,
  outcome: oneOf('delivered', 'reloaded', 'failed'),
  detail: isText,
  atMs: isWhole,
});

const isRecord = shaped<TaskRecord>({
  taskId: (value) => isText(value) && isId(value as string),
  state: oneOf(
    'ACCEPTED',
    'PREPARING',
    'STARTING',
    'RUNNING',
    'COMPLETE',
    'SHUTDOWN',
    'FAILED',
    'REJECTED',
  ),
  message: isText,
  error: isText,
  exitCode: optional(isWhole),
  atMs: isWhole,
  assignment: optional(isAssignment),
  files: listOf(isFile),
  pending: listOf(isTarget),
  receipts: listOf(isReceipt),
});

/** True for a record of a task of which every part has the form that it is written in. */
export function isTaskRecord(value: unknown): value is TaskRecord {
  return isRecord(value) && isAboutOneTask(value as TaskRecord);
}

/** True for a position as it is written. */
export function isPosition(value: unknown): value is Position {
  return shaped<Position>({ epoch: isWhole, index: isWhole })(value);
}

/** What is started and stopped by the plan is found by the id of the record. */
const isAboutOneTask = ({ assignment, taskId }: TaskRecord): boolean =>
  assignment === undefined || assignment.plan.taskId === taskId;
