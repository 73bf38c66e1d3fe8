import { readFileSync } from 'node:fs';

/** The users and groups that this host knows. */
export interface HostAccounts {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

const PASSWD_UID = 2;
const PASSWD_GID = 3;
const GROUP_GID = 2;

/** Reads /etc/passwd and /etc/group; accounts of a directory service are not among them. */
export function readHostAccounts(): HostAccounts {
  const users = linesOf('/etc/passwd');
  const groups = linesOf('/etc/group');
  const gids = [...numbersOf(users, PASSWD_GID), ...numbersOf(groups, GROUP_GID)];
  return { uids: new Set(numbersOf(users, PASSWD_UID)), gids: new Set(gids) };
}

function linesOf(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}

function numbersOf(lines: readonly string[][], field: number): number[] {
  return lines.flatMap((fields) => {
    const text = fields[field] ?? '';
    return /^[0-9]+$/.test(text) ? [Number(text)] : [];
  });
}
