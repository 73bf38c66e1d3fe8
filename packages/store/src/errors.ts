import { ConclaveError } from '@conclave/kernel';

/** Damage of what is stored: never repaired silently, because that could undo what was promised. */
export function damaged(what: string, cause?: unknown): ConclaveError {
  return new ConclaveError('CV_LOG_DAMAGED', `the stored log is damaged: ${what}`, { cause });
}

interface SystemError {
  readonly code?: string;
  readonly message?: string;
  readonly cause?: SystemError;
}

/** Names what the disk or the database said. */
export function storeFailure(error: unknown, during: string): ConclaveError {
  const texts: string[] = [];
  for (let at = error as SystemError | undefined, depth = 0; at && depth < 5; at = at.cause) {
    texts.push(at.code ?? '', at.message ?? '');
    depth += 1;
  }
  const text = texts.join(' ');
  if (/ENOSPC|EDQUOT|No space left|quota/i.test(text)) {
    return new ConclaveError('CV_DISK_FULL', `no room on the disk of the log, ${during}`, {
      cause: error,
    });
  }
  if (/LEVEL_LOCKED|already held|lock .*LOCK/i.test(text)) {
    return new ConclaveError('CV_DATA_DIR_IN_USE', 'another process uses the stored log', {
      cause: error,
    });
  }
  // What the database says when its own table of contents does not fit its files.
  if (
    /Corruption|No such file|CURRENT|MANIFEST|missing file|comparator|Invalid argument/i.test(text)
  )
    return damaged('the database says so', error);
  return new ConclaveError('CV_STORE_FAILED', `the disk of the log failed, ${during}`, {
    cause: error,
  });
}
