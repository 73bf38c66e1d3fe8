import { findMissingTools } from './tools.js';
import { run } from '@conclave/testing';

/** What this user lacks for the demo, each with the way to get it; empty: nothing. */
export async function missingForDemo(): Promise<string[]> {
  const missing: string[] = [];
  if (process.platform !== 'linux') return ['Linux: the agent mounts memory file systems'];
  const tools = [
    'mount',
    'umount',
    'unshare',
    'setpriv',
    'setsid',
    'nsenter',
    'flock',
    'sha256sum',
  ];
  for (const tool of findMissingTools(tools)) {
    missing.push(`the command ${tool}: install the package util-linux (coreutils for sha256sum)`);
  }
  if (process.getuid?.() !== 0) {
    const probe = await run(['unshare', '--user', '--map-current-user', '--mount', 'true']);
    if (probe.code !== 0) {
      missing.push(
        'user namespaces for ordinary users: run the demo as root, or allow them with ' +
          '`sysctl kernel.unprivileged_userns_clone=1` (Debian) or ' +
          '`sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)',
      );
    }
  }
  return missing;
}
