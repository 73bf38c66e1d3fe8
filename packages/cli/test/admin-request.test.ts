import { beforeEach, describe, expect, test } from '@jest/globals';
import { MemoryContexts } from './support/memory-contexts.js';
import { runCommand } from './support/run-command.js';
import type { Outcome } from './support/run-command.js';
import { adminCalls } from './support/small-admins.js';

// Two hosts: the person's, and one where an administrator answers the request.
let answers: ReturnType<typeof adminCalls>;
let mine: { contexts: MemoryContexts; requestKeys: MemoryContexts };
let theirs: { contexts: MemoryContexts; requestKeys: MemoryContexts };
beforeEach(() => {
  answers = adminCalls(() => 7);
  const host = (): typeof mine => ({
    contexts: new MemoryContexts(),
    requestKeys: new MemoryContexts(),
  });
  [mine, theirs] = [host(), host()];
});

const here = (argv: string[], stdin: string[] = []): Promise<Outcome> =>
  runCommand(argv, { ...mine, stdin });
const there = (argv: string[], stdin: string[] = []): Promise<Outcome> =>
  runCommand(argv, { ...theirs, answers, stdin });

describe('a key that stays where it was made', () => {
  test('goes there as a request, and comes back as a context', async () => {
    const request = await here(['context', 'create', 'ann']);
    expect(request).toMatchObject({ code: 0, stderr: '' });
    const create = ['admin', 'create', 'ann', '--role', 'viewer', '--request', '-'];
    const grant = await there(create, [request.stdout]);
    expect(grant).toMatchObject({ code: 0, stderr: '' });
    for (const { stdout } of [request, grant]) expect(stdout).not.toContain('PRIVATE');
    expect(theirs.contexts.contents.size).toBe(0);
    const taken = await here(['context', 'import', 'ann'], [grant.stdout]);
    expect(taken.stdout).toBe('context ann is administrator ann of cluster c1\n');
    expect(mine.requestKeys.contents.size).toBe(0);
    const used = await runCommand(['--context', 'ann', 'admin', 'ls'], { ...mine, answers });
    expect(used).toMatchObject({ code: 0, remote: ['ann'] });
  });

  test('is of no use for the answer to another request', async () => {
    const first = await here(['context', 'create', 'ann']);
    await here(['context', 'create', 'ann']);
    const create = ['admin', 'create', 'ann', '--role', 'viewer', '--request', '-'];
    const grant = await there(create, [first.stdout]);
    const taken = await here(['context', 'import', 'ann'], [grant.stdout]);
    expect(taken.code).toBe(64);
    expect(mine.contexts.contents.size).toBe(0);
    expect(mine.requestKeys.contents.size).toBe(1);
  });

  test('that is not there makes no context', async () => {
    const request = await here(['context', 'create', 'ann']);
    const create = ['admin', 'create', 'ann', '--role', 'viewer', '--request', '-'];
    const grant = await there(create, [request.stdout]);
    expect((await there(['context', 'import', 'ann'], [grant.stdout])).code).toBe(64);
    expect((await there([...create, '-q'], [request.stdout])).code).toBe(64);
    expect((await there(create, ['no request'])).code).toBe(64);
  });
});
