import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The tools that are in no folder of the search path. */
export function findMissingTools(tools: readonly string[]): string[] {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`.split(':');
  return tools.filter((tool) => !folders.some((folder) => isExecutable(join(folder, tool))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
