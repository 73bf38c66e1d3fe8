import { byteLength, ConclaveError } from '@conclave/kernel';
import { TASK_STATES } from '@conclave/state';
import type { ReceiptRow, TaskReport as StateReport, TaskState } from '@conclave/state';
import type { ReceiptReport, TaskReport } from '@conclave/wire';

/** Characters of a text that an agent sends for people. */
const TEXT_LENGTH_MAX = 512;

/** Bytes of what else is in one line of an entry: ids, times, names of fields. */
const FRAME_BYTES = 256;

const cut = (text: string): string => text.slice(0, TEXT_LENGTH_MAX);

function taskState(text: string): TaskState {
  const state = TASK_STATES.find((known) => known === text);
  if (state === undefined) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'a report has an unknown task state', {
      details: { field: 'state' },
    });
  }
  return state;
}

/** Reports of one node in the form of the log. */
export function toTaskReports(nodeId: string, reports: readonly TaskReport[]): StateReport[] {
  return reports.map((report) => ({
    nodeId,
    taskId: report.taskId,
    state: taskState(report.state),
    message: cut(report.message),
    error: cut(report.error),
    exitCode: report.exitCode,
    atMs: report.atMs,
  }));
}

/** Bytes that a report takes in an entry, at most. */
export function taskReportSize({ error, message }: StateReport): number {
  return FRAME_BYTES + byteLength(message) + byteLength(error);
}

/** A receipt in the form of the log. */
export type Receipt = Omit<ReceiptRow, 'index'> & { readonly nodeId: string };

/** Receipts of one node in the form of the log. */
export function toReceipts(nodeId: string, reports: readonly ReceiptReport[]): Receipt[] {
  return reports.map((report) => ({
    nodeId,
    taskId: report.taskId,
    target: report.target,
    secretId: report.secretId,
    version: report.version,
    outcome: outcomeOf(report.outcome),
    detail: cut(report.detail),
    atMs: report.atMs,
  }));
}

/** Bytes that a receipt takes in an entry, at most. */
export function receiptSize({ detail, target }: Receipt): number {
  return FRAME_BYTES + byteLength(target) + byteLength(detail);
}

function outcomeOf(text: string): ReceiptRow['outcome'] {
  if (text === 'delivered' || text === 'reloaded' || text === 'failed') return text;
  throw new ConclaveError('CV_ARGUMENT_INVALID', 'a receipt has an unknown outcome', {
    details: { field: 'outcome' },
  });
}
