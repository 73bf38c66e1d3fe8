import type { TaskExit } from '../executors/executor.js';

const NOT_PREPARED = 125;
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/** How a task ended, for people. Never anything that the task printed. */
export function exitText(exit: TaskExit): string {
  if (exit.kind === 'lost') return exit.reason;
  const { exitCode, signal } = exit;
  if (signal !== undefined) return `ended by ${signal} (exit code ${exitCode})`;
  const text = `exit code ${exitCode}`;
  if (exitCode === NOT_FOUND) return `the command was not found (${text})`;
  if (exitCode === NOT_EXECUTABLE) return `the command cannot be executed (${text})`;
  if (exitCode === NOT_PREPARED) return `working directory or user cannot be used (${text})`;
  return text;
}
